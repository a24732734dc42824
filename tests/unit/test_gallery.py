"""The contact sheets of the draft preset."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.gallery import COLUMNS, Pick, index, judge, read_picks, sheet

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "docs" / "gallery"


def test_without_the_clips_nothing_is_touched(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.gallery",
        "--data",
        str(tmp_path / "none"),
        "--out",
        str(tmp_path / "o"),
    ]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (said.returncode, said.stderr) == (0, "")
    assert "stays as it is" in said.stdout
    assert not (tmp_path / "o").exists()


def test_a_sheet_has_a_row_for_each_backdrop_in_the_plates_shape() -> None:
    rows = [(name, [np.full((90, 160, 3), 60 * place, np.uint8) for place in range(4)]) for name in ("a", "b")]
    made = sheet(rows)
    assert made.shape[1] == 4 * 400 + 3 * 4
    assert made.shape[0] == 22 + 2 * (22 + 225)
    assert [int(made[150, 200 + 404 * place, 0]) for place in range(4)] == [0, 60, 120, 180]


def test_picks_are_cut_out_of_the_sheets(tmp_path: Path) -> None:
    rows = [(name, [np.full((90, 160, 3), level, np.uint8)] * 4) for name, level in (("pier", 60), ("moor", 180))]
    cv2.imwrite(str(tmp_path / "01.jpg"), sheet(rows))
    (tmp_path / "picks.json").write_text(json.dumps({"worst": [{"clip": "01", "backdrop": "moor", "why": "dark."}]}))
    judge(tmp_path, ["pier", "moor"])
    cut = cv2.imread(str(tmp_path / "worst.jpg"))
    assert cut is not None
    assert cut.shape == (22 + 225, 4 * 400 + 3 * 4, 3)
    assert abs(int(cut[150, 200, 0]) - 180) < 4
    assert "worst.jpg" in (tmp_path / "index.md").read_text()


def test_the_page_shows_every_sheet_and_says_why_of_every_pick(tmp_path: Path) -> None:
    (tmp_path / "picks.json").write_text(json.dumps({"best": [{"clip": "01", "backdrop": "pier", "why": "it sits."}]}))
    page = index(["01", "06"], read_picks(tmp_path))
    assert all(column in page for column in COLUMNS)
    assert page.count("![") == 3
    assert "- **01 before pier**: it sits." in page
    assert read_picks(tmp_path)["best"] == [Pick("01", "pier", "it sits.")]


@pytest.mark.skipif(not GALLERY.exists(), reason="no gallery here")
def test_the_gallery_is_whole_and_small() -> None:
    shown = set(re.findall(r"\]\((\w+\.jpg)\)", (GALLERY / "index.md").read_text("utf-8")))
    assert shown == {path.name for path in GALLERY.glob("*.jpg")}
    assert sum(path.stat().st_size for path in GALLERY.iterdir()) < 4 << 20

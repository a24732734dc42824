"""Shots of one frame, of a few, and of many, in which nothing shows where they were cut for reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.seams import draft, written_shot
from tests.integration.core_house import read, recipe_for, render


def test_a_long_shot_shows_no_border_of_what_is_worked_on_at_once(tmp_path: Path) -> None:
    """Sixty frames have too few of them for less than a tenth; `benchmarks.seams` measures five hundred."""
    found = draft(tmp_path, 60, 45, 80)
    assert {name: found[name] for name in ("comp", "background", "gain")} == {
        "comp": pytest.approx(1, abs=0.2),
        "background": pytest.approx(1, abs=0.2),
        "gain": pytest.approx(1, abs=0.2),
    }


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_frames(tmp_path: Path, count: int) -> None:
    shot = written_shot(tmp_path, count, 45, 80)
    heard = render(shot, recipe_for(tmp_path / "still.1.png"), tmp_path / "out")
    assert len(heard.written) == count and read(heard.written[0].path).shape == (1, 45, 80, 3)

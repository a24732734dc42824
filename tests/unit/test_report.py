"""The report: one file, all shots in it, nothing from outside, nothing unescaped, a slider that moves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import numpy as np
import opentimelineio as otio
import pytest

from anyportal_client.errors import MediaError
from anyportal_client.otio import pictures
from anyportal_client.otio.outcomes import Outcome, Result
from anyportal_client.otio.pictures import pairs, pairs_of
from anyportal_client.otio.plan import Plan, make_plan
from anyportal_client.otio.records import shared
from anyportal_client.otio.report import Written, write_report


def movie(path: Path, count: int, first: int) -> Path:
    """Frame N is grey of level 5 (N + first)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 24, options={"qp": "4"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * (number + first), np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def level(jpeg: bytes) -> float:
    decoder = av.CodecContext.create("mjpeg", "r")
    frames = [*decoder.decode(av.Packet(jpeg)), *decoder.decode(None)]
    return float(frames[0].to_ndarray(format="rgb24").mean()) / 5


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    movie(tmp_path / "plate.mp4", 40, 0)
    time = otio.opentime.RationalTime

    def clip(name: str, start: int, **request: Any) -> Any:
        reference = otio.schema.ExternalReference("plate.mp4")
        source = otio.opentime.TimeRange(time(start, 24), time(11, 24))
        return otio.schema.Clip(name, reference, source, metadata={"anyportal": {"backdrop": "#405060", **request}})

    clips = [
        clip("sh010", 10, handles=3, settings={"<b>": "<script>alert(1)</script>"}),
        clip("sh020", 12),
        clip("sh030", 900),
        clip("sh040", 14, seed=4),
        clip("sh050", 12),
    ]
    track = otio.schema.Track("Video <1>", children=clips)
    return shared(make_plan(otio.schema.Timeline("cut", tracks=[track]), tmp_path))


@pytest.fixture
def outcomes(plan: Plan, tmp_path: Path) -> dict[str, Outcome]:
    comp = movie(tmp_path / "comp.mp4", 17, 7)
    result = Result(
        2,
        {"comp": comp},
        (7, 23),
        {"recipe": {"note": "</pre>"}, "recipe_digest": "ab" * 32, "warnings": ["frames 8-9 <are> doubtful"]},
    )
    failed = MediaError("the matte has 3 frames", where="m.mp4", hint="give 40 </script>", code="LENGTH_MISMATCH")
    return {
        "sh010": Outcome("done", result, job="jobs/1", seconds=12, stage_seconds={"matte": 4.25, "finish": 61}),
        "sh020": Outcome("failed", error=failed),
        "sh030": Outcome("skipped"),
        "sh040": Outcome("cancelled"),
    }


@pytest.fixture
def report(plan: Plan, outcomes: dict[str, Outcome], tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    write_report(plan, outcomes, path, Written(tmp_path / "cut_anyportal.otio", seconds=99))
    assert not list(tmp_path.glob("*.part"))
    return path


def test_before_and_after_are_the_same_frame(plan: Plan, outcomes: dict[str, Outcome]) -> None:
    result = outcomes["sh010"].result
    assert result is not None
    found = pairs(plan.shots[0], result)
    assert [pair.number for pair in found] == [10, 15, 20]
    for pair in found:
        assert abs(level(pair.before) - pair.number) < 0.5
        assert abs(level(pair.after) - pair.number) < 0.5


def test_pictures_are_kept_until_a_file_changes(
    plan: Plan, outcomes: dict[str, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    decode = pictures.pairs
    monkeypatch.setattr(pictures, "pairs", lambda shot, result: decoded.append(shot.name) or decode(shot, result))
    shots, cache = [(plan.shots[0], outcomes["sh010"])], tmp_path / "cache"
    first = pairs_of(shots, cache)
    assert pairs_of(shots, cache) == first and decoded == ["sh010"]
    assert [pair.number for pair in first["sh010"]] == [10, 15, 20]
    [kept] = (cache / "pictures").iterdir()
    kept.write_bytes(b"damaged")
    assert pairs_of(shots, cache) == first and len(decoded) == 2
    os.utime(tmp_path / "comp.mp4", (1, 1))
    assert pairs_of(shots, cache) == first and len(decoded) == 3
    monkeypatch.setattr(pictures, "_MOST_FILES", 1)
    pairs_of(shots, cache)
    assert len(list((cache / "pictures").iterdir())) == 1
    assert pairs_of(shots, tmp_path / "comp.mp4") == first  # no folder can be made there


def test_all_outcomes_are_told(report: Path) -> None:
    page = report.read_text(encoding="utf-8")
    for text in (
        *(f'id="sh0{n}0"' for n in (1, 2, 3, 4, 5)),
        "frames 10–20, handles 3 + 3",
        "the matte has 3 frames",
        "LENGTH_MISMATCH",
        "Skipped: the clip shows frames from 900 on",
        "Cancelled before",
        "that of sh020",
        "4.2 s",
        "1 min 1 s",
        "v002",
        "ab" * 8,
        "1 min 39 s",
        "frames 8-9 &lt;are&gt; doubtful",
    ):
        assert text in page
    assert page.count('type="range"') == 3


def test_a_shot_that_cannot_be_shown_says_so_and_stops_no_other(
    plan: Plan, outcomes: dict[str, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(jpeg: bytes) -> tuple[int, int]:
        raise ValueError("<no header>")

    monkeypatch.setattr("anyportal_client.otio.report._jpeg_size", broken)
    path = tmp_path / "report.html"
    write_report(plan, outcomes, path, Written(tmp_path / "cut_anyportal.otio", seconds=99))
    page = path.read_text(encoding="utf-8")
    assert "It cannot be shown here: ValueError: &lt;no header&gt;" in page
    assert "the matte has 3 frames" in page


def test_the_report_needs_nothing_from_outside_and_escapes_what_it_shows(report: Path) -> None:
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    page = report.read_text(encoding="utf-8")
    Reader().feed(page)
    targets = [attributes[name] for _, attributes in tags for name in ("src", "href") if name in attributes]
    assert targets
    assert all(str(target).startswith(("data:image/jpeg;base64,", "#")) for target in targets)
    assert not re.search(r"url\(|@import|https?:", page)
    assert [tag for tag, _ in tags].count("script") == 1
    ranges = [attributes for tag, attributes in tags if tag == "input"]
    assert all(attributes.get("aria-label") for attributes in ranges)


@pytest.mark.browser
def test_the_slider_follows_the_keyboard_and_the_pointer(report: Path, browser: Callable[[str], str]) -> None:
    script = """
    const [first, second] = document.querySelectorAll(".compare");
    const input = first.querySelector("input");
    input.value = 20;
    input.dispatchEvent(new Event("input"));
    const typed = second.style.getPropertyValue("--at");
    const box = first.getBoundingClientRect();
    first.setPointerCapture = () => {};
    const at = { clientX: box.left + 0.75 * box.width, clientY: box.top + 9, bubbles: true };
    first.dispatchEvent(new PointerEvent("pointerdown", at));
    document.title = [typed, parseFloat(second.style.getPropertyValue("--at")), document.activeElement.tagName];
    """
    page = report.read_text(encoding="utf-8").replace("</html>", f"<script>{script}</script></html>")
    assert "<title>20%,75,INPUT</title>" in browser(page)


@pytest.fixture
def browser(tmp_path: Path) -> Callable[[str], str]:
    """Give a page to a headless browser and get back what its scripts made of it."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium here")

    def load(page: str) -> str:
        file = tmp_path / "page.html"
        file.write_text(page, encoding="utf-8")
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
        run = subprocess.run([*command, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=90)
        return run.stdout

    return load

"""Many batches into one folder: each reads, merges and writes the timeline while no other does."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import opentimelineio as otio
import pytest

from anyportal_client.errors import StorageError
from anyportal_client.locks import locked
from anyportal_client.otio.batch import LOCK

Time, Range = otio.opentime.RationalTime, otio.opentime.TimeRange

WRITER = """
import sys, time
from pathlib import Path
from anyportal_client.otio.batch import Ready, Wish, _write
from anyportal_client.otio.outcomes import Outcome, Result
from anyportal_client.otio.places import Places
from anyportal_client.otio.plan import make_plan
from anyportal_client.otio.reading import read_timeline
from anyportal_client.otio.shape import shape
cut, out, name, start = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
places = Places(cut.parent)
plan = shape(make_plan(read_timeline(cut), places, {"backdrop": "#102030"}), places)
result = Result(1, {"comp": out / f"{name}.mov"}, (0, 9))
outcomes = {s.name: Outcome("done", result) if s.name == name else Outcome("cancelled") for s in plan.shots}
time.sleep(max(0.0, start - time.time()))
_write(Ready(Wish(cut, out), plan), outcomes, out / "cut_anyportal.otio", time.monotonic())
"""


def cut_of(folder: Path, names: str) -> Path:
    track = otio.schema.Track("Video 1")
    for name in names:
        available = Range(Time(0, 24), Time(10, 24))
        track.append(otio.schema.Clip(name, otio.schema.ExternalReference(f"{name}.mov", available), available))
    path = folder / "cut.otio"
    otio.adapters.write_to_file(otio.schema.Timeline("cut", tracks=[track]), str(path))
    return path


def versions(path: Path) -> dict[str, list[str]]:
    clips: Any = otio.adapters.read_from_file(str(path)).find_clips()
    return {clip.name: list(clip.media_references())[1:] for clip in clips}


def test_batches_that_end_at_the_same_moment_keep_each_other_s_results(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    cut = cut_of(tmp_path, "abcdef")
    start = str(time.time() + 3)
    command = [sys.executable, "-c", WRITER, str(cut), str(out)]
    writers = [subprocess.Popen([*command, name, start]) for name in "abcdef"]
    assert [writer.wait(90) for writer in writers] == [0] * 6
    assert versions(out / "cut_anyportal.otio") == {name: ["anyportal_v001"] for name in "abcdef"}
    assert not list(out.glob("*.part"))


def test_who_comes_second_waits_and_merges_what_the_first_wrote(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    cut = cut_of(tmp_path, "ab")
    command = [sys.executable, "-c", WRITER, str(cut), str(out)]
    with locked(out / LOCK):
        writer = subprocess.Popen([*command, "a", "0"])
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(2)
        assert [path.name for path in out.iterdir()] == [LOCK]
        timeline = otio.adapters.read_from_file(str(cut))
        second = timeline.tracks[0][1]
        result = otio.schema.ExternalReference("b_v001.mov", Range(Time(0, 24), Time(10, 24)))
        second.set_media_references({**second.media_references(), "anyportal_v001": result}, "anyportal_v001")
        otio.adapters.write_to_file(timeline, str(out / "cut_anyportal.otio"))
    assert writer.wait(60) == 0
    assert versions(out / "cut_anyportal.otio") == {"a": ["anyportal_v001"], "b": ["anyportal_v001"]}


def test_a_lock_that_is_never_let_go_ends_in_words(tmp_path: Path) -> None:
    holder = "import sys; from pathlib import Path; from anyportal_client.locks import locked\n"
    holder += "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    path = tmp_path / LOCK
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    with pytest.raises(StorageError, match="another process is writing"), locked(path, patience=0.2):
        pass
    process.kill()  # the system lets go of it
    process.communicate()
    with locked(path, patience=5):
        assert path.is_file()

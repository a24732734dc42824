"""What media files have is found out once, and again when they change; a cache that is damaged costs time alone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anyportal_client.otio import probes
from anyportal_client.otio.probes import MediaProblem, Probes
from anyportal_core.testing.clips import write_movie
from benchmarks import plan

LONG_AGO = 1_600_000_000


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    path = write_movie(tmp_path / "a.mov", np.zeros((10, 16, 16, 3), np.float32))
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The movies that were opened."""
    opened: list[Path] = []
    probe = probes.probe_movie
    monkeypatch.setattr(probes, "probe_movie", lambda path: opened.append(path) or probe(path))
    yield opened


def ask(cache: Path, path: Path) -> int:
    found = Probes(cache)
    count = found.movie(path).count
    found.keep()
    return count


def test_a_file_is_opened_once_until_it_changes(movie: Path, tmp_path: Path, looked: list[Path]) -> None:
    cache = tmp_path / "cache"
    assert [ask(cache, movie) for _ in range(3)] == [10, 10, 10]
    assert len(looked) == 1
    write_movie(movie, np.zeros((12, 16, 16, 3), np.float32))
    os.utime(movie, (LONG_AGO + 1, LONG_AGO + 1))
    assert [ask(cache, movie) for _ in range(2)] == [12, 12]
    assert len(looked) == 2


def test_a_file_of_this_very_moment_is_not_remembered(movie: Path, tmp_path: Path, looked: list[Path]) -> None:
    movie.touch()
    assert [ask(tmp_path / "cache", movie) for _ in range(2)] == [10, 10]
    assert len(looked) == 2


def test_a_sequence_is_looked_at_again_when_its_folder_has_changed(tmp_path: Path) -> None:
    folder, cache = tmp_path / "plates", tmp_path / "cache"
    folder.mkdir()
    for number in (1001, 1002):
        (folder / f"p.{number}.exr").touch()
    os.utime(folder, (LONG_AGO, LONG_AGO))
    first = Probes(cache)
    assert first.sequence(folder / "p.%04d.exr").count == 2
    first.keep()
    (folder / "p.1003.exr").touch()
    os.utime(folder, (LONG_AGO, LONG_AGO))  # as if nothing had happened: now it is believed
    assert Probes(cache).sequence(folder / "p.%04d.exr").count == 2
    os.utime(folder, (LONG_AGO + 5, LONG_AGO + 5))
    assert Probes(cache).sequence(folder / "p.%04d.exr").count == 3


def test_what_cannot_be_used_is_not_remembered(tmp_path: Path) -> None:
    found = Probes(tmp_path / "cache")
    for _ in range(2):
        with pytest.raises(MediaProblem, match="is not there"):
            found.movie(tmp_path / "gone.mov")
    found.keep()
    assert not (tmp_path / "cache/probes.sqlite").exists()


@pytest.mark.parametrize("damage", ["no database", "another table", "rows of another kind", "a folder"])
def test_a_damaged_cache_is_begun_anew(movie: Path, tmp_path: Path, looked: list[Path], damage: str) -> None:
    cache = tmp_path / "cache"
    ask(cache, movie)
    file = cache / "probes.sqlite"
    if damage == "no database":
        file.write_bytes(b"x" * 5000)
    elif damage == "a folder":
        file.unlink()
        file.mkdir()
    else:
        database = sqlite3.connect(file)
        if damage == "another table":
            database.executescript("DROP TABLE probes; CREATE TABLE probes (x); PRAGMA user_version = 99")
        else:
            database.execute("UPDATE probes SET extent = '{\"start\": 0}'")
        database.commit()
        database.close()
    assert [ask(cache, movie) for _ in range(2)] == [10, 10]
    assert len(looked) == (3 if damage == "a folder" else 2)


def test_the_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_MOST_ROWS", 5)
    found = Probes(tmp_path / "cache")
    for number in range(12):
        folder = tmp_path / f"f{number}"
        folder.mkdir()
        (folder / "p.1.exr").touch()
        os.utime(folder, (LONG_AGO, LONG_AGO))
        found.sequence(folder / "p.%d.exr")
    found.keep()
    database = sqlite3.connect(tmp_path / "cache/probes.sqlite")
    names = [row[0] for row in database.execute("SELECT path FROM probes ORDER BY rowid")]
    database.close()
    assert [Path(name).parent.name for name in names] == [f"f{number}" for number in range(7, 12)]


WRITER = """
import sys
from pathlib import Path
from anyportal_client.otio.probes import Probes
cache, folder, own = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
for number in range(30):
    found = Probes(cache)
    found.sequence(folder / f"{own}{number}.%d.exr")
    found.keep()
"""


def test_many_processes_share_it(tmp_path: Path) -> None:
    folder = tmp_path / "plates"
    folder.mkdir()
    for own in "ab":
        for number in range(30):
            (folder / f"{own}{number}.1.exr").touch()
    os.utime(folder, (LONG_AGO, LONG_AGO))
    command = [sys.executable, "-c", WRITER, str(tmp_path / "cache"), str(folder)]
    writers = [subprocess.Popen([*command, own]) for own in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    database = sqlite3.connect(tmp_path / "cache/probes.sqlite")
    assert database.execute("SELECT count(*) FROM probes").fetchone() == (60,)
    database.close()


def test_a_thousand_clips_with_media_of_their_own_plan_within_three_seconds_on_a_quiet_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked: list[Path]
) -> None:
    monkeypatch.setattr("anyportal_client.otio.batch.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(plan, "FRAMES", 16)
    timeline = plan.write_cut(tmp_path, 1000)
    plan.plan_once(timeline)
    assert len(looked) == 500
    assert plan.plan_once(timeline) < 10  # half a second, and room for a machine that is busy with other things
    assert len(looked) == 500

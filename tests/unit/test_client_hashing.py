"""Digests: right, remembered, and never believed of a file that changed."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from anyportal_client.hashing import HashCache


def write(path: Path, data: bytes, age: float = 60) -> Path:
    path.write_bytes(data)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def read_bytes(cache: HashCache, *paths: Path) -> tuple[list[str], int]:
    """The digests, and how many bytes were read for them: known files count at once, in one piece."""
    pieces: list[int] = []
    found = cache.digests(paths, pieces.append)
    return [found[path].sha256 for path in paths], len(pieces)


def test_digests_are_right_and_remembered(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    path = write(tmp_path / "a.exr", data)
    expected = [hashlib.sha256(data).hexdigest()]
    assert read_bytes(HashCache(tmp_path / "cache"), path) == (expected, 3)
    assert read_bytes(HashCache(tmp_path / "cache"), path) == (expected, 1)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    cache = HashCache(tmp_path / "cache")
    path = write(tmp_path / "a.exr", b"a" * 100)
    read_bytes(cache, path)
    write(path, b"b" * 100, age=30)
    assert read_bytes(cache, path)[0] == [hashlib.sha256(b"b" * 100).hexdigest()]


def test_a_file_of_this_moment_is_not_remembered(tmp_path: Path) -> None:
    cache = HashCache(tmp_path / "cache")
    path = write(tmp_path / "a.exr", b"a" * 100, age=0)
    stamp = path.stat().st_mtime_ns
    read_bytes(cache, path)
    path.write_bytes(b"b" * 100)
    os.utime(path, ns=(stamp, stamp))  # changed within the clock's tick
    assert read_bytes(cache, path)[0] == [hashlib.sha256(b"b" * 100).hexdigest()]


@pytest.mark.parametrize("damage", ["garbage", "folder"])
def test_a_cache_that_cannot_be_used_is_no_error(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    if damage == "folder":
        folder.write_text("in the way")
    else:
        folder.mkdir()
        (folder / "digests.sqlite").write_bytes(b"no database" * 100)
    path = write(tmp_path / "a.exr", b"a")
    for _ in range(2):
        assert read_bytes(HashCache(folder), path)[0] == [hashlib.sha256(b"a").hexdigest()]
    if damage == "garbage":  # it was thrown away, and a new one begun
        assert (folder / "digests.sqlite").read_bytes().startswith(b"SQLite format 3")


def test_a_thousand_frames_are_known_in_no_time(tmp_path: Path) -> None:
    cache = HashCache(tmp_path / "cache")
    paths = [write(tmp_path / f"{number}.exr", b"%d" % number) for number in range(1000)]
    read_bytes(cache, *paths)
    began = time.process_time()
    read_bytes(cache, *paths)
    assert time.process_time() - began < 0.5


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        HashCache(tmp_path / "cache").digests([tmp_path / "a.exr"])

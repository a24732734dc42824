"""The pictures of a report, before and after: decoded side by side, and kept: a recut decodes what is new alone."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anyportal_client.otio.outcomes import Outcome, Result
from anyportal_client.otio.plan import PlannedShot
from anyportal_client.otio.thumbnails import thumbnails
from anyportal_client.patterns import file_of, is_pattern

_MOST_FILES = 4000
_AT_ONCE = max(2, os.cpu_count() or 2)


@dataclass(frozen=True)
class Pair:
    """One frame of a shot before and after, as JPEGs; empty where it could not be decoded."""

    number: int
    before: bytes
    after: bytes


def pairs_of(shots: Iterable[tuple[PlannedShot, Outcome]], cache: Path | None = None) -> dict[str, list[Pair]]:
    """The pictures of all shots that have a result, by name.

    Args:
        cache: a folder where they are kept, bounded; one that cannot be used costs time, never an error.
    """
    wanted = [(shot, outcome.result) for shot, outcome in shots if outcome.result]
    folder = cache / "pictures" if cache else None
    with ThreadPoolExecutor(_AT_ONCE) as readers:
        found = readers.map(lambda each: _kept(each[0], each[1], folder), wanted)
        pictures = {shot.name: pairs for (shot, _), pairs in zip(wanted, found, strict=True)}
    if folder is not None:
        _prune(folder)
    return pictures


def pairs(shot: PlannedShot, result: Result) -> list[Pair]:
    """First, middle and last frame that the clip shows, before and after."""
    if shot.media is None:
        return []
    numbers = _numbers(shot)
    before = thumbnails(shot.media.path, numbers)
    shift = 0 if is_pattern(result.picture) else result.frames[0]  # a movie of frames 20-40 counts them from 0
    after = thumbnails(result.picture, [number - shift for number in numbers])
    return [Pair(n, before.get(n, b""), after.get(n - shift, b"")) for n in numbers]


def _numbers(shot: PlannedShot) -> list[int]:
    if shot.span is None or shot.media is None or shot.media.extent is None:
        return []
    first, last = shot.span.first, shot.span.last
    return sorted({first, (first + last) // 2, last})


def _kept(shot: PlannedShot, result: Result, folder: Path | None) -> list[Pair]:
    """The pictures as they were kept, unless a file of them has changed; else decoded, and kept if they are whole."""
    if folder is None:
        return pairs(shot, result)
    path = folder / f"{_key(shot, result)}.json"
    with suppress(OSError, ValueError, TypeError):
        kept = [Pair(int(n), base64.b64decode(a), base64.b64decode(b)) for n, a, b in json.loads(path.read_bytes())]
        os.utime(path)
        return kept
    found = pairs(shot, result)
    if all(pair.before and pair.after for pair in found):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f"{path.name}.{os.getpid()}.part")
            rows = [[p.number, *(base64.b64encode(jpeg).decode() for jpeg in (p.before, p.after))] for p in found]
            aside.write_text(json.dumps(rows), "ascii")
            aside.replace(path)
    return found


def _key(shot: PlannedShot, result: Result) -> str:
    files = (
        [file_of(path, n) for path in (shot.media.path, result.picture) for n in _numbers(shot)] if shot.media else []
    )
    digest = hashlib.sha256(repr((_numbers(shot), result.frames)).encode())
    for file in dict.fromkeys(files):
        digest.update(os.fsencode(file))
        with suppress(OSError):
            status = file.stat()
            digest.update(f" {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()


def _prune(folder: Path) -> None:
    """Let those go that were not looked at for the longest time."""
    with suppress(OSError):
        files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[_MOST_FILES:]:
            path.unlink(missing_ok=True)

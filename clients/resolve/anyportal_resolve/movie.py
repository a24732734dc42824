"""What a QuickTime or MP4 file really holds. A render job's own report is not enough: what it wrote is looked at."""

from __future__ import annotations

import struct
from typing import BinaryIO, Dict, Iterator, List, NamedTuple, Optional, Tuple

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_MOST = 64 << 20  # bytes of one table; no honest one is larger


class Movie(NamedTuple):
    """Frames of the first video track, and their rate."""

    frames: int
    rate: float


def read_movie(path: str) -> Optional[Movie]:
    """The first video track; None where there is none, or the file is no such movie."""
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            boxes = list(_boxes(file, 0, file.tell(), ()))
            for track in sorted({trail for _, trail, _, _ in boxes}):
                found = _track(file, boxes, track)
                if found is not None:
                    return found
    except (OSError, struct.error, ValueError):
        pass
    return None


_Box = Tuple[bytes, int, int, int]
"""Kind, the track that it belongs to (where its box begins, 0 for none), where its content begins and ends."""


def _boxes(file: BinaryIO, start: int, end: int, trail: Tuple[int, ...]) -> Iterator[_Box]:
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            return
        inner = trail + ((start,) if kind == b"trak" else ())
        yield kind, (inner or (0,))[0], start + head, start + size
        if kind in _PARENTS:
            for box in _boxes(file, start + head, start + size, inner):
                yield box
        start += size


def _track(file: BinaryIO, boxes: List[_Box], track: int) -> Optional[Movie]:
    content: Dict[bytes, Tuple[int, int]] = {kind: (start, end) for kind, of, start, end in boxes if of == track}
    if not track or any(kind not in content for kind in (b"hdlr", b"mdhd", b"stts")):
        return None
    # QuickTime has a second hdlr, for the data, inside minf; the media's own comes first.
    handlers = [start for kind, of, start, _ in boxes if of == track and kind == b"hdlr"]
    if not any(_read(file, start + 8, 4) == b"vide" for start in handlers):
        return None
    start, end = content[b"stts"]
    if end - start > _MOST:
        return None
    table = _read(file, start, end - start)
    (count,) = struct.unpack_from(">I", table, 4)
    runs = [struct.unpack_from(">II", table, 8 + 8 * index) for index in range(count)]
    frames, ticks = sum(number for number, _ in runs), sum(number * each for number, each in runs)
    return Movie(frames, _timescale(file, content[b"mdhd"][0]) * frames / ticks if ticks else 0.0)


def _timescale(file: BinaryIO, start: int) -> int:
    version = _read(file, start, 1)
    (scale,) = struct.unpack(">I", _read(file, start + (20 if version == b"\x01" else 12), 4))
    return int(scale)


def _read(file: BinaryIO, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)

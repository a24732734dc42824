"""Whether a movie is all there: what its container says of its length, against what can be read."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from anyportal_core.errors import MediaUnreadableError


def truncated(path: Path, readable: int, promised: int = 0) -> MediaUnreadableError:
    """The error for a movie that ends too early, with how much of it is there, as far as known."""
    count = f"{readable} of {promised}" if promised > readable else str(readable) if readable else "no"
    return MediaUnreadableError(
        f"the file is cut short or damaged: {count} frames can be read",
        where=str(path),
        hint="copy or export it again",
    )


def is_cut(path: Path) -> bool:
    """Whether the outermost boxes of an MP4, QuickTime, Matroska or RIFF file reach beyond its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
        if head[:4] in (b"RIFF", b"RF64"):
            return head[:4] == b"RIFF" and int.from_bytes(head[4:8], "little") + 8 > size
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _matroska_end(head) > size
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
            return _boxes_end(file, size) > size
    return False


def _matroska_end(head: bytes) -> int:
    """Where the segment of an EBML file ends by its own account; 0 where it does not say (a recording)."""
    header, at = _ebml_size(head, 4)
    start = at + header
    length, at = _ebml_size(head, start + 4)
    known = head[start : start + 4] == b"\x18\x53\x80\x67" and length >= 0
    return at + length if known else 0


def _ebml_size(head: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer, -1 for "unknown", and the offset behind it."""
    if at >= len(head) or not head[at]:
        return -1, at
    width = 9 - head[at].bit_length()
    value = int.from_bytes(head[at : at + width], "big") & ((1 << 7 * width) - 1)
    return (-1 if value == (1 << 7 * width) - 1 else value), at + width


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last top-level box of an ISO media file ends by its own account."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file
            return size
        at += length
    return at

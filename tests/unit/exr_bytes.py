"""EXR files that no library here writes: subsampled and integer channels, empty windows; uncompressed scanlines."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

UINT, HALF, FLOAT = 0, 1, 2
_BYTES = {UINT: 4, HALF: 2, FLOAT: 4}
_ONE = {UINT: struct.pack("<I", 1), HALF: struct.pack("<e", 1), FLOAT: struct.pack("<f", 1)}

Channel = tuple[int, int, int]
"""Type, and of how many columns and rows a value is stored."""


def write_exr(path: Path, channels: Mapping[str, Channel], width: int = 8, height: int = 8) -> Path:
    """An image whose values are all 1."""
    table = b"".join(
        name.encode() + b"\0" + struct.pack("<iB3xii", kind, 0, across, down)
        for name, (kind, across, down) in sorted(channels.items())
    )
    box = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    header = b"".join(
        name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value
        for name, kind, value in (
            ("channels", "chlist", table + b"\0"),
            ("compression", "compression", b"\0"),
            ("dataWindow", "box2i", box),
            ("displayWindow", "box2i", box),
            ("lineOrder", "lineOrder", b"\0"),
            ("pixelAspectRatio", "float", struct.pack("<f", 1)),
            ("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0)),
            ("screenWindowWidth", "float", struct.pack("<f", 1)),
        )
    )
    start = struct.pack("<II", 20000630, 2) + header + b"\0"
    lines = []
    for y in range(height):
        data = b"".join(
            _ONE[kind] * (width // across) for _, (kind, across, down) in sorted(channels.items()) if y % down == 0
        )
        lines.append(struct.pack("<ii", y, len(data)) + data)
    offsets, at = b"", len(start) + 8 * len(lines)
    for line in lines:
        offsets += struct.pack("<Q", at)
        at += len(line)
    path.write_bytes(start + offsets + b"".join(lines))
    return path

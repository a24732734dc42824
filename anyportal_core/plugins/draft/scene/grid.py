"""The coarse grid that light is worked out on."""

from __future__ import annotations


def grid_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    """``(h, w)`` of a picture's shape with a long side of ``long_side``, or its own where that is smaller."""
    scale = min(1.0, long_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))

"""How large a picture may be. Without a limit a header of a few bytes can make a decoder ask for all of the memory."""

from __future__ import annotations

from pathlib import Path

from anyportal_core.errors import ShotError

MEGAPIXEL = 1_000_000

_pixels: int | None = None


def limit(pixels: int | None) -> None:
    """From now on refuse pictures of more than so many pixels in this process; None: take any."""
    global _pixels
    _pixels = pixels


def pixels() -> int | None:
    """How many a picture may have; None: any number."""
    return _pixels


def check(width: int, height: int, path: Path) -> None:
    """To be called with what a header says, before anything is decoded by it.

    Raises:
        ShotError: the picture is too large.
    """
    if _pixels is not None and max(width, 0) * max(height, 0) > _pixels:
        raise ShotError(
            f"a picture of {width}x{height} pixels: {_pixels / MEGAPIXEL:g} million are allowed",
            where=str(path),
            hint="give a smaller one, or raise worker.picture_megapixels in the daemon's configuration",
        )

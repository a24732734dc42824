"""What a shot must be for its background to be painted, one shot with a foreground before a background; and doubts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import FrameSet, chunks
from anyportal_core.media.work import alpha_says_something
from anyportal_core.sizes import shown_aspect
from anyportal_core.stages.cuts import ranges
from anyportal_core.stages.material import Material
from anyportal_core.stages.notes import Note

AT_ONCE: Final = 16

LEAST: Final = 1e-4
"""Share of all pixels, over the shot: less than that is neither a foreground nor a background."""

ENLARGED: Final = 2.5
"""Times: a backdrop that is enlarged more looks soft at once."""

SEEN: Final = 0.25
"""Share of a backdrop: where less of it is seen, its shape is not what anybody meant."""


def check_one_shot(material: Material) -> None:
    """Raises ShotError where the plate has a cut inside."""
    at = [material.numbers[take.start] for take in material.takes[1:]]
    if at:
        parts = ranges(material.numbers[0], at, material.numbers[-1])
        raise ShotError(
            f"there is a cut: frame {at[0]} begins another shot",
            where=str(material.info.path),
            hint=f"give the ranges {' and '.join(parts)} as shots of their own",
        )


def check_foreground(material: Material) -> None:
    """Raises NoForegroundError where the matte is empty or covers everything."""
    cover = covered(material)
    share = sum(cover) / len(cover)
    if share < LEAST:
        raise NoForegroundError("the matte has no foreground", where="shot", hint="give a --matte or a --mask")
    if share > 1 - LEAST:
        raise NoForegroundError(
            "the matte is nothing but foreground: there is no background to replace",
            where="shot",
            hint="check that the matte is white where the foreground is, and black elsewhere",
        )


def matte_doubts(material: Material) -> Iterator[Note]:
    """What is odd about a matte that can be worked with all the same; mostly nothing."""
    cover, numbers = covered(material), material.numbers
    empty = tuple(number for number, share in zip(numbers, cover, strict=True) if share == 0)
    full = tuple(number for number, share in zip(numbers, cover, strict=True) if share == 1)
    if len(empty) == len(numbers):
        yield Note("the matte is empty: the result is the background alone", True)
    elif len(full) == len(numbers):
        yield Note("the matte is white all over: the result is the plate alone", True)
    else:
        if empty:
            frames = FrameSet(empty)
            yield Note(f"there is no foreground on {frames.named}: the result is the background alone there")
        if full:
            frames = FrameSet(full)
            yield Note(f"the matte is white all over on {frames.named}: the result is the plate alone there", True)


def covered(material: Material) -> list[float]:
    """The foreground's share of each frame."""
    matte = material.matte()
    parts = (matte.read(start, stop) for start, stop in chunks(len(matte), AT_ONCE))
    return [share for part in parts for share in part.mean(axis=(1, 2, 3), dtype=np.float64).tolist()]


def backdrop_doubts(material: Material) -> Iterator[Note]:
    """What will be seen of a backdrop that is small, of quite another shape, or partly clear.

    Raises:
        MediaUnreadableError: its first picture is damaged, which the hours before it is needed need not be spent on.
    """
    clip, plate = material.backdrop_clip, material.info
    if clip is None:
        return
    info = clip.info
    clear = info.has_alpha and alpha_says_something(clip, info.numbers[0])
    if not clear:
        next(clip.frames([info.numbers[0]]))
    name, size = info.path.name, f"{info.width}x{info.height}"
    enlarged = max(plate.width / info.width, plate.height / info.height)
    if enlarged > ENLARGED:
        yield Note(
            f"{name} is {size}: to fill {plate.width}x{plate.height} it is enlarged {enlarged:.0f} times, and looks "
            "soft; give a larger picture",
            True,
        )
    shapes = material.aspect, shown_aspect(info.width, info.height, info.pixel_aspect)
    seen = min(shapes) / max(shapes)
    if seen < SEEN:
        share = f"{100 * seen:.0f}" if seen >= 0.01 else "less than 1"
        yield Note(f"{name} ({size}) is of quite another shape than the plate: {share} % of it is seen", True)
    if clear:
        yield Note(f"{name} has an alpha channel, which a backdrop does not use: its colours are shown all over")

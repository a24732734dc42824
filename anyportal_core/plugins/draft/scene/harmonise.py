"""The foreground's light and colour moved towards the new background's, as a smooth gain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.method.smoothing import smooth
from anyportal_core.method.srgb import to_light
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.draft.scene.grid import grid_size
from anyportal_core.plugins.draft.scene.light import Vector, describe, even_gain, uneven_gain
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.settings import Settings

Described = NDArray[np.float64]
"""``(t, 4)``: a place over time as ``describe`` tells it."""

_READ = 8  # frames read at once
_EVERY = 3  # the new surroundings change slowly: so many frames lie between two looks at them
_GRID = 64  # long side of the grid
_SLOWNESS = 2000.0  # of the light of a place: changes faster than about 40 frames come from what moves in it
_WARM = np.array([0.25, 0.0, -0.25])


class Light:
    """Role ``harmonise``: exposure and colour of the new surroundings, and light from the side it comes from."""

    def relight(
        self, plate: FrameSource, matte: FrameSource, background: FrameSource, context: RoleContext
    ) -> Iterator[Chunk]:
        """Yield ``log_gain``. Two passes: the light is measured in all frames and steadied before it is used."""
        size = grid_size(plate.height, plate.width, _GRID)
        behind, subject, around = _measured(plate, matte, background, size, context)
        if subject is None or around is None:
            for start, stop in chunks(len(plate), _READ):
                yield {"log_gain": np.zeros((stop - start, *size, 3), np.float32)}
            return
        behind = subject if behind is None else behind
        for start, stop in chunks(len(plate), _READ):
            context.checkpoint()
            gains = []
            for index, alpha, picture in zip(
                range(start, stop), matte.read(start, stop), background.read(start, stop), strict=True
            ):
                look = _Look.read(context.settings, plate.numbers[index])
                even = even_gain(behind[index], subject[index], around[index], look.colour)
                uneven = uneven_gain(_light(picture, size), _cover(alpha, size))
                gains.append(even + look.added + look.direction * uneven)
            yield {"log_gain": np.stack(gains).astype(np.float32)}


@dataclass(frozen=True)
class _Look:
    """What the artist asks of the light at one frame; ``added`` ``(3,)`` is a gain of its own."""

    colour: float
    direction: float
    added: Vector

    @classmethod
    def read(cls, settings: Settings, frame: int) -> _Look:
        warmth, stops = settings.number("warmth", frame), settings.number("exposure", frame)
        added = warmth * _WARM + stops * np.log(2.0)
        return cls(settings.number("colour", frame), settings.number("direction", frame), added)


def _measured(
    plate: FrameSource, matte: FrameSource, background: FrameSource, size: tuple[int, int], context: RoleContext
) -> tuple[Described | None, ...]:
    """Old surroundings, foreground and new surroundings over time, each steadied; None for what is never seen."""
    found: list[tuple[Vector | None, ...]] = []
    everywhere = np.ones(size, np.float32)
    for start, stop in chunks(len(plate), _READ):
        context.checkpoint()
        for index, frame, alpha in zip(
            range(start, stop), plate.read(start, stop), matte.read(start, stop), strict=True
        ):
            light, cover = _light(frame, size), _cover(alpha, size)
            clear = 1 - np.minimum(1, 10 * cover)
            around = None
            if index % _EVERY == 0:
                around = describe(_light(background.read(index, index + 1)[0], size), everywhere)
            found.append((describe(light, clear), describe(light, cover), around))
    return tuple(_steadied(column) for column in zip(*found, strict=True))


def _light(picture: Image, size: tuple[int, int]) -> Image:
    return np.asarray(to_light(ops.resize(picture, *size, "area")), np.float32)


def _cover(alpha: Image, size: tuple[int, int]) -> Image:
    return ops.resize(alpha[..., 0], *size, "area")


def _steadied(values: Sequence[Vector | None]) -> Described | None:
    """The values over time without what is quick; frames of no value get their neighbours'."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return None
    mean = known.mean(axis=0)
    if len(known) < 2:
        return np.broadcast_to(mean, (len(values), len(mean)))
    weights = np.array([value is not None for value in values], np.float64)
    steady = smooth(np.array([mean if value is None else value for value in values]), weights, _SLOWNESS)
    return np.clip(steady, known.min(axis=0), known.max(axis=0))

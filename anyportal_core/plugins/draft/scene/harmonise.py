"""The foreground's light and colour moved towards the new background's, as a smooth gain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.hands import helper, in_order
from anyportal_core.method.illuminant import Subject, Surroundings, Vector
from anyportal_core.method.irradiance import Change, change, gain
from anyportal_core.method.smoothing import smooth
from anyportal_core.plugins.draft.scene.grid import grid_size
from anyportal_core.plugins.draft.scene.light import cover, facing, light, new_light, old_light
from anyportal_core.plugins.draft.scene.look import Look
from anyportal_core.plugins.draft.scene.veil import Shown, veils
from anyportal_core.roles import Chunk, RoleContext

Described = NDArray[np.float64]
"""``(t, n)``: a place over time, a row for each frame."""

_READ = 8  # frames read at once
_EVERY = 3  # light changes slowly: so many frames lie between two looks at it
_GRID = 80  # long side of the grid that the gain is made on
_LOOKED = 144  # and of that which pictures are measured on: a small foreground needs a finer one
_SLOWNESS = 2000.0  # of the light of a place: changes faster than about 40 frames come from what moves in it
_VEIL_SLOWNESS = 100.0  # flare comes and goes within about 20 frames


class _Found(NamedTuple):
    """In every frame: the change of light, the veils ``(6,)``, and the foreground's log level."""

    changes: Sequence[Change]
    veils: Described
    levels: Vector


class Light:
    """Role ``harmonise``: exposure and colour of the new surroundings, and light from the side it comes from."""

    def relight(
        self, plate: FrameSource, matte: FrameSource, background: FrameSource, context: RoleContext
    ) -> Iterator[Chunk]:
        """Yield ``log_gain`` and ``veil``. Two passes: all is measured in all frames and steadied before it is used."""
        size = grid_size(plate.height, plate.width, _GRID)
        found = _found(plate, matte, background, context)
        for start, stop in chunks(len(plate), _READ):
            context.checkpoint()
            gains = np.zeros((stop - start, *size, 3), np.float32)
            veil = np.zeros((stop - start, 2, 3), np.float32)
            if found is not None:
                for place, alpha in enumerate(matte.read(start, stop)):
                    look = Look.read(context.settings, plate.numbers[start + place])
                    gains[place], veil[place] = _lit(found, start + place, look, cover(alpha, size))
            yield {"log_gain": gains, "veil": veil}


def _lit(found: _Found, index: int, look: Look, covered: Image) -> tuple[Image, Image]:
    """A frame's log gain and veils."""
    whole, right, down, rim = look.applied(found.changes[index])
    shown = Shown.of(found.veils[index], look.haze, found.levels[index], whole[0])
    return gain(whole + np.array([shown.exposure, 0.0, 0.0]), right, down, rim, *facing(covered)), shown.veil


def _found(plate: FrameSource, matte: FrameSource, background: FrameSource, context: RoleContext) -> _Found | None:
    """What every frame tells; None where there is never a foreground."""
    behind, front, around, veiled = _measured(plate, matte, background, context, _EVERY)
    if front is None:  # it may be there for a few frames only, between two looks
        behind, front, around, veiled = _measured(plate, matte, background, context, 1)
    if front is None or around is None:
        return None
    if behind is None:  # the foreground fills every frame: what lit it is told by itself alone
        behind = np.stack([_unseen(Subject(*row)) for row in front])
    veiled = np.zeros((len(front), 6)) if veiled is None else veiled
    if context.screened:  # what was a screen cannot lack black as well: nothing says that what the foreground lacks is
        veiled = veiled * np.repeat([0.0, 1.0], 3)  # no light clothes
    rows = zip(behind, front, around, strict=True)
    changes = [change(Surroundings(*old), Subject(*own), Surroundings(*new[:-1]), new[-1]) for old, own, new in rows]
    return _Found(changes, veiled, front[:, 0])


def _unseen(front: Subject) -> Surroundings:
    """Surroundings that nothing is seen of, as the foreground would have them be."""
    return Surroundings(front.level, front.level, front.amber, front.green, 0.0, 0.0, 0.0, 0.0, 0.0)


def _measured(
    plate: FrameSource, matte: FrameSource, background: FrameSource, context: RoleContext, every: int
) -> tuple[Described | None, ...]:
    """Old surroundings, foreground, new surroundings and veils over time, steadied; None for what is never seen."""
    found: list[_Told] = [(None, None, None, None)] * len(plate)
    indices = range(0, len(plate), every)
    sources = (plate, matte, background, context.surroundings or background)
    with closing(in_order(_told, _views(sources, indices, context), helper())) as told:
        for index, parts in zip(indices, told, strict=True):
            found[index] = parts
    *lights, veiled = zip(*found, strict=True)
    return (*(_steadied(column, _SLOWNESS) for column in lights), _steadied(veiled, _VEIL_SLOWNESS))


_Told = tuple[Vector | None, ...]
"""The old surroundings, the foreground, the new surroundings and the veils of one frame."""


def _views(sources: Sequence[FrameSource], indices: Iterable[int], context: RoleContext) -> Iterator[Sequence[Image]]:
    """Plate, matte, background and surroundings of some frames."""
    for index in indices:
        context.checkpoint()
        yield [source.read(index, index + 1)[0] for source in sources]


def _told(views: Sequence[Image]) -> _Told:
    frame, alpha, picture, whole = views
    size = grid_size(frame.shape[0], frame.shape[1], _LOOKED)
    covered = cover(alpha, size)
    there, then = light(frame, size), light(picture, size)
    behind, front = old_light(there, covered, facing(covered)[0])
    place, near = new_light(light(whole, size), then, covered)
    parts = (None if part is None else np.array(part) for part in (behind, front))
    return (*parts, np.array([*place, near]), veils(there, covered, then))


def _steadied(values: Sequence[Vector | None], slowness: float) -> Described | None:
    """The values over time without what is quick; frames of no value get their neighbours'."""
    there = [index for index, value in enumerate(values) if value is not None]
    if not there:
        return None
    known = _without_flashes(np.array([values[index] for index in there]))
    if len(known) < 2:
        return np.broadcast_to(known[0], (len(values), known.shape[1]))
    filled, weights = np.tile(known.mean(axis=0), (len(values), 1)), np.zeros(len(values))
    filled[there], weights[there] = known, 1.0
    return np.clip(smooth(filled, weights, slowness), known.min(axis=0), known.max(axis=0))


def _without_flashes(known: Described) -> Described:
    """Each the median of itself and its two neighbours: lightning and a camera's flash are no light of a place."""
    if len(known) < 3:
        return known
    kept = known.copy()
    kept[1:-1] = np.median([known[:-2], known[1:-1], known[2:]], axis=0)
    return kept

"""Stage ``matte``: the foreground's alpha at work size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import FrameSet, FrameSource, Image, chunks
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.roles.matte import MatteHints, MattePlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material
from anyportal_core.stages.takes import Take

CODE_VERSION = 2

_AT_ONCE = 8


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: MattePlugin = cast.plugin("matte")
    hints = MatteHints(
        material.supplied_matte(),
        material.mask(),
        material.mask_index,
        material.guides.corrections(),
        material.guides.clean_plate(),
        material.guides.cover("garbage"),
        material.guides.cover("holdout"),
    )
    found = found_in_takes(plugin, material.plate(), hints, material.takes, cast.context("matte"))
    yield from limited(found, hints)


def found_in_takes(
    plugin: MattePlugin, plate: FrameSource, hints: MatteHints, takes: Sequence[Take], context: RoleContext
) -> Iterator[Chunk]:
    """What a plug-in yields for each take; nothing is foreground in one where it finds none, if another has some.

    Raises:
        NoForegroundError: there is none in any take.
    """
    empty: list[tuple[Take, NoForegroundError]] = []
    owed = 0
    for take in takes:
        done = 0
        try:
            for chunk in _of_take(plugin, plate, hints, take, context):
                yield from _nothing(chunk, owed)
                owed, done, like = 0, done + len(chunk["alpha"]), chunk
                yield chunk
        except NoForegroundError as error:
            empty.append((take, error))
            owed += len(take) - done
    if len(empty) == len(takes):
        raise empty[0][1]
    yield from _nothing(like, owed)
    for take, why in empty:
        context.warn(f"{_frames(plate, take).named}: {why.message}, so the matte is empty there")


def _of_take(
    plugin: MattePlugin, plate: FrameSource, hints: MatteHints, take: Take, context: RoleContext
) -> Iterator[Chunk]:
    if take.whole:
        yield from plugin.find(plate, hints, context)
        return
    own = _hints_of(take, hints)
    try:
        yield from plugin.find(take.frames(plate), own, take.context(context))
    except ShotError as error:
        unmasked = hints.masks() and not own.masks()
        hint = "a cut sets these frames apart: give a mask of one of them, too (--correct), or leave them out (--range)"
        message = f"{_frames(plate, take).named}: {error.message}"
        raise ShotError(message, where=error.where, hint=hint if unmasked else error.hint) from error


def _hints_of(take: Take, hints: MatteHints) -> MatteHints:
    masks = {index - take.start: mask for index, mask in hints.masks().items() if take.start <= index < take.stop}
    matte, clean_plate, garbage, holdout = (
        source and take.frames(source) for source in (hints.matte, hints.clean_plate, hints.garbage, hints.holdout)
    )
    return replace(
        hints,
        matte=matte,
        mask=None,
        corrections=masks,
        clean_plate=clean_plate,
        garbage=garbage,
        holdout=holdout,
    )


def _frames(plate: FrameSource, take: Take) -> FrameSet:
    return FrameSet(tuple(plate.numbers[take.start : take.stop]))


def _nothing(like: Chunk, count: int) -> Iterator[Chunk]:
    """So many frames of the arrays of a chunk, all 0."""
    for start, stop in chunks(count, _AT_ONCE):
        yield {name: np.zeros((stop - start, *values.shape[1:]), values.dtype) for name, values in like.items()}


def limited(chunks: Iterator[Chunk], hints: MatteHints) -> Iterator[Chunk]:
    """What a plug-in yields without what is garbage, and with what is held; both are stored for the full size."""
    given = {"garbage": hints.garbage, "holdout": hints.holdout}
    sources = {name: source for name, source in given.items() if source is not None}
    start = 0
    for chunk in chunks:
        stop = start + len(chunk["alpha"])
        hints_here = {name: _read(source, start, stop) for name, source in sources.items()}
        if hints_here:
            alpha = np.asarray(chunk["alpha"], np.float32)
            alpha = alpha * (1 - hints_here.get("garbage", np.float32(0)))
            chunk = {**chunk, "alpha": np.maximum(alpha, hints_here.get("holdout", np.float32(0)))}
            chunk |= {name: values.astype(np.float16) for name, values in hints_here.items()}
        yield chunk
        start = stop


def _read(source: FrameSource, start: int, stop: int) -> Image:
    """``(t, H, W)``; a source of one frame says the same of all."""
    if len(source) > 1:
        return source.read(start, stop)[..., 0]
    return np.repeat(source.read(0, 1)[..., 0], stop - start, axis=0)

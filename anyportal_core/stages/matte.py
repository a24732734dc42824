"""Stage ``matte``: the foreground's alpha at work size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from anyportal_core.frames import FrameSource, Image
from anyportal_core.roles import Chunk
from anyportal_core.roles.matte import MatteHints, MattePlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material

CODE_VERSION = 2


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
    yield from limited(plugin.find(material.plate(), hints, cast.context("matte")), hints)


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

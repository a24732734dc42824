"""Stage ``refine``: the relighting made steady in time."""

from __future__ import annotations

from collections.abc import Iterator

from anyportal_core.roles import Chunk
from anyportal_core.roles.refine import RefinePlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material

CODE_VERSION = 1


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: RefinePlugin = cast.plugin("refine")
    background = material.background(cast.plugin("background"), cast.context("background"))
    sources, context = (material.plate(), material.matte(), background), cast.context("refine")
    for take in material.takes:
        plate, matte, behind = (take.frames(source) for source in sources)
        harmonised = take.stored(material.results["harmonise"])
        yield from plugin.steady(plate, matte, behind, harmonised, take.context(context))

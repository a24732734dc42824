"""Stage ``harmonise``: the foreground relit by the background, at full strength."""

from __future__ import annotations

from collections.abc import Iterator

from anyportal_core.roles import Chunk
from anyportal_core.roles.harmonise import HarmonisePlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material

CODE_VERSION = 1


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: HarmonisePlugin = cast.plugin("harmonise")
    background = material.background(cast.plugin("background"), cast.context("background"))
    sources, context = (material.plate(), material.matte(), background), cast.context("harmonise")
    for take in material.takes:
        plate, matte, behind = (take.frames(source) for source in sources)
        yield from plugin.relight(plate, matte, behind, take.context(context))

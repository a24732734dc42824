"""Stage ``refine``: the relighting made steady in time."""

from __future__ import annotations

from collections.abc import Iterator

from anyportal_core.roles import Chunk, StoredFrames
from anyportal_core.roles.refine import RefinePlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material

CODE_VERSION = 2


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: RefinePlugin = cast.plugin("refine")
    background = material.background(cast.plugin("background"), cast.context("background"))
    sources, context = (material.plate(), material.matte(), background), cast.context("refine")
    painted = cast.spec("refine").makes == "video"
    for take in material.takes:
        plate, matte, behind = (take.frames(source) for source in sources)
        harmonised = take.stored(material.results["harmonise"])
        made = plugin.steady(plate, matte, behind, harmonised, take.context(context))
        yield from made if painted else _veiled(made, harmonised)


def _veiled(chunks: Iterator[Chunk], harmonised: StoredFrames) -> Iterator[Chunk]:
    """Each with a veil: the harmonised one where the plug-in made none. The gain was measured to go with it."""
    start = 0
    for chunk in chunks:
        stop = start + len(chunk["log_gain"])
        if "veil" in harmonised.names and "veil" not in chunk:
            chunk = {**chunk, "veil": harmonised.read("veil", start, stop)}
        yield chunk
        start = stop

"""Stage ``matte``: the foreground's alpha at work size."""

from __future__ import annotations

from collections.abc import Iterator

from anyportal_core.roles import Chunk
from anyportal_core.roles.matte import MatteHints, MattePlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material

CODE_VERSION = 1


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: MattePlugin = cast.plugin("matte")
    hints = MatteHints(material.supplied_matte(), material.mask(), material.mask_index)
    yield from plugin.find(material.plate(), hints, cast.context("matte"))

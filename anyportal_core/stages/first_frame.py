"""Stage ``first_frame``: the picture that the new background begins with."""

from __future__ import annotations

from collections.abc import Iterator

from anyportal_core.roles import Chunk
from anyportal_core.roles.first_frame import FirstFramePlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material

CODE_VERSION = 1


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: FirstFramePlugin = cast.plugin("first_frame")
    yield from plugin.paint(material.plate(), material.matte(), material.backdrop(), cast.context("first_frame"))

"""Stage ``background``: the backdrop, moving as the plate's camera moves."""

from __future__ import annotations

from collections.abc import Iterator

from anyportal_core.roles import Chunk
from anyportal_core.roles.background import BackgroundInputs, BackgroundPlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material

CODE_VERSION = 3


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: BackgroundPlugin = cast.plugin("background")
    found = material.results
    inputs = BackgroundInputs(
        material.plate(),
        material.matte(),
        found.get("motion"),
        material.backdrop(),
        float(material.rate),
        found.get("clean_plate"),
        found.get("first_frame"),
        material.aspect,
    )
    yield from plugin.make(inputs, cast.context("background"))

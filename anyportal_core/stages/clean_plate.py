"""Stages ``clean_plate`` and ``clean_background``: the plate, or the painted background, without the foreground."""

from __future__ import annotations

from collections.abc import Iterator

from anyportal_core.roles import Chunk
from anyportal_core.roles.clean_plate import CleanPlatePlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material

CODE_VERSION = 1


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: CleanPlatePlugin = cast.plugin("clean_plate")
    yield from plugin.clean(material.plate(), material.matte(), cast.context("clean_plate"))


def run_on_background(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: CleanPlatePlugin = cast.plugin("clean_plate")
    background = material.background(cast.plugin("background"), cast.context("background"))
    yield from plugin.clean(background, material.matte(), cast.context("clean_plate"))

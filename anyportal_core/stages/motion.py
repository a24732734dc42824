"""Stage ``motion``: how the camera moved, from the background alone or from tracks."""

from __future__ import annotations

from collections.abc import Iterator

from anyportal_core.roles import Chunk
from anyportal_core.roles.motion import MotionPlugin
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material

CODE_VERSION = 3


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: MotionPlugin = cast.plugin("motion")
    tracks = material.results.get("tracks")
    plate, matte, context = material.clean_plate(), material.matte(), cast.context("motion")
    for take in material.takes:
        followed = tracks and take.stored(tracks)
        yield from plugin.follow(take.frames(plate), take.frames(matte), followed, take.context(context))

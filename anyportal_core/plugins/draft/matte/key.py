"""A green or blue screen, keyed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np

from anyportal_core.errors import ShotError
from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.method.keying import ScreenKind, key, screen_share
from anyportal_core.plugins.draft.matte.common import CHUNK, OPS, held
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints

_SAMPLES = 5  # frames looked at to tell whether there is a screen, and which
_LEAST = 0.05  # of a frame's area
_FOLLOW = 0.1  # how fast the screen's colour follows the light


class Key:
    """Keys every frame at its full size; the work-size alpha is for the other stages."""

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        black, white = context.settings.number("black"), context.settings.number("white")
        screen, kind = _screen(plate, context.settings.text("screen"), context.settings.text("screen_colour"))
        for start, stop in chunks(len(plate), CHUNK):
            alphas, screens = [], []
            for frame in plate.read(start, stop):
                context.checkpoint()
                screen = screen if kind is None else _followed(frame, screen, kind)
                alphas.append(key(frame, screen, black, white, OPS))
                screens.append(screen)
            yield {"alpha": np.stack(alphas), "screen": np.stack(screens)}

    def render(self, frame: Image, stored: Stored, given: Image | None, context: RoleContext) -> Image:
        black, white = context.settings.number("black"), context.settings.number("white")
        return held(cast(Image, key(frame, stored["screen"].astype(np.float32), black, white, OPS)), stored)


def _screen(plate: FrameSource, setting: str, picked: str) -> tuple[Image, ScreenKind | None]:
    """The screen's colour ``(3,)`` to begin with, and its kind; no kind for a colour that stays as picked."""
    if setting == "picked":
        return np.array([int(picked[i : i + 2], 16) for i in (1, 3, 5)], np.float32) * np.float32(1 / 255), None
    kinds: tuple[ScreenKind, ...] = ("green", "blue") if setting == "auto" else (cast(ScreenKind, setting),)
    best: tuple[float, Image, ScreenKind] = (0.0, np.zeros(3, np.float32), kinds[0])
    for index in sorted({round(i) for i in np.linspace(0, len(plate) - 1, _SAMPLES)}):
        frame = plate.read(index, index + 1)[0]
        for kind in kinds:
            share, colour = screen_share(frame, kind)
            if share > best[0]:
                best = share, colour, kind
    if best[0] < _LEAST:
        raise ShotError(
            f"there is no {' or '.join(kinds)} screen in the shot",
            hint="give a matte (--matte) or a mask of one frame (--mask), let draft.person find people, "
            "or set screen = picked and screen_colour",
        )
    return best[1], best[2]


def _followed(frame: Image, screen: Image, kind: ScreenKind) -> Image:
    """The screen's colour, moved slowly towards what this frame shows of it."""
    share, colour = screen_share(frame, kind)
    followed: Image = screen + np.float32(_FOLLOW) * (colour - screen) if share > _LEAST else screen
    return followed

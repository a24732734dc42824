"""A green or blue screen, keyed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np

from anyportal_core.errors import ShotError
from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.method.keying import Limits, key, reduced
from anyportal_core.method.screens import ScreenKind, excess, screen_map, screen_share
from anyportal_core.plugins.draft.matte.common import CHUNK, CLEAN_PLATE, MASK, OPS, PERSON, SUPPLY, held
from anyportal_core.plugins.draft.matte.uncorrected import refuse_masks
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints

_SAMPLES = 5  # frames looked at to tell whether there is a screen, and which
_LEAST = 0.05  # of a frame's area
_FOLLOW = 0.1  # how fast the screen's colour follows the light
_PURE = 0.02  # excess of a channel without which a picked colour is none
_ROWS = 24  # of what is remembered of the screen: its light is smooth


class Key:
    """Keys every frame at its full size; the work-size alpha is for the other stages."""

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        refuse_masks(hints, "draft.key")
        limits = _limits(context)
        screen, kind = _screen(plate, context.settings.text("screen"), context.settings.text("screen_colour"))
        behind: Image | None = None
        for start, stop in chunks(len(plate), CHUNK):
            alphas, screens, known = [], [], []
            for frame in plate.read(start, stop):
                context.checkpoint()
                small = reduced(frame, OPS)
                screen = screen if kind is None else _followed(small, screen, kind)
                colours, seen = screen_map(small, screen, behind, OPS)
                alphas.append(key(frame, small, colours, limits, OPS))
                behind = _remembered(behind, colours, seen)
                screens.append(screen)
                known.append(behind.astype(np.float16))
            yield {"alpha": np.stack(alphas), "screen": np.stack(screens), "behind": np.stack(known)}

    def render(self, frame: Image, stored: Stored, given: Image | None, context: RoleContext) -> Image:
        small = reduced(frame, OPS)
        screen, behind = (np.asarray(stored[name], np.float32) for name in ("screen", "behind"))
        colours, _ = screen_map(small, screen, behind, OPS)
        return held(cast(Image, key(frame, small, colours, _limits(context), OPS)), stored)


def _limits(context: RoleContext) -> Limits:
    number = context.settings.number
    return Limits(number("black"), number("white"), number("core"))


def _remembered(before: Image | None, colours: Image, seen: Image) -> Image:
    """The screen's colours, coarsely, of all frames so far: what one hides, others showed. All ``(h, w, ...)``."""
    rows = min(_ROWS, len(colours))
    columns = max(1, round(rows * colours.shape[1] / len(colours)))
    now = cast(Image, OPS.resize(colours, rows, columns, "area"))
    if before is None:
        return now
    share = cast(Image, OPS.resize(seen, rows, columns, "area"))
    return before + np.float32(_FOLLOW) * share[..., None] * (now - before)


def _screen(plate: FrameSource, setting: str, picked: str) -> tuple[Image, ScreenKind | None]:
    """The screen's colour ``(3,)`` to begin with, and its kind; no kind for a colour that stays as picked."""
    if setting == "picked":
        colour = np.array([int(picked[i : i + 2], 16) for i in (1, 3, 5)], np.float32) * np.float32(1 / 255)
        if excess(colour, int(np.argmax(colour))) < _PURE:
            raise ShotError(
                f"a screen of {picked} cannot be told from greys",
                where="recipe.settings.matte.screen_colour",
                hint="pick it where the screen is lit well",
            )
        return colour, None
    kinds: tuple[ScreenKind, ...] = ("green", "blue") if setting == "auto" else (cast(ScreenKind, setting),)
    best: tuple[float, Image, ScreenKind] = (0.0, np.zeros(3, np.float32), kinds[0])
    for index in sorted({round(i) for i in np.linspace(0, len(plate) - 1, _SAMPLES)}):
        small = reduced(plate.read(index, index + 1)[0], OPS)
        for kind in kinds:
            share, colour = screen_share(small, kind)
            if share > best[0]:
                best = share, colour, kind
    if best[0] < _LEAST:
        raise ShotError(
            f"there is no {' or '.join(kinds)} screen in the shot",
            hint=f"{SUPPLY}, {MASK} or {CLEAN_PLATE}, {PERSON}, or set screen = picked and screen_colour",
        )
    return best[1], best[2]


def _followed(small: Image, screen: Image, kind: ScreenKind) -> Image:
    """The screen's colour, moved slowly towards what this frame shows of it."""
    share, colour = screen_share(small, kind)
    followed: Image = screen + np.float32(_FOLLOW) * (colour - screen) if share > _LEAST else screen
    return followed

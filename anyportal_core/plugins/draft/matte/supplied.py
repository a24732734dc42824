"""The matte that was supplied with the shot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from anyportal_core.errors import ShotError
from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.plugins.draft.matte.common import CHUNK, CLEAN_PLATE, KEY, MASK, PERSON, SUPPLY, held
from anyportal_core.plugins.draft.matte.uncorrected import refuse_masks
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints

_HINT = f"{SUPPLY}, {MASK} or {CLEAN_PLATE}, {PERSON}, or {KEY}"


class Supplied:
    """Hands the supplied matte on, untouched."""

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        refuse_masks(hints, "draft.supplied")
        if hints.matte is None:
            raise ShotError("no matte was supplied, and the plate has no alpha channel", where="shot.matte", hint=_HINT)
        for start, stop in chunks(len(plate), CHUNK):
            yield {"alpha": np.clip(hints.matte.read(start, stop)[..., 0], 0.0, 1.0)}

    def render(self, frame: Image, stored: Stored, given: Image | None, context: RoleContext) -> Image:
        if given is None:
            raise ShotError("no matte was supplied, and the plate has no alpha channel", where="shot.matte", hint=_HINT)
        return held(given, stored) if {"garbage", "holdout"}.intersection(stored) else given

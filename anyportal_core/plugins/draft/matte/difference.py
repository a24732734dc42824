"""What differs from a clean plate."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from anyportal_core.errors import NoForegroundError, ShotError
from anyportal_core.frames import FrameSource, Image
from anyportal_core.method.matting import settle
from anyportal_core.plugins.draft.matte.camera import camera_motion, warped
from anyportal_core.plugins.draft.matte.common import KEY, MASK, OPS, PERSON, SUPPLY, each_frame, reach, render_edges
from anyportal_core.plugins.draft.matte.judged import LIMITS, Judged, judged_chunks
from anyportal_core.plugins.draft.matte.known import difference
from anyportal_core.plugins.draft.matte.uncorrected import refuse_masks
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints

_LEAST = 0.0005  # of the frame's area; less is noise
_TYPICAL = 0.5  # the quantile of differences that is noise, as most of a frame is background
_OFTEN = 4.0  # times the noise: a difference that is as likely foreground
_ISLAND = 3e-4  # of the frame's area; less is noise


class Difference:
    """Compares every frame with a picture or clip of the same place without its foreground."""

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        refuse_masks(hints, "draft.difference")
        if hints.clean_plate is None:
            raise ShotError(
                "no clean plate was given",
                where="shot.clean_plate",
                hint=f"give the place without foreground (--clean-plate), or {SUPPLY} or {MASK}, {PERSON}, or {KEY}",
            )
        return judged_chunks(_alphas(plate, hints.clean_plate, context), plate, context, LIMITS)

    def render(self, frame: Image, stored: Stored, given: Image | None, context: RoleContext) -> Image:
        return render_edges(frame, stored, context)


def _alphas(plate: FrameSource, clean: FrameSource, context: RoleContext) -> Iterator[Judged]:
    tolerance, most, picture = context.settings.number("tolerance"), 0.0, clean.read(0, 1)[0]
    for index, frame in enumerate(each_frame(plate)):
        context.checkpoint()
        if index and len(clean) > 1:
            picture = clean.read(min(index, len(clean) - 1), min(index, len(clean) - 1) + 1)[0]
        found = _found(frame, _fitted(picture, frame), tolerance)
        most = max(most, float((found > 0.5).mean()))
        yield Judged(settle(frame, found, reach(frame, context), OPS), _sureness(found))
    if most < _LEAST:
        raise NoForegroundError(
            "nothing differs from the clean plate",
            hint=f"give another clean plate; or {SUPPLY} or {MASK}, {PERSON}, or {KEY}",
        )


def _fitted(clean: Image, frame: Image) -> Image:
    """The clean plate, moved and exposed as the frame is."""
    height, width = frame.shape[:2]
    moved = warped(clean, camera_motion(frame, clean, np.ones((height, width), bool)), height, width)
    ratio = np.median((frame + 0.02) / (moved + 0.02), axis=(0, 1))
    return np.asarray((moved + 0.02) * ratio - 0.02, np.float32)


def _found(frame: Image, clean: Image, tolerance: float) -> Image:
    """Probability ``(H, W)`` that a pixel is none of the clean plate's."""
    off = difference(frame, clean)
    even = max(_OFTEN * float(np.quantile(off, _TYPICAL)), np.sqrt(2 * tolerance / 100))
    odds = 8 * (off / even - 1)
    probability = cv2.GaussianBlur(1 / (1 + np.exp(-np.clip(odds, -6, 6))), (0, 0), 1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((probability > 0.5).astype(np.uint8))
    small = stats[:, cv2.CC_STAT_AREA] < _ISLAND * probability.size
    small[0] = False
    clear = np.where(small[labels], np.float32(0), probability)
    return np.asarray(_closed(clear), np.float32)


def _closed(found: Image) -> Image:
    """Holes inside what was found, where the foreground happens to look like the plate, are closed."""
    outside = np.zeros((found.shape[0] + 4, found.shape[1] + 4), np.uint8)
    framed = np.pad((found > 0.5).astype(np.uint8), 1)
    cv2.floodFill(framed, outside, (0, 0), (2,))
    holes = framed[1:-1, 1:-1] == 0
    return np.where(holes, np.float32(1), found)


def _sureness(found: Image) -> float:
    """How decided a frame is; where most of it differs, the clean plate is none."""
    doubt = float((4 * found * (1 - found)).sum()) / (float(found.sum()) + 0.02 * found.size)
    return float(1 / (1 + doubt**2)) * float(np.clip(4 * (1 - (found > 0.5).mean()), 0, 1))

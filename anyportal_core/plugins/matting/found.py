"""Where the foreground is on one frame: by the user's mask, click or box, or the person whom the shot shows."""

from __future__ import annotations

import numpy as np

from anyportal_core.errors import NoForegroundError, RecipeError
from anyportal_core.frames import FrameSource
from anyportal_core.plugins.draft.matte.common import each_frame
from anyportal_core.plugins.draft.matte.selfie import Selfie
from anyportal_core.plugins.matting.tracker import Prompt
from anyportal_core.roles import RoleContext
from anyportal_core.roles.matte import MatteHints

LEAST = 0.002  # of the frame's area; less is no foreground but a mistake


def first_prompt(plate: FrameSource, hints: MatteHints, context: RoleContext) -> tuple[int, Prompt]:
    """The index of a frame, and where the foreground is on it.

    Raises:
        NoForegroundError: the mask is empty, or there is none and nobody is to be seen.
        RecipeError: a click or a box that cannot be read.
    """
    if hints.mask is not None:
        if not (hints.mask > 0.5).any():
            raise NoForegroundError(
                "the mask is empty", where="shot.mask", hint="white is foreground: paint it, or give another mask"
            )
        return hints.mask_index, Prompt(mask=hints.mask)
    clicks = _shares(context, "click", 2)
    boxes = _shares(context, "box", 4)
    if len(boxes) > 1 or any(left >= right or top >= bottom for left, top, right, bottom in boxes):
        raise RecipeError("this is not one box", where=_where("box"), hint="write left, top, right, bottom")
    if clicks or boxes:
        return 0, Prompt(clicks=clicks, box=boxes[0] if boxes else ())
    return _first_person(plate, context)


def _first_person(plate: FrameSource, context: RoleContext) -> tuple[int, Prompt]:
    selfie = Selfie()
    for index, frame in enumerate(each_frame(plate)):
        context.checkpoint()
        mask = (selfie(frame) > 0.5).astype(np.float32)
        if mask.mean() > LEAST:
            return index, Prompt(mask=mask)
    raise NoForegroundError(
        "nobody was found in the shot",
        hint="give a mask of one frame (--mask), or point at the foreground by the settings matte.click or matte.box",
    )


def _shares(context: RoleContext, name: str, count: int) -> tuple[tuple[float, ...], ...]:
    """``'x,y; x,y'`` as tuples of ``count`` shares."""
    parts = [part for part in context.settings.text(name).split(";") if part.strip()]
    try:
        found = tuple(tuple(float(value) for value in part.split(",")) for part in parts)
    except ValueError:
        found = ((),)
    if any(len(values) != count or not all(0 <= value <= 1 for value in values) for values in found):
        raise RecipeError(
            f"'{context.settings.text(name)}' cannot be read",
            where=_where(name),
            hint=f"write {count} numbers from 0 to 1, with commas between them",
        )
    return found


def _where(name: str) -> str:
    return f"recipe.settings.matte.{name}"

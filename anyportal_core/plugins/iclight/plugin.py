"""IC-Light in the roles ``harmonise`` and ``first_frame``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from anyportal_core.errors import RecipeError
from anyportal_core.frames import FrameSource, Image
from anyportal_core.method.sampling import OnStep
from anyportal_core.ops import opencv
from anyportal_core.plugins.device import make_room
from anyportal_core.plugins.guards import stop_at_non_finite
from anyportal_core.plugins.iclight.base import Base, load_base, precision
from anyportal_core.plugins.iclight.codec import GREY
from anyportal_core.plugins.iclight.harmonise import Relighting, harmonise, relit_first_frame
from anyportal_core.plugins.iclight.inpainting import fill_hole
from anyportal_core.plugins.iclight.unet import AnchoredUNet, load_unet
from anyportal_core.plugins.loaded import keep
from anyportal_core.plugins.weights import load_network
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.roles.background import Backdrop

Loaded = TypeVar("Loaded")

WORKING_MEMORY: Final = 8.0
"""Gigabytes that a run of 8 frames at 1408x896 takes besides the weights."""


class Harmonise:
    """Relights by the background and then by the prompt."""

    def relight(
        self, plate: FrameSource, matte: FrameSource, background: FrameSource, context: RoleContext
    ) -> Iterator[Chunk]:
        """Yield ``relit`` ``(t, H, W, 3)``: the foreground relit, on the background."""
        base, fbc = _base(context, "sd15"), _relighter(context, "fbc")
        by_text = context.settings.flag("text_relight")
        if by_text and not context.prompts.scene:
            context.note("there is no prompt: the foreground is relit by the background alone")
        fc = _relighter(context, "fc") if by_text and context.prompts.scene else None
        how = replace(_relighting(context), text_strength=context.settings.number("t0"))
        for relit in harmonise(base, fbc, fc, (plate, matte, background), how, _on_step(context, "harmonise")):
            yield {"relit": relit}


class FirstFrame:
    """Puts the foreground into a new place by the prompt, and paints the place where the foreground was."""

    def paint(
        self, plate: FrameSource, matte: FrameSource, backdrop: Backdrop, context: RoleContext
    ) -> Iterator[Chunk]:
        """Yield ``frames`` ``(1, H, W, 3)``. A still is the first frame as it is."""
        if backdrop.frames is not None:
            yield {"frames": _covering(backdrop.frames.read(0, 1)[0], plate.height, plate.width)[None]}
            return
        if not context.prompts.place:
            raise RecipeError("the prompt is empty", where="recipe.backdrop.value", hint="say what the new place is")
        on_step = _on_step(context, "first_frame")
        frame, alpha = plate.read(0, 1)[0], matte.read(0, 1)[0]
        relit = relit_first_frame(
            _base(context, "sd15"), _relighter(context, "fc"), frame, alpha, _relighting(context), on_step
        )
        yield {"frames": _filled(relit, alpha, context, on_step)[None]}


def _filled(picture: Image, alpha: Image, context: RoleContext, on_step: OnStep) -> Image:
    """The picture with the foreground painted over."""
    hole = opencv.dilate((alpha > 0.5).astype(np.float32), context.settings.integer("grow"))
    seed, steps = _seed(context, 1), context.settings.integer("steps")
    base, unet = _base(context, "sd15-inpainting"), _inpainter(context)
    return fill_hole(base, unet, picture, hole, context.prompts.place, seed, steps, on_step)


def _covering(picture: Image, height: int, width: int) -> Image:
    """A picture at another size; what has no place in the middle of it is cut off."""
    rows, columns = picture.shape[:2]
    scale = max(height / rows, width / columns)
    rows, columns = max(round(rows * scale), height), max(round(columns * scale), width)
    scaled = opencv.resize(picture, rows, columns, "area" if scale < 1 else "cubic")
    top, left = (rows - height) // 2, (columns - width) // 2
    return np.clip(scaled[top : top + height, left : left + width], 0, 1)


def _relighting(context: RoleContext) -> Relighting:
    settings = context.settings
    return Relighting(
        prompt=context.prompts.scene,
        seed=_seed(context, 0),
        steps=settings.integer("steps"),
        batch=settings.integer("batch"),
        guidance=settings.number("guidance"),
    )


def _base(context: RoleContext, model: str) -> Base:
    middle = GREY if model == "sd15" else 0.5
    return _loaded(context, model, lambda place, dtype: load_base(place, context.device, dtype, middle))


def _relighter(context: RoleContext, variant: str) -> AnchoredUNet:
    base = context.models.find("sd15") / "unet"
    return _loaded(
        context,
        f"iclight/{variant}",
        lambda offset, dtype: AnchoredUNet(load_unet(base, offset, variant, dtype).to(context.device)),
    )


def _inpainter(context: RoleContext) -> UNet2DConditionModel:
    def load(place: Path, dtype: torch.dtype) -> UNet2DConditionModel:
        return load_network(UNet2DConditionModel, place / "unet", dtype).to(context.device)

    return _loaded(context, "sd15-inpainting", load)


def _loaded(context: RoleContext, model: str, load: Callable[[Path, torch.dtype], Loaded]) -> Loaded:
    """What ``load`` makes of a model's place; kept for the jobs to come."""
    place = context.models.find(model)
    dtype = precision(context.device, context.settings.text("precision"))

    def load_now() -> Loaded:
        make_room(context.device, place, WORKING_MEMORY)
        return load(place, dtype)

    revisions = context.models.revision(model), context.models.revision("sd15")
    return keep((load.__qualname__, model, *revisions, context.device, dtype), load_now)


def _seed(context: RoleContext, run: int) -> int:
    return int(context.generator(run).integers(2**31))


def _on_step(context: RoleContext, stage: str) -> OnStep:
    return stop_at_non_finite(stage, f"set {stage}.precision to full", lambda _: context.checkpoint())

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
from anyportal_core.plugins.device import Load, check_fits, keep_on
from anyportal_core.plugins.guards import cure, named_stage, stop_at_non_finite
from anyportal_core.plugins.iclight.base import Base, load_base, precision
from anyportal_core.plugins.iclight.codec import GREY
from anyportal_core.plugins.iclight.harmonise import Relighting, evaluations, harmonise, relit_first_frame
from anyportal_core.plugins.iclight.inpainting import fill_hole
from anyportal_core.plugins.iclight.unet import AnchoredUNet, load_unet
from anyportal_core.plugins.steps import Steps
from anyportal_core.plugins.weights import load_network
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.roles.background import Backdrop

Loaded = TypeVar("Loaded")
Weights = tuple[tuple[Path, torch.dtype], ...]

WORKING_MEMORY: Final = 8.0
"""Gigabytes that a run of 8 frames at 1408x896 takes besides the weights."""


class Harmonise:
    """Relights by the background and then by the prompt."""

    def relight(
        self, plate: FrameSource, matte: FrameSource, background: FrameSource, context: RoleContext
    ) -> Iterator[Chunk]:
        """Yield ``relit`` ``(t, H, W, 3)``: the foreground relit, on the background."""
        base, fbc = _base(context, "sd15"), _relighter(context, "fbc")
        if context.settings.flag("text_relight") and not context.prompts.scene:
            context.note("there is no prompt: the foreground is relit by the background alone")
        fc = _relighter(context, "fc") if _by_text(context) else None
        how = replace(_relighting(context), text_strength=context.settings.number("t0"))
        on_step = _on_step(context, "harmonise", evaluations(how, len(plate), fc is not None))
        with named_stage("harmonise", _hint("harmonise", context)):
            for relit in harmonise(base, fbc, fc, (plate, matte, background), how, on_step, context.part):
                yield {"relit": relit}

    def check_memory(self, context: RoleContext) -> None:
        unets = [_unet(context, "sd15")] * (2 if _by_text(context) else 1)
        check_fits(context.device, Load((*_parts(context, "sd15"), *unets), WORKING_MEMORY))


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
        on_step = _on_step(context, "first_frame", 2 * context.settings.integer("steps"))
        frame, alpha = plate.read(0, 1)[0], matte.read(0, 1)[0]
        with named_stage("first_frame", _hint("first_frame", context)):
            relit = relit_first_frame(
                _base(context, "sd15"), _relighter(context, "fc"), frame, alpha, _relighting(context), on_step
            )
            yield {"frames": _filled(relit, alpha, context, on_step)[None]}

    def check_memory(self, context: RoleContext) -> None:
        models = ("sd15", "sd15-inpainting")
        loads = (Load((*_parts(context, model), _unet(context, model)), WORKING_MEMORY) for model in models)
        check_fits(context.device, *loads)


def _by_text(context: RoleContext) -> bool:
    return context.settings.flag("text_relight") and bool(context.prompts.scene)


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
    return _loaded(
        context, model, _parts(context, model), lambda place, dtype: load_base(place, context.device, dtype, middle)
    )


def _relighter(context: RoleContext, variant: str) -> AnchoredUNet:
    base = context.models.find("sd15") / "unet"
    return _loaded(
        context,
        f"iclight/{variant}",
        (_unet(context, "sd15"),),
        lambda offset, dtype: AnchoredUNet(load_unet(base, offset, variant, dtype).to(context.device)),
    )


def _inpainter(context: RoleContext) -> UNet2DConditionModel:
    def load(place: Path, dtype: torch.dtype) -> UNet2DConditionModel:
        return load_network(UNet2DConditionModel, place / "unet", dtype).to(context.device)

    return _loaded(context, "sd15-inpainting", (_unet(context, "sd15-inpainting"),), load)


def _precision(context: RoleContext) -> torch.dtype:
    return precision(context.device, context.settings.text("precision"))


def _parts(context: RoleContext, model: str) -> Weights:
    """What `load_base` loads."""
    folder, dtype = context.models.find(model), _precision(context)
    return (folder / "vae", dtype), (folder / "text_encoder", dtype)


def _unet(context: RoleContext, model: str) -> tuple[Path, torch.dtype]:
    """IC-Light's are as large as the one they are offsets to."""
    return context.models.find(model) / "unet", _precision(context)


def _loaded(context: RoleContext, model: str, weights: Weights, load: Callable[[Path, torch.dtype], Loaded]) -> Loaded:
    """What ``load`` makes of a model's place; kept for the jobs to come.

    Args:
        weights: what then lies in the device's memory.
    """
    place, dtype = context.models.find(model), _precision(context)
    revisions = context.models.revision(model), context.models.revision("sd15")
    key = load.__qualname__, model, *revisions, context.device, dtype
    return keep_on(context.device, key, Load(weights, WORKING_MEMORY), lambda: load(place, dtype))


def _seed(context: RoleContext, run: int) -> int:
    return int(context.generator(run).integers(2**31))


def _on_step(context: RoleContext, stage: str, total: int) -> OnStep:
    return stop_at_non_finite(stage, _hint(stage, context), Steps(total, context))


def _hint(stage: str, context: RoleContext) -> str:
    return cure(stage, _precision(context))

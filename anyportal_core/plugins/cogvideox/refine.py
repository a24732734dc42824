"""Role ``refine``: CogVideoX denoises the harmonised shot once more, along its edges, and gives it back its detail.

AnyPortal (arXiv 2509.07472), third stage: from a noise level T1 (SDEdit), with a projection between the steps.

A shot is refined window by window. What a window shares with the one before it begins from what that made of it, with
the same noise; it takes its light from there, too, and fades into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.method.blend import joined
from anyportal_core.method.carry import carried
from anyportal_core.method.fitting import continued, cut_out
from anyportal_core.method.gain import apply_gain, coarse_gain
from anyportal_core.method.refinement import DETAIL, Block, Edit, Plan, paper, refine, released
from anyportal_core.method.sampling import Predict, Step
from anyportal_core.method.schedule import first_step
from anyportal_core.method.srgb import to_display, to_light
from anyportal_core.method.upsampling import guided_gain, lightness
from anyportal_core.method.veil import through_veil
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.cogvideox.boxed import BoxedCodec, BoxedTransfers, foreground_box
from anyportal_core.plugins.cogvideox.denoiser import ControlledDenoiser
from anyportal_core.plugins.cogvideox.networks import Choice, Drawn, Networks, Size
from anyportal_core.plugins.cogvideox.specs import LIMITS
from anyportal_core.plugins.cogvideox.transfers import Pictures, Transfers, Untouched, to_frames, to_pictures
from anyportal_core.plugins.device import check_fits
from anyportal_core.plugins.guards import AGAIN, cure, named_stage, stop_at_non_finite
from anyportal_core.plugins.steps import Steps
from anyportal_core.roles import Chunk, RoleContext, StoredFrames
from anyportal_core.settings import Settings
from anyportal_core.sizes import Fit, fit
from anyportal_core.windows import GROUP, Window, cut

STAGE: Final = "refine"

LATENTS: Final = 2 * GROUP
"""A window's frames, but for the first: the codec decodes latents in pairs, and only an odd number of them right."""

READ: Final = 16

MARGIN: Final = 32
"""Pixels that the codec sees beyond what may change, where it runs on a box."""


@dataclass(frozen=True)
class Shot:
    """What is refined, read window by window."""

    plate: FrameSource
    matte: FrameSource
    background: FrameSource
    harmonised: StoredFrames

    def relit(self, start: int, stop: int) -> Image:
        """The harmonised shot ``(t, H, W, 3)`` display-referred: as it was painted, or as its gain makes it."""
        if "relit" in self.harmonised.names:
            return np.asarray(self.harmonised.read("relit", start, stop), np.float32)
        gains = np.asarray(self.harmonised.read("log_gain", start, stop), np.float32)
        plate, matte, background = (part.read(start, stop) for part in (self.plate, self.matte, self.background))
        shown = zip(gains, plate, matte, strict=True)
        full = np.stack([guided_gain(gain, lightness(frame), alpha[..., 0], ops) for gain, frame, alpha in shown])
        lit = np.clip(to_display(self._lit(to_light(plate), full, start)), 0, 1)
        return np.asarray(lit * matte + background * (1 - matte), np.float32)

    def _lit(self, light: Image, log_gain: Image, start: int) -> Image:
        if "veil" not in self.harmonised.names:
            return np.asarray(apply_gain(light, log_gain), np.float32)
        veils = self.harmonised.read("veil", start, start + len(light))
        parts = zip(light, log_gain, veils, strict=True)
        return np.stack([through_veil(frame, gain, *veil) for frame, gain, veil in parts])

    def place(self) -> Fit:
        """How the model sees its frames."""
        return fit(self.plate.height, self.plate.width, LIMITS)

    def pictures(self, window: Window, before: Image, device: str) -> Pictures:
        """A window's frames, continued to a size that the model takes.

        Args:
            before: the first of them as the window before has refined them, which they begin from, ``(s, H, W, 3)``.
        """
        place = self.place()

        def begun(start: int, stop: int) -> Image:
            return np.concatenate([before, self.relit(start + len(before), stop)])

        def tensor(read: Callable[[int, int], Image]) -> Tensor:
            frames = read(window.start, window.stop)[[index - window.start for index in window.indices]]
            seen: Tensor = continued(torch.from_numpy(np.ascontiguousarray(frames, np.float32)).to(device), place)
            return seen

        return Pictures(*map(tensor, (self.plate.read, begun, self.background.read, self.matte.read)))


class Refine:
    """One of the published models with one of its ControlNets.

    Args:
        size: of the model.
        edges: what the ControlNet was trained to follow.
    """

    def __init__(self, size: Size, edges: Drawn) -> None:
        self._choice = Choice(size, edges)

    def steady(
        self,
        plate: FrameSource,
        matte: FrameSource,
        background: FrameSource,
        harmonised: StoredFrames,
        context: RoleContext,
    ) -> Iterator[Chunk]:
        """Yield ``frames`` ``(t, H, W, 3)`` and the ``log_gain`` ``(t, h, w, 3)`` that they show."""
        shot = Shot(plate, matte, background, harmonised)
        made = self._refined(shot, context) if context.settings.flag("consistency") else _as_they_are(shot)
        start = 0
        for frames in made:
            given = zip(
                frames, plate.read(start, start + len(frames)), matte.read(start, start + len(frames)), strict=True
            )
            gains = [coarse_gain(to_light(new), to_light(old), alpha, ops) for new, old, alpha in given]
            yield {"frames": frames, "log_gain": np.stack(gains).astype(np.float32)}
            start += len(frames)

    def check_memory(self, context: RoleContext) -> None:
        check_fits(context.device, self._choice.text_load(context), self._choice.load(context))

    def _refined(self, shot: Shot, context: RoleContext) -> Iterator[Image]:
        settings = context.settings
        # The text encoder is as large as the model: it is gone before that is loaded.
        with named_stage(STAGE, AGAIN):  # it runs in the range of float32 always, as HED does below
            text = self._choice.text(context)
        networks = self._choice.networks(context)
        # A model is never shown more frames than it was trained on: 49 in the published ones.
        seen = min(settings.integer("window"), networks.transformer.config.sample_frames)
        length = (seen - 1) // LATENTS * LATENTS + 1
        windows = cut(len(shot.plate), length, min(settings.integer("overlap"), length - 1))
        steps = Steps(len(windows) * plan_of(settings).evaluations, context)

        tail: Image = np.zeros((0, shot.plate.height, shot.plate.width, 3), np.float32)

        def make(window: Window) -> Chunk:
            context.checkpoint()
            pictures = shot.pictures(window, tail, context.device)
            with named_stage(STAGE, cure(STAGE, networks.transformer.dtype)):
                frames = _refine(pictures, networks, text, window, context, steps)[: window.stop - window.start]
            return {"frames": cut_out(frames, shot.place()).cpu().numpy()}

        def kept(number: int, window: Window) -> Image:
            nonlocal tail
            made = np.asarray(context.part(number, partial(make, window))["frames"], np.float32)
            refined: Image = carried(made, tail, shot.matte.read(window.start, window.stop))
            if number + 1 < len(windows):
                tail = refined[windows[number + 1].start - window.start :]
            return refined

        return joined(windows, kept)


refine_5b_hed = partial(Refine, "5b", "hed")
refine_5b_canny = partial(Refine, "5b", "canny")
refine_2b_hed = partial(Refine, "2b", "hed")
refine_2b_canny = partial(Refine, "2b", "canny")


@torch.no_grad()
def _refine(
    pictures: Pictures, networks: Networks, text: Tensor, window: Window, context: RoleContext, steps: Steps
) -> Tensor:
    """A window's frames ``(4k+1, H, W, 3)`` in 0..1."""
    settings, codec = context.settings, networks.codec
    start, _ = codec.encode(to_frames(pictures.harmonised))
    dilate, plan = settings.integer("dilate"), plan_of(settings)
    edit: Edit = Transfers(pictures, dilate) if settings.flag("projection") else Untouched()
    box = foreground_box(pictures.matte, dilate + MARGIN) if settings.flag("boxed") else None
    generators = [context.generator(window.start // GROUP + index) for index in range(start.shape[1])]
    last: list[Tensor] = []

    def noise(block: int) -> Tensor:
        # Of every group of frames its own, so that windows agree on those they share.
        drawn = [generator.standard_normal(start[:, 0].shape, np.float32) for generator in generators]
        return torch.from_numpy(np.stack(drawn, axis=1)).to(start)

    def on_step(step: Step) -> None:
        last[:] = [step.clean]
        steps(step)

    run = partial(
        refine,
        start,
        plan,
        networks.schedule,
        predict=_predict(pictures, networks, text, settings),
        noise=noise,
        on_step=stop_at_non_finite(STAGE, cure(STAGE, networks.transformer.dtype), on_step),
    )
    if box is None or not settings.flag("projection"):
        frames = run(codec=codec, edit=edit)
    else:
        run(codec=BoxedCodec(codec, box, start), edit=BoxedTransfers(pictures, dilate, box, start))
        frames = edit(plan.blocks[-1].transfer, codec.decode(last[0]))
    return to_pictures(frames).clamp(0, 1)


def _predict(pictures: Pictures, networks: Networks, text: Tensor, settings: Settings) -> Predict:
    weight, guidance = settings.number("control"), settings.number("guidance")
    if networks.control is None:
        return ControlledDenoiser(networks.transformer, None, text, None, 0, guidance)
    network = networks.control.network
    with named_stage(STAGE, AGAIN):
        edges = torch.from_numpy(networks.control.edges(pictures.harmonised.cpu().numpy())).to(pictures.harmonised)
    control = network.encode_control(to_frames(edges).to(network.dtype))
    return ControlledDenoiser(networks.transformer, network, text, control, weight, guidance)


def plan_of(settings: Settings) -> Plan:
    """The blocks that the settings ask for."""
    if settings.text("schedule") == "released":
        plan = released()
        return plan if settings.flag("projection") else _plain(plan.steps, plan.blocks[0].entry)
    steps = settings.integer("steps")
    start = min(first_step(steps, settings.number("t1")), steps - 1)
    return paper(steps, start) if settings.flag("projection") else _plain(steps, start)


def _plain(steps: int, start: int) -> Plan:
    return Plan(steps, (Block(start, steps - start, DETAIL),))


def _as_they_are(shot: Shot) -> Iterator[Image]:
    for start, stop in chunks(len(shot.plate), READ):
        yield shot.relit(start, stop)

"""Role ``background``: Diffusion-as-Shader over a shot of any length.

A shot is painted window by window. Each begins with a frame that the window before has painted, takes its light from
the frames they share, and fades into it over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLCogVideoX
from torch import Tensor

from anyportal_core.errors import RecipeError, ShotError
from anyportal_core.frames import Image, chunks
from anyportal_core.method.blend import joined
from anyportal_core.method.carry import carried
from anyportal_core.method.enlarging import enlarge
from anyportal_core.method.fitting import continued, cut_out
from anyportal_core.method.sampling import OnStep
from anyportal_core.method.schedule import NoiseSchedule, swinging_guidance
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.cogvideox.codec import VideoCodec
from anyportal_core.plugins.cogvideox.published import load_schedule
from anyportal_core.plugins.das.sampler import Draw, Scene, encode_tracking, image_to_video
from anyportal_core.plugins.das.transformer import CogVideoXTransformer3DModelTracking
from anyportal_core.plugins.device import Load, check_fits, dtype_of, keep_on, make_room, seeded
from anyportal_core.plugins.guards import AGAIN, named_stage, stop_at_non_finite
from anyportal_core.plugins.steps import Steps
from anyportal_core.plugins.text import load_video_prompts
from anyportal_core.plugins.tracks.windows import read_tracking, tracked_windows
from anyportal_core.plugins.weights import load_network, read_config
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.background import BackgroundInputs
from anyportal_core.sizes import Fit, Limits, fit
from anyportal_core.windows import Window, reflect

STAGE: Final = "background"
HINT: Final = "lower background.guidance"

STRIDE: Final = 8
"""Pixels along each side of a latent."""

WORKING_MEMORY: Final = 6.0
TEXT_MEMORY: Final = 1.0
"""Gigabytes that a run of the published size and a prompt take besides the weights; estimated."""


@dataclass(frozen=True)
class Networks:
    """What a folder of Diffusion-as-Shader holds besides the text encoder."""

    transformer: CogVideoXTransformer3DModelTracking
    codec: VideoCodec
    schedule: NoiseSchedule


class DasBackground:
    """A prompt or a still becomes a moving background; a clip or a colour is one already."""

    def make(self, inputs: BackgroundInputs, context: RoleContext) -> Iterator[Chunk]:
        """Yield ``frames`` ``(t, H, W, 3)``; for a clip or a colour, ``backdrop_index`` ``(t,)`` int64.

        Beside that lies ``wider`` ``(t,)``: how much wider it is shown than the plate, for its height.
        """
        if inputs.backdrop.kind in ("clip", "colour"):
            return _as_it_is(inputs)
        return _painted(inputs, context)

    def check_memory(self, context: RoleContext) -> None:
        check_fits(context.device, _text_load(context), _load(context))

    def render(self, stored: Stored, backdrop: Image | None, height: int, width: int, context: RoleContext) -> Image:
        """The background ``(height, width, 3)``: what was painted, enlarged; or the backdrop, covering the frame."""
        if backdrop is None:
            painted = np.asarray(stored["frames"], np.float32)
            return np.asarray(enlarge(painted, height, width, ops), np.float32)
        return cover(backdrop, height, width, float(stored["wider"]))


def cover(picture: Image, height: int, width: int, wider: float) -> Image:
    """A picture ``(h, w, 3)`` made to cover ``(height, width)``, its middle kept.

    Args:
        wider: its aspect over that of what it covers, as both are shown.
    """
    rows, columns = picture.shape[:2]
    kept = max(1, round(rows * min(1.0, wider))), max(1, round(columns * min(1.0, 1 / wider)))
    top, left = (rows - kept[0]) // 2, (columns - kept[1]) // 2
    cut = np.ascontiguousarray(picture[top : top + kept[0], left : left + kept[1]])
    image: Image = ops.resize(cut, height, width, "area" if kept[0] > height or kept[1] > width else "cubic")
    return image


def _as_it_is(inputs: BackgroundInputs) -> Iterator[Chunk]:
    """The frame of the backdrop at every frame's time; a clip that is too short runs back and forth."""
    backdrop, count, plate_rate = inputs.backdrop, len(inputs.plate), inputs.plate_rate
    if backdrop.frames is None or not len(backdrop.frames):
        raise ShotError("the backdrop has no picture", where="shot.backdrop", hint="give a clip with frames")
    speed = backdrop.rate / plate_rate if backdrop.rate and plate_rate else 1.0
    times = np.floor(np.arange(count) * speed + 1e-6).astype(np.int64)
    index = np.array([reflect(int(time), len(backdrop.frames)) for time in times], np.int64)
    shown, given = inputs.aspects()
    wider = np.full(count, given / shown)
    for start, stop in chunks(count, 256):
        yield {"backdrop_index": index[start:stop], "wider": wider[start:stop]}


def _painted(inputs: BackgroundInputs, context: RoleContext) -> Iterator[Chunk]:
    motion = inputs.motion
    if motion is None or inputs.first_frame is None:
        raise RecipeError("there is no tracking video or no first frame", where="recipe.settings.background.plugin")
    # The text encoder is as large as the networks: it is gone before they are loaded.
    with named_stage(STAGE, AGAIN):
        text = _text(context)
    networks = _networks(context)
    windows = tracked_windows(motion)
    steps = Steps(len(windows) * context.settings.integer("steps"), context)
    on_step = stop_at_non_finite(STAGE, HINT, steps)
    size = inputs.plate.height, inputs.plate.width
    everywhere = np.ones((1, 1, 1, 1), np.float32)
    tail: Image = np.zeros((0, *size, 3), np.float32)
    first = np.asarray(inputs.first_frame.read("frames", 0, 1), np.float32)[0]

    def paint_anew(number: int) -> Chunk:
        tracking, length = read_tracking(motion, windows, number)
        length = seen_frames(networks.transformer.config, len(tracking), length)
        with named_stage(STAGE, AGAIN):
            frames = _paint(networks, text, first, tracking, length, number, context, on_step)
        return {"frames": np.stack([ops.resize(frame, *size, "cubic") for frame in frames]).clip(0, 1)}

    def paint(number: int, window: Window) -> Image:
        nonlocal first, tail
        made = np.asarray(context.part(number, partial(paint_anew, number))["frames"], np.float32)
        painted: Image = carried(made, tail, everywhere)
        if number + 1 < len(windows):
            # The window to come begins with the frame as this one painted it.
            tail = painted[windows[number + 1].start - window.start :]
            first = tail[0]
        return painted

    for frames in joined(windows, paint, ops):
        yield {"frames": frames}


def seen_frames(config: Any, count: int, length: int) -> int:
    """How many frames the transformer is to see for a window of ``count`` frames and at most ``length``.

    Learned positions are a table for one number of frames. For any other, other positions would take its place
    without a word, so a window is filled up to that number.

    Args:
        config: of the transformer.

    Raises:
        RecipeError: the window has more frames than there are positions.
    """
    if not config.use_learned_positional_embeddings:
        return length
    positions: int = config.sample_frames
    if count > positions:
        raise RecipeError(
            f"a window has {count} frames, and the model knows {positions}",
            where="recipe.settings.tracks.window",
            hint=f"set tracks.window to {positions} or less",
        )
    return positions


def _paint(
    networks: Networks,
    text: Tensor,
    first: Image,
    tracking: Image,
    length: int,
    number: int,
    context: RoleContext,
    on_step: OnStep,
) -> Image:
    """The frames of a window as large as they lie in what the model sees, ``(t, H', W', 3)`` 0..1.

    Args:
        first: what it begins with, ``(H, W, 3)``.
        tracking: its tracking video ``(t, H, W, 3)``, 0..1.
        length: frames that the model sees; a shorter window is reflected.
        number: of the window.
    """
    config, device = networks.transformer.config, networks.transformer.device
    place = model_place(config, *first.shape[:2])
    order = [reflect(index, len(tracking)) for index in range(length)]
    draw = _draw(context, number, device)
    tracks = _video(tracking[order], place).to(device)
    with torch.no_grad():
        scene = Scene(
            image=_video(first[None], place)[0].to(device) * 2 - 1,
            tracking=encode_tracking(networks.codec, tracks, draw),
            tracking_image=tracks[:, 0] * 2 - 1,
            text=text,
        )
        steps = context.settings.integer("steps")
        latents = image_to_video(
            networks.transformer,
            networks.codec,
            networks.schedule,
            scene,
            steps,
            _guidance(context),
            draw,
            on_step,
        )
        seen = networks.codec.decode(latents.to(networks.transformer.dtype))[0, : len(tracking)]
    frames = cut_out(seen.float() / 2 + 0.5, place, (-2, -1))
    return np.ascontiguousarray(frames.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy())


def model_place(config: Any, height: int, width: int) -> Fit:
    """How pictures of a size lie in the one that the model takes.

    Args:
        config: of the transformer.
    """
    return fit(height, width, Limits(fixed=(config.sample_height * STRIDE, config.sample_width * STRIDE)))


def _guidance(context: RoleContext) -> Callable[[int], float]:
    scale, steps = context.settings.number("guidance"), context.settings.integer("steps")
    return lambda timestep: swinging_guidance(scale, steps, timestep)


def _draw(context: RoleContext, window: int, device: torch.device) -> Draw:
    # On the processor, so that every device draws the same.
    generator = seeded(context.generator(window))
    return lambda shape: torch.randn(shape, generator=generator).to(device)


def _video(frames: Image, place: Fit) -> Tensor:
    """``(t, H, W, 3)`` to ``(1, t, 3, rows, columns)`` float32, as the model sees it."""
    video = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    seen: Tensor = continued(F.interpolate(video, place.size, mode="bilinear", antialias=True), place, (-2, -1))
    return seen[None]


def _text(context: RoleContext) -> Tensor:
    """Text states ``(2, L, d)``. The encoder is let go of at once: it is as large as the network."""
    folder, dtype = context.models.find("das"), dtype_of(context.device)
    length = int(read_config(folder / "transformer").get("max_text_seq_length", 226))
    make_room(context.device, _text_load(context))
    prompts = load_video_prompts(folder, length, torch.device(context.device), dtype)
    place = context.prompts.place
    states = prompts.encode(place or "-", context.note)
    # Without a prompt, which a still may come without, both sides are the empty text.
    return states if place else states[:1].expand_as(states)


def _networks(context: RoleContext) -> Networks:
    folder, dtype, device = context.models.find("das"), dtype_of(context.device), context.device

    def load() -> Networks:
        transformer = load_network(CogVideoXTransformer3DModelTracking, folder / "transformer", dtype).to(device)
        codec = load_network(AutoencoderKLCogVideoX, folder / "vae", dtype).to(device)
        return Networks(transformer, VideoCodec(codec), load_schedule(folder))

    key = "das", context.models.revision("das"), device, dtype
    return keep_on(device, key, _load(context), load)


def _text_load(context: RoleContext) -> Load:
    return Load(((context.models.find("das") / "text_encoder", dtype_of(context.device)),), TEXT_MEMORY)


def _load(context: RoleContext) -> Load:
    folder, dtype = context.models.find("das"), dtype_of(context.device)
    return Load(((folder / "transformer", dtype), (folder / "vae", dtype)), WORKING_MEMORY)

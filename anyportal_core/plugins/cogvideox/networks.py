"""The networks that a shot is refined by, as the settings want them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor

from anyportal_core.method.schedule import NoiseSchedule
from anyportal_core.plugins.cogvideox.codec import VideoCodec
from anyportal_core.plugins.cogvideox.controlnet import CogVideoXControlnet
from anyportal_core.plugins.cogvideox.edges import HED_FILE, Edges, canny_edges, load_hed
from anyportal_core.plugins.cogvideox.published import load_codec, load_schedule
from anyportal_core.plugins.cogvideox.transformer import CogVideoX
from anyportal_core.plugins.device import Load, keep_on, make_room
from anyportal_core.plugins.text import load_video_prompts
from anyportal_core.plugins.weights import load_network, read_config
from anyportal_core.roles import RoleContext

HALF: Final = {"2b": torch.float16, "5b": torch.bfloat16}
"""What each model was trained in."""

TEXT_LENGTH: Final = 226
"""Tokens of a prompt where a configuration says nothing, as in diffusers."""

WORKING_MEMORY: Final = 10.0
TEXT_MEMORY: Final = 1.0
"""Gigabytes that a window of 49 frames and a prompt take besides the weights; estimated."""

Size = Literal["2b", "5b"]
Drawn = Literal["hed", "canny"]


@dataclass(frozen=True)
class Control:
    """A ControlNet, and what draws the edges that it follows."""

    network: CogVideoXControlnet
    edges: Edges


@dataclass(frozen=True)
class Networks:
    """What a shot is refined by; ``control`` is None where its weight is 0."""

    transformer: CogVideoX
    control: Control | None
    codec: VideoCodec
    schedule: NoiseSchedule


@dataclass(frozen=True)
class Choice:
    """One of the published models with one of its ControlNets.

    Args:
        size: of the model.
        edges: what the ControlNet was trained to follow.
    """

    size: Size
    edges: Drawn

    def text_load(self, context: RoleContext) -> Load:
        """What `text` has in memory."""
        # T5 leaves the range of float16.
        wide = torch.float32 if self._precision(context) == torch.float32 else torch.bfloat16
        return Load(((context.models.find(self._model) / "text_encoder", wide),), TEXT_MEMORY)

    def text(self, context: RoleContext) -> Tensor:
        """Text states ``(2, L, d)``. The encoder is let go of at once."""
        folder, load = context.models.find(self._model), self.text_load(context)
        length = int(read_config(folder / "transformer").get("max_text_seq_length", TEXT_LENGTH))
        make_room(context.device, load)
        encoder = load_video_prompts(folder, length, torch.device(context.device), load.weights[0][1])
        return encoder.encode(context.prompts.scene, context.note).to(self._precision(context))

    def load(self, context: RoleContext) -> Load:
        """What `networks` has in memory."""
        model, dtype = context.models.find(self._model), self._precision(context)
        weights: list[tuple[Path, torch.dtype | None]] = [(model / "transformer", dtype), (model / "vae", dtype)]
        for name in self._control_models(context):
            place = context.models.find(name)
            weights.append((place / HED_FILE, torch.float32) if name == "hed" else (place, dtype))
        return Load(tuple(weights), WORKING_MEMORY)

    def networks(self, context: RoleContext) -> Networks:
        """Loaded, or kept from a job before."""
        models, dtype, device = context.models, self._precision(context), torch.device(context.device)
        names = self._model, *self._control_models(context)

        def load() -> Networks:
            model = models.find(self._model)
            transformer = load_network(CogVideoX, model / "transformer", dtype).to(device)
            control = self._control(context)
            return Networks(transformer, control, load_codec(model, dtype).to(device), load_schedule(model))

        key = "cogvideox.refine", *names, *map(models.revision, names), context.device, dtype
        return keep_on(context.device, key, self.load(context), load)

    def _control(self, context: RoleContext) -> Control | None:
        names, device = self._control_models(context), torch.device(context.device)
        if not names:
            return None
        network = load_network(CogVideoXControlnet, context.models.find(names[0]), self._precision(context))
        edges = load_hed(context.models.find("hed"), device) if self.edges == "hed" else canny_edges
        return Control(network.to(device), edges)

    @property
    def _model(self) -> str:
        return f"cogvideox-{self.size}"

    def _control_models(self, context: RoleContext) -> tuple[str, ...]:
        """Of the ControlNet and of its edges; none where it has no weight."""
        if not context.settings.number("control"):
            return ()
        return f"controlnet/{self.size}-{self.edges}", *(["hed"] if self.edges == "hed" else [])

    def _precision(self, context: RoleContext) -> torch.dtype:
        half = context.settings.text("precision") == "half" and context.device != "cpu"
        return HALF[self.size] if half else torch.float32

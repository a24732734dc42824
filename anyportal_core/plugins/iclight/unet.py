"""IC-Light's U-Net: Stable Diffusion 1.5 that sees what to relight, with attention that looks at an anchor frame.

IC-Light (Zhang et al., ICLR 2025) is published as offsets to the weights of Stable Diffusion 1.5. Its first
convolution takes more than the noisy latents: the foreground's latents beside them (``fc``, 8 channels), or the
foreground's and the background's (``fbc``, 12 channels).

AnyPortal relights frames that must agree with each other. Every self-attention takes its keys and values from the
anchor frame instead of the frame itself (section 3.3); the published scripts run each frame in a pair with the anchor.
Here the anchor is run once a step, its keys and values are kept, and all other frames read them, in batches of any
size.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from anyportal_core.frames import chunks
from anyportal_core.plugins.weights import empty_network, fill, load_network, read_checkpoint, read_config

CONV_IN: Final = "conv_in.weight"

CHANNELS: Final = {"fc": 8, "fbc": 12}
"""Input channels of the two published variants: noisy latents and foreground, or both and the background."""


def merge_offset(base: Mapping[str, Tensor], offset: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of Stable Diffusion with IC-Light's offsets added, ``conv_in`` widened with zeros before.

    Both state dicts must have the same keys, and the same shapes but for the input channels of ``conv_in``.
    """
    wider = torch.zeros_like(offset[CONV_IN], dtype=base[CONV_IN].dtype)
    wider[:, : base[CONV_IN].shape[1]] = base[CONV_IN]
    return {key: value + offset[key].to(value) for key, value in {**base, CONV_IN: wider}.items()}


def empty_unet(config: Mapping[str, Any], channels: int) -> UNet2DConditionModel:
    """A U-Net without weights, of the shape that Stable Diffusion's ``unet/config.json`` gives it but for its input."""
    return empty_network(UNet2DConditionModel, {**config, "in_channels": channels})


def load_unet(folder: Path, offset_file: Path, variant: str, dtype: torch.dtype) -> UNet2DConditionModel:
    """IC-Light's U-Net from the ``unet`` folder of a Stable Diffusion 1.5 and the published file of offsets.

    Args:
        variant: ``fc`` or ``fbc``, what the offsets are for.
        dtype: precision of the result; the sum is made in float32.

    Raises:
        ModelNotFoundError: one of the two is not there.
        CheckpointError: one of the two is not what it should be.
    """
    base = load_network(UNet2DConditionModel, folder, torch.float32)
    offset = read_checkpoint(offset_file)
    unet = fill(empty_unet(read_config(folder), CHANNELS[variant]), offset)
    unet.load_state_dict(merge_offset(base.state_dict(), offset.tensors), assign=True)
    return unet.to(dtype)


class AnchoredUNet:
    """Predicts the noise of many frames that all attend to one anchor frame.

    Args:
        unet: with widened ``conv_in``; its self-attention is replaced.
    """

    def __init__(self, unet: UNet2DConditionModel) -> None:
        self._unet = unet
        self._attention = AnchorAttention()
        text = AttnProcessor2_0()
        unet.set_attn_processor({name: self._attention if ".attn1." in name else text for name in unet.attn_processors})

    def __call__(self, latents: Tensor, timestep: Tensor, conditions: Tensor, prompts: Tensor, batch: int) -> Tensor:
        """The predicted noise ``(p, n, 4, h, w)`` of ``n`` frames for ``p`` prompts; the first frame is the anchor.

        Args:
            latents: noisy latents ``(n, 4, h, w)``.
            timestep: scalar.
            conditions: latents of what is relit, ``(n, 4 or 8, h, w)``.
            prompts: text states ``(p, L, d)``: of the negative prompt and the prompt. Each has an anchor of its own.
            batch: how many frames run at once; no part of the result.
        """
        self._attention.start(len(prompts))
        seen, states = torch.cat([latents, conditions], dim=1).to(self._unet.dtype), prompts.to(self._unet.dtype)
        parts = [self._run(seen[start:stop], timestep, states) for start, stop in chunks(len(seen), batch)]
        self._attention.start(len(prompts))
        return torch.cat(parts, dim=1).to(latents.dtype)

    def _run(self, seen: Tensor, timestep: Tensor, prompts: Tensor) -> Tensor:
        rows = seen.repeat(len(prompts), 1, 1, 1)
        states = prompts.repeat_interleave(len(seen), dim=0)
        noise: Tensor = self._unet(rows, timestep, encoder_hidden_states=states, return_dict=False)[0]
        return noise.reshape(len(prompts), len(seen), *noise.shape[1:])


class AnchorAttention:
    """Self-attention whose keys and values are the anchor's: of the first frame that runs after `start`."""

    def __init__(self) -> None:
        self._prompts = 1
        self._kept: dict[Attention, tuple[Tensor, Tensor]] = {}

    def start(self, prompts: int) -> None:
        """Forget the anchor. Rows to come are ``prompts`` equal groups of frames."""
        self._prompts = prompts
        self._kept.clear()

    def __call__(self, attention: Attention, hidden_states: Tensor, **_: object) -> Tensor:
        """Attend: rows ``(prompts * frames, L, d)`` to the same shape."""
        rows = hidden_states.reshape(self._prompts, -1, *hidden_states.shape[1:])
        if attention not in self._kept:
            anchor = rows[:, 0]
            self._kept[attention] = (
                _split_heads(attention.to_k(anchor), attention.heads),
                _split_heads(attention.to_v(anchor), attention.heads),
            )
        # All frames of a prompt read the same keys and values, so they are one long sequence of queries.
        query = _split_heads(attention.to_q(rows.flatten(1, 2)), attention.heads)
        seen = F.scaled_dot_product_attention(query, *self._kept[attention])
        out: Tensor = attention.to_out[0](seen.transpose(1, 2).reshape(hidden_states.shape))
        return out


def _split_heads(states: Tensor, heads: int) -> Tensor:
    """``(p, L, heads * d)`` to ``(p, heads, L, d)``."""
    return states.reshape(*states.shape[:2], heads, -1).transpose(1, 2)

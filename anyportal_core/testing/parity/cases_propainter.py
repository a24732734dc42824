"""Cases of ProPainter's networks, whose weights are rebuilt from a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from anyportal_core.plugins.propainter.flow_completion import FlowCompletion, combine, published_keys
from anyportal_core.plugins.propainter.generator import Generator
from anyportal_core.plugins.propainter.layers import Flows, consistent
from anyportal_core.plugins.propainter.propagation import propagate_pixels
from anyportal_core.testing.parity.golden import Case, Golden, Tensors


def rebuilt_weights(golden: Golden) -> Tensors:
    """The state dict that the case's seed and list of keys stand for, checked by its sums.

    One generator fills the keys in sorted order: biases are small, vectors are about one, matrices keep the
    variance of what they multiply. Integer buffers are the network's own and take no draw.
    """
    draw = torch.Generator().manual_seed(golden.meta["weight_seed"])
    sums: Mapping[str, Any] = golden.meta["state_checksums"]
    weights = {key: _drawn(key, sums[key][0], draw) for key in sorted(sums) if sums[key][1] == "float32"}
    for key, value in weights.items():
        _check(key, value, *sums[key][2:])
    return weights


def run_flow_completion(golden: Golden) -> Tensors:
    """Both directions, predicted and combined."""
    network = FlowCompletion()
    network.load_state_dict(published_keys(rebuilt_weights(golden)), assign=True)
    given, masks = _flows(golden), golden.inputs["masks"]
    predicted = network.to(masks.dtype).complete(given, masks)
    combined = combine(predicted, given, masks)
    return {
        "pred_forward": predicted.forward,
        "pred_backward": predicted.backward,
        "combined_forward": combined.forward,
        "combined_backward": combined.backward,
    }


def run_image_propagation(golden: Golden) -> Tensors:
    """Frames, what is still missing, and the first flow's consistency."""
    flows = _flows(golden)
    frames, missing = propagate_pixels(golden.inputs["masked_frames"], flows, golden.inputs["masks"])
    return {
        "prop_frames": frames,
        "updated_masks": missing,
        "valid0": consistent(flows.forward[:, 0], flows.backward[:, 0]),
    }


def run_generator(golden: Golden) -> Tensors:
    """The pictures, and a share of the channels on the way to them."""
    network = Generator()
    buffers = {key: value for key, value in network.state_dict().items() if not value.is_floating_point()}
    for key, value in buffers.items():
        _check(key, value, *golden.meta["state_checksums"][key][2:])
    network.load_state_dict(rebuilt_weights(golden) | buffers, assign=True)
    given, local = golden.inputs, golden.config["num_local_frames"]
    frames, masks, missing = given["masked_frames"], given["masks_in"], given["masks_updated"]
    network.to(frames.dtype)
    features = network.propagated(network.encoded(frames, masks, missing), _flows(golden), masks, missing, local)
    return {
        "propagated_features": features[:, :local, ::8],
        "transformer_tokens": network.tokens(features, masks[:, :local])[..., ::16],
        "output": network(frames, _flows(golden), masks, missing, local),
    }


def _flows(golden: Golden) -> Flows:
    return Flows(golden.inputs["flow_forward"], golden.inputs["flow_backward"])


def _drawn(key: str, shape: list[int], draw: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=draw)
    if key.endswith(".bias"):
        return 0.1 * noise
    return 1 + 0.1 * noise if len(shape) == 1 else noise * math.prod(shape[1:]) ** -0.5


def _check(key: str, value: Tensor, total: float, squares: float) -> None:
    found = value.double().sum().item(), value.double().square().sum().item()
    if not all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-6) for a, b in zip(found, (total, squares), strict=True)):
        raise ValueError(f"the rebuilt weights of {key} have other sums than recorded: {found}")


CASES: dict[str, Case] = {
    "propainter_flow_completion": Case(run_flow_completion, atol=6e-6),
    "propainter_image_propagation": Case(run_image_propagation, atol=1e-6),
    "propainter_generator": Case(run_generator, atol=1e-4),
}

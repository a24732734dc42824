"""Cases of IC-Light: its U-Nets, prompt encoding and sampler."""

from __future__ import annotations

import torch
from transformers import CLIPTokenizer

from anyportal_core.plugins.iclight.prompt import empty_text_encoder, encode_pair, published_keys, token_chunks
from anyportal_core.plugins.iclight.sampler import Steps
from anyportal_core.plugins.iclight.unet import CONV_IN, AnchoredUNet, empty_unet, merge_offset
from anyportal_core.testing.parity.golden import Case, Golden, Tensors

BATCH = 4
"""Anchor and frames in two batches: the second reads what the first kept."""


def run_unet(golden: Golden) -> Tensors:
    """Anchor and frames in batches, in the order of the published pairwise run."""
    weights = merge_offset(golden.part("base"), golden.part("offset"))
    unet = empty_unet(golden.config, golden.config["conv_in_channels"])
    unet.load_state_dict(weights, assign=True)
    given = golden.inputs
    noise = AnchoredUNet(unet.eval())(
        torch.cat([given["sample_anchor"], given["sample_frames"]]),
        given["timestep"],
        torch.cat([given["concat_conds"][:1], given["concat_conds"]]),
        torch.cat([given["uncond"], given["cond"]]),
        BATCH,
    )
    anchor, frames = noise[:, 0], noise[:, 1:]
    return {
        "anchor": anchor,
        "frames": frames,
        "pair3": torch.stack([anchor, frames[:, 3]], dim=1).flatten(0, 1),
        "merged.conv_in.weight": weights[CONV_IN],
    }


def run_prompt(golden: Golden) -> Tensors:
    """Token chunks and text states of each pair of texts."""
    encoder = empty_text_encoder(golden.config)
    encoder.load_state_dict(published_keys(golden.weights), assign=True)
    encoder.eval()
    tokenizer = CLIPTokenizer.from_pretrained(golden.folder / golden.meta["tokenizer_dir"])  # nosec B615
    found: Tensors = {}
    for index, (text, negative) in enumerate(golden.meta["texts"]):
        states = encode_pair(tokenizer, encoder, text, negative)
        found[f"t{index}.ids_positive"] = token_chunks(tokenizer, text)
        found[f"t{index}.ids_negative"] = token_chunks(tokenizer, negative)
        found[f"t{index}.uncond"], found[f"t{index}.cond"] = states[:1], states[1:]
    return found


RUNS = {"t2i20": Steps(20), "i2i31": Steps(31, 0.65), "i2i40": Steps(40, 0.5)}
"""The three published runs: each of 20 evaluations."""


def run_sampler(golden: Golden) -> Tensors:
    """The first latents, and those after every step, with recorded predictions and noise."""
    found: Tensors = {}
    for name, steps in RUNS.items():
        predictions, noise = iter(golden.inputs["model_output"]), iter(golden.inputs["variance_noise"])
        picture = golden.inputs["image_latent"] if name.startswith("i2i") else None
        start = steps.begin(golden.inputs["init_noise"], picture)
        samples = steps.run(start, lambda *_, given=predictions: next(given), noise.__next__)
        found[f"{name}.start"], found[f"{name}.samples"] = start, torch.stack(list(samples))
    return found


CASES: dict[str, Case] = {
    "iclight_unet_fc": Case(run_unet, atol=1e-4),
    "iclight_unet_fbc": Case(run_unet, atol=1e-4),
    "iclight_sampler": Case(run_sampler, atol=1e-3),
    "iclight_prompt": Case(run_prompt, atol={"*.ids_*": 0.0, "*": 2e-5}),
}

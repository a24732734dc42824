"""Cases of CogVideoX's networks: Diffusion-as-Shader's transformer, TheDenk's ControlNet, rotary tables."""

from __future__ import annotations

import re

from anyportal_core.plugins.cogvideox.controlnet import CogVideoXControlnet, compress_time
from anyportal_core.plugins.cogvideox.rotary import CONTROL_BASE, rotary_table
from anyportal_core.plugins.cogvideox.transformer import CogVideoX
from anyportal_core.plugins.das.transformer import CogVideoXTransformer3DModelTracking
from anyportal_core.testing.parity.golden import Case, Golden, Tensors
from anyportal_core.testing.parity.networks import build, record


def das_transformer(golden: Golden) -> Tensors:
    network = build(CogVideoXTransformer3DModelTracking, golden.config, golden.weights)
    seen: Tensors = {}
    record(seen, "initial_tracking", network.initial_combine_linear)
    for index, block in enumerate(network.transformer_blocks):
        record(seen, f"block{index}.hidden_states", block, 0)
        record(seen, f"block{index}.encoder_hidden_states", block, 1)
    for index, block in enumerate(network.transformer_blocks_copy):
        record(seen, f"copy{index}.tracking_maps", block, 0)
        record(seen, f"combine{index}", network.combine_linears[index])
    i = golden.inputs
    rotary = (i["rotary_cos"], i["rotary_sin"]) if "rotary_cos" in i else None
    seen["sample"] = network(i["hidden_states"], i["encoder_hidden_states"], i["timestep"], i["tracking_maps"], rotary)
    return seen


def controlnet(golden: Golden) -> Tensors:
    config, i = golden.config, golden.inputs
    transformer = build(CogVideoX, config["transformer"], golden.part("transformer"))
    branch = build(CogVideoXControlnet, config["controlnet"], golden.part("controlnet"))
    latents = i["latents"].repeat(2, 1, 1, 1, 1)
    text = i["text_rows"][i["text_row_index"].long()]
    rotary = (i["rotary_cos"], i["rotary_sin"]) if "rotary_cos" in i else None
    control = branch.encode_control(i["control_frames"].repeat(2, 1, 1, 1, 1))
    residuals = branch(latents, text, control, i["timestep"], rotary)
    made = {f"control_state{index}": residual for index, residual in enumerate(residuals)}
    made["control_latent"] = control
    made["noise_pred_no_control"] = transformer(latents, text, i["timestep"], rotary)
    for name in golden.outputs:
        if found := re.fullmatch(r"noise_pred_w(list_)?(.+)", name):
            weights = [float(weight) for weight in found[2].split("_")]
            each = weights if found[1] else weights[0]
            made[name] = transformer(latents, text, i["timestep"], rotary, residuals, each)
    return made


def control_compress_time(golden: Golden) -> Tensors:
    batch = golden.config["batch"]
    return {
        name: compress_time(frames.reshape(batch, -1, *frames.shape[1:])).flatten(0, 1)
        for name, frames in golden.inputs.items()
    }


def rotary_tables(golden: Golden) -> Tensors:
    config, made = golden.config, {}
    for height, width in config["px"]:
        grid = height // 8 // config["patch"], width // 8 // config["patch"]
        rows = golden.inputs[f"rows_{height}x{width}"].long()
        cosines, sines = rotary_table(grid, config["latent_frames"], config["head_dim"], CONTROL_BASE)
        made[f"cos_{height}x{width}"], made[f"sin_{height}x{width}"] = cosines[rows], sines[rows]
    return made


CASES: dict[str, Case] = {
    "das_transformer_rotary": Case(das_transformer, 7e-5),
    "das_transformer_rotary_learned": Case(das_transformer, 7e-5),
    "das_transformer_2b": Case(das_transformer, 7e-5),
    "das_transformer_2b_resized": Case(das_transformer, 7e-5),
    "cogvideox_controlnet_rotary": Case(controlnet, 5e-5),
    "cogvideox_controlnet_2b": Case(controlnet, 5e-5),
    "cogvideox_controlnet_5b_trainscript": Case(controlnet, 5e-5),
    "cogvideox_controlnet_compress_time": Case(control_compress_time, 2e-6),
    "cogvideox_rotary_tables": Case(rotary_tables, 1e-6),
}

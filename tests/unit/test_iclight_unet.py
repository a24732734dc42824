"""IC-Light's U-Net: merged offsets, and attention on an anchor frame."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import UNet2DConditionModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from anyportal_core.errors import CheckpointError, ModelNotFoundError  # noqa: E402
from anyportal_core.plugins.iclight.unet import CONV_IN, AnchoredUNet, empty_unet, load_unet, merge_offset  # noqa: E402

CONFIG = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "cross_attention_dim": 12,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}


def random_weights(channels: int, seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    shapes = {key: value.shape for key, value in empty_unet(CONFIG, channels).state_dict().items()}
    return {key: torch.randn(shape, generator=draw) * 0.3 for key, shape in shapes.items()}


def tiny_unet(channels: int = 8, seed: int = 0) -> UNet2DConditionModel:
    unet = empty_unet(CONFIG, channels)
    unet.load_state_dict(random_weights(channels, seed), assign=True)
    return unet.eval().requires_grad_(False)


def inputs(count: int, channels: int = 8, seed: int = 1) -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(seed)
    latents = torch.randn(count, 4, 6, 8, generator=draw)
    conditions = torch.randn(count, channels - 4, 6, 8, generator=draw)
    return latents, torch.tensor(400), conditions, torch.randn(2, 5, 12, generator=draw)


@pytest.mark.parametrize("channels", [8, 12])
def test_how_many_frames_run_at_once_changes_nothing(channels: int) -> None:
    unet, given = AnchoredUNet(tiny_unet(channels)), inputs(7, channels)
    at_once = unet(*given, batch=7)
    for batch in (1, 2, 3, 6, 100):
        assert (unet(*given, batch=batch) - at_once).abs().max() < 1e-4


def test_every_frame_sees_the_anchor_and_no_other() -> None:
    unet = AnchoredUNet(tiny_unet())
    latents, timestep, conditions, prompts = inputs(4)
    before = unet(latents, timestep, conditions, prompts, batch=2)

    other = latents.clone()
    other[2] += 1
    changed = (unet(other, timestep, conditions, prompts, batch=2) - before).abs().amax(dim=(0, 2, 3, 4))
    assert changed[2] > 1e-2 and changed[[0, 1, 3]].max() < 1e-5

    anchor = latents.clone()
    anchor[0] += 1
    changed = (unet(anchor, timestep, conditions, prompts, batch=2) - before).abs().amax(dim=(0, 2, 3, 4))
    assert changed.min() > 1e-4


def test_the_anchor_alone_is_plain_self_attention() -> None:
    latents, timestep, conditions, prompts = inputs(1)
    plain = tiny_unet()(
        torch.cat([latents, conditions], dim=1).repeat(2, 1, 1, 1), timestep, encoder_hidden_states=prompts
    ).sample
    anchored = AnchoredUNet(tiny_unet())(latents, timestep, conditions, prompts, batch=1)
    assert (anchored[:, 0] - plain).abs().max() < 1e-5


def test_the_anchors_keys_are_computed_once_a_step() -> None:
    unet, given = tiny_unet(), inputs(5)
    calls: list[int] = []
    first = next(module for name, module in unet.named_modules() if name.endswith("attn1"))
    first.to_k.register_forward_hook(lambda _module, rows, _out: calls.append(len(rows[0])))
    AnchoredUNet(unet)(*given, batch=2)
    assert calls == [2]  # one row for each prompt


def test_offsets_are_added_to_widened_weights() -> None:
    base, offset = random_weights(4, 1), random_weights(8, 2)
    merged = merge_offset(base, offset)
    assert torch.equal(merged[CONV_IN][:, :4], base[CONV_IN] + offset[CONV_IN][:, :4])
    assert torch.equal(merged[CONV_IN][:, 4:], offset[CONV_IN][:, 4:])
    assert torch.equal(merged["conv_out.bias"], base["conv_out.bias"] + offset["conv_out.bias"])


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "unet"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    save_file(random_weights(4, 1), folder / "diffusion_pytorch_model.safetensors")
    save_file(random_weights(8, 2), tmp_path / "iclight_sd15_fc.safetensors")
    return folder, tmp_path / "iclight_sd15_fc.safetensors"


def test_published_files_are_loaded(published: tuple[Path, Path]) -> None:
    unet = load_unet(*published, "fc", torch.float32)
    merged = merge_offset(random_weights(4, 1), random_weights(8, 2))
    assert all(torch.equal(value, merged[key]) for key, value in unet.state_dict().items())
    assert load_unet(*published, "fc", torch.float16).dtype == torch.float16


def test_the_wrong_variant_is_refused_by_shape(published: tuple[Path, Path]) -> None:
    with pytest.raises(CheckpointError, match=r"conv_in\.weight") as caught:
        load_unet(*published, "fbc", torch.float32)
    assert caught.value.where.endswith("iclight_sd15_fc.safetensors")


def test_missing_offsets_are_named(published: tuple[Path, Path]) -> None:
    with pytest.raises(ModelNotFoundError, match="gone"):
        load_unet(published[0], published[1].with_name("gone.safetensors"), "fc", torch.float32)


@pytest.mark.parametrize("name", ["iclight_unet_fc", "iclight_unet_fbc", "iclight_prompt", "iclight_sampler"])
def test_the_published_numbers(shared: Path, name: str) -> None:
    from anyportal_core.testing.parity.cases_iclight import CASES
    from anyportal_core.testing.parity.golden import read_golden
    from anyportal_core.testing.parity.runner import run_case

    outcome = run_case(read_golden(shared / "golden" / f"{name}.json"), CASES[name])
    assert not outcome.reason

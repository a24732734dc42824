"""CogVideoX with TheDenk's ControlNet."""

from __future__ import annotations

import math
from unittest.mock import patch

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import CogVideoXTransformer3DModel  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from anyportal_core.errors import CheckpointError  # noqa: E402
from anyportal_core.plugins.cogvideox.codec import VideoCodec, sampled  # noqa: E402
from anyportal_core.plugins.cogvideox.controlnet import CogVideoXControlnet, compress_time  # noqa: E402
from anyportal_core.plugins.cogvideox.denoiser import ControlledDenoiser  # noqa: E402
from anyportal_core.plugins.cogvideox.rotary import CONTROL_BASE, rotary_table  # noqa: E402
from anyportal_core.plugins.cogvideox.transformer import CogVideoX  # noqa: E402
from anyportal_core.testing.tiny import cogvideox as tiny  # noqa: E402

TIMES = torch.tensor([499, 499])
GRID = (tiny.LATENT[3] // 2, tiny.LATENT[4] // 2)
ROTARY = rotary_table(GRID, tiny.LATENT[1], 16, CONTROL_BASE)


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def latents(seed: int = 1) -> torch.Tensor:
    return draw(seed, 2, *tiny.LATENT[1:])


def text(seed: int = 2) -> torch.Tensor:
    return draw(seed, 2, tiny.TEXT_LENGTH, tiny.TEXT_CHANNELS)


def control_frames(seed: int = 3) -> torch.Tensor:
    return draw(seed, 1, tiny.FRAMES, 3, tiny.HEIGHT, tiny.WIDTH).tanh()


def residuals(network: CogVideoXControlnet) -> list[torch.Tensor]:
    control = network.encode_control(control_frames()).expand(2, -1, -1, -1, -1)
    return network(latents(), text(), control, TIMES, ROTARY)


def test_without_control_it_is_the_published_transformer_bit_for_bit() -> None:
    ours = tiny.tiny_transformer()
    theirs = CogVideoXTransformer3DModel(**{k: v for k, v in ours.config.items() if not k.startswith("_")}).eval()
    theirs.load_state_dict(ours.state_dict())
    expected = theirs(latents(), text(), TIMES, image_rotary_emb=ROTARY, return_dict=False)[0]
    assert torch.equal(ours(latents(), text(), TIMES, ROTARY), expected)


@pytest.mark.parametrize("weights", [0.0, 0, [0.0, 0.0]])
def test_weight_zero_is_no_control_bit_for_bit(weights: float | list[float]) -> None:
    network = tiny.tiny_transformer()
    broken = [torch.full((2, math.prod(GRID) * tiny.LATENT[1], 32), value) for value in (math.nan, math.inf)]
    plain = network(latents(), text(), TIMES, ROTARY)
    assert torch.equal(network(latents(), text(), TIMES, ROTARY, broken, weights), plain)


def test_every_residual_has_its_weight() -> None:
    network, control = tiny.tiny_transformer(), residuals(tiny.tiny_controlnet())
    call = (latents(), text(), TIMES, ROTARY)
    halves = network(*call, [0.5 * control[0], 0.25 * control[1]], 1.0)
    torch.testing.assert_close(network(*call, control, [0.5, 0.25]), halves, atol=1e-5, rtol=0)
    assert not torch.allclose(network(*call, control, 1.0), halves, atol=1e-2)
    with pytest.raises(ValueError, match="zip"):
        network(*call, control, [1.0])


@pytest.mark.parametrize("rotary", [True, False])
def test_float32_stays_near_float64(rotary: bool) -> None:
    config = {"use_rotary_positional_embeddings": rotary}
    network, branch = tiny.tiny_transformer(4, **config), tiny.tiny_controlnet(5, **config)
    words = draw(6, 2, 226, tiny.TEXT_CHANNELS)
    if not rotary:
        network = tiny.tiny_transformer(4, max_text_seq_length=226, **config)

    def run(dtype: torch.dtype) -> torch.Tensor:
        network.to(dtype), branch.to(dtype)
        table = ROTARY if rotary else None
        given = latents().to(dtype), words.to(dtype)
        control = branch.encode_control(control_frames().to(dtype)).expand(2, -1, -1, -1, -1)
        return network(*given, TIMES, table, branch(*given, control, TIMES, table)).double()

    assert (run(torch.float64) - run(torch.float32)).abs().max() < 2e-5


def test_a_narrow_branch_has_both_kinds_of_positions_and_fits_a_wider_transformer() -> None:
    config = {"num_attention_heads": 1, "out_proj_dim": 32, "use_rotary_positional_embeddings": False}
    branch, words = tiny.tiny_controlnet(**config), draw(2, 2, 226, tiny.TEXT_CHANNELS)
    control = branch.encode_control(control_frames()).expand(2, -1, -1, -1, -1)
    found = branch(latents(), words, control, TIMES, ROTARY)
    assert [tuple(r.shape) for r in found] == [(2, math.prod(GRID) * tiny.LATENT[1], 32)] * 2
    without_rotary = branch(latents(), words, control, TIMES)
    branch.patch_embed.use_positional_embeddings = False
    without_added = branch(latents(), words, control, TIMES, ROTARY)
    assert not torch.allclose(found[0], without_rotary[0], atol=1e-2)
    assert not torch.allclose(found[0], without_added[0], atol=1e-2)


@pytest.mark.parametrize("newer", [{"patch_size_t": 2, "sample_frames": 81}, {"ofs_embed_dim": 512}])
def test_the_newer_model_is_refused(newer: dict[str, int]) -> None:
    with pytest.raises(CheckpointError, match="CogVideoX 1"):
        CogVideoX(num_layers=1, num_attention_heads=1, **newer)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 14), st.integers(0, 2**31))
def test_time_is_halved_by_pairs_and_an_odd_first_frame_is_kept(count: int, seed: int) -> None:
    frames = draw(seed, 2, count, 3, 2, 2).double()
    halved = compress_time(frames)
    odd = count % 2
    assert halved.shape[1] == (count + 1) // 2
    if odd:
        assert torch.equal(halved[:, 0], frames[:, 0])
    for index in range(count // 2):
        first = odd + 2 * index
        expected = (frames[:, first] + frames[:, first + 1]) / 2
        assert torch.equal(halved[:, odd + index], expected)


def test_a_control_frame_reaches_its_own_latent_frame_only() -> None:
    branch, frames = tiny.tiny_controlnet(), control_frames()
    changed = frames.clone()
    changed[:, 0] = -changed[:, 0]
    before, after = branch.encode_control(frames), branch.encode_control(changed)
    assert not torch.allclose(before[:, 0], after[:, 0], atol=1e-2)
    assert torch.equal(before[:, 1:], after[:, 1:])


@pytest.mark.parametrize(
    ("grid", "region"),
    [((30, 45), ((0, 30), (0, 45))), ((28, 44), ((0, 29), (0, 45))), ((40, 20), ((0, 30), (15, 30)))],
)
def test_positions_are_spread_over_the_base(grid: tuple[int, int], region: tuple[tuple[int, int], ...]) -> None:
    cosines, sines = rotary_table(grid, 3, 64, CONTROL_BASE)
    assert cosines.shape == sines.shape == (3 * grid[0] * grid[1], 64)
    angles = torch.atan2(sines, cosines).reshape(3, *grid, 64)
    turns = {0: (0, range(3)), 1: (16, None), 2: (40, None)}
    for axis, (channel, positions) in turns.items():
        size = angles.shape[axis]
        low, high = (0, size) if axis == 0 else region[axis - 1]
        expected = positions or [low + i * (high * (size - 1) / size - low) / (size - 1) for i in range(size)]
        line = angles.moveaxis(axis, 0)[:, 0, 0, channel]
        # The first channel of each axis turns by one radian a position.
        unwrapped = torch.tensor([math.atan2(math.sin(p), math.cos(p)) for p in expected])
        torch.testing.assert_close(line, unwrapped, atol=2e-5, rtol=0)


def denoiser(weight: float) -> ControlledDenoiser:
    branch = tiny.tiny_controlnet()
    control = branch.encode_control(control_frames())
    return ControlledDenoiser(tiny.tiny_transformer(), branch, text(), control, weight)


def test_without_weight_the_control_branch_is_not_evaluated() -> None:
    sample = latents()[:1]
    with patch.object(CogVideoXControlnet, "forward", side_effect=AssertionError):
        off = denoiser(0.0)(sample, 499)
    assert off.shape == sample.shape
    assert not torch.allclose(denoiser(1.0)(sample, 499), off, atol=1e-2)


def test_the_denoiser_is_guided_from_the_negative_prompt() -> None:
    sample, on = latents()[:1], denoiser(1.0)
    control = on.control.expand(2, -1, -1, -1, -1)
    both = sample.expand(2, -1, -1, -1, -1)
    branch = on.controlnet(both, text(), control, TIMES, ROTARY)
    negative, positive = on.transformer(both, text(), TIMES, ROTARY, branch).chunk(2)
    torch.testing.assert_close(on(sample, 499), negative + 6 * (positive - negative), atol=1e-4, rtol=0)


def test_the_codec_speaks_of_the_transformers_scale() -> None:
    network = tiny.tiny_codec()
    codec = VideoCodec(network)
    frames = control_frames()
    mean, deviation = codec.encode(frames)
    published = network.encode(frames.transpose(1, 2)).latent_dist
    assert mean.shape == deviation.shape == tiny.LATENT
    torch.testing.assert_close(mean, 0.7 * published.mean.transpose(1, 2))
    torch.testing.assert_close(deviation, 0.7 * published.std.transpose(1, 2))
    noise = draw(9, 1, 4, 3, 8, 12)
    drawn = 0.7 * (published.mean + published.std * noise)
    torch.testing.assert_close(sampled((mean, deviation), noise), drawn.transpose(1, 2))
    decoded = network.decode(mean.transpose(1, 2) / 0.7).sample
    assert torch.equal(codec.decode(mean), decoded.transpose(1, 2))

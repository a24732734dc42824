"""Diffusion-as-Shader's transformer."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from anyportal_core.plugins.cogvideox.rotary import rotary_table  # noqa: E402
from anyportal_core.plugins.cogvideox.transformer import base_grid  # noqa: E402
from anyportal_core.plugins.das.transformer import CogVideoXTransformer3DModelTracking  # noqa: E402
from anyportal_core.testing.tiny import cogvideox as tiny  # noqa: E402

TIMES = torch.tensor([249, 249])


def inputs(seed: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    batch, frames, channels, height, width = tiny.LATENT
    video = (2 * batch, frames, 2 * channels, height, width)
    shapes = [video, (2, tiny.TEXT_LENGTH, tiny.TEXT_CHANNELS), video]
    latents, text, tracking = (torch.randn(shape, generator=generator).to(dtype) for shape in shapes)
    return latents, text, TIMES, tracking


def run(network: CogVideoXTransformer3DModelTracking, seed: int, dtype: torch.dtype) -> torch.Tensor:
    config = network.config
    table = None
    if config.use_rotary_positional_embeddings:
        table = rotary_table(base_grid(config), tiny.LATENT[1], config.attention_head_dim, base_grid(config))
    return network.to(dtype)(*inputs(seed, dtype), table)


@pytest.mark.parametrize(
    "positions",
    [
        {},
        {"use_learned_positional_embeddings": False},
        {"use_learned_positional_embeddings": False, "use_rotary_positional_embeddings": False},
    ],
)
def test_float32_stays_near_float64(positions: dict[str, bool]) -> None:
    network = tiny.tiny_tracking_transformer(7, **positions)
    exact, single = run(network, 8, torch.float64), run(network, 8, torch.float32)
    assert (exact - single).abs().max() < 2e-5


def test_blocks_beyond_the_copies_take_no_tracking() -> None:
    network = tiny.tiny_tracking_transformer()
    calls: list[str] = []
    for kind in ("transformer_blocks", "transformer_blocks_copy", "combine_linears"):
        for index, module in enumerate(getattr(network, kind)):
            module.register_forward_hook(lambda *_, name=f"{kind}.{index}": calls.append(name))
    run(network, 1, torch.float32)
    assert calls == [
        *("transformer_blocks.0", "transformer_blocks_copy.0", "combine_linears.0"),
        *("transformer_blocks.1", "transformer_blocks_copy.1", "combine_linears.1"),
        "transformer_blocks.2",
    ]


def test_the_copy_reads_what_the_linear_made_and_the_text_after_its_block() -> None:
    network = tiny.tiny_tracking_transformer()
    seen: dict[str, object] = {}
    network.combine_linears[0].register_forward_hook(lambda _m, _i, output: seen.update(combined=output))
    network.transformer_blocks[1].register_forward_hook(lambda _m, _i, output: seen.update(text=output[1]))
    network.transformer_blocks_copy[1].register_forward_pre_hook(lambda _m, given: seen.update(given=given))
    run(network, 1, torch.float32)
    tracks, words = seen["given"][:2]
    assert torch.equal(tracks, seen["combined"])
    assert torch.equal(words, seen["text"])

"""ProPainter's networks: warping, deformable convolution, window attention, propagation, published numbers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from anyportal_core.plugins.propainter.flow_completion import FlowCompletion  # noqa: E402
from anyportal_core.plugins.propainter.generator import Generator  # noqa: E402
from anyportal_core.plugins.propainter.layers import Flows, consistent, deformable_conv, warp  # noqa: E402
from anyportal_core.plugins.propainter.propagation import propagate_pixels  # noqa: E402
from anyportal_core.plugins.propainter.transformer import (  # noqa: E402
    SHIFTS,
    WINDOW,
    Transformer,
    _WindowAttention,
    _windows_with,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def fill_randomly(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    draw = torch.Generator().manual_seed(seed)
    for value in network.parameters():
        fan_in = value[0].numel() if value.dim() > 1 else 100
        value.data = torch.randn(value.shape, generator=draw) * fan_in**-0.5
    return network.eval().requires_grad_(False)


def test_warp_fetches_from_where_the_flow_leads_and_zero_outside() -> None:
    image = noise(1, 3, 6, 8)
    flow = torch.zeros(1, 2, 6, 8)
    flow[:, 0], flow[:, 1] = 2, -1
    moved = warp(image, flow)
    assert torch.allclose(moved[..., 1:, :-2], image[..., :-1, 2:], atol=1e-5)
    assert moved[..., 0, :].abs().max() < 1e-5 and moved[..., -2:].abs().max() < 1e-5


def test_flow_that_does_not_lead_back_is_inconsistent() -> None:
    there = torch.zeros(1, 2, 6, 8)
    there[:, 0] = 1
    back = -there.clone()
    back[..., :4] = 3
    valid = consistent(there, back)
    assert valid[..., :, 4:7].min() == 1
    assert valid[..., :, :3].max() == 0


def bilinear(image: torch.Tensor, y: float, x: float) -> torch.Tensor:
    """One sample ``(C,)``, zero outside, term by term."""
    total = torch.zeros(image.shape[0], dtype=image.dtype)
    y0, x0 = int(torch.floor(torch.tensor(y))), int(torch.floor(torch.tensor(x)))
    for row, column in itertools.product((y0, y0 + 1), (x0, x0 + 1)):
        if 0 <= row < image.shape[1] and 0 <= column < image.shape[2]:
            total += image[:, row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def test_deformable_convolution_is_its_definition() -> None:
    """Summed one sample at a time; the groups move apart, offsets lead outside the picture."""
    channels, out_channels, groups, height, width = 4, 3, 2, 4, 5
    image, weight, bias = (
        noise(1, channels, height, width).double(),
        noise(out_channels, channels, 3, 3).double(),
        noise(3),
    )
    offsets = 2 * noise(1, groups * 9 * 2, height, width, seed=1).double()
    strengths = noise(1, groups * 9, height, width, seed=2).double().sigmoid()
    expected = bias.double()[:, None, None].repeat(1, height, width)
    for row, column, group, point in itertools.product(range(height), range(width), range(groups), range(9)):
        dy, dx = offsets[0, 2 * (group * 9 + point) : 2 * (group * 9 + point) + 2, row, column].tolist()
        y, x = row + point // 3 - 1 + dy, column + point % 3 - 1 + dx
        share = slice(group * channels // groups, (group + 1) * channels // groups)
        sample = bilinear(image[0, share], y, x) * strengths[0, group * 9 + point, row, column]
        expected[:, row, column] += weight[:, share, point // 3, point % 3] @ sample
    found = deformable_conv(image, offsets, strengths, weight, bias.double())
    assert torch.allclose(found[0], expected, atol=1e-9)


def test_without_offsets_it_is_a_plain_convolution() -> None:
    image, weight, bias = noise(2, 32, 7, 9), noise(5, 32, 3, 3), noise(5)
    found = deformable_conv(image, torch.zeros(2, 16 * 18, 7, 9), torch.ones(2, 16 * 9, 7, 9), weight, bias)
    assert torch.allclose(found, F.conv2d(image, weight, bias, padding=1), atol=1e-3)


def windows_of(tokens: torch.Tensor) -> torch.Tensor:
    """``(B, T, R, C, D)`` to ``(B, windows, T, 45, D)``."""
    b, t, r, c, d = tokens.shape
    split = tokens.view(b, t, r // WINDOW[0], WINDOW[0], c // WINDOW[1], WINDOW[1], d)
    return split.permute(0, 2, 4, 1, 3, 5, 6).reshape(b, -1, t, WINDOW[0] * WINDOW[1], d)


def attention_by_rolling(
    layer: _WindowAttention, tokens: torch.Tensor, windows: torch.Tensor, frames: slice
) -> torch.Tensor:
    """The same attention written with rolled copies of the whole grid; the grid must be whole windows."""
    query, key, value = (windows_of(f(tokens)) for f in (layer.query, layer.key, layer.value))

    def around(states: torch.Tensor) -> torch.Tensor:
        rolled = [windows_of(states.roll((-down, -right), (2, 3))) for down, right in SHIFTS]
        return torch.cat(rolled, dim=3)[:, :, :, layer.valid_ind_rolled]

    b, t, r, c, d = tokens.shape
    pooled = layer.pool_layer(tokens.flatten(0, 1).permute(0, 3, 1, 2)).flatten(2).transpose(1, 2).view(b, t, -1, d)
    out = torch.empty_like(query)
    for sample, window in itertools.product(range(b), range(query.shape[1])):
        if windows[sample, window]:
            keys = [key[sample, window], around(layer.key(tokens))[sample, window], layer.key(pooled)[sample]]
            values = [value[sample, window], around(layer.value(tokens))[sample, window], layer.value(pooled)[sample]]
            seen = [torch.cat(side, dim=1)[frames].flatten(0, 1)[None] for side in (keys, values)]
            asked = query[sample, window].flatten(0, 1)[None]
            out[sample, window] = layer._attend(asked, *seen)[0].view(t, -1, d)
        else:
            out[sample, window] = layer._attend(query[sample, window], key[sample, window], value[sample, window])
    grid = out.view(b, r // WINDOW[0], c // WINDOW[1], t, *WINDOW, d).permute(0, 3, 1, 4, 2, 5, 6).reshape(tokens.shape)
    return layer.proj(grid)


@pytest.mark.parametrize("chosen", ["some", "all", "none"])
def test_windows_look_around_themselves_where_something_is_missing(chosen: str) -> None:
    layer = fill_randomly(_WindowAttention(16, heads=4))
    tokens = noise(2, 3, 10, 27, 16, seed=3)
    windows = noise(2, 6, seed=4) > {"some": 0.0, "all": -9.0, "none": 9.0}[chosen]
    for frames in (slice(0, None, 2), slice(1, None, 2)):
        found = layer(tokens, windows, frames)
        assert torch.allclose(found, attention_by_rolling(layer, tokens, windows, frames), atol=1e-5)


def test_a_window_counts_as_incomplete_if_any_frame_has_a_hole_in_it() -> None:
    missing = torch.zeros(1, 2, 6, 10)
    missing[0, 1, 5, 9] = 1
    assert _windows_with(missing).tolist() == [[False, False, False, True]]


def test_a_single_frame_is_attended_too() -> None:
    transformer = fill_randomly(Transformer(16, depth=2, hidden=2))
    out = transformer(noise(1, 1, 4, 6, 16), (12, 16), torch.ones(1, 1, 4, 6))
    assert out.isfinite().all()


def still_flows(count: int, height: int, width: int) -> Flows:
    nothing = torch.zeros(1, count - 1, 2, height, width)
    return Flows(nothing, nothing)


def test_pixels_come_from_frames_that_show_them() -> None:
    frames = noise(1, 1, 3, 8, 8).repeat(1, 4, 1, 1, 1)
    masks = torch.zeros(1, 4, 1, 8, 8)
    masks[0, 1:3, :, 2:5, 2:5] = 1
    masks[0, :, :, 7, 7] = 1  # nobody shows this one
    filled, missing = propagate_pixels(frames * (1 - masks), still_flows(4, 8, 8), masks)
    known = 1 - masks[:, :1, :, :, :] * (torch.arange(8) == 7)
    assert torch.allclose(filled * known, frames * known, atol=1e-6)
    assert missing.sum() == 4 and missing[0, :, 0, 7, 7].min() == 1


def test_known_flow_is_kept_and_sizes_fit() -> None:
    network = fill_randomly(FlowCompletion(width=4))
    flows = Flows(noise(1, 2, 2, 16, 24), noise(1, 2, 2, 16, 24, seed=1))
    predicted = network.complete(flows, torch.zeros(1, 3, 1, 16, 24))
    assert predicted.forward.shape == predicted.backward.shape == flows.forward.shape


def test_the_published_key_names() -> None:
    keys = set(Generator(width=8, tokens=16, hidden=2).state_dict())
    assert {"transformers.transformer.7.attention.valid_ind_rolled", "feat_prop_module.fuse.2.bias"} <= keys


@pytest.mark.parametrize("name", ["propainter_flow_completion", "propainter_image_propagation", "propainter_generator"])
def test_the_published_numbers(shared: Path, name: str) -> None:
    from anyportal_core.testing.parity.cases_propainter import CASES
    from anyportal_core.testing.parity.golden import read_golden
    from anyportal_core.testing.parity.runner import run_case

    outcome = run_case(read_golden(shared / "golden" / f"{name}.json"), CASES[name])
    assert not outcome.reason

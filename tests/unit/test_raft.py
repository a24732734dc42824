"""RAFT: its layout, its look-up table, sizes. Agreement with published numbers is not recorded anywhere yet."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from anyportal_core.errors import CheckpointError  # noqa: E402
from anyportal_core.plugins.raft.network import (  # noqa: E402
    Raft,
    _correlations,
    _enlarged,
    _look_up,
    _pixel_grid,
    flow_between,
    load_raft,
)


@pytest.fixture(scope="module")
def raft() -> Raft:
    network, draw = Raft(width=8, steps=3).eval().requires_grad_(False), torch.Generator().manual_seed(0)
    for value in network.parameters():
        scale = value[0].numel() ** -0.5 if value.dim() > 1 else 0.1
        value.data = torch.randn(value.shape, generator=draw) * scale
    return network


def test_the_size_of_the_published_network() -> None:
    """5.3 million parameters, as the paper's table says."""
    assert round(sum(value.numel() for value in Raft().parameters()) / 1e6, 1) == 5.3


def test_the_table_is_looked_up_column_by_column() -> None:
    draw = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, 1, 256, 16, 24, generator=draw)
    found = _look_up(_correlations(first, second), _pixel_grid(first))
    # Neighbour 0*9+4 of the finest level lies four to the left, on the same row.
    expected = (first[0, :, 5, 10] * second[0, :, 5, 6]).sum() / 16
    assert found.shape == (1, 4 * 81, 16, 24)
    assert torch.isclose(found[0, 4, 5, 10], expected, atol=1e-4)


def test_flow_of_one_value_stays_it_when_enlarged() -> None:
    draw = torch.Generator().manual_seed(2)
    weights = torch.randn(1, 9 * 64, 6, 7, generator=draw)
    larger = _enlarged(torch.full((1, 2, 6, 7), 0.5), weights)
    assert larger.shape == (1, 2, 48, 56)
    assert torch.allclose(larger[..., 8:-8, 8:-8], torch.tensor(4.0), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(128, 136), (40, 60)])
def test_any_size_of_picture_has_flow(raft: Raft, height: int, width: int) -> None:
    first, second = torch.rand(2, 1, 3, height, width, generator=torch.Generator().manual_seed(3)) * 2 - 1
    flow = flow_between(raft, first, second)
    assert flow.shape == (1, 2, height, width) and flow.isfinite().all()


def test_published_files_are_loaded(raft: Raft, tmp_path: Path) -> None:
    weights = {f"module.{key}": value for key, value in raft.state_dict().items()}
    torch.save(weights, tmp_path / "raft-things.pth")
    loaded = load_raft(tmp_path / "raft-things.pth", width=8, steps=3)
    assert all(torch.equal(value, raft.state_dict()[key]) for key, value in loaded.state_dict().items())
    del weights["module.update_block.mask.2.bias"]
    torch.save(weights, tmp_path / "short.pth")
    with pytest.raises(CheckpointError, match=r"update_block\.mask\.2\.bias"):
        load_raft(tmp_path / "short.pth", width=8)

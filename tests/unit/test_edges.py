"""Edges that the ControlNets are led along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from anyportal_core.errors import CheckpointError  # noqa: E402
from anyportal_core.plugins.cogvideox.edges import HED_FILE, Hed, HedEdges, canny_edges, load_hed  # noqa: E402
from anyportal_core.testing.tiny.random import randomised  # noqa: E402

TINY = (2, 3, 4, 4, 4)


def frames(count: int = 5) -> np.ndarray:
    return np.random.default_rng(0).random((count, 34, 50, 3), np.float32)


def test_hed_has_the_published_keys() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in Hed().state_dict().items()}
    assert len(shapes) == 1 + 2 * 13 + 2 * 5
    assert shapes["norm"] == (1, 3, 1, 1)
    assert shapes["block1.convs.0.weight"] == (64, 3, 3, 3)
    assert shapes["block5.convs.2.bias"] == (512,)
    assert shapes["block3.projection.weight"] == (1, 256, 1, 1)


def test_hed_draws_each_frame_by_itself(tmp_path: Path) -> None:
    torch.save(randomised(Hed(TINY), 0).state_dict(), tmp_path / HED_FILE)
    hed = load_hed(tmp_path, torch.device("cpu"))
    drawn = hed(frames())
    assert drawn.shape == (5, 34, 50, 3) and drawn.dtype == np.float32
    assert 0 <= drawn.min() < drawn.max() <= 1
    assert np.array_equal(drawn[..., 0], drawn[..., 2])
    np.testing.assert_allclose(hed(frames()[4:]), drawn[4:], atol=1e-6)


def test_hed_takes_the_mean_of_its_scales() -> None:
    network = randomised(Hed(TINY), 0)
    for name, value in network.named_parameters():
        if "projection" in name:
            value.zero_()
    network.block4.projection.bias.fill_(5.0)
    np.testing.assert_allclose(HedEdges(network)(frames(1)), 1 / (1 + np.exp(-1.0)), rtol=1e-6)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save({"block1.projection.weight": torch.zeros(1, 2, 1, 1)}, tmp_path / HED_FILE)
    with pytest.raises(CheckpointError, match="missing"):
        load_hed(tmp_path, torch.device("cpu"))


def test_canny_draws_a_line_around_a_square() -> None:
    picture = np.zeros((1, 40, 40, 3), np.float32)
    picture[:, 10:30, 10:30] = 1
    drawn = canny_edges(picture)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert drawn[0, 20, 9:12].max() == 1 and drawn[0, 15:25, 15:25].max() == 0 and drawn[0, 3].max() == 0

import numpy as np

from anyportal_core.method.cuts import find_cuts
from anyportal_core.testing.clips import moving_scene


def scene(count: int, seed: int, pan: float = 1.0) -> np.ndarray:
    return moving_scene(count, 18, 32, pan=pan, seed=seed).plate


def test_a_cut_is_found_where_it_is() -> None:
    other = 1 - scene(6, 1)
    assert find_cuts(np.concatenate([scene(7, 0), other])) == [7]
    assert find_cuts(np.concatenate([scene(1, 0), other])) == [1]


def test_motion_is_no_cut() -> None:
    assert find_cuts(scene(12, 0, pan=4)) == []
    assert find_cuts(scene(1, 0)) == []


def test_a_flash_is_no_cut() -> None:
    frames = scene(9, 0)
    frames[4] = 1
    assert find_cuts(frames) == []


def test_a_fade_is_no_cut() -> None:
    frames = scene(16, 0) * np.linspace(1, 0, 16, dtype=np.float32)[:, None, None, None]
    assert find_cuts(frames) == []

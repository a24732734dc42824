from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import pytest

from anyportal_core.media.clip import open_clip
from anyportal_core.method.cuts import INTERRUPTED, SIZE, find_cuts
from anyportal_core.ops import opencv as ops
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import moving_scene


def thumbnails(movie: Path, count: int) -> np.ndarray:
    with open_clip(MediaRef(movie)) as clip:
        frames = clip.frames(list(clip.info.numbers)[:count])
        return np.stack([ops.resize(frame.pixels, *SIZE, "area") for frame in frames])


def scene(count: int, seed: int, pan: float = 1.0) -> np.ndarray:
    return moving_scene(count, 18, 32, pan=pan, seed=seed).plate


def test_a_cut_is_found_where_it_is() -> None:
    other = scene(6, 1)
    assert find_cuts(np.concatenate([scene(7, 0), other])) == [7]
    assert find_cuts(np.concatenate([scene(1, 0), other])) == [1]


def somebody(count: int, seed: int, down: int, across: int) -> np.ndarray:
    """A figure before something light, as in many a shot; which place it is, only its details tell."""
    rows, columns = np.mgrid[0:18, 0:32].astype(np.float32)
    inside = np.clip(4 - 4 * np.hypot((columns - 15 - across) / 7, (rows - 8 - down) / 7), 0, 1)[..., None]
    details = np.random.default_rng(seed).normal(0, 0.1, (18, 32, 3)).astype(np.float32)
    wavering = np.random.default_rng(9).normal(0, 0.01, (count, 18, 32, 3)).astype(np.float32)
    return np.clip(0.75 - 0.5 * inside + details + wavering, 0, 1)


def test_a_cut_between_two_shots_of_like_composition_is_found() -> None:
    one, other = somebody(16, 0, -2, -3), somebody(16, 1, 2, 3)
    for first, second in ((one, other), (other, one)):
        assert find_cuts(np.concatenate([first, second])) == [16]
    assert find_cuts(np.concatenate([one, somebody(16, 0, -2, -3) * np.float32(0.4)])) == [], "another light alone"


def test_a_cut_between_any_two_clips_is_found_and_none_in_them(shared: Path) -> None:
    clips = [thumbnails(shared / f"data/clips/{name}_input.mp4", 6) for name in ("01", "06", "07", "10", "16")]
    assert [find_cuts(clip) for clip in clips] == [[]] * 5
    pairs = [np.concatenate(pair) for pair in permutations(clips, 2)]
    assert [find_cuts(pair) for pair in pairs] == [[6]] * 20


def test_motion_is_no_cut() -> None:
    assert find_cuts(scene(12, 0, pan=4)) == []
    assert find_cuts(scene(1, 0)) == []


def test_noise_in_a_dark_or_plain_picture_is_no_cut() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, (12, 18, 32, 3)).astype(np.float32)
    for level in (0.02, 0.5):
        assert find_cuts(level + noise) == []


def whip(fastest: float) -> np.ndarray:
    """A camera thrown from one side of a place to the other, and back: so many widths a frame, blurred by it."""
    place = moving_scene(1, 18, 160, pan=0, seed=3).plate[0]
    speeds = fastest * 32 * np.exp(-(((np.arange(24) - 12) / 4) ** 2))
    at = np.cumsum(speeds)
    at = np.where(at > 120, 240 - at, at).clip(0, 120)
    return np.stack(
        [
            cv2.blur(place, (max(1, int(speed)), 1))[:, round(x) : round(x) + 32]
            for x, speed in zip(at, speeds, strict=True)
        ]
    )


@pytest.mark.parametrize("fastest", [0.1, 0.3, 0.6, 1.0])
def test_a_camera_that_is_thrown_about_makes_no_cut(fastest: float) -> None:
    assert find_cuts(whip(fastest)) == []


def passer_by(frames: np.ndarray, count: int) -> None:
    for index in range(count):
        left = round(-32 + (index + 1) * 64 / (count + 1))
        frames[4 + index, :, max(left, 0) : max(left + 32, 0)] = (0.1, 0.08, 0.07)


CHANGES: dict[str, Callable[[np.ndarray], object]] = {
    "a flash": lambda frames: frames.__setitem__(4, 1),
    "a flash that burns out what is light": lambda frames: np.clip(4 * frames[4:6], 0, 1, out=frames[4:6]),
    "black frames": lambda frames: frames.__setitem__(slice(4, 7), 0),
    "black for long": lambda frames: frames.__setitem__(slice(4, 15), 0),
    "lights that go out": lambda frames: np.multiply(frames[6:], 0.25, out=frames[6:]),
    "lights that change their colour": lambda frames: np.multiply(frames[6:], (0.2, 0.4, 1.0), out=frames[6:]),
    "a strobe": lambda frames: np.multiply(frames[::3], 0.1, out=frames[::3]),
    "somebody before the lens": lambda frames: passer_by(frames, 2),
    "somebody slow before the lens": lambda frames: passer_by(frames, 5),
    "a few frames of something else": lambda frames: frames.__setitem__(slice(4, 9), 1 - scene(5, 1)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_no_cut(name: str) -> None:
    frames = scene(16, 0, pan=0.3)
    CHANGES[name](frames)
    assert find_cuts(frames) == []


def test_several_cuts_and_some_of_black() -> None:
    shots = [scene(6, 0), 1 - scene(5, 1), scene(7, 2), 0 * scene(3, 0), 1 - scene(6, 3)]
    assert find_cuts(np.concatenate(shots)) == [6, 11, 21]


def test_a_dark_cut_is_found() -> None:
    dark = np.concatenate([scene(6, 0), 1 - scene(6, 1)]) * np.float32(0.3)
    assert find_cuts(dark) == [6]


def test_an_insert_that_is_long_enough_is_a_shot() -> None:
    frames, long = scene(30, 0), INTERRUPTED + 2
    frames[8 : 8 + long] = 1 - scene(long, 1)
    assert find_cuts(frames) == [8, 8 + long]


def test_a_fade_is_no_cut() -> None:
    frames = scene(16, 0) * np.linspace(1, 0, 16, dtype=np.float32)[:, None, None, None]
    assert find_cuts(frames) == []

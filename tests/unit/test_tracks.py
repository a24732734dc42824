"""Points followed through a shot: window by window, by flow, hidden ones too. None of it needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from anyportal_core.catalogue import load_catalogue
from anyportal_core.errors import AnyPortalError, Cancelled, RecipeError
from anyportal_core.frames import ArraySource, FrameSource
from anyportal_core.models import Models
from anyportal_core.overlaps import chain, laid_out, read_window, windows_of
from anyportal_core.plugins.tracks.flow import FlowTracks
from anyportal_core.plugins.tracks.specs import COTRACKER, FLOW
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.registry import create
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.roles.tracks import SETTINGS, Points
from anyportal_core.settings import Settings
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.stage import stages
from anyportal_core.stages.tracks import follow_all, grid

HEIGHT, WIDTH = 72, 96


class Stored:
    """A stage's result in memory."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.arrays = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
        self.names = frozenset(self.arrays)
        self.count = len(next(iter(self.arrays.values())))

    def read(self, name: str, start: int, stop: int) -> Any:
        return self.arrays[name][start:stop]


def context(checkpoint: Callable[[], None] = lambda: None, **given: Any) -> RoleContext:
    settings = Settings.check(SETTINGS, given, "tracks")
    return RoleContext(settings, np.random.default_rng, checkpoint, lambda text: None)


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    return ((soft - soft.min()) / (soft.max() - soft.min())).astype(np.float32)


def pan(count: int, speed: int = 2) -> np.ndarray:
    """A wall that moves left by ``speed`` pixels a frame."""
    wall = texture(HEIGHT, WIDTH + speed * count)
    return np.stack([wall[:, speed * t : speed * t + WIDTH] for t in range(count)])


def passing(count: int) -> tuple[np.ndarray, np.ndarray]:
    """A wall that moves left, and a pillar in front of it that moves right; frames, and where the pillar is."""
    wall, pillar = texture(240, 320 + count), 1 - texture(240, 80, seed=5)
    frames, cover = np.stack([wall[:, t : t + 320] for t in range(count)]), np.zeros((count, 240, 320), bool)
    for t, frame in enumerate(frames):
        left = 20 + 8 * t
        frame[:, left : left + 80] = pillar
        cover[t, :, left : left + 80] = True
    return frames, cover


def followed(frames: np.ndarray, start: Points) -> tuple[np.ndarray, np.ndarray]:
    chunks = list(FlowTracks().follow(ArraySource(frames), start, context()))
    return np.concatenate([c["places"] for c in chunks]), np.concatenate([c["seen"] for c in chunks])


@pytest.mark.parametrize(("count", "length", "overlap"), [(1, 5, 2), (5, 5, 2), (6, 5, 2), (40, 13, 6), (41, 9, 1)])
def test_what_is_made_in_windows_is_read_back_in_windows(count: int, length: int, overlap: int) -> None:
    windows = chain(count, length, overlap)
    made = [np.random.default_rng(n).random((w.stop - w.start, 3)) for n, w in enumerate(windows)]
    stored = Stored(list(laid_out(windows, length, lambda number: {"a": made[number]})))
    assert stored.count == count and windows_of(stored) == windows
    for number, expected in enumerate(made):
        assert np.array_equal(read_window(stored, windows, number, "a"), expected)


def test_flow_follows_a_pan_and_knows_what_has_left() -> None:
    count = 9
    places, seen = followed(pan(count), grid(HEIGHT, WIDTH, 12))
    expected = places[0] - np.stack([[2 * t, 0] for t in range(count)])[:, None]
    inside = expected[..., 0] > 3
    assert np.abs(places - expected)[inside].max() < 1
    assert seen[inside].mean() > 0.98 and not seen[expected[..., 0] < -1].any()


def covered(places: np.ndarray, cover: np.ndarray) -> np.ndarray:
    x, y = np.floor(places).astype(int).T
    return cover[y.clip(0, cover.shape[0] - 1), x.clip(0, cover.shape[1] - 1)]


def test_a_hidden_point_goes_on_as_the_camera_moves() -> None:
    count = 12
    frames, cover = passing(count)
    start = grid(240, 320, 32)
    places, seen = followed(frames, start)
    expected = start - [count - 1, 0]
    hidden = ~covered(start, cover[0]) & covered(expected, cover[-1]) & (expected[:, 0] > 12)
    assert hidden.sum() > 200 and seen[-1][hidden].mean() < 0.1
    apart = np.linalg.norm(places[-1] - expected, axis=-1)[hidden]
    assert np.median(apart) < 1 and np.percentile(apart, 90) < 8, "hidden points were carried off by what hides them"


def test_a_lost_point_stays_unseen() -> None:
    _, seen = followed(passing(8)[0], grid(240, 320, 16))
    assert (np.diff(seen.astype(int), axis=0) <= 0).all()


@pytest.mark.parametrize("points", [1, 3, 50])
def test_any_points_can_be_followed(points: int) -> None:
    start = np.random.default_rng(0).uniform(0, [WIDTH, HEIGHT], (points, 2))
    places, seen = followed(pan(4), start)
    assert places.shape == (4, points, 2) and seen.shape == (4, points)
    assert np.array_equal(places[0], start.astype(np.float32)) and seen[0].all()


def test_when_nothing_is_seen_points_stay_where_they_were() -> None:
    frames = np.concatenate([texture(HEIGHT, WIDTH)[None], np.random.default_rng(1).random((2, HEIGHT, WIDTH, 3))])
    places, seen = followed(frames.astype(np.float32), grid(HEIGHT, WIDTH, 8))
    assert np.isfinite(places).all()
    lost_all = ~seen.any(axis=1)
    for t in np.flatnonzero(lost_all):
        assert np.array_equal(places[t], places[t - 1])


def test_the_stage_cuts_a_shot_as_the_recipe_says() -> None:
    frames = pan(20)
    result = Stored(list(follow_all(FlowTracks(), ArraySource(frames), context(points=8, window=9, overlap=3))))
    windows = windows_of(result)
    assert windows == chain(20, 9, 3) and result.count == 20
    for number, window in enumerate(windows):
        alone = followed(frames[window.start : window.stop], grid(HEIGHT, WIDTH, 8))
        assert np.array_equal(read_window(result, windows, number, "places"), alone[0])
        assert np.array_equal(read_window(result, windows, number, "seen"), alone[1])


def test_the_same_tracks_again_on_any_number_of_threads() -> None:
    runs, before = [], cv2.getNumThreads()
    try:
        for threads in (1, 3):
            cv2.setNumThreads(threads)
            runs.append(followed(passing(5)[0], grid(240, 320, 16)))
    finally:
        cv2.setNumThreads(before)
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))


class Odd:
    """Yields what it is told to."""

    def __init__(self, change: Callable[[Chunk], Chunk]) -> None:
        self._change = change

    def follow(self, plate: FrameSource, start: Points, context: RoleContext) -> Iterator[Chunk]:
        places = np.repeat(start[None].astype(np.float32), len(plate), axis=0)
        yield self._change({"places": places, "seen": np.ones(places.shape[:2], bool)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: {"places": c["places"]}, "seen"),
        (lambda c: {**c, "places": c["places"][:-1]}, "places"),
        (lambda c: {**c, "seen": c["seen"][:, 1:]}, "seen"),
        (lambda c: {**c, "depth": c["places"]}, "depth"),
        (lambda c: {**c, "places": c["places"] * np.nan}, "no numbers"),
    ],
)
def test_what_no_tracks_plugin_may_yield_is_told(change: Callable[[Chunk], Chunk], said: str) -> None:
    with pytest.raises(AnyPortalError, match=said):
        list(follow_all(Odd(change), ArraySource(pan(4)), context()))


def test_a_user_can_stop_it_within_a_window() -> None:
    calls: list[int] = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 4:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        list(follow_all(FlowTracks(), ArraySource(pan(12)), context(stop)))
    assert len(calls) == 4


def test_progress_is_told_frame_by_frame() -> None:
    told: list[float] = []
    given = RoleContext(Settings({}), np.random.default_rng, lambda: None, lambda text: None, progress=told.append)
    list(follow_all(FlowTracks(), ArraySource(pan(6)), given))
    assert np.allclose(told, np.arange(1, 7) / 6)


def test_flow_needs_no_model_and_both_take_the_same_settings() -> None:
    assert not FLOW.models and not FLOW.extra and isinstance(create(FLOW), FlowTracks)
    assert FLOW.settings == COTRACKER.settings == SETTINGS


def planned(backdrop: BackdropChoice, **settings: Any) -> list[str]:
    """The stages that the preset anyportal runs, by name."""
    catalogue = load_catalogue()
    recipe = resolve(RecipeRequest(backdrop, "anyportal", settings=settings), catalogue, frozenset({"matte"}))
    cast = Cast(recipe, catalogue, lambda: None, lambda text, warning=False: None, Models.configured(), "cpu")
    return [stage.name for stage in stages(recipe, cast)]


def test_points_are_followed_only_for_a_motion_that_is_drawn_from_them() -> None:
    prompt, colour = BackdropChoice("prompt", "a beach"), BackdropChoice("colour", "#336699")
    assert planned(prompt)[1:3] == ["tracks", "motion"]
    draft = {"motion": {"plugin": "draft.homography"}, "background": {"plugin": "draft.warp"}}
    assert "motion" in planned(colour, **draft) and "tracks" not in planned(colour, **draft)
    assert "tracks" not in planned(BackdropChoice("clip", "0" * 64))


def test_a_motion_that_is_drawn_from_tracks_asks_for_them() -> None:
    request = RecipeRequest(BackdropChoice("colour", "#336699"), settings={"motion.plugin": "tracks.video"})
    with pytest.raises(RecipeError, match="tracks plug-in") as refused:
        resolve(request, load_catalogue())
    assert refused.value.where == "recipe.settings.tracks.plugin"

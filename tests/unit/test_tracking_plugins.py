"""The tracking video from stored tracks and depth; CoTracker through a package that stands in for the user's."""

from __future__ import annotations

import importlib
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from anyportal_core.errors import (  # noqa: E402
    CheckpointError,
    GpuTooSmallError,
    MissingExtraError,
    ModelNotFoundError,
    NonFiniteLatentsError,
    RecipeError,
)
from anyportal_core.frames import ArraySource  # noqa: E402
from anyportal_core.method.tracking import draw_tracks  # noqa: E402
from anyportal_core.models import Models  # noqa: E402
from anyportal_core.overlaps import chain, laid_out, windows_of  # noqa: E402
from anyportal_core.plugins import device  # noqa: E402
from anyportal_core.plugins.loaded import forget  # noqa: E402
from anyportal_core.plugins.tracks import video  # noqa: E402
from anyportal_core.plugins.tracks.specs import COTRACKER, FLOW, VIDEO  # noqa: E402
from anyportal_core.plugins.tracks.windows import read_tracking, tracked_windows  # noqa: E402
from anyportal_core.registry import PluginSpec, create  # noqa: E402
from anyportal_core.roles import Chunk, RoleContext  # noqa: E402
from anyportal_core.settings import Settings  # noqa: E402
from anyportal_core.stages.tracks import follow_all, grid  # noqa: E402
from anyportal_core.testing.clips import moving_scene  # noqa: E402
from anyportal_core.testing.cut_short import check_goes_on  # noqa: E402
from anyportal_core.testing.tiny.depth import write_depth, write_zoedepth  # noqa: E402

HEIGHT, WIDTH = 48, 64


@pytest.fixture(autouse=True)
def nothing_loaded() -> Iterator[None]:
    forget()
    yield
    forget()


class Stored:
    """A stage's result in memory."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.arrays = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
        self.names = frozenset(self.arrays)
        self.count = len(next(iter(self.arrays.values())))

    def read(self, name: str, start: int, stop: int) -> Any:
        return self.arrays[name][start:stop]


def context(spec: PluginSpec, root: Path, **given: Any) -> RoleContext:
    settings = Settings.check(spec.settings, given, spec.name)
    return RoleContext(settings, np.random.default_rng, lambda: None, lambda text: None, models=Models(root))


def one_window(arrays: Chunk) -> Stored:
    count = len(arrays["places"])
    return Stored(list(laid_out(chain(count, 49, 8), 49, lambda number: arrays)))


def drawn(tracks: Stored, root: Path, frames: np.ndarray | None = None) -> np.ndarray:
    plate = np.zeros((tracks.count, HEIGHT, WIDTH, 3), np.float32) if frames is None else frames
    matte = ArraySource(np.zeros((*plate.shape[:3], 1), np.float32))
    chunks = create(VIDEO).follow(ArraySource(plate), matte, tracks, context(VIDEO, root))
    return np.concatenate([chunk["tracking"] for chunk in chunks])


class Distances:
    """Depth that is known: by the frame's red channel."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        self.asked += 1
        return 1 + 10 * picture[..., 0]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Distances:
    distances = Distances()
    monkeypatch.setattr(video, "_load", lambda context: distances)
    return distances


def random_tracks(count: int, points: int = 60) -> Chunk:
    rng = np.random.default_rng(0)
    start = rng.uniform(1, [WIDTH, HEIGHT], (1, points, 2))
    places = (start + rng.normal(0, 2, (count, points, 2)).cumsum(0)).astype(np.float32)
    return {"places": places, "seen": np.ones((count, points), bool)}


def test_what_is_hidden_is_drawn_where_it_is_thought_to_be(known: Distances, tmp_path: Path) -> None:
    tracks = random_tracks(5)
    hidden = {**tracks, "seen": np.random.default_rng(1).random((5, 60)) < 0.5}
    hidden["seen"][0] = True
    depth = np.ones((5, 60, 1), np.float32)
    expected = draw_tracks(np.concatenate([tracks["places"], depth], axis=-1), HEIGHT, WIDTH)
    assert np.array_equal(drawn(one_window(tracks), tmp_path), expected)
    assert np.array_equal(drawn(one_window(hidden), tmp_path), expected), "visibility changed the drawing"


def test_what_is_hidden_lies_behind_what_hides_it(known: Distances, tmp_path: Path) -> None:
    """A far point and a near one; then the near one lies over the far one, where the depth is the near one's."""
    frames = np.zeros((2, HEIGHT, WIDTH, 3), np.float32)
    frames[0, :, 32:] = 0.9
    places = np.array([[[10, 20], [50, 20]], [[48, 20], [48, 20]]], np.float32)
    seen = np.array([[True, True], [True, False]])
    made = drawn(one_window({"places": places, "seen": seen}), tmp_path, frames)
    near, far = made[0, 20, 10], made[0, 20, 50]
    assert not np.array_equal(near, far)
    # Of points equally far away the last one would be on top.
    assert np.array_equal(made[1, 20, 48], near)


def test_depth_is_that_of_the_place_in_each_frame(known: Distances, tmp_path: Path) -> None:
    rng, tracks = np.random.default_rng(2), random_tracks(4)
    frames = rng.random((4, HEIGHT, WIDTH, 3), np.float32)
    x, y = np.floor(np.moveaxis(tracks["places"], -1, 0)).astype(int)
    z = 1 + 10 * frames[np.arange(4)[:, None], y.clip(0, HEIGHT - 1), x.clip(0, WIDTH - 1), 0]
    expected = draw_tracks(np.concatenate([tracks["places"], z[..., None]], axis=-1), HEIGHT, WIDTH)
    assert np.array_equal(drawn(one_window(tracks), tmp_path, frames), expected)


def test_every_frame_is_looked_at_once_and_windows_keep_their_own_colours(known: Distances, tmp_path: Path) -> None:
    scene = moving_scene(20, HEIGHT, WIDTH)
    given = context(FLOW, tmp_path, points=8, window=9, overlap=3)
    tracks = Stored(list(follow_all(create(FLOW), ArraySource(scene.plate), given)))
    matte = ArraySource(scene.matte[..., None])
    motion = Stored(list(create(VIDEO).follow(ArraySource(scene.plate), matte, tracks, context(VIDEO, tmp_path))))
    assert known.asked == 20
    windows = tracked_windows(motion)
    assert windows == windows_of(tracks) == chain(20, 9, 3)
    for number, window in enumerate(windows):
        part = ArraySource(scene.plate[window.start : window.stop])
        alone = Stored(list(follow_all(create(FLOW), part, context(FLOW, tmp_path, points=8))))
        own = drawn(alone, tmp_path, scene.plate[window.start : window.stop])
        seen, length = read_tracking(motion, windows, number)
        assert length == 9 and np.array_equal(seen, own.astype(np.float32) / np.float32(255))


def test_a_video_that_was_cut_short_is_drawn_on(known: Distances, tmp_path: Path) -> None:
    scene, own = moving_scene(20, HEIGHT, WIDTH), context(VIDEO, tmp_path)
    given = context(FLOW, tmp_path, points=8, window=9, overlap=3)
    tracks = Stored(list(follow_all(create(FLOW), ArraySource(scene.plate), given)))
    plate, matte = ArraySource(scene.plate), ArraySource(scene.matte[..., None])
    check_goes_on(lambda part: create(VIDEO).follow(plate, matte, tracks, replace(own, part=part)), 3)


def test_tracks_in_space_need_no_depth(tmp_path: Path) -> None:
    tracks = random_tracks(3)
    depth = np.random.default_rng(3).uniform(1, 9, (3, 60)).astype(np.float32)
    expected = draw_tracks(np.concatenate([tracks["places"], depth[..., None]], axis=-1), HEIGHT, WIDTH)
    assert np.array_equal(drawn(one_window({**tracks, "depth": depth}), tmp_path / "no models"), expected)


@pytest.mark.parametrize("write", [write_depth, write_zoedepth])
def test_a_depth_network_draws_too(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "depth")
    frames = moving_scene(3, HEIGHT, WIDTH).plate
    made = drawn(one_window(random_tracks(3)), tmp_path, frames)
    assert made.shape == frames.shape and made.any(axis=(1, 2, 3)).all()


def test_without_tracks_there_is_nothing_to_draw(tmp_path: Path) -> None:
    plate = ArraySource(np.zeros((1, HEIGHT, WIDTH, 3), np.float32))
    with pytest.raises(RecipeError) as refused:
        list(create(VIDEO).follow(plate, plate, None, context(VIDEO, tmp_path)))
    assert "tracks.plugin" in refused.value.hint


STAND_IN = '''
import torch


class Network(torch.nn.Module):
    model_resolution = (24, 32)

    def __init__(self):
        super().__init__()
        self.drift = torch.nn.Parameter(torch.zeros(2))
        self.register_buffer("grid", torch.zeros(3))


class CoTrackerPredictor(torch.nn.Module):
    """The documented predictor of CoTracker 3: every point drifts by a weight's pixels a frame."""

    calls = []

    def __init__(self, checkpoint="./checkpoints/scaled_offline.pth", offline=True, v2=False, window_len=60):
        super().__init__()
        assert checkpoint is None and offline and not v2, "it would unpickle a checkpoint by itself"
        self.interp_shape = Network.model_resolution
        self.model = Network()
        self.model.eval()

    @torch.no_grad()
    def forward(
        self, video, queries=None, segm_mask=None, grid_size=0, grid_query_frame=0, backward_tracking=False
    ):
        batch, frames, channels, height, width = video.shape
        assert batch == 1 and channels == 3 and video.dtype == torch.float32
        assert queries.shape[0] == 1 and queries.shape[2] == 3 and (queries[..., 0] == 0).all()
        assert not self.model.training
        CoTrackerPredictor.calls.append((float(video.max()), queries.clone()))
        time = torch.arange(frames, dtype=torch.float32)[None, :, None, None]
        tracks = queries[:, None, :, 1:] + time * self.model.drift
        visible = (tracks[..., 0] >= 0) & (tracks[..., 0] <= width - 1)
        return tracks, visible
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    folder = tmp_path / "site" / "cotracker"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "predictor.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(str(folder.parent))
    importlib.invalidate_caches()
    yield lambda: sys.modules["cotracker.predictor"].CoTrackerPredictor
    for name in ("cotracker.predictor", "cotracker"):
        sys.modules.pop(name, None)


def write_cotracker(root: Path, drift: tuple[float, float] = (1.5, -0.5), **more: Any) -> Path:
    file = Models(root).place("cotracker")
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"drift": torch.tensor(drift), "grid": torch.ones(3), **more}, file)
    return file


def tracked(root: Path, count: int = 7) -> Stored:
    plate = ArraySource(np.ones((count, HEIGHT, WIDTH, 3), np.float32))
    return Stored(list(follow_all(create(COTRACKER), plate, context(COTRACKER, root, points=6))))


def test_cotracker_follows_the_grid_by_the_users_package_and_weights(package: Any, tmp_path: Path) -> None:
    write_cotracker(tmp_path)
    found = tracked(tmp_path)
    start = grid(HEIGHT, WIDTH, 6)
    expected = start + np.arange(7)[:, None, None] * [1.5, -0.5]
    assert np.abs(found.arrays["places"] - expected).max() < 1e-4
    assert np.array_equal(found.arrays["places"][0], start.astype(np.float32))
    assert np.array_equal(found.arrays["seen"], expected[..., 0] <= WIDTH - 0.5)
    ((brightest, queries),) = package().calls
    assert brightest == 255 and np.allclose(queries[0, :, 1:], start - 0.5)


def test_cotracker_draws_what_it_does_not_see(package: Any, known: Distances, tmp_path: Path) -> None:
    write_cotracker(tmp_path, drift=(0.0, 0.0))
    found = tracked(tmp_path)
    found.arrays["seen"][1:] = False
    made = drawn(found, tmp_path)
    assert all(np.array_equal(made[1], frame) for frame in made[1:]) and made[1].any()


class Bomb:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._path),)


def test_a_pickle_that_holds_code_is_refused_and_not_run(package: Any, tmp_path: Path) -> None:
    file = write_cotracker(tmp_path)
    with file.open("wb") as opened:
        pickle.dump({"drift": Bomb(tmp_path / "ran")}, opened)
    with pytest.raises(CheckpointError) as refused:
        tracked(tmp_path)
    assert not (tmp_path / "ran").exists() and str(file) in refused.value.where


@pytest.mark.parametrize("change", ["extra", "misshapen"])
def test_weights_of_something_else_are_named(package: Any, tmp_path: Path, change: str) -> None:
    write_cotracker(tmp_path, **({"fnet.conv": torch.ones(1)} if change == "extra" else {"grid": torch.ones(4)}))
    with pytest.raises(CheckpointError, match="fnet.conv" if change == "extra" else "grid"):
        tracked(tmp_path)


def test_without_the_package_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cotracker(tmp_path)
    monkeypatch.setitem(sys.modules, "cotracker", None)
    with pytest.raises(MissingExtraError) as refused:
        tracked(tmp_path)
    assert "facebookresearch/co-tracker" in refused.value.hint and "tracks.flow" in refused.value.hint


def test_without_the_weights_it_says_where_they_belong(package: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="cotracker") as refused:
        tracked(tmp_path)
    assert "facebook/cotracker3" in refused.value.hint


def test_places_that_are_no_numbers_are_an_error(package: Any, tmp_path: Path) -> None:
    write_cotracker(tmp_path, drift=(float("nan"), 0.0))
    with pytest.raises(NonFiniteLatentsError) as stopped:
        tracked(tmp_path)
    assert stopped.value.where == "tracks" and "tracks.flow" in stopped.value.hint


@pytest.mark.parametrize("spec", [VIDEO, COTRACKER], ids=lambda spec: spec.name)
def test_a_gpu_that_is_too_small_is_told_before_any_work(
    spec: PluginSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_depth(tmp_path / "depth")
    write_cotracker(tmp_path)
    given = replace(context(spec, tmp_path), device="cuda:0")
    monkeypatch.setattr(device, "device_memory", lambda name: device.Memory(1.0, 1.0))
    with pytest.raises(GpuTooSmallError):
        create(spec).check_memory(given)
    monkeypatch.setattr(device, "device_memory", lambda name: device.Memory(20.0, 24.0))
    create(spec).check_memory(given)

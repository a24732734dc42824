"""The contracts of the roles ``motion``, ``background``, ``harmonise`` and ``refine``, for any plug-in.

Build a ``SceneCase`` with the plug-in's spec and run every check of its role on it::

    @pytest.mark.parametrize("check", CHECKS["motion"], ids=lambda check: check.__name__)
    def test_contract(check):
        check(SceneCase(spec))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from anyportal_core.errors import Cancelled
from anyportal_core.frames import ArraySource, FrameSource, Image
from anyportal_core.registry import PluginSpec, Role, create
from anyportal_core.roles import Array, Chunk, RoleContext
from anyportal_core.roles.background import Backdrop, BackgroundInputs
from anyportal_core.settings import Settings
from anyportal_core.testing.clips import Scene, moving_scene

MOST_AT_ONCE = 49
"""Frames that a plug-in may ask of a source in one read: one window of the largest model."""


class StoredArrays:
    """A stage's result that lies in memory."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)
        self.names = frozenset(arrays)
        self.count = len(next(iter(arrays.values())))

    def read(self, name: str, start: int, stop: int) -> Array:
        assert 0 <= start <= stop <= self.count, f"frames {start}..{stop} of {self.count} were asked for"
        return self._arrays[name][start:stop]


class WatchedSource(ArraySource):
    """Frames that cannot be written to, from a source that notes how many are asked for at once."""

    most = 0

    def read(self, start: int, stop: int) -> Image:
        assert 0 <= start < stop <= len(self), f"frames {start}..{stop} of {len(self)} were asked for"
        self.most = max(self.most, stop - start)
        frames = super().read(start, stop).copy()
        frames.flags.writeable = False
        return frames


def _moved(count: int) -> Mapping[str, Array]:
    """A camera that pans by a hundredth of the picture a frame."""
    homography = np.broadcast_to(np.eye(3), (count, 3, 3)).copy()
    homography[:, 0, 2] = -0.01 * np.arange(count)
    return {"homography": homography, "confidence": np.ones(count, np.float32)}


def _gain(count: int) -> Mapping[str, Array]:
    return {"log_gain": np.full((count, 12, 18, 3), 0.2, np.float32)}


@dataclass(frozen=True)
class SceneCase:
    """A shot that a plug-in can do.

    Args:
        spec: the plug-in.
        scene: the shot, its matte, and (for harmonise and refine) the new background, at work size.
        settings: what differs from the defaults.
        earlier: makes the earlier stage's result that the role is given, for a number of frames: the motion for
            ``background``, the harmonised light for ``refine``.
        backdrop: for ``background``.
    """

    spec: PluginSpec
    scene: Scene = field(default_factory=moving_scene)
    settings: Mapping[str, object] = field(default_factory=dict)
    earlier: Callable[[int], Mapping[str, Array]] | None = None
    backdrop: Image = field(default_factory=lambda: moving_scene(count=3, height=90, width=120, seed=9).background)

    def context(self, checkpoint: Callable[[], None] = lambda: None) -> RoleContext:
        checked = Settings.check(self.spec.settings, self.settings, self.spec.name)
        return RoleContext(checked, np.random.default_rng, checkpoint, lambda text: None)

    def run(
        self,
        plugin: Any = None,
        context: RoleContext | None = None,
        source: Callable[[Image], FrameSource] = ArraySource,
    ) -> Any:
        """What a plug-in, a fresh one by default, yields for the shot."""
        plugin, context = plugin or create(self.spec), context or self.context()
        plate, matte = source(self.scene.plate), source(self.scene.matte[..., None])
        count = len(self.scene.plate)
        if self.spec.role == "motion":
            return plugin.follow(plate, matte, None, context)
        if self.spec.role == "background":
            motion = StoredArrays((self.earlier or _moved)(count))
            return plugin.make(BackgroundInputs(plate, matte, motion, self.still(source), 24.0), context)
        new = source(self.scene.background)
        if self.spec.role == "harmonise":
            return plugin.relight(plate, matte, new, context)
        return plugin.steady(plate, matte, new, StoredArrays((self.earlier or _gain)(count)), context)

    def still(self, source: Callable[[Image], FrameSource] = ArraySource) -> Backdrop:
        """The backdrop as a clip, where the plug-in takes clips, else its first picture."""
        if "clip" in self.spec.backdrops:
            return Backdrop("clip", frames=source(self.backdrop), rate=24.0)
        if "still" in self.spec.backdrops:
            return Backdrop("still", frames=source(self.backdrop[:1]))
        return Backdrop("prompt", prompt="a quiet street")

    def result(self, **given: Any) -> Chunk:
        """All that is yielded, as one chunk."""
        return joined(list(self.run(**given)))

    def of(self, count: int) -> SceneCase:
        """The same case with so many frames: its first ones, or all of them over and over."""
        scene, order = self.scene, np.arange(count) % len(self.scene.plate)
        return replace(self, scene=Scene(scene.plate[order], scene.matte[order], scene.background[order]))


def joined(chunks: list[Chunk]) -> Chunk:
    """All chunks as one."""
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def checks_its_own_defaults(case: SceneCase) -> None:
    """Every default is a value that a recipe may state, and a panel has something to say about it."""
    for setting in case.spec.settings:
        assert setting.check(setting.default, setting.name) == setting.default
        assert setting.help.endswith("."), f"{setting.name} needs a sentence of help"


def yields_all_frames_in_order(case: SceneCase) -> None:
    """Chunks of the same arrays and shapes, as many frames as the plate has, and nothing that is not a number."""
    chunks = list(case.run())
    assert len({frozenset(chunk) for chunk in chunks}) == 1, "chunks differ in their arrays"
    for name in chunks[0]:
        assert len({chunk[name].shape[1:] for chunk in chunks}) == 1, f"{name} changes its shape"
        assert len({chunk[name].dtype for chunk in chunks}) == 1, f"{name} changes its type"
    for chunk in chunks:
        lengths = {len(array) for array in chunk.values()}
        assert len(lengths) == 1 and 0 not in lengths, "arrays of a chunk differ in length, or are empty"
    whole = joined(chunks)
    for name, array in whole.items():
        assert len(array) == len(case.scene.plate), f"{name} has {len(array)} frames"
        assert np.isfinite(array.astype(np.float64)).all(), f"{name} has values that are no numbers"


def repeats_itself(case: SceneCase) -> None:
    """The same bytes again: from a used object, from a fresh one, and on any number of OpenCV threads."""
    plugin = create(case.spec)
    first, again = case.result(plugin=plugin), case.result(plugin=plugin)
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1 if before > 1 else 3)
        fresh = case.result()
    finally:
        cv2.setNumThreads(before)
    for name, array in first.items():
        assert array.tobytes() == again[name].tobytes(), f"{name} differs when an object is used twice"
        assert array.tobytes() == fresh[name].tobytes(), f"{name} differs on another number of threads"


def takes_one_frame(case: SceneCase) -> None:
    """A shot of one frame is a shot."""
    yields_all_frames_in_order(case.of(1))


def reads_in_windows(case: SceneCase) -> None:
    """It asks for few frames at once, only for such as there are, and never writes to them."""
    made: list[WatchedSource] = []

    def watched(frames: Image) -> WatchedSource:
        made.append(WatchedSource(frames))
        return made[-1]

    list(case.of(MOST_AT_ONCE + 11).run(source=watched))
    most = max(source.most for source in made)
    assert most <= MOST_AT_ONCE, f"{most} frames were asked for at once"


def can_be_cancelled(case: SceneCase) -> None:
    """What a checkpoint raises passes through; a yielded chunk is a checkpoint of the caller's."""

    def cancel() -> None:
        raise Cancelled("the user asked for it")

    try:
        next(iter(case.run(context=case.context(cancel))))
    except Cancelled:
        return


def bears_extremes(case: SceneCase) -> None:
    """No foreground, nothing but foreground, and black pictures are shots too."""
    scene = case.scene
    for odd in (
        replace(scene, matte=np.zeros_like(scene.matte)),
        replace(scene, matte=np.ones_like(scene.matte)),
        replace(scene, plate=np.zeros_like(scene.plate)),
        replace(scene, background=np.zeros_like(scene.background)),
    ):
        yields_all_frames_in_order(replace(case, scene=odd))


def starts_at_the_identity(case: SceneCase) -> None:
    """``homography`` float64 with ``[2, 2] == 1``, the first the identity; ``confidence`` float32 0..1."""
    result = case.result()
    homography, confidence = result["homography"], result["confidence"]
    assert homography.dtype == np.float64 and homography.shape[1:] == (3, 3)
    assert (homography[0] == np.eye(3)).all() and (homography[:, 2, 2] == 1).all()
    assert confidence.dtype == np.float32 and confidence.min() >= 0 and confidence.max() <= 1


def follows_a_pan(case: SceneCase) -> None:
    """A wall that moves one pixel a frame is found to, in unit coordinates; one that stands is exactly still."""
    count, _, width = case.scene.matte.shape
    found = case.result()["homography"]
    pixels = found[:, 0, 2] * width
    assert np.abs(pixels + np.arange(count)).max() < 0.6, f"a pan of 1 pixel a frame was seen as {pixels}"
    standing = np.repeat(case.scene.background[:1], count, axis=0)
    cover = case.scene.matte[..., None]
    still = replace(case.scene, plate=case.scene.plate * cover + standing * (1 - cover))
    found = replace(case, scene=still).result()["homography"]
    assert (found == np.eye(3)).all(), "a static camera is not exactly static"


def renders_at_any_size(case: SceneCase) -> None:
    """``render`` gives float32 pictures of the size asked for, the same ones again, in the backdrop's encoding."""
    plugin, result = create(case.spec), case.result()
    for index in (0, len(case.scene.plate) - 1):
        stored = {name: array[index] for name, array in result.items()}
        picture = _picture(case, stored)
        for height, width in ((64, 96), (90, 135), (33, 50)):
            image = plugin.render(stored, picture, height, width, case.context())
            assert image.dtype == np.float32 and image.shape == (height, width, 3)
            again = create(case.spec).render(stored, picture, height, width, case.context())
            assert image.tobytes() == again.tobytes(), "another object renders other pixels"
        if picture is not None:
            flat = plugin.render(stored, np.full_like(picture, 4.0), 64, 96, case.context())
            assert np.abs(flat - 4).max() < 1e-3, "a border shows, or values above 1 are lost"


def _picture(case: SceneCase, stored: Chunk) -> Image | None:
    if "backdrop_index" not in stored:
        return None
    index = int(stored["backdrop_index"])
    assert 0 <= index < len(case.backdrop), f"there is no backdrop frame {index}"
    picture: Image = case.backdrop[index]
    return picture


def yields_light(case: SceneCase) -> None:
    """``log_gain`` float32 ``(t, h, w, 3)`` no larger than the plate, with or without ``veil``, or ``relit``."""
    result, (count, height, width) = case.result(), case.scene.matte.shape
    if "relit" in result:
        assert result["relit"].shape == (count, height, width, 3)
        return
    gain = result["log_gain"]
    assert gain.dtype == np.float32 and gain.ndim == 4 and gain.shape[3] == 3
    assert gain.shape[1] <= height and gain.shape[2] <= width
    veil = result.get("veil", np.zeros((count, 2, 3), np.float32))
    assert veil.dtype == np.float32 and veil.shape == (count, 2, 3) and veil.min() >= 0


def follows_the_light(case: SceneCase) -> None:
    """A lighter background makes the foreground lighter than a darker one does."""
    levels = []
    for level in (0.15, 0.75):
        scene = replace(case.scene, background=np.full_like(case.scene.background, level))
        result = replace(case, scene=scene).result()
        cover = case.scene.matte[..., None] > 0.5
        levels.append(float((result["relit"] * cover).mean() if "relit" in result else result["log_gain"].mean()))
    assert levels[0] < levels[1]


def keeps_a_steady_gain(case: SceneCase) -> None:
    """A gain that is the same everywhere and always is no noise, and comes back as it was."""
    result = np.asarray(replace(case, earlier=_gain).result()["log_gain"])
    assert result.dtype == np.float32 and result.ndim == 4 and result.shape[3] == 3
    assert np.abs(result.astype(np.float64) - 0.2).max() < 1e-4


def damps_flicker(case: SceneCase) -> None:
    """A gain that changes from frame to frame leaves with less of it, where the foreground is."""

    def flickering(count: int) -> Mapping[str, Array]:
        signs = np.where(np.arange(count) % 2, 0.2, -0.2).astype(np.float32)
        return {"log_gain": np.broadcast_to(signs[:, None, None, None], (count, 12, 18, 3)).copy()}

    result = replace(case, earlier=flickering).result()["log_gain"]
    middle = result[2:-2, result.shape[1] * 2 // 3, result.shape[2] // 2]
    assert np.abs(np.diff(middle, axis=0)).mean() < 0.5 * 0.4


def reads_relit_frames(case: SceneCase) -> None:
    """What a relighting model painted is turned into its light: relit frames in, a gain out."""
    plate, count = case.scene.plate, len(case.scene.plate)
    light = np.where(plate > 0.04045, ((plate + 0.055) / 1.055) ** 2.4, plate / 12.92) * 1.5
    relit = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, light * 12.92).astype(np.float32)
    gain = replace(case, earlier=lambda _: {"relit": relit}).result()["log_gain"]
    assert len(gain) == count
    middle = gain[:, gain.shape[1] * 2 // 3, gain.shape[2] // 2]
    assert np.abs(middle.astype(np.float64) - np.log(1.5)).max() < 0.05


_COMMON: tuple[Callable[[SceneCase], None], ...] = (
    checks_its_own_defaults,
    yields_all_frames_in_order,
    repeats_itself,
    takes_one_frame,
    reads_in_windows,
    can_be_cancelled,
    bears_extremes,
)

CHECKS: dict[Role, tuple[Callable[[SceneCase], None], ...]] = {
    "motion": (*_COMMON, starts_at_the_identity, follows_a_pan),
    "background": (*_COMMON, renders_at_any_size),
    "harmonise": (*_COMMON, yields_light, follows_the_light),
    "refine": (*_COMMON, keeps_a_steady_gain, damps_flicker, reads_relit_frames),
}
"""By role, every check of its contract; a motion plug-in that makes a tracking video skips the last two."""

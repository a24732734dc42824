"""The contract of the role ``matte``: what every plug-in must keep, ours and third-party ones alike.

Build a ``MatteCase`` with a shot that the plug-in can do, and run every check of ``CHECKS`` on it::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_contract(check):
        check(MatteCase(spec, scene, hints))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np

from anyportal_core.errors import Cancelled
from anyportal_core.frames import ArraySource, FrameSource, Image
from anyportal_core.models import Models
from anyportal_core.registry import PluginSpec, create
from anyportal_core.roles import Chunk, Prompts, RoleContext, Stored
from anyportal_core.roles.matte import MatteHints, MattePlugin
from anyportal_core.settings import Settings
from anyportal_core.testing.clips import Scene

MOST_AT_ONCE = 49
"""Frames that a plug-in may ask of a source in one read: one window of the largest model."""


@dataclass(frozen=True)
class MatteCase:
    """A shot that a plug-in can do.

    Args:
        spec: the plug-in.
        scene: the shot and its true matte, at work size.
        hints: makes the hints for a number of frames, counted from the shot's first.
        settings: what differs from the defaults.
        tolerance: greatest mean absolute difference to the true matte.
        models: where the plug-in's models lie.
    """

    spec: PluginSpec
    scene: Scene
    hints: Callable[[Scene, int], MatteHints] = lambda scene, count: MatteHints()
    settings: Mapping[str, object] = field(default_factory=dict)
    tolerance: float = 0.02
    models: Models = field(default_factory=Models.configured)

    def plugin(self) -> MattePlugin:
        return cast(MattePlugin, create(self.spec))

    def context(self, checkpoint: Callable[[], None] = lambda: None) -> RoleContext:
        checked = Settings.check(self.spec.settings, self.settings, self.spec.name)
        return RoleContext(
            checked, np.random.default_rng, checkpoint, lambda text: None, Prompts(), self.models, device="cpu"
        )

    def find(self, count: int | None = None, plate: FrameSource | None = None) -> list[Chunk]:
        """What a fresh plug-in yields for the first ``count`` frames."""
        frames = self.scene.plate[:count]
        plate = plate or ArraySource(frames)
        return list(self.plugin().find(plate, self.hints(self.scene, len(frames)), self.context()))


class _Watched:
    """A source that notes how much is asked at once and lends frames that cannot be written to."""

    def __init__(self, frames: Image) -> None:
        self._source = ArraySource(frames)
        self.numbers, self.height, self.width = self._source.numbers, self._source.height, self._source.width
        self.most = 0

    def __len__(self) -> int:
        return len(self._source)

    def read(self, start: int, stop: int) -> Image:
        assert 0 <= start < stop <= len(self), f"frames {start}..{stop} of {len(self)} were asked for"
        self.most = max(self.most, stop - start)
        frames = self._source.read(start, stop).copy()
        frames.flags.writeable = False
        return frames


def joined(chunks: list[Chunk]) -> Chunk:
    """All chunks as one."""
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def checks_its_own_defaults(case: MatteCase) -> None:
    """Every default is a value that a recipe may state."""
    for setting in case.spec.settings:
        assert setting.check(setting.default, setting.name) == setting.default
        assert setting.help.endswith("."), f"{setting.name} needs a sentence of help"


def yields_all_frames_in_order(case: MatteCase) -> None:
    """Chunks of the same arrays, ``alpha`` float32 0..1 at the plate's size, as many frames as the plate has."""
    chunks = case.find()
    count, height, width = case.scene.matte.shape
    assert len({frozenset(chunk) for chunk in chunks}) == 1, "chunks differ in their arrays"
    for chunk in chunks:
        lengths = {len(array) for array in chunk.values()}
        assert len(lengths) == 1 and 0 not in lengths, "arrays of a chunk differ in length, or are empty"
    alpha = joined(chunks)["alpha"]
    assert alpha.dtype == np.float32 and alpha.shape == (count, height, width)
    _is_alpha(alpha)


def finds_the_foreground(case: MatteCase) -> None:
    """Each frame's alpha belongs to that frame."""
    alpha = joined(case.find())["alpha"].astype(np.float32)
    for index, truth in enumerate(case.scene.matte):
        off = float(np.abs(alpha[index] - truth).mean())
        assert off <= case.tolerance, f"frame {index} is off by {off:.4f}"


def repeats_itself(case: MatteCase) -> None:
    """The same bytes again: from a fresh object, from a used one, and on any number of OpenCV threads."""
    plugin, plate, hints = case.plugin(), ArraySource(case.scene.plate), case.hints(case.scene, len(case.scene.plate))
    first = joined(list(plugin.find(plate, hints, case.context())))
    again = joined(list(plugin.find(plate, hints, case.context())))
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1 if before > 1 else 3)
        fresh = joined(case.find())
    finally:
        cv2.setNumThreads(before)
    for name, array in first.items():
        assert array.tobytes() == again[name].tobytes(), f"{name} differs when an object is used twice"
        assert array.tobytes() == fresh[name].tobytes(), f"{name} differs on another number of threads"


def takes_one_frame(case: MatteCase) -> None:
    """A shot of one frame is a shot."""
    alpha = joined(case.find(count=1))["alpha"]
    assert alpha.shape == case.scene.matte[:1].shape


def reads_in_windows(case: MatteCase) -> None:
    """It asks for few frames at once, only for such as there are, and never writes to them."""
    watched = _Watched(case.scene.plate)
    case.find(plate=watched)
    assert watched.most <= MOST_AT_ONCE, f"{watched.most} frames were asked for at once"


def can_be_cancelled(case: MatteCase) -> None:
    """What a checkpoint raises passes through."""

    def cancel() -> None:
        raise Cancelled("the user asked for it")

    hints = case.hints(case.scene, len(case.scene.plate))
    found = case.plugin().find(ArraySource(case.scene.plate), hints, case.context(cancel))
    try:
        next(iter(found))  # a yielded chunk is a checkpoint of the caller's
    except Cancelled:
        return
    cast(Callable[[], None], getattr(found, "close", lambda: None))()


def renders_at_any_size(case: MatteCase) -> None:
    """Alpha 0..1 at the frame's own size, and the frame is left alone."""
    stored, frame, given = _first(case)
    for scale in (1.0, 1.5, 2.1):
        size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
        large = cast(Image, cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR))
        large.flags.writeable = False
        full = None if given is None else cast(Image, cv2.resize(given, size))
        alpha = case.plugin().render(large, stored, full, case.context())
        assert alpha.dtype == np.float32 and alpha.shape == large.shape[:2]
        _is_alpha(alpha)
        off = float(np.abs(cv2.resize(alpha, case.scene.matte.shape[:0:-1]) - case.scene.matte[0]).mean())
        assert off <= case.tolerance, f"at {size[0]}x{size[1]} it is off by {off:.4f}"


def renders_a_clean_core(case: MatteCase) -> None:
    """Well inside alpha is exactly 1 and well outside exactly 0, so that nothing there is ever touched."""
    stored, frame, given = _first(case)
    alpha = case.plugin().render(frame, stored, given, case.context())
    disc = np.ones((13, 13), np.uint8)
    inside, outside = cv2.erode(case.scene.matte[0], disc) > 0.99, cv2.dilate(case.scene.matte[0], disc) < 0.01
    assert np.mean(alpha[inside] == 1) > 0.99, "the core is not solid"
    assert np.mean(alpha[outside] == 0) > 0.99, "the outside is not clear"


CHECKS: tuple[Callable[[MatteCase], None], ...] = (
    checks_its_own_defaults,
    yields_all_frames_in_order,
    finds_the_foreground,
    repeats_itself,
    takes_one_frame,
    reads_in_windows,
    can_be_cancelled,
    renders_at_any_size,
    renders_a_clean_core,
)


def _first(case: MatteCase) -> tuple[Stored, Image, Image | None]:
    stored = {name: array[0] for name, array in joined(case.find(count=2)).items()}
    hints = case.hints(case.scene, 2)
    given = None if hints.matte is None else hints.matte.read(0, 1)[0, ..., 0]
    return stored, case.scene.plate[0], given


def _is_alpha(alpha: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    values = alpha.astype(np.float64)
    assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1, "alpha is not within 0..1"

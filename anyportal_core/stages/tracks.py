"""Stage ``tracks``: points followed through the shot, window by window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from anyportal_core.errors import AnyPortalError
from anyportal_core.frames import FrameSource, Image
from anyportal_core.overlaps import chain, laid_out
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.roles.tracks import OVERLAP, POINTS, WINDOW, Points, TracksPlugin
from anyportal_core.settings import Setting
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material
from anyportal_core.windows import Window

CODE_VERSION = 1


def run(material: Material, cast: Cast) -> Iterator[Chunk]:
    plugin: TracksPlugin = cast.plugin("tracks")
    yield from follow_all(plugin, material.clean_plate(), cast.context("tracks"))


def follow_all(plugin: TracksPlugin, plate: FrameSource, context: RoleContext) -> Iterator[Chunk]:
    """A plug-in's tracks of every window, laid out frame by frame (see `anyportal_core.overlaps`).

    Raises:
        AnyPortalError: the plug-in yielded what its role does not say.
    """
    side, length, overlap = (_value(context.settings, setting) for setting in (POINTS, WINDOW, OVERLAP))
    length = (length - 1) // 4 * 4 + 1
    start = grid(plate.height, plate.width, side)
    windows = chain(len(plate), length, min(overlap, length // 2))

    def followed(number: int) -> Chunk:
        chunks = []
        for chunk in plugin.follow(_Part(plate, windows[number]), start, context):
            chunks.append(chunk)
            context.checkpoint()
            context.progress((windows[number].start + sum(map(_length, chunks))) / len(plate))
        tracks = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]} if chunks else {}
        _check(tracks, len(windows[number].indices), len(start))
        return tracks

    return laid_out(windows, length, lambda number: context.part(number, partial(followed, number)))


def grid(height: int, width: int, side: int) -> Points:
    """The middles of ``side`` by ``side`` cells, ``(side * side, 2)`` x and y, row by row."""
    x, y = np.meshgrid((np.arange(side) + 0.5) * width / side, (np.arange(side) + 0.5) * height / side)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


class _Part:
    """The frames of one window."""

    def __init__(self, whole: FrameSource, window: Window) -> None:
        self._whole, self._window = whole, window
        self.numbers = whole.numbers[window.start : window.stop]
        self.height, self.width = whole.height, whole.width

    def __len__(self) -> int:
        return self._window.stop - self._window.start

    def read(self, start: int, stop: int) -> Image:
        return self._whole.read(self._window.start + start, min(self._window.start + stop, self._window.stop))


def _value(settings: Mapping[str, object], setting: Setting) -> int:
    return int(str(settings.get(setting.name, setting.default)))


def _length(chunk: Chunk) -> int:
    return len(next(iter(chunk.values())))


def _check(tracks: Chunk, frames: int, points: int) -> None:
    shapes = {"places": (frames, points, 2), "seen": (frames, points), "depth": (frames, points)}
    wrong = {"places", "seen"} - tracks.keys() | {
        name for name, array in tracks.items() if array.shape != shapes.get(name)
    }
    if wrong:
        raise AnyPortalError(f"a tracks plug-in yielded no good {', '.join(sorted(wrong))}", where="tracks")
    for name in tracks.keys() - {"seen"}:
        if not np.isfinite(np.asarray(tracks[name], np.float64)).all():
            raise AnyPortalError(f"a tracks plug-in yielded {name} that are no numbers", where="tracks")

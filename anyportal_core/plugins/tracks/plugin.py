"""Role ``motion``: points followed through the shot, drawn as a tracking video."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import FrameSource, Image
from anyportal_core.method.tracking import Canvas, draw_tracks
from anyportal_core.plugins.draft.flow import Flow, FlowPair
from anyportal_core.plugins.loaded import keep
from anyportal_core.plugins.tracks.depth import Depth, load_depth
from anyportal_core.plugins.tracks.windows import chain
from anyportal_core.roles import Chunk, RoleContext

Points = NDArray[np.float64]


class TrackingVideo:
    """Depth, and points carried by dense optical flow."""

    def follow(self, plate: FrameSource, matte: FrameSource, context: RoleContext) -> Iterator[Chunk]:
        """Yield ``tracking`` ``(t, H, W, 3)`` uint8, drawn from the first frame of the window that begins last.

        Further: ``tracking_before``, as the window before sees the same frame, black where there is none;
        ``window_start`` and ``window_length`` ``(t,)``. The foreground's points are followed like all others.
        """
        settings = context.settings
        length, depth = (settings.integer("window") - 1) // 4 * 4 + 1, _depth(context)
        windows = chain(len(plate), length, min(settings.integer("overlap"), length // 2))
        before = np.zeros((0, plate.height, plate.width, 3), np.uint8)
        for number, window in enumerate(windows):
            tracks = follow(plate, window.indices, settings.integer("points"), depth, context.checkpoint)
            drawn = draw_tracks(tracks, plate.height, plate.width)
            end = windows[number + 1].start if number + 1 < len(windows) else window.stop
            count = end - window.start
            seen_before: Canvas = np.zeros_like(drawn[:count])
            seen_before[: len(before)] = before
            yield {
                "tracking": drawn[:count],
                "tracking_before": seen_before,
                "window_start": np.full(count, window.start, np.int64),
                "window_length": np.full(count, length, np.int64),
            }
            before = drawn[count:]


def follow(
    plate: FrameSource,
    indices: tuple[int, ...],
    side: int,
    depth: Callable[[Image], Image],
    checkpoint: Callable[[], None],
) -> Points:
    """Tracks ``(T, side * side, 3)`` of x, y in pixels and depth z of points that lie on a grid in the first frame.

    A point is lost, all 0, from where the way there and back no longer closes.
    """
    flow = Flow()
    frame = plate.read(indices[0], indices[0] + 1)[0]
    places = _grid(plate.height, plate.width, side)
    lost = np.zeros(len(places), bool)
    tracks = [_with_depth(places, depth(frame), lost)]
    for index in indices[1:]:
        checkpoint()
        after = plate.read(index, index + 1)[0]
        places, lost = _moved(places, lost, flow.pair(frame, after))
        tracks.append(_with_depth(places, depth(after), lost))
        frame = after
    return np.stack(tracks)


def _grid(height: int, width: int, side: int) -> Points:
    """The middles of ``side`` by ``side`` cells, ``(N, 2)`` x and y."""
    x, y = np.meshgrid((np.arange(side) + 0.5) * width / side, (np.arange(side) + 0.5) * height / side)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


def _moved(places: Points, lost: NDArray[np.bool_], flow: FlowPair) -> tuple[Points, NDArray[np.bool_]]:
    rows, columns = _pixels(places, flow.seen.shape)
    return places + flow.forward[rows, columns], lost | ~flow.seen[rows, columns]


def _with_depth(places: Points, depth: Image, lost: NDArray[np.bool_]) -> Points:
    rows, columns = _pixels(places, depth.shape)
    points = np.concatenate([places, depth[rows, columns, None]], axis=-1)
    points[lost] = 0
    return points


def _pixels(places: Points, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the pixels that places lie in, or nearest to."""
    x, y = places.astype(np.intp).T
    return y.clip(0, shape[0] - 1), x.clip(0, shape[1] - 1)


def _depth(context: RoleContext) -> Depth:
    folder = context.models.find("depth")
    key = "depth", context.models.revision("depth"), context.device
    return keep(key, lambda: load_depth(folder, context.device))

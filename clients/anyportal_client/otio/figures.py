"""Two figures for each shot beside its pictures: does it flicker, and has the foreground kept its detail.

Both compare the result with the plate, so that they mean something whatever the footage. They tell where to look and
are no verdict: a plate with a strobe flickers, and compression takes detail from grain first.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from av.filter import Graph
from av.video.frame import VideoFrame

from anyportal_client.otio.outcomes import Result
from anyportal_client.otio.plan import PlannedShot
from anyportal_client.otio.thumbnails import frames_from
from anyportal_client.patterns import is_pattern

GRID = (64, 36)
_STEADY_FRAMES = 24
_DETAIL_FRAMES = 4
_WHITE = 65535.0
_FOREGROUND = 0.9
_FEWEST = 4
"""Cells of the grid that the foreground has to fill for its detail to be told."""

Grid = Sequence[int]


def measure(shot: PlannedShot, result: Result) -> dict[str, float]:
    """The figures of a result, as far as they can be taken: no figure is worth a shot.

    Returns:
        flicker, flicker_plate: how far brightness jumps from its course between neighbouring frames, in percent of
            white. detail: fine contrast of the foreground in percent of the plate's; only where its matte is at hand.
    """
    try:
        return dict(_measured(shot, result))
    except Exception:  # whatever a decoder makes of the files
        return {}


def _measured(shot: PlannedShot, result: Result) -> Iterator[tuple[str, float]]:
    if shot.media is None or "comp" not in result.files:
        return
    first, last = result.frames
    count = min(last - first + 1, _STEADY_FRAMES)
    start = first + (last - first + 1 - count) // 2
    plate = list(frames_from(shot.media.path, start, count))
    comp = list(frames_from(result.files["comp"], _place(result.files["comp"], result, start), count))
    if len(plate) != count or len(comp) != count:
        return
    if count >= 3:
        yield "flicker_plate", flicker([_luma(frame) for frame in plate])
        yield "flicker", flicker([_luma(frame) for frame in comp])
    found = _matte(shot, result, start, count)
    chosen = range(0, count, max(1, count // _DETAIL_FRAMES))
    before = sum(_detail(plate[n], found[n]) for n in chosen) if len(found) == count else 0.0
    if before > 0:
        yield "detail", 100 * sum(_detail(comp[n], found[n]) for n in chosen) / before


def _place(path: Path, result: Result, number: int) -> int:
    """The frame's number in a file of the result: a movie of frames 20-40 counts them from 0."""
    return number if is_pattern(path) else number - result.frames[0]


def _matte(shot: PlannedShot, result: Result, start: int, count: int) -> list[VideoFrame]:
    """The foreground's matte: a layer of its own, as delivered, or the one that was supplied for the whole plate."""
    layer = result.files.get("matte")
    if layer is not None and layer != result.files["comp"]:
        return list(frames_from(layer, _place(layer, result, start), count))
    given = Path(shot.request.matte) if shot.request and shot.request.matte else None
    return list(frames_from(given, start, count)) if given is not None and given.is_absolute() else []


def flicker(grids: Sequence[Grid]) -> float:
    """How far each cell is from the middle of its neighbours in time, in percent of white, on the average.

    What moves on evenly leaves nothing of itself in it; what pumps does.
    """
    total, count = 0.0, 0
    for (before, now), (_, after) in pairwise(pairwise(grids)):
        total += sum(abs(n - (b + a) / 2) for b, n, a in zip(before, now, after, strict=True))
        count += len(now)
    return 100 * total / count / _WHITE if count else 0.0


def _detail(frame: VideoFrame, matte: VideoFrame) -> float:
    return detail(_fine(frame), _luma(frame), _luma(matte))


def detail(fine: Grid, luma: Grid, matte: Grid) -> float:
    """Fine contrast of the foreground against its brightness, which relighting changes; 0 where it fills hardly a cell.

    Only cells count that the foreground fills.
    """
    inside = [n for n, alpha in enumerate(matte) if alpha > _FOREGROUND * _WHITE]
    light = sum(luma[n] for n in inside)
    return sum(fine[n] for n in inside) / light if len(inside) >= _FEWEST and light else 0.0


def _luma(frame: VideoFrame) -> Grid:
    """Brightness, averaged over the cells of a grid."""
    return _cells(frame.reformat(format="rgb24").reformat(*GRID, format="gray16le", interpolation="AREA"))


def _fine(frame: VideoFrame) -> Grid:
    """What is left of brightness when its blur is taken away, averaged over the cells of a grid."""
    grey = frame.reformat(format="rgb24").reformat(format="gray16le")
    graph = Graph()
    source = graph.add_buffer(width=grey.width, height=grey.height, format=grey.format, time_base=Fraction(1, 25))
    split, blur, blend = graph.add("split"), graph.add("gblur", "sigma=2"), graph.add("blend", "all_mode=difference")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(blend, 0, 0)
    split.link_to(blur, 1, 0)
    blur.link_to(blend, 0, 1)
    blend.link_to(sink)
    graph.configure()
    grey.pts = 0
    graph.push(grey)
    graph.push(None)
    left: Any = graph.pull()
    return _cells(left.reformat(*GRID, format="gray16le", interpolation="AREA"))


def _cells(frame: VideoFrame) -> Grid:
    plane = frame.planes[0]
    data, width = memoryview(plane), 2 * frame.width
    rows = (bytes(data[row * plane.line_size : row * plane.line_size + width]) for row in range(frame.height))
    return array("H", b"".join(rows))

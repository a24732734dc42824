"""FCPX XML, written by its adapter at whole rates and brought to the rates that the cut has.

The adapter knows no frame duration for 23.976 or 29.97 and leaves it empty, which nobody can read.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import opentimelineio as otio

from anyportal_client.otio.adapters import write_file
from anyportal_client.otio.fcpx import NTSC, TIMES, as_text
from anyportal_client.otio.fcpx_marks import seconds
from anyportal_client.otio.timing import exact_rate

_KNOWN = {24, 25, 30, 50, 60}
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>\n'


def write_fcpx(timeline: Any, path: Path) -> None:
    """Write a cut; its rates are changed on the way.

    Raises:
        ValueError: it has a rate, or a mix of rates, that cannot be written.
        Exception: whatever the adapter lets through.
    """
    rates = {exact_rate(time.rate) for time in _times(timeline)}
    broken = {rate for rate in rates if rate.denominator == 1001}
    if broken and broken != rates:
        raise ValueError("it mixes rates such as 23.976 with whole ones")
    whole = {rate * NTSC if broken else rate for rate in rates}
    if not whole <= _KNOWN:
        raise ValueError(f"it has {', '.join(f'{float(rate):g}' for rate in sorted(rates))} frames a second")
    if broken:
        _at_whole_rates(timeline)
    for track in timeline.tracks if isinstance(timeline, otio.schema.Timeline) else ():
        given = track.source_range
        if given is not None and given.duration >= track.available_range().duration:
            track.source_range = None  # that of an EDL trims nothing: it says where the record times begin
    write_file(timeline, path, "fcpx_xml")
    if broken:
        _slow_down(path)


def _times(timeline: Any) -> Iterator[Any]:
    for item in timeline.find_children():
        if isinstance(item, otio.schema.Transition):
            yield from (item.in_offset, item.out_offset)
            continue
        if item.source_range is not None:
            yield from (item.source_range.start_time, item.source_range.duration)
        available = item.media_reference.available_range if isinstance(item, otio.schema.Clip) else None
        if available is not None:
            yield from (available.start_time, available.duration)


def _at_whole_rates(timeline: Any) -> None:
    for item in timeline.find_children():
        if isinstance(item, otio.schema.Transition):
            item.in_offset, item.out_offset = _whole(item.in_offset), _whole(item.out_offset)
            continue
        if item.source_range is not None:
            item.source_range = _whole_range(item.source_range)
        for marker in item.markers:
            marker.marked_range = _whole_range(marker.marked_range)
        if isinstance(item, otio.schema.Clip) and item.media_reference.available_range is not None:
            item.media_reference.available_range = _whole_range(item.media_reference.available_range)
    start = timeline.global_start_time if isinstance(timeline, otio.schema.Timeline) else None
    if start is not None:
        timeline.global_start_time = _whole(start)


def _whole(time: Any) -> Any:
    return otio.opentime.RationalTime(time.value, round(time.rate))


def _whole_range(given: Any) -> Any:
    return otio.opentime.TimeRange(_whole(given.start_time), _whole(given.duration))


def _slow_down(path: Path) -> None:
    tree = ElementTree.fromstring(path.read_bytes())  # nosec B314: expat itself stops entities that grow
    for element in tree.iter():
        for name in (*TIMES, "frameDuration"):
            time = seconds(element.get(name))
            if time:
                element.set(name, as_text(Fraction(time) * NTSC))
    path.write_text(_HEAD + ElementTree.tostring(tree, "unicode") + "\n", "utf-8")

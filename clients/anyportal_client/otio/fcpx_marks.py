"""What the adapter of FCPX XML passes over, carried around it: whether clips are enabled, and their retimes.

A clip that has one of both goes through the adapter under a name that no other has, by which it is known again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

import opentimelineio as otio

from anyportal_client.otio.retimes import refused
from anyportal_client.otio.timing import exact_rate

CLIPS = {"clip", "asset-clip", "ref-clip"}
_AROUND = {"sync-clip", "mc-clip"}
_SLACK = Fraction(1, 20)
"""Seconds that a clip may reach beyond its retime: hosts round the ends to frames."""

_CHANGES = "the retime 'timeMap' changes speed over time: bake it first"
_BEYOND = "the clip shows more than its retime 'timeMap' tells of: nobody can say which frames that are"
_BESIDE = "the retime 'timeMap' is one of a part of the clip: bake it first"


@dataclass(frozen=True)
class Mark:
    """What a clip of the file is, beside what the adapter reads.

    Args:
        name: its own.
        enabled: whether it is seen.
        speed: of its constant retime.
        start: where in seconds what it shows of the source begins, at the lower end; None without a constant retime.
        refusal: why its retime cannot be followed.
    """

    name: str
    enabled: bool
    speed: Fraction = Fraction(1)
    start: Fraction | None = None
    refusal: str = ""


def seconds(text: str | None) -> Fraction | None:
    """A time such as ``1001/24000s``; None where it is none."""
    try:
        return Fraction((text or "").removesuffix("s"))
    except (ValueError, ZeroDivisionError):
        return None


def mark(tree: ElementTree.Element) -> dict[str, Mark]:
    """Give each clip that is disabled or retimed a name by which it is known again; gives the marks by that name."""
    parents = {child: parent for parent in tree.iter() for child in parent}
    marks: dict[str, Mark] = {}
    for element in list(tree.iter()):
        around = list(_around(element, parents))
        plain = element.tag in ("video", "audio") and not any(each.tag in CLIPS for each in around)
        if element.tag not in CLIPS and not plain:
            continue
        containers = [each for each in around if each.tag in _AROUND]
        enabled = all(each.get("enabled", "1") != "0" for each in (element, *containers))
        found = _mark(element, enabled, [*containers, *element.findall("video"), *element.findall("audio")])
        if found != Mark(found.name, True):
            token = f"anyportal {len(marks)}"
            marks[token] = found if element.tag != "ref-clip" else _own_compound(tree, element, token, found)
            element.set("name", token)
    return marks


def _around(element: ElementTree.Element, parents: Mapping[Any, Any]) -> Iterator[ElementTree.Element]:
    while (parent := parents.get(element)) is not None:
        yield parent
        element = parent


def _mark(element: ElementTree.Element, enabled: bool, beside: list[ElementTree.Element]) -> Mark:
    name = element.get("name", "")
    times = element.find("timeMap")
    if any(each.find("timeMap") is not None and each.get("lane") is None for each in beside):
        return Mark(name, enabled, refusal=_BESIDE)
    if times is None:
        return Mark(name, enabled)
    line = _line(times)
    if line is None:
        return Mark(name, enabled, refusal=_CHANGES)
    (begin, first), (end, last) = line
    start, length = seconds(element.get("start")), seconds(element.get("duration")) or Fraction(0)
    start = begin if start is None else start  # it counts in the time that the retime makes
    if start < begin - _SLACK or start + length > end + _SLACK:
        return Mark(name, enabled, refusal=_BEYOND)
    speed = (last - first) / (end - begin)
    return Mark(name, enabled, speed, first + (start - begin) * speed + min(Fraction(0), speed * length))


def _line(times: ElementTree.Element) -> tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction]] | None:
    """The first and last point of a retime, each a time and the source's; None where the speed changes between."""
    points = [(seconds(each.get("time")), seconds(each.get("value"))) for each in times.iter("timept")]
    known = sorted((time, value) for time, value in points if time is not None and value is not None)
    if len(known) != len(points) or len({time for time, _ in known}) < 2:
        return None
    (begin, first), (end, last) = known[0], known[-1]
    speed = (last - first) / (end - begin)
    straight = all(abs(first + (time - begin) * speed - value) < Fraction(1, 1000) for time, value in known)
    return (known[0], known[-1]) if straight else None


def _own_compound(tree: ElementTree.Element, element: ElementTree.Element, token: str, found: Mark) -> Mark:
    """A compound clip is called like its media: it gets media of its own."""
    media = tree.find(f"./resources/media[@id='{element.get('ref')}']")
    resources = tree.find("./resources")
    if media is None or resources is None:
        return found
    copy = deepcopy(media)
    copy.attrib.update(id=token, name=token)
    resources.append(copy)
    element.set("ref", token)
    return replace(found, name=media.get("name", ""))


def take_over(items: Iterator[Any], marks: Mapping[str, Mark]) -> None:
    """Give the items that were marked their names again, and what was said of them."""
    for item in items:
        found = marks.get(item.name)
        if found is None or not isinstance(item, otio.core.Item):
            continue
        item.name, item.enabled = found.name, found.enabled
        if found.refusal:
            item.effects.append(refused("timeMap", found.refusal))
        elif found.start is not None:
            _retime(item, found.speed, found.start)


def _retime(item: Any, speed: Fraction, start: Fraction) -> None:
    rate = item.source_range.duration.rate
    begin = otio.opentime.RationalTime(float(start * exact_rate(rate)), rate)
    item.source_range = otio.opentime.TimeRange(begin, item.source_range.duration)
    if speed == 0:
        item.effects.append(otio.schema.FreezeFrame())
    elif speed != 1:
        item.effects.append(otio.schema.LinearTimeWarp(time_scalar=float(speed)))

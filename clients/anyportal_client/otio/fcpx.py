"""FCPX XML, made ready for its adapter and mended behind it.

The adapter counts 23.976 frames a second as 23 and cuts fractions off, knows media by an attribute that newer versions
have moved into an element, takes the first event alone, stumbles over stills, and puts a gap as long as the start
timecode before everything. So it is given whole frames at a whole rate, and the rate is put right afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import opentimelineio as otio

from anyportal_client.otio.adapters import read_text
from anyportal_client.otio.fcpx_marks import CLIPS, mark, seconds, take_over
from anyportal_client.otio.surroundings import timelines_of

TIMES = ("start", "duration", "offset", "tcStart", "audioStart", "audioDuration")
_BIAS = Fraction(1, 10_000)
"""Seconds added to each time, so that what is cut off is never a whole frame."""

NTSC = Fraction(1001, 1000)
_UNREAD = {
    "mc-clip": "multicam: not read, bake or open what is meant",
    "sync-clip": "synchronised: read with all their media, however trimmed",
}


def read_fcpx(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The timelines of an FCPX XML, and what somebody should know of how they were read.

    Raises:
        Exception: whatever the parser or the adapter makes of a file that is broken.
    """
    tree = ElementTree.fromstring(path.read_bytes())  # nosec B314: expat itself stops entities that grow
    durations = [found for each in tree.iterfind(".//format") if (found := seconds(each.get("frameDuration")))]
    ntsc = bool(durations) and all((1 / each).denominator == 1001 for each in durations)
    mixed = not ntsc and any((1 / each).denominator == 1001 for each in durations)
    starts = [_frames_of(sequence, tree) for sequence in tree.iterfind(".//project/sequence")]
    _arrange(tree)
    marks = mark(tree)
    _make_ready(tree, Fraction(1) / NTSC if ntsc else Fraction(1), durations)
    root = read_text(ElementTree.tostring(tree, "unicode"), "fcpx_xml")
    if root is None:
        raise ValueError("there is no project in it")
    if ntsc:
        _at_exact_rates(root)
    for timeline, start in zip(timelines_of(root), starts, strict=False):
        _begin_at(timeline, start)
    take_over(_items(root), marks)
    return root, tuple(_notes(tree, mixed))


def _frames_of(sequence: ElementTree.Element, tree: ElementTree.Element) -> int:
    """The start timecode of a sequence in frames."""
    form = tree.find(f".//format[@id='{sequence.get('format', '')}']")
    duration = seconds(form.get("frameDuration")) if form is not None else None
    return round((seconds(sequence.get("tcStart")) or 0) / duration) if duration else 0


def _make_ready(tree: ElementTree.Element, scale: Fraction, durations: list[Fraction]) -> None:
    for form in tree.iterfind(".//format"):
        duration = seconds(form.get("frameDuration")) or (durations[0] if durations else Fraction(1, 24))
        form.set("frameDuration", as_text(duration * scale))
    for asset in tree.iterfind(".//asset"):
        media = asset.find("media-rep")
        if not asset.get("src") and media is not None:
            asset.set("src", media.get("src", ""))
    for element in tree.iter():
        for name in TIMES:
            time = seconds(element.get(name))
            if time:
                element.set(name, as_text(time * scale + _BIAS))
    _mend_references(tree)


def _arrange(tree: ElementTree.Element) -> None:
    """All projects in the first event, the one that is read; of an audition only the clip that is chosen."""
    events = tree.findall("./library/event")
    for event in events[1:]:
        for project in event.findall("project"):
            event.remove(project)
            events[0].append(project)
    for audition in tree.iter("audition"):
        for rejected in list(audition)[1:]:
            audition.remove(rejected)


def _mend_references(tree: ElementTree.Element) -> None:
    """What names no media, or is a picture without a clip around it, brings the adapter down."""
    forms = {form.get("id") for form in tree.iterfind(".//format")}
    assets = {asset.get("id"): asset for asset in tree.iterfind(".//asset")}
    compounds = {media.get("id") for media in tree.iterfind(".//media") if media.find("sequence") is not None}
    for asset in assets.values():
        if asset.get("format") not in forms:
            asset.attrib.pop("format", None)
    parents = {child: parent for parent in tree.iter() for child in parent}
    for element in list(tree.iter()):
        known = element.get("ref") in (compounds if element.tag == "ref-clip" else assets)
        if element.tag in ("asset-clip", "ref-clip") and not known:
            element.tag = "gap"
        elif element.tag in ("video", "audio") and not _within_clip(element, parents):
            element.tag = "asset-clip" if known else "gap"
        elif element.tag in ("video", "audio") and not known:
            element.tag = "generated"


def _within_clip(element: ElementTree.Element, parents: Mapping[ElementTree.Element, ElementTree.Element]) -> bool:
    parent = parents.get(element)
    while parent is not None:
        if parent.tag in CLIPS:
            return True
        parent = parents.get(parent)
    return False


def as_text(time: Fraction) -> str:
    """A time as the format writes it."""
    return f"{time.numerator}/{time.denominator}s"


def _at_exact_rates(root: Any) -> None:
    """The same frames at the rates that they have: 24 stood for 24000/1001."""
    for item in _items(root):
        if isinstance(item, otio.schema.Transition):
            item.in_offset, item.out_offset = _exact(item.in_offset), _exact(item.out_offset)
            continue
        if item.source_range is not None:
            item.source_range = _exact_range(item.source_range)
        for marker in item.markers:
            marker.marked_range = _exact_range(marker.marked_range)
        if isinstance(item, otio.schema.Clip) and item.media_reference.available_range is not None:
            item.media_reference.available_range = _exact_range(item.media_reference.available_range)


def _items(root: Any) -> Iterator[Any]:
    if isinstance(root, otio.schema.Clip):
        yield root
        return
    for timeline in timelines_of(root):
        yield from timeline.find_children()
    if isinstance(root, otio.schema.SerializableCollection):
        yield from (child for child in root if isinstance(child, otio.core.Item))


def _exact(time: Any) -> Any:
    return otio.opentime.RationalTime(time.value, float(Fraction(round(time.rate)) / NTSC))


def _exact_range(given: Any) -> Any:
    return otio.opentime.TimeRange(_exact(given.start_time), _exact(given.duration))


def _begin_at(timeline: Any, frames: int) -> None:
    """Take the start timecode out of the gaps before the first clips: it is the timeline's own."""
    if not frames:
        return
    leading = [track[0] for track in timeline.tracks if len(track)]
    if not all(isinstance(each, otio.schema.Gap) and each.duration().value >= frames for each in leading):
        return
    for track in timeline.tracks:
        gap = track[0]
        duration = gap.duration()
        timeline.global_start_time = otio.opentime.RationalTime(frames, duration.rate)
        if duration.value == frames:
            del track[0]
        else:
            left = otio.opentime.RationalTime(duration.value - frames, duration.rate)
            gap.source_range = otio.opentime.TimeRange(otio.opentime.RationalTime(0, duration.rate), left)


def _notes(tree: ElementTree.Element, mixed: bool) -> Iterator[str]:
    if mixed:
        yield "the FCPX XML mixes rates such as 23.976 with whole ones: its frames may be one off"
    unread = Counter(element.tag for element in tree.iter() if element.tag in _UNREAD)
    for tag, count in unread.items():
        yield f"clips of an FCPX XML, {count} {_UNREAD[tag]}"

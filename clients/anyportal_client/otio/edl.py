"""Edit decision lists, made ready event by event for their adapter and mended behind it.

The adapter gives the clip that a dissolve leads to the file of the one before, follows a retime only where source and
record have different lengths, and refuses the whole list for one event that it does not know. So each event is given to
it with the comments of its own clip alone, and what retimes the clip is put on it afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.adapters import read_text
from anyportal_client.otio.retimes import refused
from anyportal_client.otio.surroundings import clips_of

_MARK = "ANYPORTAL EVENT "
_BLENDS = re.compile(r"D|W\d{3}", re.IGNORECASE)
_SIDE = re.compile(
    r"\*?\s*(?:\*?\s*OTIO REFERENCE )?(?P<side>FROM|TO)(?P<name> CLIP NAME)?(?: CLIP| FILE)?:(?P<text>.*)"
)
_MOTION = re.compile(r"\*?\s*M2\s+(?P<about>.*)", re.IGNORECASE)
_SPEED = re.compile(r"(?:(?P<title>.*?)\s+)?(?P<rate>[-+]?\d*\.?\d+)\s+(?P<time>\d\d(?:[:;.,]\d\d){3})")
_FREEZE = re.compile(r"\*\s*\*?\s*FREEZE FRAME", re.IGNORECASE)
_SOME_MOTION = "M2   X   000.0   00:00:00:00"
"""All that the adapter has to know of a retime: the clip may be as long as its record range, not its source range."""

_TRACKS = {"A": ("A1",), "AA": ("A1", "A2"), "B": ("V", "A1"), "A2/V": ("V", "A2"), "AA/V": ("V", "A1", "A2")}
_LONGEST_REASON = 120


@dataclass(frozen=True)
class _Event:
    """A clip of the list: its line, before that one of the clip that it blends from, and what is said of them."""

    lines: tuple[tuple[str, ...], ...]
    comments: tuple[str, ...] = field(default=())

    @property
    def number(self) -> str:
        return self.lines[0][0]

    @property
    def reels(self) -> list[str]:
        return [line[1] for line in self.lines if len(line) > 1]

    @property
    def tracks(self) -> tuple[str, ...]:
        channel = self.lines[-1][2] if len(self.lines[-1]) > 2 else ""
        return _TRACKS.get(channel, (channel,))


def read_edl(text: str, rate: float) -> tuple[Any, tuple[str, ...]]:
    """The timeline of an EDL, and what somebody should know of how it was read.

    Args:
        text: drop-frame timecodes are written as such in it.
        rate: one that has timecodes.

    Raises:
        Exception: whatever the adapter makes of a list of which it can read nothing.
    """
    events, title = _events(text)
    if not events:
        return read_text(text, "cmx_3600", rate=rate), ()
    left = {event: "it is a key, which is not read" for event in events if _is_key(event)}
    try:
        root, notes = _read([event for event in events if event not in left], title, rate)
    except Exception:  # adapters let through whatever their parsers raise
        left.update((event, why) for event in events if (why := _unreadable(event, rate)))
        readable = [event for event in events if event not in left]
        if not readable:
            raise
        root, notes = _read(readable, title, rate)
    named = dict.fromkeys((event.number, why) for event, why in left.items())
    return root, (*(f"event {number} of the EDL is left out: {why}" for number, why in named), *notes)


def _events(text: str) -> tuple[list[_Event], str]:
    found: list[_Event] = []
    title, split = "TITLE: ", -1
    for line in filter(None, map(str.strip, text.splitlines())):
        if line[0].isdigit():
            _take_line(found, tuple(line.split()))
        elif line.upper().startswith("TITLE:"):
            title = line
        elif line.upper().startswith("SPLIT"):
            split = len(found)  # what is said below the next two holds for both
        elif found and not line.upper().startswith("FCM"):
            found[-1] = replace(found[-1], comments=(*found[-1].comments, line))
    for place, (one, below) in enumerate(pairwise(tuple(found))):
        if not one.comments and (_count(one.lines[0]) == _count(below.lines[0]) or place == split):
            found[place] = one = replace(one, comments=below.comments)
        if len(below.lines) > 1:  # some tell the retime of the clip before again
            kept = tuple(each for each in below.comments if not (_MOTION.match(each) and each in one.comments))
            found[place + 1] = replace(below, comments=kept)
    return found, title


def _take_line(found: list[_Event], line: tuple[str, ...]) -> None:
    """Each line begins an event, unless it is the blend of the one before."""
    last = found[-1] if found else None
    blends = len(line) == 9 and _BLENDS.fullmatch(line[3])
    if last is not None and blends and len(last.lines) == 1 and _leads_to(last.lines[0], line):
        # A retime told above the blend is one of the clip before.
        kept = tuple(each for each in last.comments if not _MOTION.match(each) and not _FREEZE.match(each))
        found[-1] = _Event(((line[0], *last.lines[0][1:]), line), kept)
    else:
        found.append(_Event((_as_cut(line), line) if blends else (line,)))


def _leads_to(before: tuple[str, ...], blend: tuple[str, ...]) -> bool:
    """Whether a line is the first half of a blend: under its number, or under another and of no length."""
    return _count(before) == _count(blend) or before[-2:] == (before[-1],) * 2


def _count(line: tuple[str, ...]) -> int:
    return int(re.findall(r"\d+", line[0])[0])


def _read(events: list[_Event], title: str, rate: float) -> tuple[Any, tuple[str, ...]]:
    notes: list[str] = []
    made, begun = [], set[str]()
    for event in events:
        if len(event.lines) > 1 and not begun.issuperset(event.tracks):
            notes.append(f"event {event.number} of the EDL blends from nothing: it is read as a cut")
            event = replace(event, lines=(event.lines[0], _as_cut(event.lines[1])))
        begun.update(event.tracks)
        made.append(event)
    text = "\n".join([title, *(line for place, event in enumerate(made) for line in _written(event, place))])
    try:
        root = read_text(text, "cmx_3600", rate=rate)
    except Exception as error:  # as above
        if "duration" not in str(error) and "Overlapping" not in str(error):
            raise
        root = read_text(text, "cmx_3600", rate=rate, ignore_timecode_mismatch=True)
        notes.append("record and source times of the EDL contradict each other: the source times are taken")
    _mend(root, made, rate)
    return root, tuple(notes)


def _unreadable(event: _Event, rate: float) -> str:
    """Why the adapter cannot read an event, in words; empty where it can."""
    alone = event if len(event.lines) == 1 else replace(event, lines=(event.lines[0], _as_cut(event.lines[1])))
    try:
        read_text("\n".join(_written(alone, 0)), "cmx_3600", rate=rate, ignore_timecode_mismatch=True)
    except Exception as error:  # as above
        return " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
    return ""


def _is_key(event: _Event) -> bool:
    return any(len(line) > 3 and line[3].upper() in ("K", "KB", "KO") for line in event.lines)


def _as_cut(line: tuple[str, ...]) -> tuple[str, ...]:
    return (*line[:3], "C", *line[5:])


def _written(event: _Event, place: int) -> Iterator[str]:
    """The event as the adapter reads it: with a number of its own, and what concerns its own clip alone."""
    lines = event.lines if len(event.lines[-1]) == 9 else event.lines[-1:]
    for line in lines:
        yield "  ".join((f"{place + 1:03d}", *line[1:]))
    yield f"* {_MARK}{place}"
    yield from _own_comments(event)
    if _retime(event, 1.0) is not None:
        yield _SOME_MOTION


def _own_comments(event: _Event) -> Iterator[str]:
    """What is said of the clip. Of a blend, what is said of the clip it comes from goes, unless that is the same."""
    sides = [found for each in event.comments if (found := _SIDE.match(each))]
    own = "TO" if len(event.lines) > 1 and (any(each["side"] == "TO" for each in sides) or _blends_reels(event)) else ""
    for comment in event.comments:
        found = _SIDE.match(comment)
        if found is None:
            if not _MOTION.match(comment) and not _FREEZE.match(comment):
                yield comment
        elif not own or found["side"] == own:
            name = "CLIP NAME" if found["name"] else "CLIP"
            yield f"* {found['side'] if found['name'] else 'FROM'} {name}: {found['text'].strip()}"


def _blends_reels(event: _Event) -> bool:
    """Whether an event leads from one reel to another; nobody knows what an auxiliary one is."""
    before, after = event.reels[0], event.reels[-1]
    return before not in ("BL", "BLACK") and (before != after or after == "AX")


def _mend(root: Any, events: list[_Event], rate: float) -> None:
    for clip in clips_of(root):
        about = clip.metadata["cmx_3600"]
        comments = list(about["comments"])
        place = next(int(each.removeprefix(_MARK)) for each in comments if each.startswith(_MARK))
        about["comments"] = [each for each in comments if not each.startswith(_MARK)]
        if not about["comments"]:
            del about["comments"]
        if not about:
            del clip.metadata["cmx_3600"]
        if clip.name == f"{place + 1:03d}":  # it has no other name
            clip.name = events[place].number
        retime = _retime(events[place], rate)
        if retime is not None:
            clip.effects[:] = [retime]
            clip.name = clip.name.removesuffix(" FF") if isinstance(retime, otio.schema.FreezeFrame) else clip.name


def _retime(event: _Event, rate: float) -> Any:
    """The retime of the event's own clip; None where it has none."""
    own = [found["about"].strip() for each in event.comments if (found := _MOTION.match(each))]
    if len(event.lines) > 1:
        own = _of_second(own, event)
    if _is_frozen(event):
        return otio.schema.FreezeFrame()
    if not own:
        return None
    found = _SPEED.fullmatch(own[-1])
    if found is None:
        return refused("M2", f"its retime cannot be read: M2 {own[-1]}")
    speed = _speed(float(found["rate"]), rate)
    return otio.schema.LinearTimeWarp(time_scalar=speed) if speed else otio.schema.FreezeFrame()


def _of_second(motions: list[str], event: _Event) -> list[str]:
    """Of the retimes told with a blend those of the clip that it leads to."""
    sides = [found for each in event.comments if (found := _SIDE.match(each)) and found["name"]]
    first = {event.reels[0], *(each["text"].strip() for each in sides if each["side"] == "FROM")}
    second = {event.reels[-1], *(each["text"].strip() for each in sides if each["side"] == "TO")}
    told = [(each, _SPEED.fullmatch(each)) for each in motions]
    return [each for each, parts in told if parts is None or parts["title"] not in first - second]


def _is_frozen(event: _Event) -> bool:
    """Whether the clip is one frame: of a blend, whether that is told below the name of the clip that it leads to."""
    whose = "FROM" if len(event.lines) > 1 else ""
    for comment in event.comments:
        found = _SIDE.match(comment)
        if found is not None and len(event.lines) > 1:
            whose = found["side"]
        elif _FREEZE.match(comment) and whose != "FROM":
            return True
    return False


def _speed(frames: float, rate: float) -> float:
    """A speed in frames a second as a factor. Hosts write 24 for the plain speed of 23.976, too."""
    whole = round(rate)
    return frames / (whole if frames == round(frames) and abs(rate - whole) < 0.1 else rate)

"""What only the exported timeline tells: speeds, ramps and transitions."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple

from anyportal_resolve.connection import can

if TYPE_CHECKING:
    from anyportal_resolve.host import Resolve, Timeline

Place = Tuple[int, int]
"""Track from 1, and the frame of the timeline, absolute."""
_SNAP = 0.01


class Edit(NamedTuple):
    """A clip as the exported timeline has it.

    Args:
        speed: constant; negative runs backwards, 0 is a freeze.
        ramp: its speed changes.
        first: the first frame shown, from the media's first; None where it cannot be told.
        head, tail: frames of the timeline that a transition shows beyond the clip's ends.
    """

    speed: float = 1.0
    ramp: bool = False
    first: Optional[int] = None
    head: int = 0
    tail: int = 0


def edits_of(resolve: Resolve, timeline: Timeline, rate: float) -> Optional[Dict[Place, Edit]]:
    """The timeline's clips by their place; None where it cannot be exported, which is no error."""
    table = _export(resolve, timeline)
    if table is None:
        return None
    try:
        return _read(table, timeline.GetStartFrame(), rate)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # a shape that is not known; what the objects themselves say must do


def _export(resolve: Resolve, timeline: Timeline) -> Optional[Dict[str, Any]]:
    if not (can(resolve, "EXPORT_OTIO") and can(resolve, "EXPORT_NONE")):
        return None  # before 18.5
    folder = tempfile.mkdtemp(prefix="anyportal_")
    path = os.path.join(folder, "timeline.otio")
    try:
        # The constants of this very object: anything else writes nothing, and says that all is well.
        timeline.Export(path, resolve.EXPORT_OTIO, resolve.EXPORT_NONE)
        with open(path, encoding="utf-8") as file:
            table = json.load(file)
    except (OSError, ValueError):
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return table if isinstance(table, dict) and _kind(table) == "Timeline" else None


def _read(table: Dict[str, Any], start: int, rate: float) -> Dict[Place, Edit]:
    found: Dict[Place, Edit] = {}
    tracks = [track for track in table["tracks"]["children"] if track.get("kind") == "Video"]
    for number, track in enumerate(tracks, 1):
        children = track.get("children") or []
        position = start
        for place, child in enumerate(children):
            if _kind(child) == "Transition":
                continue
            if _kind(child) != "Gap":
                found[number, position] = _edit(child, children, place, rate)
            position += _frames(_duration(child), rate)
    return found


def _edit(clip: Dict[str, Any], children: List[Dict[str, Any]], place: int, rate: float) -> Edit:
    before = children[place - 1] if place and _kind(children[place - 1]) == "Transition" else {}
    after = children[place + 1] if place + 1 < len(children) and _kind(children[place + 1]) == "Transition" else {}
    speed, ramp = 1.0, False
    for effect in clip.get("effects") or []:
        kind = _kind(effect)
        if kind == "FreezeFrame":
            speed = 0.0
        elif kind == "LinearTimeWarp":
            speed *= float(effect.get("time_scalar", 1.0))
        elif kind == "TimeEffect" or _is_ramp(effect):
            ramp = True
    head = _frames(before.get("in_offset"), rate) if before else 0
    tail = _frames(after.get("out_offset"), rate) if after else 0
    return Edit(speed, ramp, _first(clip), head, tail)


def _is_ramp(effect: Dict[str, Any]) -> bool:
    """Whether Resolve's own record of a retime has key frames of different speeds."""
    own = (effect.get("metadata") or {}).get("Resolve_OTIO") or {}
    if own.get("Effect Name") != "Retime and Scaling":
        return False
    frames = [list((each.get("Key Frames") or {}).values()) for each in own.get("Parameters") or []]
    return any(len({json.dumps(key.get("Value")) for key in keys if isinstance(key, dict)}) > 1 for keys in frames)


def _first(clip: Dict[str, Any]) -> Optional[int]:
    shown, available = clip.get("source_range"), _available(clip)
    if not shown or not available:
        return None
    origin = available["start_time"]
    first = _in_rate(shown["start_time"], origin["rate"]) - origin["value"]
    if first < 0:  # counted from the media's first frame, not from midnight
        first = _in_rate(shown["start_time"], origin["rate"])
    return _snapped(first)


def _available(clip: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    references = clip.get("media_references") or {}
    reference = references.get(clip.get("active_media_reference_key", "DEFAULT_MEDIA")) or clip.get("media_reference")
    found = (reference or {}).get("available_range")
    return found if isinstance(found, dict) else None


def _duration(child: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    trimmed = child.get("source_range") or _available(child)
    found = (trimmed or {}).get("duration")
    return found if isinstance(found, dict) else None


def _frames(time: Optional[Dict[str, Any]], rate: float) -> int:
    return round(_in_rate(time, rate)) if time else 0


def _in_rate(time: Dict[str, Any], rate: float) -> float:
    own = float(time["rate"])
    value = float(time["value"])
    return value if abs(own - rate) < _SNAP or own <= 0 else value * rate / own


def _snapped(frame: float) -> int:
    nearest = round(frame)
    return nearest if abs(frame - nearest) < _SNAP else int(frame // 1)


def _kind(thing: Dict[str, Any]) -> str:
    return str(thing.get("OTIO_SCHEMA", "")).split(".")[0]

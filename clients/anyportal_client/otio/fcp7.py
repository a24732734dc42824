"""What the adapter of FCP 7 XML leaves in metadata: whether items are enabled, and retimes.

A retime is a filter called `timeremap`, which the adapter hands over as an effect nobody knows.

In and out of a retimed clip count in frames as they are shown, from the start of the media: at double speed an in of 50
is frame 100. Here such clips get what other hosts write: a constant retime, and a range from the frame that is shown.
"""

from __future__ import annotations

import math
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.requests import plain
from anyportal_client.otio.retimes import refused
from anyportal_client.otio.surroundings import clips_of

_PERCENT = 100.0


def take_over_metadata(root: Any) -> None:
    """Disable what the file says is disabled, and exchange each time remap for the retime that it is."""
    items = [*root.find_children()] if hasattr(root, "find_children") else []
    for item in items:
        about = item.metadata.get("fcp_xml")
        told = about.get("enabled") if hasattr(about, "get") else None
        if isinstance(item, otio.core.Item) and str(told).strip().lower() in ("false", "0"):
            item.enabled = False
    for clip in clips_of(root):
        _take_over_retimes(clip)


def _take_over_retimes(clip: Any) -> None:
    for place, effect in enumerate(clip.effects):
        remap = _remap(effect)
        if remap is None:
            continue
        why = _refusal(remap)
        speed = 0.0 if why else _speed(remap)
        if why:
            clip.effects[place] = refused(effect.name, why)
        elif speed != 1:
            clip.effects[place] = otio.schema.LinearTimeWarp(effect.name, speed, effect.metadata)
            _start_where_it_starts(clip, speed)


def _remap(effect: Any) -> dict[str, Any] | None:
    """The parameters of a time remap by name; None where the effect is none."""
    found = effect.metadata.get("fcp_xml")
    about = plain(found) if found is not None else None
    if not isinstance(about, dict) or about.get("effectid") != "timeremap":
        return None
    given = about.get("parameter", [])
    entries = given if isinstance(given, list) else [given]
    return {str(entry.get("parameterid", "")): entry for entry in entries if isinstance(entry, dict)}


def _refusal(remap: dict[str, Any]) -> str:
    """Why a time remap cannot be followed; empty where it can."""
    if _true(remap.get("variablespeed")):
        return "the retime 'Time Remap' changes speed over time: bake it first"
    speed = _speed(remap)
    if not math.isfinite(speed):
        return "the speed of the retime 'Time Remap' is no number"
    if speed < 0 or _true(remap.get("reverse")):
        return (
            "the clip runs backwards, and hosts do not agree from which frame an FCP 7 XML means: bake the retime, or"
            " export another format, such as .otio or AAF"
        )
    return "" if speed else "the clip is frozen by a speed of 0, and an FCP 7 XML does not say on which frame: bake it"


def _speed(remap: dict[str, Any]) -> float:
    try:
        return float((remap.get("speed") or {}).get("value", _PERCENT)) / _PERCENT
    except (TypeError, ValueError):
        return math.nan


def _true(parameter: Any) -> bool:
    value = parameter.get("value") if isinstance(parameter, dict) else None
    return str(value).strip().lower() in ("true", "1")


def _start_where_it_starts(clip: Any, speed: float) -> None:
    if clip.source_range is None:
        return
    start, duration = clip.source_range.start_time, clip.source_range.duration
    available = clip.media_reference.available_range if clip.media_reference is not None else None
    first = available.start_time.rescaled_to(start.rate).value if available is not None else 0.0
    shown = first + (start.value - first) * speed
    clip.source_range = otio.opentime.TimeRange(otio.opentime.RationalTime(shown, start.rate), duration)

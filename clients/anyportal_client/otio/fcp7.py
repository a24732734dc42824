"""The retimes of an FCP 7 XML: a filter called `timeremap`, which its adapter hands over as an effect nobody knows.

In and out of a retimed clip count in frames as they are shown, from the start of the media: at double speed an in of 50
is frame 100. Here such clips get what other hosts write: a constant retime, and a range from the frame that is shown.
"""

from __future__ import annotations

import math
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.requests import plain
from anyportal_client.otio.surroundings import clips_of

_PERCENT = 100.0


def take_over_retimes(root: Any) -> None:
    """Exchange each time remap for the retime that it is; one that changes, or runs backwards, for a time effect.

    From where a clip runs backwards the format does not say in a way that hosts agree on.
    """
    for clip in clips_of(root):
        for place, effect in enumerate(clip.effects):
            remap = _remap(effect)
            if remap is None:
                continue
            speed = _constant(remap)
            if speed is None:
                clip.effects[place] = otio.schema.TimeEffect(effect.name, "Time Remap", effect.metadata)
            elif speed == 1:
                continue
            else:
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


def _constant(remap: dict[str, Any]) -> float | None:
    """The speed; None where it changes, runs backwards or is no number."""
    if _true(remap.get("variablespeed")) or _true(remap.get("reverse")):
        return None
    try:
        speed = float((remap.get("speed") or {}).get("value", _PERCENT)) / _PERCENT
    except (TypeError, ValueError):
        return None
    return speed if math.isfinite(speed) and speed > 0 else None


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

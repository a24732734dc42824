"""The speed at which a clip plays its media: constant retimes of every host; what is none is refused by name.

FCP 7 XML (Premiere) states a retime as a filter called ``timeremap``; its adapter hands it over as an effect nobody
knows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.probes import MediaProblem
from anyportal_client.otio.requests import plain

_PERCENT = 100.0
_FASTEST = 1000.0


def speed_of(clip: Any, parents: Iterable[Any]) -> float:
    """The product of all constant retimes on the clip; 0 holds one frame, negative runs backwards.

    Raises:
        MediaProblem: a retime that changes over time, or one around the clip: that cannot be carried to one clip.
    """
    for parent in parents:
        if any(isinstance(effect, otio.schema.TimeEffect) or _remap(effect) for effect in _effects(parent)):
            raise MediaProblem("the clip lies in a nested sequence that is retimed: bake the retime first")
    speed = 1.0
    for effect in _effects(clip):
        speed *= _speed(effect)
    if not math.isfinite(speed) or abs(speed) > _FASTEST:
        raise MediaProblem(f"the retime of the clip is {speed:g}: that is no speed")
    return speed


def _effects(item: Any) -> Iterator[Any]:
    for effect in getattr(item, "effects", ()):
        if getattr(effect, "enabled", True):
            yield effect


def _speed(effect: Any) -> float:
    if isinstance(effect, otio.schema.LinearTimeWarp):  # FreezeFrame is one, of speed 0
        return float(effect.time_scalar)
    if isinstance(effect, otio.schema.TimeEffect):
        raise _changing(effect)
    remap = _remap(effect)
    return _remapped(effect, remap) if remap else 1.0


def _remap(effect: Any) -> dict[str, Any]:
    """The parameters of FCP 7's time remap by name; empty where the effect is none."""
    found = effect.metadata.get("fcp_xml") if hasattr(effect, "metadata") else None
    about = plain(found) if found is not None else None
    if not isinstance(about, dict) or about.get("effectid") != "timeremap":
        return {}
    given = about.get("parameter", [])
    entries = given if isinstance(given, list) else [given]
    named = {str(entry.get("parameterid", "")): entry for entry in entries if isinstance(entry, dict)}
    return {"timeremap": {}, **named}


def _remapped(effect: Any, remap: dict[str, Any]) -> float:
    if _true(remap.get("variablespeed")):
        raise _changing(effect)
    text = (remap.get("speed") or {}).get("value", _PERCENT)
    try:
        speed = float(text) / _PERCENT
    except (TypeError, ValueError):
        raise MediaProblem(f"the retime of the clip has the speed {text!r}") from None
    return -abs(speed) if _true(remap.get("reverse")) else speed


def _true(parameter: Any) -> bool:
    value = parameter.get("value") if isinstance(parameter, dict) else None
    return str(value).strip().lower() in ("true", "1")


def _changing(effect: Any) -> MediaProblem:
    name = effect.effect_name or effect.name or type(effect).__name__
    return MediaProblem(f"the retime '{name}' changes speed over time: bake it first")

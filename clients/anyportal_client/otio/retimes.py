"""The retime of a clip: a constant speed, or a table that says for each frame where it comes from.

Hosts state retimes as effects. What neither is a constant nor has such a table is refused by name: nobody can tell then
which frames are shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.probes import MediaProblem
from anyportal_client.otio.requests import plain
from anyportal_client.otio.timing import Times

_FASTEST = 1000.0
_REFUSED = "anyportal_refused"


@dataclass(frozen=True)
class Retime:
    """How a clip plays its media.

    Args:
        speed: the product of all constant retimes; 0 holds one frame, negative runs backwards.
        offsets: for each record frame, how far the frame shown lies from where it would be; Hiero's time warps.
    """

    speed: float = 1.0
    offsets: tuple[float, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether the speed is not the same all along."""
        return any(self.offsets)

    def reached(self, source: Times) -> Times:
        """What a source range comes to by the offsets; the speed is not in it."""
        if not self.changes:
            return source
        count = max(1, round(source.duration))
        filled = [*self.offsets[:count], *[self.offsets[-1]] * (count - len(self.offsets))]
        places = [place + offset for place, offset in enumerate(filled)]
        return Times(source.start + min(places), max(places) - min(places) + 1, source.rate)


def retime_of(clip: Any, parents: Iterable[Any]) -> Retime:
    """The retime of a clip by all its effects.

    Raises:
        MediaProblem: one that cannot be followed, or one around the clip: that cannot be carried to one clip.
    """
    for parent in parents:
        if any(isinstance(effect, otio.schema.TimeEffect) for effect in _effects(parent)):
            raise MediaProblem("the clip lies in a nested sequence that is retimed: bake the retime first")
    speed = 1.0
    offsets: tuple[float, ...] = ()
    for effect in _effects(clip):
        if isinstance(effect, otio.schema.LinearTimeWarp):  # FreezeFrame is one, of speed 0
            speed *= float(effect.time_scalar)
        elif isinstance(effect, otio.schema.TimeEffect):
            if any(offsets):
                raise _unknown(effect)
            offsets = _lookup(effect)
    if not math.isfinite(speed) or abs(speed) > _FASTEST:
        raise MediaProblem(f"the retime of the clip is {speed:g}: that is no speed")
    if any(offsets) and speed != 1:
        raise MediaProblem("the clip has a constant retime and one that changes: bake them first")
    return Retime(speed, offsets)


def refused(name: str, why: str) -> Any:
    """An effect that stands for a retime that cannot be followed, for the reason given."""
    return otio.schema.TimeEffect(name, name, {_REFUSED: why})


def _effects(item: Any) -> Iterator[Any]:
    for effect in getattr(item, "effects", ()):
        if getattr(effect, "enabled", True):
            yield effect


def _lookup(effect: Any) -> tuple[float, ...]:
    """The table of a time warp as Hiero writes it."""
    found = effect.metadata.get("lookup") if hasattr(effect.metadata, "get") else None
    table = plain(found) if found is not None else None
    numbers = table if isinstance(table, list) and table else None
    if numbers is None or not all(isinstance(each, (int, float)) and abs(each) < 2**31 for each in numbers):
        raise _unknown(effect)
    return tuple(map(float, numbers))


def _unknown(effect: Any) -> MediaProblem:
    if _REFUSED in effect.metadata:
        return MediaProblem(str(effect.metadata[_REFUSED]))
    name = effect.effect_name or effect.name or type(effect).__name__
    return MediaProblem(f"the retime '{name}' changes speed over time: bake it first")

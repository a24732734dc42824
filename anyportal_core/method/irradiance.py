"""How the light on a foreground changes from one place to another, and the smooth gain that it becomes.

The weights below are those of the least CIEDE2000 over some 2400 pairs of rendered places (see ``benchmarks.relight``),
rounded, where shots to be relit into rooms and parks count most. They do less than the pictures say: a place's colour
is its walls' as well as its light's, and the less light there is around, the more of its colour is that of lamps.
Neither more weights nor other features (levels of parts, quantiles, hardness, colours of greys) told places and
subjects better that they had not been fitted to: a place's true light lies about 0.6 around what its picture tells.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.method.illuminant import Subject, Surroundings, Vector, from_opponent

_NEW_LEVEL, _NEW_EVENLY, _NEAR = 0.34, 0.45, 0.13
_WHITE, _OF_WHITE = -1.0, 0.5
"""A place lighter than that has white walls, snow or sand: so much of what is above it is light."""
_DARK, _PLAIN = -1.7, 0.2
"""A place darker than that may but have dark walls, the likelier the less variety it shows: half of its darkness
counts where the logarithms of the mean and the mean logarithm differ by the latter."""
_FOLIAGE, _MOST_FOLIAGE = 1.0, 0.4
"""By how much there is more light among leaves than they show: they are darker than other things."""
_OLD_LEVEL = 0.92
_OWN, _USUAL, _MOST_OWN = 0.7, 0.56, 1.2
"""How far a foreground's own highlights tell what lit it, how much lighter than its surroundings they are as a rule,
and how much darker they may be before it is a dark coat."""
_SPOT = 0.4
"""What lies between a light coat and a foreground that was lit alone: no coat is as light as that, a studio may be."""
_LEVEL = -0.4
_MOST_RISE, _MOST_FALL = 1.8, 2.2
"""Log gains that are approached and never reached: what is lifted brings its noise along."""
_LEAST_ROOM, _BRIGHTEST = 0.2, -0.35
"""How far the foreground may always rise, and how light its brightest parts may become."""
_LEAST_FALL, _DARKEST = 0.3, -3.5
"""How far it may always fall, and how dark it may become as a whole."""

_AMBER, _COLD, _GREEN, _MAGENTA = 1.2, 0.45, 0.16, 0.25
"""Casts that light has at most: lamps are amber; blue, green and magenta are mostly skies, leaves and signs."""
_NEW_AMBER, _OLD_AMBER, _OWN_AMBER, _AMBER_LESS = 1.15, 0.6, 0.45, 0.09
_PAINTED, _ALL_PAINT, _SHARES = 0.57, -0.63, (0.2, 1.1)
_NEW_GREEN, _OLD_GREEN, _OWN_GREEN, _GREEN_LESS = 0.9, 0.6, 0.27, -0.04
_SUBJECT_CAST = 0.6
_MOST_TAKEN, _MOST_GREEN_TAKEN = 0.3, 0.25
"""Of a cast at most is taken off: a yellow shirt before a brown wall is no lamp, and a face must not turn blue."""

_SIDE, _LAMPS, _MOST_SIDE = 0.85, 1.8, 0.9
_OLD_SIDE, _MOST_OLD_SIDE = 0.9, 0.65
_SIDE_TINT, _MOST_TINT = 0.6, 0.45

_ALIKE = 0.2
"""Two places that differ by so much in the logarithms may be lit alike: half of the change is made."""


class Change(NamedTuple):
    """The change of light: of the foreground as a whole, and from its middle to what faces right.

    Args:
        even: ``(3,)`` as ``opponent`` has colours.
        side: likewise.
    """

    even: Vector
    side: Vector


def change(old: Surroundings, front: Subject, new: Surroundings, near: float) -> Change:
    """The change from one place to the other.

    Args:
        near: log of the mean luminance of the new place close around the foreground.
    """
    even = np.array([_level(old, front, new, near), _amber(old, front, new), _green(old, front, new)])
    lit = held(_SIDE * new.side + _LAMPS * new.lamps, _MOST_SIDE) - held(_OLD_SIDE * front.side, _MOST_OLD_SIDE)
    tints = (held(_SIDE_TINT * tint, _MOST_TINT) for tint in (new.side_amber, new.side_green))
    share = _told_apart(old, new)
    return Change(share * even, share * np.array([lit, *tints]))


def gain(whole: Vector, right: Vector, down: Vector, rim: Vector, across: Image, below: Image) -> Image:
    """The log gain ``(h, w, 3)``: ``whole`` everywhere, the others as far as the surface faces that way.

    All four as ``opponent`` has colours; ``rim`` is for what faces away from the camera, to whichever side.

    Args:
        across, below: how far the surface faces right and down, ``(h, w)``.
    """
    away = across * across + below * below
    parts = whole + across[..., None] * right + below[..., None] * down + away[..., None] * rim
    return np.asarray(from_opponent(parts), np.float32)


def _told_apart(old: Surroundings, new: Surroundings) -> float:
    """How far there is a change at all, 0..1; none between places that look alike."""
    first, second = (
        np.array([(place.level + place.evenly) / 2, 2 * place.amber, 2 * place.green, place.side / 2])
        for place in (old, new)
    )
    apart = float(np.square(first - second).sum())
    return apart / (apart + _ALIKE**2)


def _level(old: Surroundings, front: Subject, new: Surroundings, near: float) -> float:
    """Exposure: that of the new surroundings, the nearest foremost, against what lit the foreground."""
    there = _NEW_LEVEL * new.level + _NEW_EVENLY * new.evenly + _NEAR * near
    there += _FOLIAGE * float(np.clip(new.green, 0, _MOST_FOLIAGE))
    rise = _beside_white(_beside_dark(there, new)) - _OLD_LEVEL * _beside_white(old.level) + _own(old, front) + _LEVEL
    if rise > 0:
        return float(held(min(rise, max(_LEAST_ROOM, _BRIGHTEST - front.bright)), _MOST_RISE))
    return float(held(max(rise, min(-_LEAST_FALL, _DARKEST - front.level)), _MOST_FALL))


def _beside_white(level: float) -> float:
    return min(level, _WHITE + _OF_WHITE * (level - _WHITE))


def _beside_dark(level: float, place: Surroundings) -> float:
    variety = max(place.level - place.evenly, 0.0)
    return max(level, _DARK + (level - _DARK) * variety / (variety + _PLAIN))


def _own(old: Surroundings, front: Subject) -> float:
    """How much less light there was on the foreground than its surroundings show."""
    darker = old.level - front.bright + _USUAL
    if darker > 0:
        return _OWN * float(held(darker, _MOST_OWN))
    return min(_OWN * darker, darker + _SPOT)


def _amber(old: Surroundings, front: Subject, new: Surroundings) -> float:
    own = _OWN_AMBER * float(held(front.amber, _SUBJECT_CAST)) - _AMBER_LESS
    return _NEW_AMBER * _lit_by(new) - float(held(_OLD_AMBER * _lit_by(old) + own, _MOST_TAKEN))


def _lit_by(place: Surroundings) -> float:
    """The amber of a place's light: in dark places lamps colour everything, in light ones mostly walls are coloured."""
    share = np.clip(-_PAINTED * (place.level - _ALL_PAINT), *_SHARES)
    return float(share) * _believed(place.amber, _AMBER, _COLD)


def _green(old: Surroundings, front: Subject, new: Surroundings) -> float:
    new_cast, old_cast = (_believed(place.green, _GREEN, _MAGENTA) for place in (new, old))
    own = _OWN_GREEN * float(held(front.green, _SUBJECT_CAST)) - _GREEN_LESS
    return _NEW_GREEN * new_cast - float(held(_OLD_GREEN * old_cast + own, _MOST_GREEN_TAKEN))


def _believed(cast: float, up: float, down: float) -> float:
    return float(held(cast, up if cast > 0 else down))


def held(value: Any, limit: float) -> Any:
    """``value`` within ``limit``: as it is while small, bent over smoothly, never beyond."""
    return value / (1 + np.abs(value / limit) ** 3) ** (1 / 3)

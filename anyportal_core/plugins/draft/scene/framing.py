"""How a backdrop is laid behind a moving plate, so that no border of it shows through the whole shot.

Positions here are in heights of the plate, from its centre; so angles are right whatever the aspects are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyportal_core.errors import ShotError
from anyportal_core.plugins.draft.scene.plane import Matrix, through_corners
from anyportal_core.settings import Settings

_MARGIN = 1.004  # for the pixels that resampling reads beyond the border
_ROUNDING = 1e-6
_TOLD = 1.05  # an enlargement beyond it is told
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
_FAR = 50.0  # plate heights: a corner sent farther lies behind the camera, or nearly


@dataclass(frozen=True)
class Look:
    """What the artist asks of the framing at one frame."""

    scale: float
    offset_x: float
    offset_y: float
    rotation: float
    flip: bool
    motion: float

    @classmethod
    def read(cls, settings: Settings, frame: int) -> Look:
        return cls(
            scale=settings.number("scale", frame),
            offset_x=settings.number("offset_x", frame),
            offset_y=settings.number("offset_y", frame),
            rotation=np.deg2rad(settings.number("rotation", frame)),
            flip=settings.flag("flip"),
            motion=settings.number("motion", frame),
        )


@dataclass(frozen=True)
class Framing:
    """Where a backdrop lies.

    Args:
        placement: for every path ``(paths, t, 3, 3)``: unit coordinates of the plate to those of the backdrop.
        note: for the user.
    """

    placement: NDArray[np.float64]
    note: str = ""


def place(
    paths: NDArray[np.float64],
    looks: Sequence[Look],
    aspects: tuple[float, float],
    beyond: str,
    largest_zoom: float,
) -> Framing:
    """Frame the backdrop for the whole shot.

    The backdrop covers the plate and is enlarged once, by the least that keeps every corner of every frame
    inside it. Where that is more than ``largest_zoom``, ``beyond`` decides: ``damp`` follows the camera with
    a smaller share of its motion, ``mirror`` continues the picture by its reflection, ``refuse`` is an error.

    Args:
        paths: ``(paths, t, 3, 3)``, homographies as role ``motion`` yields them: of every layer of the backdrop.
        aspects: width over height of plate and backdrop.

    Raises:
        ShotError: the move needs more picture than there is, and ``beyond`` is ``refuse``.
    """
    seen = np.array([[_seen(np.linalg.inv(matrix)) for matrix in path] for path in paths])
    quads = _quads(seen, looks, aspects, 1.0)
    zoom = _zoom(quads, aspects)
    note = ""
    if zoom > largest_zoom:
        asked = f"the camera's move needs the backdrop {min(zoom, 99):.1f} times as large, {largest_zoom:g} are allowed"
        if beyond == "refuse":
            raise ShotError(asked, where="background.beyond", hint="choose damp or mirror, or a larger largest_zoom")
        if beyond == "damp" or not np.isfinite(seen).all():
            share = _largest_share(seen, looks, aspects, largest_zoom)
            quads = _quads(seen, looks, aspects, share)
            note = f"{asked}: it follows the camera with {100 * share:.0f} % of its motion"
            largest_zoom = max(largest_zoom, _zoom(quads, aspects))  # where the look alone asks for more
        else:
            note = f"{asked}: the picture is continued by its reflection"
        zoom = min(zoom, largest_zoom)
    if zoom > _TOLD:
        note = f"{note}{'; ' * bool(note)}the backdrop is enlarged {zoom:.2f} times to hide its border"
    half = zoom * _half_extent(aspects)
    low, high = quads.min((0, 1, 2)), quads.max((0, 1, 2))
    shift = np.clip(0.0, np.minimum(-half - low, half - high), np.maximum(-half - low, half - high))
    units = (quads + shift) / (2 * half) + 0.5
    return Framing(np.array([[through_corners(_CORNERS, unit) for unit in path] for path in units]), note)


def _seen(back: Matrix) -> NDArray[np.float64]:
    """Where a frame's corners lie in the first frame, unit coordinates ``(4, 2)``."""
    points = np.c_[_CORNERS, np.ones(4)] @ back.T
    depth = points[:, 2:]
    if (depth * np.sign(depth[0]) < 1e-3).any():
        return np.full((4, 2), np.inf)
    seen: NDArray[np.float64] = points[:, :2] / depth
    return seen


def _quads(
    seen: NDArray[np.float64], looks: Sequence[Look], aspects: tuple[float, float], share: float
) -> NDArray[np.float64]:
    """The frames' corners on the backdrop before it is enlarged, ``(paths, t, 4, 2)``."""
    size = np.array([aspects[0], 1.0])
    rest = (_CORNERS - 0.5) * size
    shares = np.array([share * look.motion for look in looks])
    quads = np.array([_followed((path - 0.5) * size, rest, shares) for path in seen])
    for i, look in enumerate(looks):
        moved = (quads[:, i] - np.array([look.offset_x, look.offset_y]) * size) / look.scale
        cosine, sine = np.cos(look.rotation), np.sin(look.rotation)
        moved = moved @ np.array([[cosine, -sine], [sine, cosine]])
        quads[:, i] = moved * [-1, 1] if look.flip else moved
    return np.nan_to_num(np.clip(quads, -_FAR, _FAR), nan=_FAR)


def _followed(
    moved: NDArray[np.float64], rest: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A share of a path of corners ``(t, 4, 2)``: that much of its turn, growth, shift and lean.

    Corners are not blended with those at rest: halfway through a turn by 180 degrees, they would be one point.
    """
    axes = np.array([1, 1j])
    corners, base = moved @ axes, rest @ axes
    middle = corners.mean(1, keepdims=True)
    factor = corners @ base.conj() / np.vdot(base, base).real
    known = np.isfinite(factor) & (factor != 0)
    factor = np.where(known, factor, 1)
    some = np.exp(shares * (np.log(np.abs(factor)) + 1j * np.unwrap(np.angle(factor))))
    lean = (corners - factor[:, None] * base - middle) * np.abs(some / factor)[:, None]
    partly = some[:, None] * base + shares[:, None] * (middle + lean)
    whole = (shares == 1)[:, None, None]
    followed = np.where(whole, rest + (moved - rest), np.stack([partly.real, partly.imag], -1))
    return np.asarray(np.where((shares == 0)[:, None, None], rest, followed))


def _half_extent(aspects: tuple[float, float]) -> NDArray[np.float64]:
    """Half the backdrop's width and height when it just covers the plate."""
    plate, backdrop = aspects
    return np.array([backdrop, 1.0]) * max(plate / backdrop, 1.0) / 2


def _zoom(quads: NDArray[np.float64], aspects: tuple[float, float]) -> float:
    """The least enlargement that holds all corners, when the picture may also be shifted."""
    extent = (quads.max((0, 1, 2)) - quads.min((0, 1, 2))) / 2
    needed = float((extent / _half_extent(aspects)).max())
    # What covers the frame as it is and never moves is not resampled: it comes back pixel for pixel.
    return 1.0 if needed < 1 + _ROUNDING else _MARGIN * needed


def _largest_share(
    seen: NDArray[np.float64], looks: Sequence[Look], aspects: tuple[float, float], zoom: float
) -> float:
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        if _zoom(_quads(seen, looks, aspects, middle), aspects) <= zoom:
            low = middle
        else:
            high = middle
    return low

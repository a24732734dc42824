"""Which colours red, green, blue and white are, and the matrices between them. Light alone, ``(..., 3)`` float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image

Matrix = NDArray[np.float64]

_D65 = (0.3127, 0.3290)
_D60 = (0.32168, 0.33767)
# x, y of red, green, blue and white: ITU-R BT.709, BT.2020, BT.601; SMPTE EG 432-1, RP 431-2, ST 2065-1, S-2014-004.
CHROMATICITIES: dict[str, tuple[tuple[float, float], ...]] = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    "bt601-525": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    "bt601-625": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),
    "p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    "p3-dci": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    "ap0": ((0.7347, 0.2653), (0.0, 1.0), (0.0001, -0.0770), _D60),
    "ap1": ((0.713, 0.293), (0.165, 0.830), (0.128, 0.044), _D60),
}

# What the makers of cameras publish of their gamuts; all have the white D65 but Canon's daylight one.
_CAMERAS: tuple[tuple[tuple[float, float], ...], ...] = (
    ((0.6840, 0.3130), (0.2210, 0.8480), (0.0861, -0.1020), _D65),  # ARRI Wide Gamut 3
    ((0.7347, 0.2653), (0.1424, 0.8576), (0.0991, -0.0308), _D65),  # ARRI Wide Gamut 4
    ((0.730, 0.280), (0.140, 0.855), (0.100, -0.050), _D65),  # Sony S-Gamut3
    ((0.766, 0.275), (0.225, 0.800), (0.089, -0.087), _D65),  # Sony S-Gamut3.Cine
    ((0.730, 0.280), (0.165, 0.840), (0.100, -0.030), _D65),  # Panasonic V-Gamut
    ((0.780308, 0.304253), (0.121595, 1.493994), (0.095612, -0.084589), _D65),  # REDWideGamutRGB
    ((0.8000, 0.3130), (0.1682, 0.9877), (0.0790, -0.1155), _D65),  # DaVinci Wide Gamut
    ((0.7177215, 0.3171181), (0.2280410, 0.8615690), (0.1005841, -0.0820452), (0.3127170, 0.3290312)),  # BMD Gen 5
    ((0.71, 0.31), (0.21, 0.88), (0.09, -0.08), _D65),  # DJI D-Gamut
    ((0.740, 0.270), (0.170, 1.140), (0.080, -0.100), _D65),  # Canon Cinema Gamut
    ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), _D65),  # Adobe RGB
)

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_CAT02 = np.array([[0.7328, 0.4296, -0.1624], [-0.7036, 1.6975, 0.0061], [0.0030, 0.0136, 0.9834]])

_SAME = 1e-4
"""Matrices that differ by less are of the same primaries: the configurations' numbers are rounded."""


@dataclass(frozen=True)
class Gamut:
    """Primaries whose way to ACES2065-1 somebody else has laid down, as OpenColorIO configurations do.

    Args:
        xy: ``x, y`` of red, green, blue and white.
        to_aces: RGB to ACES2065-1, nine numbers, row by row.
    """

    xy: tuple[float, ...]
    to_aces: tuple[float, ...]


Primaries = str | tuple[float, ...] | Gamut
"""A name; ``x, y`` of red, green, blue and white; or those with a matrix of their own."""


def chromaticities(primaries: Primaries) -> tuple[float, ...]:
    """``x, y`` of red, green, blue and white, eight numbers."""
    if isinstance(primaries, Gamut):
        return primaries.xy
    if isinstance(primaries, tuple):
        return primaries
    return tuple(value for point in CHROMATICITIES[primaries] for value in point)


def primaries_of(stated: Sequence[float]) -> Primaries | None:
    """The primaries with these eight ``x, y`` (red, green, blue, white): by name where they are a standard's, to 0.002.

    None where they describe no colours at all, such as zeros.
    """
    for name, known in CHROMATICITIES.items():
        if np.abs(np.ravel(known) - np.asarray(stated)).max() < 0.002:
            return name
    points = np.asarray(stated, np.float64).reshape(4, 2)
    if not np.isfinite(points).all() or points[3, 1] <= 0:
        return None
    # The light of each primary that makes white: nothing, or less, where they span no triangle around it.
    red, green, blue = points[:3] - points[3]
    areas = np.array([_cross(green, blue), _cross(blue, red), _cross(red, green)])
    return tuple(float(value) for value in stated) if (areas > 1e-4).all() or (areas < -1e-4).all() else None


def primaries_by_matrix(to_aces: Matrix) -> Primaries:
    """The primaries with this matrix to ACES2065-1: a standard's name where it is one's, else a gamut of its own.

    A camera's gamut has the chromaticities that its maker publishes. Those of others are told under D65.
    """
    for name in CHROMATICITIES:
        if np.abs(matrix_to_aces(name) - to_aces).max() < _SAME:
            return name
    matrix = tuple(round(float(value), 7) for value in to_aces.ravel())
    for known in _CAMERAS:
        xy = tuple(value for point in known for value in point)
        if min(np.abs(_to_aces_by_xy(xy, cones) - to_aces).max() for cones in (_BRADFORD, _CAT02)) < 3 * _SAME:
            return Gamut(xy, matrix)
    xyz = np.linalg.solve(xyz_to_aces(), to_aces)
    colours = np.column_stack([xyz, xyz.sum(1)])
    points = (colours[:2] / colours.sum(0)).T.ravel()
    return Gamut(tuple(round(float(value), 6) + 0.0 for value in points), matrix)


def transformed(light: Image, matrix: NDArray[np.float32]) -> Image:
    """Light ``(..., 3)`` through a matrix."""
    flat = np.ascontiguousarray(light).reshape(1, -1, 3)
    return np.asarray(cv2.transform(flat, matrix), np.float32).reshape(light.shape)


@lru_cache
def matrix_between(source: Primaries, target: Primaries) -> NDArray[np.float32]:
    """RGB of one set of primaries to another, ``(3, 3)``, whites matched (by Bradford, or as a gamut has it)."""
    return np.asarray(np.linalg.solve(matrix_to_aces(target), matrix_to_aces(source)), np.float32)


def matrix_to_aces(primaries: Primaries) -> Matrix:
    """RGB to ACES2065-1, ``(3, 3)``."""
    if isinstance(primaries, Gamut):
        return np.reshape(primaries.to_aces, (3, 3))
    return _to_aces_by_xy(chromaticities(primaries), _BRADFORD)


def xyz_to_aces() -> Matrix:
    """CIE XYZ under D65 to ACES2065-1, ``(3, 3)``."""
    return np.asarray(np.linalg.solve(_to_xyz(chromaticities("ap0")), _adaptation(_D65, _D60, _BRADFORD)))


def _to_aces_by_xy(xy: tuple[float, ...], cones: Matrix) -> Matrix:
    """RGB of these chromaticities to ACES2065-1, ``(3, 3)``, whites matched in the given cones' responses."""
    adapt = _adaptation((xy[6], xy[7]), _D60, cones)
    return np.asarray(np.linalg.solve(_to_xyz(chromaticities("ap0")), adapt @ _to_xyz(xy)))


def _adaptation(source: tuple[float, float], target: tuple[float, float], cones: Matrix) -> Matrix:
    """XYZ under one white to XYZ under another (von Kries)."""
    there, back = (cones @ np.array([x / y, 1, (1 - x - y) / y]) for x, y in (source, target))
    return np.asarray(np.linalg.solve(cones, np.diag(back / there) @ cones))


def _to_xyz(xy: tuple[float, ...]) -> Matrix:
    """RGB to CIE XYZ, ``(3, 3)``, white at Y = 1 (SMPTE RP 177)."""
    points = np.reshape(xy, (4, 2))
    xyz = np.column_stack([points, 1 - points.sum(1)])
    scale = np.linalg.solve(xyz[:3].T, xyz[3] / xyz[3, 1])
    return np.asarray(xyz[:3].T * scale)


def _cross(one: Matrix, other: Matrix) -> float:
    return float(one[0] * other[1] - one[1] * other[0])

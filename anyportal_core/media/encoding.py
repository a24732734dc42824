"""How pixel values encode light: transfer curves, primaries, and the ways between them.

Everything works on R'G'B' (or RGB) float32 arrays whose last axis is colour. Ranges are extended: negative values
go through the mirrored curve and values above 1 survive, so that a conversion and its inverse cancel.

This module knows the curves of the standards. Configured colour management (OpenColorIO) takes the place of
``to_display``, ``from_display`` and ``convert`` when it comes; the rest of the project calls nothing else here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.errors import unknown_name
from anyportal_core.frames import Image
from anyportal_core.media import transfer

Primaries = str | tuple[float, ...]
"""A name, or ``x, y`` of red, green, blue and white."""


@dataclass(frozen=True)
class Encoding:
    """What the numbers of a clip mean.

    Args:
        transfer: ``srgb``, ``bt709``, ``linear``, ``pq``, ``hlg``, ``gamma22``, ``gamma26``, ``gamma28``,
            ``cineon``.
        primaries: ``bt709``, ``bt2020``, ``bt601-525``, ``bt601-625``, ``p3`` (white D65), ``p3-dci``,
            ``ap0``, ``ap1``; or, for others, their chromaticities: ``x, y`` of red, green, blue and white.
        matrix: ``bt601``, ``bt709``, ``bt2020``, ``smpte240m``, ``fcc``, or ``rgb`` where the file holds RGB.
        full_range: whether code values use all bits (else the video range 16..235 of 8 bit).
        bits: bits a channel in the file; 16 for half and 32 for float.
    """

    transfer: str = "srgb"
    primaries: Primaries = "bt709"
    matrix: str = "rgb"
    full_range: bool = True
    bits: int = 8


SRGB = Encoding()
LINEAR = Encoding(transfer="linear", bits=16)

# A code value of these means the same light on the same monitor, which is how editing hosts treat video and
# stills side by side: 8-bit BT.709 video is graded by eye on a monitor, so it is display-referred already.
_DISPLAY_REFERRED = frozenset({"srgb", "bt709", "gamma22", "gamma26", "gamma28"})

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

_SPACES = {
    "srgb": ("srgb", "bt709"),
    "srgbtexture": ("srgb", "bt709"),
    "srgbencodedrec709srgb": ("srgb", "bt709"),
    "rec709": ("bt709", "bt709"),
    "camerarec709": ("bt709", "bt709"),
    "linear": ("linear", "bt709"),
    "linearrec709": ("linear", "bt709"),
    "linearrec709srgb": ("linear", "bt709"),
    "linearrec2020": ("linear", "bt2020"),
    "linearp3d65": ("linear", "p3"),
    "acescg": ("linear", "ap1"),
    "aces20651": ("linear", "ap0"),
    "displayp3": ("srgb", "p3"),
    "pqrec2020": ("pq", "bt2020"),
    "hlgrec2020": ("hlg", "bt2020"),
    "cineon": ("cineon", "bt709"),
}


def to_linear(pixels: Image, encoding: Encoding) -> Image:
    """Light ``(..., 3)`` float32, proportional to the scene's or the display's, 1 = diffuse white, same primaries."""
    return transfer.decode(pixels, encoding.transfer)


def from_linear(pixels: Image, encoding: Encoding) -> Image:
    """The inverse of ``to_linear``: light with the encoding's primaries to its code values, not clamped."""
    return transfer.encode(pixels, encoding.transfer)


def convert(pixels: Image, source: Encoding, target: Encoding) -> Image:
    """Code values of ``source`` as code values of ``target``, ``(..., 3)`` float32, not clamped.

    Matrix, range and bits belong to the file, not to the picture, and change nothing. Between two
    display-referred curves the code values are carried over (see ``to_display``). The very object comes
    back when there is nothing to do.
    """
    same_curve = source.transfer == target.transfer or {source.transfer, target.transfer} <= _DISPLAY_REFERRED
    if same_curve and source.primaries == target.primaries:
        return pixels
    curves = source.transfer, target.transfer
    if same_curve:  # light for the primaries alone: one curve there and back, the same in both directions
        curves = (min(curves),) * 2
    light = transfer.decode(pixels, curves[0])
    if source.primaries != target.primaries:
        light = _transform(light, _primaries_matrix(source.primaries, target.primaries))
    return transfer.encode(light, curves[1])


def to_display(pixels: Image, encoding: Encoding) -> Image:
    """Display-referred sRGB, ``(..., 3)`` float32, clamped to 0..1: what the models and a monitor are shown.

    Scene-linear, log, PQ and HLG pixels go through light (diffuse white = 1) to the plain sRGB curve; what is
    brighter than white clips. BT.709 and other SDR video is display-referred already: its code values are kept,
    as hosts show them, and only foreign primaries are converted.
    """
    return np.clip(convert(pixels, encoding, SRGB), 0.0, 1.0)


def from_display(pixels: Image, encoding: Encoding) -> Image:
    """Display-referred sRGB ``(..., 3)`` as code values of ``encoding``: undoes ``to_display`` up to its clamp."""
    return convert(pixels, SRGB, encoding)


def named(colour_space: str, file: Encoding) -> Encoding:
    """The file's encoding with transfer and primaries replaced by a colour space given by name.

    Raises:
        UnknownNameError: none of the names known so far; the hint offers the nearest.
    """
    key = "".join(c for c in colour_space.lower() if c.isalnum())
    if key not in _SPACES:
        raise unknown_name("colour space", colour_space, _SPACES, where="colour_space")
    curve, primaries = _SPACES[key]
    return Encoding(curve, primaries, file.matrix, file.full_range, file.bits)


def chromaticities(primaries: Primaries) -> tuple[float, ...]:
    """``x, y`` of red, green, blue and white, eight numbers."""
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


def _cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(one[0] * other[1] - one[1] * other[0])


def _transform(light: Image, matrix: NDArray[np.float32]) -> Image:
    flat = np.ascontiguousarray(light).reshape(1, -1, 3)
    return np.asarray(cv2.transform(flat, matrix), np.float32).reshape(light.shape)


def _to_xyz(primaries: Primaries) -> NDArray[np.float64]:
    """RGB to CIE XYZ, ``(3, 3)``, white at Y = 1 (SMPTE RP 177)."""
    points = np.reshape(chromaticities(primaries), (4, 2))
    xyz = np.column_stack([points, 1 - points.sum(1)])
    scale = np.linalg.solve(xyz[:3].T, xyz[3] / xyz[3, 1])
    return np.asarray(xyz[:3].T * scale)


@lru_cache
def _primaries_matrix(source: Primaries, target: Primaries) -> NDArray[np.float32]:
    """RGB of one set of primaries to another, ``(3, 3)``, whites matched by Bradford adaptation."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    there, back = _to_xyz(source), _to_xyz(target)
    cones_from, cones_to = bradford @ there.sum(1), bradford @ back.sum(1)
    adapt = np.linalg.solve(bradford, np.diag(cones_to / cones_from) @ bradford)
    return np.asarray(np.linalg.solve(back, adapt @ there), np.float32)

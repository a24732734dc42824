"""Transfer curves of the standards, code value to light and back, on float32 arrays of any shape.

Every curve but Cineon, whose black lies above code 0, is odd (negative values mirrored); all go on above 1.
Light 1 is diffuse white: 203 cd/m² for PQ and 75 % signal for HLG (ITU-R BT.2408), code 685 of 1023 for Cineon.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.errors import ShotError, unknown_name
from anyportal_core.frames import Image

Curve = Callable[[Image], Image]

DATA = "data"
"""In the place of a curve: the numbers are no colours, such as those of a matte."""

# Values that are worked on at a time: intermediate results stay in the processor's cache.
_BLOCK = 1 << 16


def decode(pixels: Image, name: str) -> Image:
    """Code values to light; the very object for ``linear``."""
    return _mirrored(pixels, name, 0)


def encode(pixels: Image, name: str) -> Image:
    """Light to code values: the inverse of ``decode`` to float precision."""
    return _mirrored(pixels, name, 1)


def brightened(pixels: Image, log_gain: Image, name: str) -> Image:
    """Code values of light times ``exp(log_gain)``, of one shape: to float precision what decoding and encoding give.

    Of a power, the exponent of the gain is divided by its own, and no power is needed; the toe is straight. Only what
    comes from the one to the other goes through light, and what is negative beyond the toe.
    """
    if name not in _POWERS:
        return encode(decode(pixels, name) * np.exp(log_gain), name)
    lift, exponent, knee = _POWERS[name]
    power = pixels + np.float32(lift)
    power *= np.exp(log_gain * np.float32(1 / exponent))
    power -= np.float32(lift)
    low = pixels < knee
    made = _replaced(power.reshape(-1), (pixels * np.exp(log_gain)).reshape(-1), low.reshape(-1)).reshape(pixels.shape)
    others = np.flatnonzero((low != (made < knee)) | (np.minimum(pixels, made) < -knee))
    light = decode(pixels.reshape(-1)[others], name)
    light *= np.exp(log_gain.reshape(-1)[others])
    made.reshape(-1)[others] = encode(light, name)
    return made


def _mirrored(pixels: Image, name: str, way: int) -> Image:
    if name == DATA:
        raise ShotError(
            "the colour space holds data, no colours", where="colour_space", hint="say which colours the pixels are"
        )
    if name not in _CURVES:
        raise unknown_name("transfer curve", name, _CURVES)
    curve = _CURVES[name][way]
    if curve is None or not pixels.size:
        return pixels
    flat = np.ascontiguousarray(pixels, np.float32).ravel()
    made = np.empty_like(flat)
    for start in range(0, flat.size, _BLOCK):
        part = flat[start : start + _BLOCK]
        if name == "cineon" or part.min() >= 0:
            made[start : start + _BLOCK] = curve(part)
        else:
            made[start : start + _BLOCK] = np.copysign(curve(np.abs(part)), part)
    return made.reshape(pixels.shape)


def _pow(values: Image, exponent: float) -> Image:
    # OpenCV's power is several times faster than numpy's, and good to float precision.
    return np.asarray(cv2.pow(np.atleast_1d(values), exponent), np.float32).reshape(values.shape)


def _replaced(values: Image, others: Image, where: NDArray[np.bool_]) -> Image:
    """``values``, but ``others`` at the places given (numpy's own ways take ten times as long)."""
    mixed = cv2.copyTo(others, where.view(np.uint8), values.reshape(-1, 1))
    return np.asarray(mixed, np.float32).reshape(values.shape)


def _power_with_toe(alpha: float, exponent: float, slope: float, knee: float) -> tuple[Curve, Curve]:
    """``light = code / slope`` below the code ``knee``, ``((code + alpha - 1) / alpha) ** exponent`` above."""

    def to_light(code: Image) -> Image:
        light = code + np.float32(alpha - 1)
        light *= np.float32(1 / alpha)
        light = _pow(light, exponent)
        return _replaced(light, code * np.float32(1 / slope), code < knee)

    def to_code(light: Image) -> Image:
        code = _pow(light, 1 / exponent)
        code *= np.float32(alpha)
        code -= np.float32(alpha - 1)
        return _replaced(code, light * np.float32(slope), light < knee / slope)

    return to_light, to_code


def _gamma(exponent: float) -> tuple[Curve, Curve]:
    return (lambda code: _pow(code, exponent)), (lambda light: _pow(light, 1 / exponent))


# SMPTE ST 2084.
_M1, _M2, _C1, _C2, _C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
_PQ_WHITE = 203.0 / 10000.0


def _pq_to_light(code: Image) -> Image:
    # Double precision: the exponents of 78 amplify the last bits. The curve has a pole near code 1.99.
    root = np.minimum(code.astype(np.float64), 1.9) ** (1 / _M2)
    return np.asarray((np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1) / _PQ_WHITE, np.float32)


def _pq_to_code(light: Image) -> Image:
    root = (light.astype(np.float64) * _PQ_WHITE) ** _M1
    code = ((_C1 + _C2 * root) / (1 + _C3 * root)) ** _M2
    return np.asarray(np.where(light > 0, code, 0), np.float32)


# ITU-R BT.2100, light of the scene.
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HLG_WHITE = (np.exp((0.75 - _C) / _A) + _B) / 12


def _hlg_to_light(code: Image) -> Image:
    wide = np.minimum(code.astype(np.float64), 10.0)
    light = np.where(wide <= 0.5, wide * wide / 3, (np.exp((wide - _C) / _A) + _B) / 12)
    return np.asarray(light / _HLG_WHITE, np.float32)


def _hlg_to_code(light: Image) -> Image:
    wide = light.astype(np.float64) * _HLG_WHITE
    log = _A * np.log(np.maximum(12 * wide - _B, 1e-9)) + _C
    return np.asarray(np.where(wide <= 1 / 12, np.sqrt(3 * wide), log), np.float32)


# Kodak Cineon: 0.002 density a code value, film gamma 0.6, black 95, white 685.
_CINEON_STEP = 1023 * 0.002 / 0.6
_CINEON_BLACK = 10 ** ((95 - 685) * 0.002 / 0.6)


def _cineon_to_light(code: Image) -> Image:
    power = 10 ** ((np.minimum(code.astype(np.float64), 4.0) - 685 / 1023) * _CINEON_STEP)
    return np.asarray((power - _CINEON_BLACK) / (1 - _CINEON_BLACK), np.float32)


def _cineon_to_code(light: Image) -> Image:
    power = light.astype(np.float64) * (1 - _CINEON_BLACK) + _CINEON_BLACK
    return np.asarray(np.log10(np.maximum(power, 1e-9)) / _CINEON_STEP + 685 / 1023, np.float32)


_CURVES: dict[str, tuple[Curve | None, Curve | None]] = {
    "linear": (None, None),
    "srgb": _power_with_toe(1.055, 2.4, 12.92, 0.04045),
    "bt709": _power_with_toe(1.09929682680944, 1 / 0.45, 4.5, 4.5 * 0.018053968510807),
    "gamma18": _gamma(1.8),
    "gamma22": _gamma(2.2),
    "gamma24": _gamma(2.4),
    "gamma26": _gamma(2.6),
    "gamma28": _gamma(2.8),
    "pq": (_pq_to_light, _pq_to_code),
    "hlg": (_hlg_to_light, _hlg_to_code),
    "cineon": (_cineon_to_light, _cineon_to_code),
}

_POWERS = {
    "srgb": (0.055, 2.4, 0.04045),
    "bt709": (0.09929682680944, 1 / 0.45, 4.5 * 0.018053968510807),
    "gamma18": (0.0, 1.8, 0.0),
    "gamma22": (0.0, 2.2, 0.0),
    "gamma24": (0.0, 2.4, 0.0),
    "gamma26": (0.0, 2.6, 0.0),
    "gamma28": (0.0, 2.8, 0.0),
}
"""Of curves whose lifted codes are a power of light: the lift, the exponent, and the code below which they are not."""

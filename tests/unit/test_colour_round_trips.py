"""Every colour space that is promised: against its published formula, and there and back below half a code value."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.media.encoding import (
    LINEAR,
    SRGB,
    Encoding,
    chromaticities,
    convert,
    from_linear,
    light_of,
    named,
    to_linear,
)

LOGS = {
    "ARRI LogC3 (EI800)": "AWG3",
    "ARRI LogC4": "AWG4",
    "S-Log3 S-Gamut3": "SG3",
    "S-Log3 S-Gamut3.Cine": "SG3C",
    "V-Log V-Gamut": "VG",
    "Log3G10 REDWideGamutRGB": "RWG",
    "DaVinci Intermediate WideGamut": "DWG",
}
LINEARS = ("ACEScg", "ACES2065-1", "Linear Rec.709 (sRGB)")
VIDEO = ("Rec.709", "PQ Rec.2020", "HLG Rec.2020")

spaces = pytest.mark.parametrize("name", [*LOGS, *LINEARS, *VIDEO])
logs = pytest.mark.parametrize("name", LOGS)


def encoding(name: str) -> Encoding:
    return named(name, Encoding())


def colours(codes: NDArray[np.floating]) -> Image:
    """Every code in every channel, beside others."""
    flat = codes.astype(np.float32).ravel()
    return np.stack([flat, np.roll(flat, len(flat) // 3), flat[::-1]], axis=-1)[None]


def code_values(bits: int, video: bool) -> NDArray[np.float64]:
    """All that integers of so many bits can say, blacker than black and whiter than white too."""
    codes = np.arange(2**bits, dtype=np.float64)
    step = 2.0 ** (bits - 8)
    return (codes - 16 * step) / (219 * step) if video else codes / (2**bits - 1)


@spaces
@pytest.mark.parametrize("video", [False, True], ids=["full", "video"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_integers_come_back(name: str, bits: int, video: bool) -> None:
    codes = colours(code_values(bits, video))
    own = encoding(name)
    span = 219 * 2.0 ** (bits - 8) if video else 2.0**bits - 1
    assert np.abs(from_linear(to_linear(codes, own), own) - codes).max() * span < 0.5


@spaces
def test_integers_come_back_from_aces(name: str) -> None:
    """Of 16 bits. Of colours that one would see: a channel of 40 beside one of 0.0001 takes that one's last bits."""
    codes = code_values(16, video=False).astype(np.float32)
    near = np.stack([codes, np.clip(codes * 0.95 + 0.02, 0, 1), np.clip(codes + 0.05, 0, 1)], axis=-1)[None]
    own, aces = encoding(name), encoding("ACES2065-1")
    assert np.abs(convert(convert(near, own, aces), aces, own) - near).max() * 65535 < 0.5


@spaces
def test_halves_come_back_as_the_same_halves(name: str) -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    most = 65504 if name in LINEARS else 1.2
    halves = np.unique(halves[np.isfinite(halves) & (np.abs(halves.astype(np.float32)) <= most)])
    codes, own = colours(halves), encoding(name)
    back = from_linear(to_linear(codes, own), own)
    # Steps of half are finer than those of float in the light that such codes stand for.
    tiny = np.abs(codes) < {"ARRI LogC4": 2e-4, "PQ Rec.2020": 1e-6}.get(name, 0.0)
    np.testing.assert_array_equal(back[~tiny].astype(np.float16), codes[~tiny].astype(np.float16))
    np.testing.assert_allclose(back[tiny], codes[tiny], atol=1e-6)


@spaces
def test_floats_come_back(name: str) -> None:
    codes = colours(np.random.default_rng(1).uniform(-0.1, 1.2, 20_000))
    own = encoding(name)
    np.testing.assert_allclose(from_linear(to_linear(codes, own), own), codes, rtol=1e-6, atol=4e-7)


@spaces
def test_extended_light_survives(name: str) -> None:
    """Of 40 and below black; S-Log3 and its kin go on straight below their black, PQ and HLG mirrored."""
    light = np.float32([[[40.0, 40.0, 40.0], [-0.05, -0.05, -0.05], [40.0, -0.05, 0.18], [-0.05, 1.0, 40.0]]])
    own = encoding(name)
    np.testing.assert_allclose(to_linear(from_linear(light, own), own), light, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", LINEARS)
def test_what_is_linear_is_not_touched(name: str) -> None:
    pixels = np.zeros((2, 2, 3), np.float32)
    own = encoding(name)
    assert to_linear(pixels, own) is pixels and from_linear(pixels, own) is pixels
    assert convert(pixels, own, light_of(own)) is pixels and light_of(own) is own


@logs
def test_light_of_camera_logs_is_acescg(name: str) -> None:
    light = light_of(encoding(name))
    assert (light.transfer, light.primaries) == ("linear", "ap1")
    assert chromaticities(light.primaries) == (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767)


# As published: "ALEXA Log C Curve, Usage in VFX" (EI 800); "ARRI LogC4 Logarithmic Color Space"; "Technical Summary for
# S-Gamut3.Cine/S-Log3 and S-Gamut3/S-Log3"; "V-Log/V-Gamut Reference Manual"; "White Paper on REDWideGamutRGB and
# Log3G10"; "DaVinci Resolve 17 Wide Gamut Intermediate".


def log_c3(x: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 0.247190 * np.log10(np.maximum(5.555556 * x + 0.052272, 1e-9)) + 0.385537
    return np.where(x > 0.010591, above, 5.367655 * x + 0.092809)


def log_c4(x: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, c = (2**18 - 16) / 117.45, (1023 - 95) / 1023, 95 / 1023
    s = 7 * np.log(2) * 2 ** (7 - 14 * c / b) / (a * b)
    t = (2 ** (14 * (-c / b) + 6) - 64) / a
    above = (np.log2(np.maximum(a * x + 64, 1e-9)) - 6) / 14 * b + c
    return np.where(x >= t, above, (x - t) / s)


def s_log3(x: NDArray[np.float64]) -> NDArray[np.float64]:
    above = (420 + np.log10(np.maximum(x + 0.01, 1e-9) / 0.19) * 261.5) / 1023
    return np.where(x >= 0.01125, above, (x * (171.2102946929 - 95) / 0.01125 + 95) / 1023)


def v_log(x: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 0.241514 * np.log10(np.maximum(x + 0.00873, 1e-9)) + 0.598206
    return np.where(x < 0.01, 5.6 * x + 0.125, above)


def log3g10(x: NDArray[np.float64]) -> NDArray[np.float64]:
    moved = x + 0.01
    return np.where(moved < 0, moved * 15.1927, 0.224282 * np.log10(np.maximum(moved, 0) * 155.975327 + 1))


def davinci(x: NDArray[np.float64]) -> NDArray[np.float64]:
    above = (np.log2(np.maximum(x + 0.0075, 1e-9)) + 7) * 0.07329248
    return np.where(x > 0.00262409, above, x * 10.44426855)


FORMULAS = [
    ("ARRI LogC3 (EI800)", log_c3, 0.391),
    ("ARRI LogC4", log_c4, 0.2784),
    ("S-Log3 S-Gamut3", s_log3, 420 / 1023),
    ("S-Log3 S-Gamut3.Cine", s_log3, 0.4106),
    ("V-Log V-Gamut", v_log, 0.4233),
    ("Log3G10 REDWideGamutRGB", log3g10, 0.3333),
    ("DaVinci Intermediate WideGamut", davinci, 0.3360),
]


@pytest.mark.parametrize(("name", "formula", "grey"), FORMULAS)
def test_logs_are_as_published(name: str, formula: object, grey: float) -> None:
    light = np.concatenate([np.linspace(-0.01, 0.05, 500), np.geomspace(0.05, 40, 500)])
    codes = from_linear(np.repeat(light[:, None], 3, 1).astype(np.float32)[None], encoding(name))[0]
    expected = formula(light)  # type: ignore[operator]
    np.testing.assert_allclose(codes, np.repeat(expected[:, None], 3, 1), atol=2e-5)
    eighteen = from_linear(np.full((1, 1, 3), 0.18, np.float32), encoding(name))
    np.testing.assert_allclose(eighteen, grey, atol=6e-5)


@pytest.mark.parametrize(
    ("name", "light", "code"),
    [
        ("PQ Rec.2020", 100 / 203, 0.508078),  # 100 cd/m2, ITU-R BT.2408
        ("PQ Rec.2020", 1.0, 0.580689),  # 203
        ("PQ Rec.2020", 1000 / 203, 0.751827),
        ("HLG Rec.2020", 1.0, 0.75),
        ("HLG Rec.2020", 1 / 12 / 0.26496256, 0.5),  # BT.2100: 1/12 of the most
        ("Rec.709", 0.18, 0.408848),
        ("Rec.709", 0.018, 0.081),
    ],
)
def test_video_is_as_published(name: str, light: float, code: float) -> None:
    made = from_linear(np.full((1, 1, 3), light, np.float32), encoding(name))
    np.testing.assert_allclose(made, code, atol=2e-5)


# ARRI: "ALEXA Wide Gamut 3 RGB to ACES"; of the primaries of the others to ACEScg no matrix is published, but white is.
@logs
def test_white_of_camera_gamuts_is_white(name: str) -> None:
    white = from_linear(np.ones((1, 1, 3), np.float32), encoding(name))
    assert np.ptp(white) < 1e-6
    np.testing.assert_allclose(convert(white, encoding(name), LINEAR), 1, atol=2e-5)


def test_camera_gamuts_are_wider_than_video() -> None:
    """Pure red of each, as a log code in one channel, lies outside BT.709 and keeps its way back."""
    for name in LOGS:
        own = encoding(name)
        grey = float(from_linear(np.full((1, 1, 3), 0.18, np.float32), own)[0, 0, 0])
        red = np.float32([[[0.6, grey / 2, grey / 2]]])
        light = convert(red, own, LINEAR)
        assert light[0, 0, 0] > 0 > light[0, 0, 1:].min()
        np.testing.assert_allclose(convert(light, LINEAR, own), red, atol=2e-6)
        np.testing.assert_allclose(convert(convert(red, own, SRGB), SRGB, own), red, atol=2e-4)

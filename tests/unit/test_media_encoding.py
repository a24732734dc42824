"""Transfer curves, primaries, and the ways between encodings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyportal_core.errors import UnknownNameError
from anyportal_core.media.encoding import (
    CHROMATICITIES,
    LINEAR,
    SRGB,
    Encoding,
    brightened,
    chromaticities,
    convert,
    from_display,
    from_linear,
    named,
    primaries_of,
    to_display,
    to_linear,
)

CURVES = ("linear", "srgb", "bt709", "gamma18", "gamma22", "gamma24", "gamma26", "gamma28", "pq", "hlg", "cineon")
PRIMARIES = tuple(CHROMATICITIES)


@pytest.mark.parametrize(
    ("curve", "code", "light"),
    [
        ("srgb", 0.5, 0.21404114),
        ("srgb", 0.04, 0.04 / 12.92),
        ("bt709", 0.5, 0.25972290),
        ("bt709", 0.08, 0.08 / 4.5),
        ("gamma22", 0.5, 0.5**2.2),
        ("pq", 0.5806888, 1.0),  # 203 cd/m² (BT.2408)
        ("pq", 1.0, 10000 / 203),
        ("hlg", 0.75, 1.0),
        ("hlg", 0.5, (1 / 12) / 0.26496256),
        ("cineon", 685 / 1023, 1.0),
        ("cineon", 95 / 1023, 0.0),
    ],
)
def test_curves_hit_the_values_of_their_standards(curve: str, code: float, light: float) -> None:
    pixels = np.full((1, 1, 3), code, np.float32)
    assert to_linear(pixels, Encoding(curve)) == pytest.approx(light, rel=2e-5, abs=1e-6)


@pytest.mark.parametrize("curve", CURVES)
def test_light_and_back_is_the_same_code(curve: str) -> None:
    codes = np.linspace(0 if curve == "cineon" else -0.5, 1.8, 30_000, dtype=np.float32).reshape(100, 100, 3)
    encoding = Encoding(curve)
    back = from_linear(to_linear(codes, encoding), encoding)
    tolerance = 2e-4 if curve == "cineon" else 1e-6  # near its black a Cineon step is 1e-5 of white
    np.testing.assert_allclose(back, codes, atol=tolerance, rtol=1e-6)


@pytest.mark.parametrize("curve", CURVES)
def test_code_and_back_keeps_extended_light(curve: str) -> None:
    light = np.float32([[[40.0, 1.0, 0.18], [0.0, 0.001, 5.0]]])
    encoding = Encoding(curve)
    np.testing.assert_allclose(to_linear(from_linear(light, encoding), encoding), light, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("curve", [c for c in CURVES if c != "cineon"])
def test_negative_values_are_mirrored(curve: str) -> None:
    codes = np.float32([[[0.02, 0.3, 0.9]]])
    encoding = Encoding(curve)
    np.testing.assert_array_equal(to_linear(-codes, encoding), -to_linear(codes, encoding))


@pytest.mark.parametrize("curve", CURVES)
def test_brighter_codes_are_those_of_brighter_light(curve: str) -> None:
    """Through the toe in both directions, above white, below black, and nothing where there is nothing."""
    codes = np.linspace(0 if curve == "cineon" else -0.3, 1.5, 300, dtype=np.float32)[:, None, None].repeat(3, -1)
    codes = codes.repeat(41, 1)
    log_gain = np.linspace(-3, 3, 41, dtype=np.float32)[None, :, None].repeat(3, -1).repeat(300, 0)
    encoding = Encoding(curve)
    expected = from_linear(to_linear(codes, encoding) * np.exp(log_gain), encoding)
    made = brightened(codes[:, ::2], log_gain[:, ::2], encoding)
    np.testing.assert_allclose(made, expected[:, ::2], atol=2e-6, rtol=2e-6)
    black = np.zeros((2, 2, 3), np.float32)
    if curve != "cineon":
        np.testing.assert_array_equal(brightened(black, np.ones_like(black), encoding), 0)


@settings(deadline=None)
@given(st.sampled_from(PRIMARIES), st.sampled_from(PRIMARIES), st.sampled_from(CURVES[:-1]))
def test_conversions_cancel_and_keep_grey(source: str, target: str, curve: str) -> None:
    a, b = Encoding("linear", source), Encoding(curve, target)
    pixels = np.float32([[[0.2, 0.5, 0.3], [0.4, 0.4, 0.4], [1.0, 1.0, 1.0]]])
    there = convert(pixels, a, b)
    np.testing.assert_allclose(convert(there, b, a), pixels, atol=2e-5)
    assert np.ptp(there[0, 1:], axis=-1).max() < 2e-5


def test_bt2020_red_in_bt709_is_the_published_triple() -> None:
    red = convert(np.float32([[[1, 0, 0]]]), Encoding("linear", "bt2020"), LINEAR)
    np.testing.assert_allclose(red[0, 0], [1.6605, -0.1246, -0.0182], atol=2e-4)  # ITU-R BT.2087


def test_equal_encodings_give_the_very_object() -> None:
    pixels = np.zeros((2, 2, 3), np.float32)
    video = Encoding("bt709", "bt709", "bt601", full_range=False, bits=10)
    assert convert(pixels, video, video) is pixels
    assert convert(pixels, video, Encoding("bt709")) is pixels  # matrix, range and bits are the file's business


def test_display_keeps_the_code_values_of_video_and_clamps() -> None:
    pixels = np.float32([[[0.5, -0.1, 1.2]]])
    shown = to_display(pixels, Encoding("bt709", "bt709", "bt709", full_range=False))
    np.testing.assert_array_equal(shown, np.float32([[[0.5, 0, 1]]]))


def test_display_of_scene_linear_is_the_srgb_curve_with_a_shoulder() -> None:
    shown = to_display(np.float32([[[0.18, 0.6, -0.05], [1.0, 40.0, 65504.0]]]), LINEAR)
    np.testing.assert_allclose(shown[0, 0], [0.46135613, 0.79773, 0], atol=1e-5)
    np.testing.assert_allclose(shown[0, 1, :2], [0.9, 0.99059], atol=1e-5)
    assert 0.999 < shown[0, 1, 2] < 1


SCENES = [LINEAR, Encoding("linear", "ap1"), Encoding("pq", "bt2020"), Encoding("hlg", "bt2020"), Encoding("cineon")]


@pytest.mark.parametrize("encoding", SCENES, ids=lambda e: f"{e.transfer}-{e.primaries}")
def test_highlights_survive_the_display(encoding: Encoding) -> None:
    """All of the light that half float holds comes back, and more of it is always shown brighter."""
    light = np.geomspace(0.01, 65504, 3000, dtype=np.float32).reshape(1, -1, 1) * np.float32([1, 0.8, 0.9])
    codes = from_linear(light.astype(np.float32), encoding)
    shown = to_display(codes, encoding)
    assert (np.diff(shown[0], axis=0) > 0).all() and shown.max() < 1
    back = to_linear(from_display(shown, encoding), encoding)
    bright = to_linear(codes, encoding)
    few = bright < (40 if encoding.transfer in ("pq", "hlg") else 30_000)
    np.testing.assert_allclose(back[few], bright[few], rtol=2e-3)
    np.testing.assert_allclose(back[bright < 40], bright[bright < 40], rtol=5e-5, atol=1e-6)


def test_the_shoulder_begins_gently_and_ends_with_half_floats() -> None:
    codes = np.linspace(0.7, 0.9, 2001, dtype=np.float32).reshape(1, -1, 1) * np.ones(3, np.float32)
    slope = np.diff(to_display(to_linear(codes, SRGB), LINEAR)[0, :, 0]) / np.diff(codes[0, :, 0])
    assert abs(slope[990:1010] - 1).max() < 0.01 and (np.diff(slope[1000:]) < 2e-3).all()
    white = from_display(np.float32([[[1.0, 1.5, 0.9999]]]), LINEAR)
    np.testing.assert_allclose(white, 65504, rtol=1e-3)


def test_what_is_display_referred_is_shown_and_read_as_it_is() -> None:
    """The shoulder is for scenes alone: white of video and of a painted picture is white."""
    codes = np.float32([[[0.85, 0.95, 1.0]]])
    for video in (SRGB, Encoding("bt709"), Encoding("gamma24")):
        np.testing.assert_array_equal(to_display(codes, video), codes)
        np.testing.assert_array_equal(from_display(codes, video), codes)
    np.testing.assert_allclose(convert(np.float32([[[1.0, 1.0, 1.0]]]), SRGB, LINEAR), 1, atol=1e-6)


@pytest.mark.parametrize("encoding", [SRGB, LINEAR, Encoding("pq", "bt2020"), Encoding("bt709", "bt601-525")])
def test_display_and_back(encoding: Encoding) -> None:
    shown = np.random.default_rng(0).random((8, 8, 3), np.float32) * np.float32(0.5) + np.float32(0.25)
    np.testing.assert_allclose(to_display(from_display(shown, encoding), encoding), shown, atol=2e-5)


def test_colour_spaces_by_name() -> None:
    file = Encoding("bt709", "bt709", "bt601", full_range=False, bits=10)
    assert named("Linear Rec.709 (sRGB)", file) == Encoding("linear", "bt709", "bt601", False, 10)
    assert named("ACEScg", file).primaries == "ap1"
    with pytest.raises(UnknownNameError, match="did you mean ACEScg"):
        named("ACES cgg", file)


# ARRI Wide Gamut 3, with a blue that no light has.
WIDE_GAMUT = (0.6840, 0.3130, 0.2210, 0.8480, 0.0861, -0.1020, 0.3127, 0.3290)


def test_primaries_by_chromaticities() -> None:
    for name, points in CHROMATICITIES.items():
        assert primaries_of(tuple(float(v) for v in np.ravel(points))) == name
        assert primaries_of(chromaticities(name)) == name
    assert primaries_of(WIDE_GAMUT) == WIDE_GAMUT
    assert chromaticities(WIDE_GAMUT) == WIDE_GAMUT


@pytest.mark.parametrize(
    "points",
    [
        (0.5,) * 8,
        (0.0,) * 8,
        (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.0, 0.0),
        (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.8, 0.1),
        (np.nan,) * 8,
    ],
    ids=["a point", "zeros", "no white", "white outside", "no numbers"],
)
def test_chromaticities_of_no_colours(points: tuple[float, ...]) -> None:
    assert primaries_of(points) is None


def test_light_of_any_primaries() -> None:
    """By the published matrix from ARRI Wide Gamut 3 to BT.709, and of XYZ itself, whose white is to be adapted."""
    wide = Encoding("linear", WIDE_GAMUT)
    there = convert(np.float32([[[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]]), wide, LINEAR)
    published = [[1.617523, -0.070573, -0.021102], [-0.537287, 1.334613, -0.226954], [-0.080237, -0.264040, 1.248056]]
    np.testing.assert_allclose(there[0], [*published, [1, 1, 1]], atol=2e-4)
    np.testing.assert_allclose(convert(there, LINEAR, wide)[0], [*np.eye(3), [1, 1, 1]], atol=2e-5)
    xyz = Encoding("linear", (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3))
    grey = convert(np.full((1, 1, 3), 0.18, np.float32), xyz, LINEAR)
    np.testing.assert_allclose(grey, 0.18, atol=1e-5)

"""The finish means the same light whatever primaries and curve a plate is encoded in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anyportal_core.media.encoding import LINEAR, SRGB, Encoding, convert, from_display, named, to_display
from anyportal_core.ops import opencv
from anyportal_core.stages.relighting import relight
from tests.unit.test_finish import HEIGHT, WIDTH, OneFrame, disc

SPACES = ["ACEScg", "ACES2065-1", "Linear P3-D65", "ARRI LogC3 (EI800)", "ARRI LogC4", "S-Log3 S-Gamut3.Cine"]


def picture() -> np.ndarray:
    """Grey, skin and saturated stripes of light, Rec.709."""
    stripes = np.float32([[0.18, 0.18, 0.18], [0.5, 0.31, 0.25], [0.05, 0.3, 0.1], [2.0, 1.6, 1.1]])
    return np.repeat(np.repeat(stripes[None], WIDTH // 4, 1).reshape(1, WIDTH, 3), HEIGHT, 0).astype(np.float32)


def relit(encoding: Encoding) -> np.ndarray:
    """The picture, encoded so, under a bluer light; as Rec.709 light again."""
    pixels = convert(picture(), LINEAR, encoding).copy()
    gain = np.array(np.broadcast_to(np.log(np.float32([0.45, 0.5, 1.1])), (36, 40, 3)))
    display = np.clip(convert(picture(), LINEAR, SRGB), 0, 1)
    relight(pixels, gain, display, np.ones((HEIGHT, WIDTH), np.float32), encoding, opencv)
    return convert(pixels, encoding, LINEAR)


@pytest.mark.parametrize("space", SPACES)
def test_new_light_is_the_same_light_in_every_space(space: str) -> None:
    wanted = picture() * np.float32([0.45, 0.5, 1.1])
    np.testing.assert_allclose(relit(named(space, LINEAR)), wanted, rtol=5e-3, atol=2e-4)


def test_where_no_light_changes_no_pixel_does() -> None:
    encoding = named("ACES2065-1", LINEAR)
    pixels = convert(picture(), LINEAR, encoding).copy()
    before, gain = pixels.copy(), np.zeros((36, 40, 3), np.float32)
    gain[:, 20:] = np.log(2.0)
    relight(pixels, gain, np.clip(picture(), 0, 1), np.ones((HEIGHT, WIDTH), np.float32), encoding, opencv)
    np.testing.assert_array_equal(pixels[:, : WIDTH // 2 - 40], before[:, : WIDTH // 2 - 40])
    assert (pixels[:, WIDTH // 2 + 40 :] > before[:, WIDTH // 2 + 40 :]).all()


@pytest.mark.parametrize("space", ["ARRI LogC3 (EI800)", "PQ Rec.2020"])
def test_edges_are_told_apart_in_light(space: str) -> None:
    """Dark hair before a bright wall: the same colours from a log plate as from a linear one."""
    hair, wall, matte = np.float32([0.12, 0.07, 0.05]), np.float32([0.9, 1.0, 1.2]), disc()
    light = hair * matte[..., None] + wall * (1 - matte[..., None])
    edge = (matte > 0.4) & (matte < 0.9)
    found = []
    for encoding in (LINEAR, named(space, LINEAR)):
        pixels = convert(light.astype(np.float32), LINEAR, encoding)
        shot = OneFrame(pixels, matte, np.zeros((36, 40, 3), np.float32), np.zeros((36, 40, 3), np.float32), encoding)
        found.append(convert(shot.layers("foreground")["foreground"], encoding, LINEAR)[edge])
    np.testing.assert_allclose(found[1], found[0], atol=4e-3)


def under_veils(encoding: Encoding, display: np.ndarray, old: float, new: float) -> np.ndarray:
    """A picture of that look in an encoding, with one veil taken off and another laid on; as it looks then."""
    pixels, veil = from_display(display, encoding).copy(), np.array([[old] * 3, [new] * 3], np.float32)
    alpha = np.ones(display.shape[:2], np.float32)
    relight(pixels, np.zeros((8, 8, 3), np.float32), display, alpha, encoding, opencv, veil=veil)
    return to_display(pixels, encoding)


CURVES = [replace(SRGB, transfer=curve) for curve in ("srgb", "bt709", "gamma22", "gamma24", "linear", "pq", "hlg")]
OTHERS = [replace(SRGB, transfer="gamma26", primaries="p3"), *(named(space, LINEAR) for space in SPACES)]
SHOWN = [named("Rec.1886 Rec.709 - Display", SRGB)]


@pytest.mark.parametrize("encoding", [*CURVES, *OTHERS, *SHOWN])
def test_a_veil_over_black_is_the_same_in_every_encoding(encoding: Encoding) -> None:
    black = np.zeros((64, 64, 3), np.float32)
    wanted = under_veils(SRGB, black, 0, 0.014)
    assert wanted.mean() == pytest.approx(0.123, abs=1e-3)
    np.testing.assert_allclose(under_veils(encoding, black, 0, 0.014), wanted, atol=2e-3)


@pytest.mark.parametrize("encoding", [*CURVES, *OTHERS, *SHOWN])
def test_a_veil_comes_off_as_much_in_every_encoding(encoding: Encoding) -> None:
    grey = np.full((64, 64, 3), 0.123, np.float32)
    # As light as the veil, it is bent to half its light; half of it are other codes by every curve.
    assert under_veils(encoding, grey, 0.014, 0).mean() == pytest.approx(0.083, abs=0.02)

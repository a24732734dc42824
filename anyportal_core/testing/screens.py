"""Shots before a coloured screen with their truth: hair, motion blur, smoke, spill, an uneven screen, grain.

Everything a key is judged by is drawn, so that its alpha, and its colours without the screen's light, are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from anyportal_core.frames import Image

GREEN, BLUE = (0.16, 0.60, 0.24), (0.12, 0.26, 0.68)
HAIR = {"dark": (0.12, 0.09, 0.07), "brown": (0.34, 0.22, 0.13), "blond": (0.78, 0.64, 0.40), "grey": (0.6, 0.6, 0.6)}
_FINE = 4  # drawn this much larger, then reduced
_ALL = slice(None), slice(None)


@dataclass(frozen=True)
class Keyed:
    """One frame before a screen: ``plate``, ``foreground`` (straight, without spill), ``screen`` ``(H, W, 3)``."""

    plate: Image
    alpha: Image
    foreground: Image
    screen: Image


@dataclass(frozen=True)
class Set:
    """How a frame is lit, dressed and recorded.

    Args:
        hair: a name of ``HAIR``.
        shirt: its colour; a greenish one is hard.
        uneven: how far the screen's light falls off to the corner, 0..1.
        folds: how much darker the screen's folds are, 0..1.
        spill: how much of the screen's light the foreground's edges throw back.
        blur: pixels that the arm moves while the shutter is open.
        smoke: the greatest alpha of the smoke beside the head.
        grain: its standard deviation.
        subsampled: whether chroma is of half size, of 8 bits, as in most movies.
    """

    colour: tuple[float, float, float] = GREEN
    hair: str = "brown"
    shirt: tuple[float, float, float] = (0.45, 0.2, 0.2)
    uneven: float = 0.35
    folds: float = 0.12
    spill: float = 0.15
    blur: float = 16.0
    smoke: float = 0.0
    grain: float = 0.012
    subsampled: bool = True


def drawn_key(of: Set | None = None, height: int = 240, width: int = 320, time: int = 0, seed: int = 0) -> Keyed:
    """A person with loose hair and a moving arm. ``time`` is the frame: the person sways, the screen stays."""
    of = of or Set()
    rng = np.random.default_rng(seed)
    screen = _screen(of, height, width)
    premultiplied, alpha = _person(of, height, width, time, rng)
    if of.smoke:
        puff = np.float32(of.smoke) * _puff(height, width, rng)
        premultiplied = np.asarray(premultiplied + (1 - alpha[..., None]) * puff[..., None] * 0.7, np.float32)
        alpha = np.asarray(alpha + (1 - alpha) * puff, np.float32)
    foreground = np.asarray(premultiplied / np.maximum(alpha, 1e-4)[..., None], np.float32)
    near = cv2.GaussianBlur(1 - alpha, (0, 0), 0.04 * height)[..., None]
    spilled = foreground + of.spill * near * (0.35 + foreground) * screen
    plate = np.clip(spilled * alpha[..., None] + screen * (1 - alpha[..., None]), 0, 1).astype(np.float32)
    return Keyed(_recorded(plate, of, np.random.default_rng((seed, time))), alpha, foreground, screen)


def _screen(of: Set, height: int, width: int) -> Image:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    light = 1.08 - of.uneven * ((x - 0.35) ** 2 + (y - 0.3) ** 2) - 0.1 * of.uneven * np.sin(9 * x)
    folds = np.exp(-((((x * 6 + 0.4 * np.sin(3 * y)) % 1) - 0.5) ** 2) / 0.02)
    light = light * (1 - of.folds * folds)
    return cast(Image, (light[..., None] * np.array(of.colour)).astype(np.float32))


def _person(of: Set, height: int, width: int, time: int, rng: np.random.Generator) -> tuple[Image, Image]:
    """Colours times alpha ``(H, W, 3)``, and alpha ``(H, W)``."""
    h, w = height * _FINE, width * _FINE
    still = _Layer(h, w, rng)
    sway = 0.006 * np.sin(0.9 * time)
    still.ellipse((0.5, 1.05, 0.20, 0.52), of.shirt)
    still.ellipse((0.5, 0.58, 0.05, 0.14), (0.66, 0.48, 0.40))
    still.ellipse((0.5 + sway, 0.34, 0.11, 0.20), HAIR[of.hair])
    for _ in range(260):
        still.strand(0.5 + sway, 0.34, HAIR[of.hair])
    still.ellipse((0.5 + sway, 0.38, 0.075, 0.145), (0.80, 0.62, 0.53))
    arm = _Layer(h, w, rng)
    arm.ellipse((0.78, 0.70, 0.045, 0.20), (0.74, 0.56, 0.47))
    across = np.full((1, max(1, round(of.blur * _FINE))), 1.0, np.float32)
    over, above = (cv2.filter2D(part, -1, across / across.size) for part in (arm.colours, arm.alpha))
    made = over + still.colours * (1 - above[..., None]), above + still.alpha * (1 - above)
    colours, alpha = (cast(Image, cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)) for part in made)
    return colours, np.clip(alpha, 0, 1)


class _Layer:
    """Colours times alpha that are drawn on, with cloth-like texture and shading."""

    def __init__(self, height: int, width: int, rng: np.random.Generator) -> None:
        self.colours, self.alpha = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
        noise = rng.standard_normal((height // 6, width // 6)).astype(np.float32)
        fine = cv2.resize(cv2.GaussianBlur(noise, (0, 0), 1.2), (width, height), interpolation=cv2.INTER_CUBIC)
        slope = np.linspace(1.15, 0.8, width, dtype=np.float32)[None]
        self._texture = (slope * (1 + 0.35 * fine))[..., None]
        self._rng = rng

    def ellipse(self, at: tuple[float, float, float, float], colour: tuple[float, float, float]) -> None:
        """Centre x, y and half axes x, y, in units of the size."""
        height, width = self.alpha.shape
        mask = np.zeros_like(self.alpha)
        centre, axes = (round(at[0] * width), round(at[1] * height)), (round(at[2] * width), round(at[3] * height))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, [1.0], -1)
        self._lay(mask, colour)

    def strand(self, x: float, y: float, colour: tuple[float, float, float]) -> None:
        """A hair from the head at ``x``, ``y`` outwards, a little lighter or darker than the others."""
        height, width = self.alpha.shape
        angle = self._rng.uniform(-np.pi, 0.25 * np.pi) if self._rng.random() < 0.8 else self._rng.uniform(0, np.pi)
        bend, length = self._rng.normal(0, 1.2), self._rng.uniform(0.05, 0.16)
        steps = np.linspace(0, 1, 12)
        angles = angle + bend * steps**2
        across = x + 0.10 * np.cos(angle) + length * 0.75 * steps * np.cos(angles)
        down = y + 0.185 * np.sin(angle) + length * steps * np.sin(angles)
        points = np.rint(np.stack([across * width, down * height], -1)).astype(np.int32)
        low, high = points.min(0) - 3, points.max(0) + 4
        box = slice(max(0, low[1]), max(0, high[1])), slice(max(0, low[0]), max(0, high[0]))
        mask = np.zeros_like(self.alpha[box])
        corner = np.array([box[1].start, box[0].start], np.int32)
        cv2.polylines(mask, [points - corner], False, [1.0], int(self._rng.integers(1, 4)))
        tone = self._rng.uniform(0.7, 1.35)
        self._lay(mask, tuple(tone * part for part in colour), box)  # type: ignore[arg-type]

    def _lay(self, mask: Image, colour: tuple[float, float, float], box: tuple[slice, slice] = _ALL) -> None:
        there = mask > 0
        self.colours[box][there] = (np.array(colour, np.float32) * self._texture[box])[there]
        self.alpha[box][there] = 1


def _puff(height: int, width: int, rng: np.random.Generator) -> Image:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    noise = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), height / 30)
    around = np.exp(-(((x / width - 0.2) / 0.09) ** 2 + ((y / height - 0.45) / 0.2) ** 2))
    return cast(Image, np.clip(around * (0.75 + 0.12 * noise / noise.std()), 0, 1).astype(np.float32))


def _recorded(plate: Image, of: Set, rng: np.random.Generator) -> Image:
    grainy = np.clip(plate + of.grain * rng.standard_normal(plate.shape), 0, 1).astype(np.float32)
    if not of.subsampled:
        return grainy
    luma, red, blue = cv2.split(cv2.cvtColor(grainy, cv2.COLOR_RGB2YCrCb))
    height, width = luma.shape
    halves = (cv2.resize(c, (width // 2, height // 2), interpolation=cv2.INTER_AREA) for c in (red, blue))
    codes = [np.rint(c * 255) / 255 for c in (luma, *halves)]
    wide = [cv2.resize(c, (width, height)).astype(np.float32) for c in codes]
    return cast(Image, np.clip(cv2.cvtColor(cv2.merge(wide), cv2.COLOR_YCrCb2RGB), 0, 1))

"""The background made to look as if the plate's camera had taken it: its motion blur, its sharpness, its grain.

What to match is measured in a few frames of the plate and of the background at full size, the same ones whichever
frames are delivered, so that a part of a shot comes out as the whole does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import cast as typed

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.media.encoding import Encoding, convert, from_linear, to_linear
from anyportal_core.method.grain import NO_GRAIN, Grain, add_grain, measure_grain, missing_level
from anyportal_core.method.motion_blur import exposed, motion_field
from anyportal_core.method.sharpness import measure_blur, measure_shutter, missing_blur
from anyportal_core.ops import ImageOps
from anyportal_core.roles import Stored
from anyportal_core.settings import Settings
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material
from anyportal_core.stages.takes import Take

_SAMPLES = 4
"""Frames that are measured."""

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)

Drawn = Callable[[int, Stored], Image]
"""Draws the background of a frame, by its index and what is stored for it, in the plate's encoding."""


@dataclass(frozen=True)
class Measured:
    """What was found in the plate and in the background.

    Args:
        shutter: the part of a frame's time that the plate's was open; 0 where that does not show.
        blur: deviation in pixels of what the background lacks.
        grain: the plate's.
        level: of the grain that the background lacks, by brightness.
    """

    shutter: float
    blur: float
    grain: Grain
    level: NDArray[np.float64]


class Matching:
    """Draws backgrounds that match the plate, as far as the recipe asks for it.

    Args:
        draw: draws them as they are.
    """

    def __init__(self, material: Material, cast: Cast, draw: Drawn, ops: ImageOps) -> None:
        self._material, self._cast, self._draw, self._ops = material, cast, draw, ops
        self._settings: Settings = material.recipe.finish
        self._encoding = material.info.encoding
        self._codes = _codes(self._encoding)
        self._measured = cache(self._measure)

    def background(self, index: int) -> Image:
        """A frame's background ``(H, W, 3)`` in the plate's encoding; as it is drawn where nothing is asked for."""
        number, take = self._material.numbers[index], self._material.take(index)
        motion, softness, grain = (
            self._settings.number(name, number) for name in ("motion_blur", "sharpness", "grain")
        )
        picture = self._exposed(index, take, motion) if motion else self._draw(index, self._stored(index))
        found = self._measured(take) if softness or grain else None
        if found and softness and found.blur:
            picture = self._softened(picture, softness * found.blur)
        if found and grain and found.level.any():
            picture = self._grained(picture, index, found.grain, grain * found.level)
        return picture

    def _measure(self, take: Take) -> Measured:
        """What is matched in a take; told."""
        found = _Samples(self._material, take, self._draw, self._codes, self._ops).measured(self._settings)
        numbers = self._material.numbers
        where = "" if take.whole else f"frames {numbers[take.start]}-{numbers[take.stop - 1]}: "
        self._cast.context("background").note(where + _told(found))
        return found

    def _stored(self, index: int) -> Stored:
        return self._material.background_frame(index)

    def _exposed(self, index: int, take: Take, share: float) -> Image:
        """The mean, in linear light, of the background while the plate's shutter was open."""
        stored = self._stored(index)
        shutter = share * self._measured(take).shutter
        if "placement" not in stored or not shutter:
            return self._draw(index, stored)
        first, last = take.start, take.stop - 1
        before, here, after = (
            np.asarray(self._stored(min(max(at, first), last))["placement"], np.float64)
            for at in (index - 1, index, index + 1)
        )
        back, on = (before, after) if first < index < last else _continued(before, here, after)
        info = self._material.info
        places = exposed(back, here, on, shutter, max(info.width, info.height) * _size(here))
        if len(places) == 1:
            return self._draw(index, stored)
        light = np.zeros((info.height, info.width, 3), np.float32)
        for place in places:
            light += to_linear(self._draw(index, {**stored, "placement": place}), self._encoding)
        light /= len(places)
        return from_linear(light, self._encoding)

    def _softened(self, picture: Image, sigma: float) -> Image:
        light = typed(Image, self._ops.gaussian(to_linear(picture, self._encoding), sigma))
        return from_linear(light, self._encoding)

    def _grained(self, picture: Image, index: int, grain: Grain, level: NDArray[np.float64]) -> Image:
        noise = self._cast.context("background").generator(index).standard_normal(picture.shape, np.float32)
        codes = convert(picture, self._encoding, self._codes)
        return convert(add_grain(codes, grain, level, noise, self._ops), self._codes, self._encoding)


class _Samples:
    """Frames of a take at full size, to be measured."""

    def __init__(self, material: Material, take: Take, draw: Drawn, codes: Encoding, ops: ImageOps) -> None:
        self._material, self._take, self._draw, self._codes, self._ops = material, take, draw, codes, ops

    def measured(self, settings: Settings) -> Measured:
        indices = _spread(self._take)
        plate, background = self._plate(indices), [self._background(index) for index in indices]
        wants = {name: bool(settings[name]) for name in ("motion_blur", "sharpness", "grain")}
        grain = measure_grain(plate, _all(plate), self._ops) if wants["grain"] else NO_GRAIN
        level = (
            missing_level(grain, measure_grain(background, _all(background), self._ops))
            if wants["grain"]
            else NO_GRAIN.level
        )
        blur = missing_blur(self._blur(plate), self._blur(background)) if wants["sharpness"] else 0.0
        return Measured(self._shutter() if wants["motion_blur"] else 0.0, blur, grain, level)

    def _plate(self, indices: Sequence[int]) -> list[Image]:
        """Those frames of the plate in code values; fewer where some are missing."""
        material = self._material
        frames = material.plate_clip.frames([material.numbers[index] for index in indices])
        return [convert(frame.pixels, material.info.encoding, self._codes) for frame in frames]

    def _background(self, index: int) -> Image:
        picture = self._draw(index, self._material.background_frame(index))
        return convert(picture, self._material.info.encoding, self._codes)

    def _blur(self, pictures: Sequence[Image]) -> float | None:
        return measure_blur([picture @ _LUMA for picture in pictures], _all(pictures), self._ops)

    def _shutter(self) -> float:
        """Measured where the camera moves fastest, in the plate's own background."""
        result = self._material.results.get("motion")
        if result is None or "homography" not in result.names:
            return 0.0
        start = self._take.start
        homography = np.asarray(result.read("homography", start, self._take.stop), np.float64)
        moves = [after @ np.linalg.inv(before) for before, after in zip(homography[:-2], homography[2:], strict=True)]
        info = self._material.info
        fields = {start + place + 1: motion_field(move, 9, 16) for place, move in enumerate(moves)}
        fastest = sorted(sorted(fields, key=lambda index: -float(np.abs(fields[index]).mean()))[:_SAMPLES])
        if not fastest:
            return 0.0
        pictures = [picture @ _LUMA for picture in self._plate(fastest)]
        motions = [
            motion_field(moves[index - start - 1], info.height, info.width) * np.float32(0.5) for index in fastest
        ]
        weights = [self._behind(index) for index in fastest]
        return measure_shutter(pictures, weights, motions, self._ops) or 0.0

    def _behind(self, index: int) -> Image:
        """1 where the plate shows its background, ``(H, W)``."""
        matte = self._material.matte().read(index, index + 1)[0, ..., 0]
        info = self._material.info
        clear = (self._ops.dilate(matte, 3) < 0.02).astype(np.float32)
        return typed(Image, self._ops.resize(clear, info.height, info.width, "linear"))


def _codes(encoding: Encoding) -> Encoding:
    """What grain and edges are measured in: the plate's own code values, and a display curve of linear light."""
    return replace(encoding, transfer="srgb") if encoding.transfer == "linear" else encoding


def _spread(take: Take) -> list[int]:
    """Some indices from all over a take."""
    return sorted({round(place) for place in np.linspace(take.start, take.stop - 1, min(_SAMPLES, len(take)))})


def _all(pictures: Sequence[Image]) -> list[Image]:
    return [np.ones(picture.shape[:2], np.float32) for picture in pictures]


def _continued(
    before: NDArray[np.float64], here: NDArray[np.float64], after: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Neighbours of the first or the last frame: the motion goes on as it was."""
    own = here / here[2, 2]
    back, on = before / before[2, 2], after / after[2, 2]
    return (2 * own - on, on) if np.array_equal(back, own) else (back, 2 * own - back)


def _size(placement: NDArray[np.float64]) -> float:
    """Of the picture, in plates: how many plate pixels its own unit has, for what the plate's has."""
    across = float(np.hypot(*(placement[:2, 0] / placement[2, 2])))
    return 1 / max(across, 1e-6)


def _told(found: Measured) -> str:
    parts = [f"grain {100 * float(found.level.mean()):.2f} %"] if found.level.any() else []
    parts += [f"softness {found.blur:.2f} pixels"] if found.blur else []
    parts += [f"a shutter of {360 * found.shutter:.0f} degrees"] if found.shutter else []
    return (
        f"the background takes from the plate: {', '.join(parts)}" if parts else "nothing of the plate is left to match"
    )

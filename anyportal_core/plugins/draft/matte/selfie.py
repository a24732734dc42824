"""Selfie segmentation by OpenCV: where the people are, roughly."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.plugins.draft.matte.tflite import without_head

_SURE = 0.5
_MARGIN = 1.05
_SURE_NOT = np.float32(80)  # a logit; what is less overflows, and is 0 anyway


class Selfie:
    """MediaPipe's two selfie models, each on the whole frame and on the person's crop, as one probability.

    The crop is tight on purpose: where a person fills the frame, a loose one would show the models nothing
    new, and the mean of four different looks is better than any of them.
    """

    def __init__(self) -> None:
        self._square = _Model("selfie_segmentation.tflite", 256, 256)
        self._wide = _Model("selfie_segmentation_landscape.tflite", 144, 256)

    def __call__(self, frame: Image) -> Image:
        """Probability ``(H, W)`` 0..1 that a pixel of ``frame`` ``(H, W, 3)`` belongs to a person."""
        picture = np.clip(frame, 0.0, 1.0)
        whole = self._look(picture)
        crop = _crop(whole)
        if crop is not None:
            whole[crop] = 0.5 * whole[crop] + 0.5 * self._look(picture[crop])
        return whole

    def _look(self, picture: Image) -> Image:
        return 0.5 * self._square(picture) + 0.5 * self._wide(picture)


def raw() -> Callable[[Image], Image]:
    """The square model on the whole frame, and no more: what the rest is measured by."""
    return _Model("selfie_segmentation.tflite", 256, 256)


class _Model:
    def __init__(self, name: str, height: int, width: int) -> None:
        data = (files("anyportal_core.plugins.draft.models") / name).read_bytes()
        whole = _net(data)
        kernel, bias = whole.getLayer(whole.getLayerNames()[-2]).blobs
        self._kernel, self._bias = kernel[:, 0].transpose(1, 2, 0).copy(), bias.item()
        self._net = _net(without_head(data))
        self._size = (width, height)

    def __call__(self, picture: Image) -> Image:
        height, width = picture.shape[:2]
        small = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        self._net.setInput(cv2.dnn.blobFromImage(small))
        found = self._head(self._net.forward()[0])
        large = cast(Image, cv2.resize(found, (width, height), interpolation=cv2.INTER_CUBIC))
        return np.clip(large, np.float32(0), np.float32(1))

    def _head(self, features: Image) -> Image:
        """The probability ``(2 * h, 2 * w)`` from ``(C, h, w)``: each of these becomes four pixels."""
        _, height, width = features.shape
        four = np.einsum("ijc,chw->hiwj", self._kernel, features) + self._bias  # summed in one order, whoever does it
        logits = four.reshape(2 * height, 2 * width)
        return np.float32(1) / (np.float32(1) + np.exp(-np.maximum(logits, -_SURE_NOT)))


def _net(data: bytes) -> cv2.dnn.Net:
    return cv2.dnn.readNetFromTFLite(np.frombuffer(data, np.uint8))


def _crop(found: Image) -> tuple[slice, slice] | None:
    """A square around what was found, with a margin, moved inside the frame; None when nothing was."""
    ys, xs = (np.flatnonzero((found > _SURE).any(axis=axis)) for axis in (1, 0))
    if not len(ys):
        return None
    side = _MARGIN * max(ys[-1] - ys[0] + 1, xs[-1] - xs[0] + 1)
    return _span(ys, side, found.shape[0]), _span(xs, side, found.shape[1])


def _span(at: NDArray[np.intp], side: float, size: int) -> slice:
    length = min(size, round(side))
    start = round((at[0] + at[-1] + 1 - length) / 2)
    start = min(max(start, 0), size - length)
    return slice(start, start + length)

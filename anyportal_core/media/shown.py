"""Layers as files of integers show them: pictures in the file's encoding, data (matte, shadow, gain) as grey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyportal_core.errors import ShotError
from anyportal_core.frames import Image
from anyportal_core.media.encoding import SRGB, Encoding, convert

DATA = frozenset({"matte", "shadow", "gain"})
"""Layers whose values are no colours: no encoding changes them."""


def shown(layer: str, image: Image, source: Encoding, target: Encoding) -> Image:
    """A layer's pixels as they are stored; the very object where nothing changes.

    Args:
        image: pictures in ``source``, ``wrap`` and ``gain`` linear, ``matte`` and ``shadow`` 0..1.
        target: what the file's codes mean.
    """
    if layer == "gain":
        return shown_gain(image)
    if layer in DATA:
        return image
    return convert(image, replace(source, transfer="linear") if layer == "wrap" else source, target)


def shown_gain(gain: Image) -> Image:
    """A gain as a picture: no change is grey 0.5, one stop an eighth, so 1/16 to 16."""
    return np.clip(np.log2(np.maximum(gain, 1e-6)) / 8 + 0.5, 0, 1).astype(np.float32)


def integer_encoding(plate: Encoding) -> Encoding:
    """What code values mean in files of integers: as in the plate, but for scene-linear ones."""
    return replace(plate, transfer="srgb", primaries=SRGB.primaries) if plate.transfer == "linear" else plate


def require_integers(wanted: Encoding | None) -> None:
    """Refuse to put light of a scene, which knows no most, into integers where that is asked for.

    Raises:
        ShotError: with the format that holds it.
    """
    if wanted is not None and wanted.transfer == "linear":
        raise ShotError(
            "a scene-linear colour space does not fit into a format of integers",
            where="delivery.colour_space",
            hint="choose the format exr, or a space such as Rec.709, Rec.2100-PQ or a camera's log",
        )


def codes(layer: str, image: Image, source: Encoding, target: Encoding, bits: int) -> NDArray[Any]:
    """A layer as full-range codes of 8 or 16 bits, rounded and clipped."""
    most = np.float32(2**bits - 1)
    pixels = np.clip(shown(layer, image, source, target), 0, 1)
    return np.asarray(np.rint(pixels * most), np.uint8 if bits == 8 else np.uint16)

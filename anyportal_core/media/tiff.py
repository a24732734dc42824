"""TIFF sequences of 16 bits, compressed without loss; no dates but the plate's, no colour profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import OpenImageIO as oiio
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.image_out import write_image
from anyportal_core.media.output import Written, part_of, remove, result_name, storage_errors
from anyportal_core.media.shown import codes, integer_encoding


class TiffWriter:
    """One sequence a layer. Scene-linear plates become sRGB, since integers cannot hold them."""

    def __init__(
        self, folder: Path, stem: str, layers: Sequence[str], info: ClipInfo, wanted: Encoding | None = None
    ) -> None:
        self._folder, self._stem, self._layers, self._info = folder, stem, tuple(layers), info
        self._target = integer_encoding(wanted or info.encoding)

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        return [self._write(number, layer, layers[layer]) for layer in self._layers]

    def close(self) -> list[Written]:
        return []

    def abort(self) -> None:
        """Every file is finished as soon as it is there."""

    def _write(self, number: int, layer: str, image: Image) -> Written:
        stored = codes(layer, image, self._info.encoding, self._target, 16)
        path = self._folder / result_name(self._stem, layer, "tiff", number)
        part = part_of(path)
        try:
            write_image("tiff", part, path, self._spec(stored), stored)
            with storage_errors(path):
                part.replace(path)
        except BaseException:
            remove(part)
            raise
        return Written((layer,), path, number)

    def _spec(self, stored: NDArray[Any]) -> oiio.ImageSpec:
        height, width = stored.shape[:2]
        spec = oiio.ImageSpec(width, height, 1 if stored.ndim == 2 else 3, "uint16")
        spec.attribute("compression", "zip")
        spec.attribute("tiff:write_exif", 0)  # it has nothing to say, and libtiff fails at that
        spec.attribute("PixelAspectRatio", float(self._info.pixel_aspect))
        spec.attribute("DateTime", self._info.date)
        return spec

"""PNG sequences: 8 bit, or 16 where the plate has more; no dates, no colour profile but the plate's code values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from anyportal_core.errors import StorageError
from anyportal_core.frames import Image
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.encoding import SRGB, Encoding, convert
from anyportal_core.media.output import Written, result_name, shown_gain, write_file

# On footage this filter gives the smallest files in the shortest time; higher levels only cost time.
_SETTINGS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)


class PngWriter:
    """One sequence a layer. Scene-linear plates become sRGB, since integers cannot hold them."""

    def __init__(self, folder: Path, stem: str, layers: Sequence[str], info: ClipInfo) -> None:
        self._folder, self._stem, self._layers = folder, stem, tuple(layers)
        self._source = info.encoding
        self._target = integer_encoding(info.encoding)
        self._kind = np.uint8 if info.encoding.bits <= 8 else np.uint16

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        return [self._write(number, layer, layers[layer]) for layer in self._layers]

    def close(self) -> list[Written]:
        return []

    def abort(self) -> None:
        """Every file is finished as soon as it is there."""

    def _write(self, number: int, layer: str, image: Image) -> Written:
        if layer == "gain":
            image = shown_gain(image)
        elif layer != "matte":
            image = convert(image, self._source, self._target)
        most = np.iinfo(self._kind).max
        codes = np.rint(np.clip(image, 0, 1) * np.float32(most)).astype(self._kind)
        path = self._folder / result_name(self._stem, layer, "png", number)
        fine, content = cv2.imencode(".png", codes if codes.ndim == 2 else codes[..., ::-1], _SETTINGS)
        if not fine:
            raise StorageError("the PNG cannot be made", where=str(path), hint="try another format")
        write_file(path, content.tobytes())
        return Written((layer,), path, number)


def integer_encoding(plate: Encoding) -> Encoding:
    """What code values mean in files of integers: as in the plate, but for scene-linear ones."""
    return replace(plate, transfer="srgb", primaries=SRGB.primaries) if plate.transfer == "linear" else plate

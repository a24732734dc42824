"""PNG sequences: 8 bit, or 16 where the plate has more; told which colours they are; no dates."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2

from anyportal_core.errors import StorageError
from anyportal_core.frames import Image
from anyportal_core.media import h273
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.encoding import Encoding, is_display_referred
from anyportal_core.media.output import Written, result_name, write_file
from anyportal_core.media.shown import DATA, codes, integer_encoding

# On footage this filter gives the smallest files in the shortest time; higher levels only cost time.
_SETTINGS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)

_HEADER = 8 + 25
"""Bytes of the signature and the chunk IHDR, which all others follow."""

_SRGB_GAMMA = 45455
_SRGB_CHROMATICITIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)

# Code values of these are shown as sRGB's are, which is how hosts treat video and stills side by side.
_AS_SRGB = frozenset({"srgb", "bt709"})


class PngWriter:
    """One sequence a layer. Scene-linear plates become sRGB, since integers cannot hold them."""

    def __init__(
        self, folder: Path, stem: str, layers: Sequence[str], info: ClipInfo, wanted: Encoding | None = None
    ) -> None:
        self._folder, self._stem, self._layers = folder, stem, tuple(layers)
        self._source = info.encoding
        self._target = integer_encoding(wanted or info.encoding)
        # Steps of 8 bits show in HDR and in log.
        self._bits = 8 if info.encoding.bits <= 8 and is_display_referred(self._target) else 16
        aspect = info.pixel_aspect
        # Pixels per unit: wide ones are fewer across.
        self._shape = b"" if aspect == 1 else _chunk(b"pHYs", ">IIB", aspect.denominator, aspect.numerator, 0)

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        return [self._write(number, layer, layers[layer]) for layer in self._layers]

    def close(self) -> list[Written]:
        return []

    def abort(self) -> None:
        """Every file is finished as soon as it is there."""

    def _write(self, number: int, layer: str, image: Image) -> Written:
        stored = codes(layer, image, self._source, self._target, self._bits)
        path = self._folder / result_name(self._stem, layer, "png", number)
        fine, content = cv2.imencode(".png", stored if stored.ndim == 2 else stored[..., ::-1], _SETTINGS)
        if not fine:
            raise StorageError("the PNG cannot be made", where=str(path), hint="try another format")
        plain = content.tobytes()
        told = b"" if layer in DATA else colour_chunks(self._target)
        write_file(path, plain[:_HEADER] + told + self._shape + plain[_HEADER:])
        return Written((layer,), path, number)


def colour_chunks(encoding: Encoding) -> bytes:
    """The chunks that say what a PNG's codes mean.

    ``sRGB``, with ``gAMA`` and ``cHRM`` for those who do not read it, where the codes are shown as sRGB's are; else
    ``cICP``, where H.273 has numbers for them; none where nothing true could be said, as of film log.
    """
    if encoding.transfer in _AS_SRGB and encoding.primaries == "bt709":
        return (
            _chunk(b"sRGB", ">B", 0)
            + _chunk(b"gAMA", ">I", _SRGB_GAMMA)
            + _chunk(b"cHRM", ">8I", *_SRGB_CHROMATICITIES)
        )
    primaries, transfer, _, _ = h273.tags_of(encoding)
    if h273.UNSPECIFIED in (primaries, transfer):
        return b""
    return _chunk(b"cICP", ">4B", primaries, transfer, 0, 1)  # the matrix 0 is R'G'B'; of full range


def _chunk(kind: bytes, form: str, *values: int) -> bytes:
    body = kind + struct.pack(form, *values)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

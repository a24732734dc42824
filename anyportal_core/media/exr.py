"""Layered scene-linear EXR, one file a frame: ``R,G,B,A`` is the comp, then a group of channels a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from anyportal_core.errors import StorageError
from anyportal_core.frames import Image
from anyportal_core.media import timecode
from anyportal_core.media.clip import ClipInfo, Window
from anyportal_core.media.encoding import chromaticities, convert
from anyportal_core.media.output import Written, part_of, remove, result_name, storage_errors

_CHANNELS = {
    "comp": ("R", "G", "B", "A"),
    "foreground": ("foreground.R", "foreground.G", "foreground.B"),
    "background": ("background.R", "background.G", "background.B"),
    "matte": ("matte.A",),
    "gain": ("gain.R", "gain.G", "gain.B"),
}
_HALF_MOST = 65504.0

Windows = Callable[[int], tuple[Window, Window] | None]
"""A frame's number to its display and data window."""

Stored = NDArray[np.floating[Any]]


class ExrWriter:
    """All layers of a frame in one file, in linear light with the plate's primaries, half or float, ZIP.

    With foreground, background and matte among the layers the comp is made from their stored values, so that
    ``foreground*matte + background*(1-matte)``, rounded to the file's number type, is the stored comp exactly.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        layers: Sequence[str],
        info: ClipInfo,
        rate: Fraction,
        header: Mapping[str, str],
        windows: Windows | None = None,
    ) -> None:
        self._folder, self._stem = folder, stem
        self._layers = tuple(name for name in _CHANNELS if name in layers)
        self._info, self._rate, self._header = info, rate, header
        whole = info.display_window or (0, 0, info.width, info.height)
        self._windows = windows or (lambda _: (whole, info.data_window or whole))
        self._linear = replace(info.encoding, transfer="linear")
        self._kind: type[np.floating[Any]] = np.float32 if info.storage == "float" else np.float16

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        light = {
            name: image if name in ("matte", "gain") else convert(image, self._info.encoding, self._linear)
            for name, image in layers.items()
        }
        stored = quantised(light, self._kind)
        channels = np.concatenate([_as_channels(name, stored[name]) for name in self._layers], axis=-1)
        path = self._folder / result_name(self._stem, "comp", "exr", number)
        self._save(path, number, channels)
        return [Written(self._layers, path, number)]

    def close(self) -> list[Written]:
        return []

    def abort(self) -> None:
        """Every file is finished as soon as it is there."""

    def _save(self, path: Path, number: int, channels: Stored) -> None:
        height, width = channels.shape[:2]
        display, data = self._windows(number) or ((0, 0, width, height),) * 2
        data = _shared(display, data)
        left, top = data[0] - display[0], data[1] - display[1]
        inside = np.ascontiguousarray(channels[top : top + data[3], left : left + data[2]])
        spec = self._spec(number, inside, display, data)
        part = part_of(path)
        try:
            _write_image(part, path, spec, inside)
            with storage_errors(path):
                part.replace(path)
        except BaseException:
            remove(part)
            raise

    def _spec(self, number: int, channels: Stored, display: Window, data: Window) -> oiio.ImageSpec:
        info = self._info
        storage = "float" if self._kind is np.float32 else "half"
        spec = oiio.ImageSpec(channels.shape[1], channels.shape[0], channels.shape[2], storage)
        spec.channelnames = tuple(name for layer in self._layers for name in _CHANNELS[layer])
        spec.x, spec.y = data[:2]
        spec.full_x, spec.full_y, spec.full_width, spec.full_height = display
        for name, value in self._header.items():
            spec.attribute(name, value)
        spec.attribute("compression", "zip")
        spec.attribute("PixelAspectRatio", float(info.pixel_aspect))
        # OpenImageIO stamps the hour of writing unless told otherwise; an empty date is left out.
        spec.attribute("DateTime", info.date)
        spec.attribute("chromaticities", oiio.TypeDesc("float[8]"), chromaticities(info.encoding.primaries))
        rate = (self._rate.numerator, self._rate.denominator)
        spec.attribute("framesPerSecond", oiio.TypeDesc("rational"), rate)
        if info.timecode and timecode.countable(info.timecode, self._rate):
            own = timecode.shifted(info.timecode, number - info.numbers[0], self._rate)
            bits = timecode.to_bits(own)
            if bits is not None:
                spec.attribute("smpte:TimeCode", oiio.TypeDesc("timecode"), (bits, 0))
        return spec


def quantised(layers: Mapping[str, Image], kind: type[np.floating[Any]]) -> dict[str, Stored]:
    """Layers as a file of ``kind`` stores them, the comp made anew where all its parts are there.

    Half cannot hold more than 65504; brighter pixels are kept at that.
    """
    stored = {name: _rounded(image, kind) for name, image in layers.items()}
    if {"comp", "foreground", "background", "matte"} <= stored.keys():
        parts = (stored[name].astype(np.float32) for name in ("foreground", "background", "matte"))
        stored["comp"] = _rounded(composed(*parts), kind)
    return stored


def composed(foreground: Image, background: Image, matte: Image) -> Image:
    """Foreground over background, ``(H, W, 3)``, by a matte ``(H, W)``."""
    cover = matte[..., None]
    return foreground * cover + background * (1 - cover)


def _rounded(image: Image, kind: type[np.floating[Any]]) -> Stored:
    return np.clip(image, -_HALF_MOST, _HALF_MOST).astype(kind) if kind is np.float16 else image.astype(kind)


def _as_channels(layer: str, image: Stored) -> Stored:
    if layer == "comp":
        return np.concatenate([image, np.ones_like(image[..., :1])], axis=-1)
    return image[..., None] if image.ndim == 2 else image


def _shared(display: Window, data: Window) -> Window:
    """The part of a data window that lies in the display window; all of that where there is none."""
    left, top = max(data[0], display[0]), max(data[1], display[1])
    right, bottom = (min(data[i] + data[i + 2], display[i] + display[i + 2]) for i in (0, 1))
    return (left, top, right - left, bottom - top) if left < right and top < bottom else display


def _write_image(part: Path, path: Path, spec: oiio.ImageSpec, channels: Stored) -> None:
    file: Any = oiio.ImageOutput.create("exr")
    fine = file.open(str(part), spec) and file.write_image(channels)
    said = file.geterror()
    closed = file.close()
    said = said or file.geterror()
    if fine and closed and not said:
        return
    with storage_errors(path), part.open("ab") as probe:
        # The library tells no reason that could be told apart: one more write gets the system's own.
        probe.write(bytes(1 << 16))
    raise StorageError(f"the EXR cannot be written ({said.strip()})", where=str(path), hint="check the folder")

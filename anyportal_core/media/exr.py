"""Layered scene-linear EXR, one file a frame: ``R,G,B,A`` is the comp, then a group of channels a layer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.media import timecode
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.encoding import Encoding, chromaticities, convert, light_of
from anyportal_core.media.header import DATE, TIMECODE
from anyportal_core.media.image_out import write_image
from anyportal_core.media.output import Written, part_of, remove, result_name, storage_errors
from anyportal_core.media.windows import Window, place_in

_CHANNELS = {
    "comp": ("R", "G", "B", "A"),
    "foreground": ("foreground.R", "foreground.G", "foreground.B"),
    "background": ("background.R", "background.G", "background.B"),
    "matte": ("matte.A",),
    "gain": ("gain.R", "gain.G", "gain.B"),
    "clean_plate": ("clean_plate.R", "clean_plate.G", "clean_plate.B"),
    "shadow": ("shadow.A",),
    "wrap": ("wrap.R", "wrap.G", "wrap.B"),
}
_BARE = frozenset({"matte", "gain", "shadow"})
"""Layers that are no colours: they are stored as they come."""

_HALF_MOST = 65504.0
_PARTS = ("foreground", "background", "matte")
_STRIPE = 64
DWA_LEVEL = 45
"""What OpenEXR takes for visually lossless."""

Windows = Callable[[int], tuple[Window, Window] | None]
"""A frame's number to its display and data window."""

Headers = Callable[[int], oiio.ImageSpec | None]
"""A frame's number to what its file says about the shot."""

Stored = NDArray[np.floating[Any]]


class ExrWriter:
    """All layers of a frame in one file, half or float: the plate's light (see ``light_of``), or what is wanted.

    With foreground, background and matte among the layers the comp is made from their stored values, so that
    ``foreground*matte + background*(1-matte)``, rounded to the file's number type, is the stored comp exactly.

    Args:
        header: attributes of every file.
        windows: of each frame; as ``info`` says where left out.
        headers: what each frame's file says beside them.
        compression: ``zip``, ``piz``, ``none``; or ``dwab``, which is lossy.
        wanted: what pixels are to be in, in place of the plate's light.
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
        headers: Headers | None = None,
        compression: str = "zip",
        wanted: Encoding | None = None,
    ) -> None:
        self._folder, self._stem = folder, stem
        self._layers = tuple(name for name in _CHANNELS if name in layers)
        self._info, self._rate, self._header = info, rate, header
        self._headers = headers or (lambda _: None)
        self._compression = compression
        whole = info.display_window or (0, 0, *info.shown_size)
        self._windows = windows or (lambda _: (whole, info.data_window or whole))
        self._target = wanted or light_of(info.encoding)
        self._lights = replace(info.encoding, transfer="linear"), replace(self._target, transfer="linear")
        self._kind: type[np.floating[Any]] = np.float32 if info.storage == "float" else np.float16

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        height, width = next(iter(layers.values())).shape[:2]
        display, data = self._windows(number) or ((0, 0, width, height),) * 2
        top, left = place_in(self._info.margins, display, data)
        # What of the frame's data lies in the picture: all of it, unless the picture was made without knowing it.
        y0, y1, x0, x1 = max(top, 0), min(top + data[3], height), max(left, 0), min(left + data[2], width)
        if y0 >= y1 or x0 >= x1:
            y0, y1, x0, x1, top, left, data = 0, height, 0, width, 0, 0, (display[0], display[1], width, height)
        held = (data[0] + x0 - left, data[1] + y0 - top, x1 - x0, y1 - y0)
        light = {
            name: image if name == "comp" and _makes_comp(layers) else self._light(name, image[y0:y1, x0:x1])
            for name, image in layers.items()
        }
        stored = quantised(light, self._kind)
        channels = np.concatenate([_as_channels(name, stored[name]) for name in self._layers], axis=-1)
        path = self._folder / result_name(self._stem, "comp", "exr", number)
        self._save(path, self._spec(number, channels, display, held), channels)
        return [Written(self._layers, path, number)]

    def close(self) -> list[Written]:
        return []

    def abort(self) -> None:
        """Every file is finished as soon as it is there."""

    def _light(self, name: str, image: Image) -> Image:
        if name == "wrap":
            return convert(image, *self._lights)
        return image if name in _BARE else convert(image, self._info.encoding, self._target)

    def _save(self, path: Path, spec: oiio.ImageSpec, channels: Stored) -> None:
        part = part_of(path)
        try:
            write_image("exr", part, path, spec, channels)
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
        self._pass_on(spec, number)
        for name, value in self._header.items():
            spec.attribute(name, value)
        self._compress(spec)
        spec.attribute("PixelAspectRatio", float(info.pixel_aspect))
        spec.attribute("chromaticities", oiio.TypeDesc("float[8]"), chromaticities(self._target.primaries))
        rate = (self._rate.numerator, self._rate.denominator)
        spec.attribute("framesPerSecond", oiio.TypeDesc("rational"), rate)
        return spec

    def _compress(self, spec: oiio.ImageSpec) -> None:
        spec.attribute("compression", self._compression)
        if self._compression == "dwab":
            spec.attribute("openexr:dwaCompressionLevel", float(DWA_LEVEL))
            spec.attribute("anyportal/lossy", f"dwab, level {DWA_LEVEL}: the layers make the comp only about")

    def _pass_on(self, spec: oiio.ImageSpec, number: int) -> None:
        """What the plate's frame says about the shot; its timecode counted from the first where it has none."""
        info = self._info
        found = self._headers(number)
        if found is not None:
            spec.extra_attribs.merge(found.extra_attribs)
        if DATE not in spec.extra_attribs:
            # OpenImageIO stamps the hour of writing unless told otherwise; an empty date is left out.
            spec.attribute(DATE, info.date)
        if TIMECODE not in spec.extra_attribs and info.timecode and timecode.countable(info.timecode, self._rate):
            own = timecode.shifted(info.timecode, number - info.numbers[0], self._rate)
            bits = timecode.to_bits(own)
            if bits is not None:
                spec.attribute(TIMECODE, oiio.TypeDesc("timecode"), (bits, 0))


def quantised(layers: Mapping[str, Image], kind: type[np.floating[Any]]) -> dict[str, Stored]:
    """Layers as a file of ``kind`` stores them, the comp made anew where all its parts are there.

    Half cannot hold more than 65504; brighter pixels are kept at that.
    """
    remade = _makes_comp(layers)
    stored = {name: _rounded(image, kind) for name, image in layers.items() if not (remade and name == "comp")}
    if remade:
        stored["comp"] = _remade(*(stored[name] for name in _PARTS))
    return stored


def _makes_comp(layers: Collection[str]) -> bool:
    return "comp" in layers and all(name in layers for name in _PARTS)


def _remade(foreground: Stored, background: Stored, matte: Stored) -> Stored:
    """The comp of stored parts, as it is stored."""
    comp = np.empty_like(foreground)
    for rows in _stripes(len(comp)):
        fore, back, cover = foreground[rows], background[rows], matte[rows]
        mixed = composed(*(part.astype(np.float32) for part in (fore, back, cover)))
        # By selection where nothing is mixed: the sum loses the sign of -0.
        mixed = np.where(cover[..., None] == 1, fore, _rounded(mixed, comp.dtype.type))
        comp[rows] = np.where(cover[..., None] == 0, back, mixed)
    return comp


def composed(foreground: Image, background: Image, matte: Image) -> Image:
    """Foreground over background, ``(H, W, 3)``, by a matte ``(H, W)``."""
    cover = np.repeat(matte[..., None], 3, axis=-1)  # arithmetic on equal shapes is several times faster
    comp = foreground * cover
    np.subtract(1, cover, out=cover)
    cover *= background
    comp += cover
    return comp


def _rounded(image: Image, kind: type[np.floating[Any]]) -> Stored:
    if kind is not np.float16:
        return image.astype(kind)
    stored = np.empty(image.shape, kind)
    for rows in _stripes(len(image)):
        stored[rows] = np.clip(image[rows], -_HALF_MOST, _HALF_MOST)
    return stored


def _stripes(height: int) -> Iterator[slice]:
    """Rows that are worked on at a time: what lies between two steps stays small."""
    return (slice(top, top + _STRIPE) for top in range(0, height, _STRIPE))


def _as_channels(layer: str, image: Stored) -> Stored:
    if layer == "comp":
        return np.concatenate([image, np.ones_like(image[..., :1])], axis=-1)
    return image[..., None] if image.ndim == 2 else image

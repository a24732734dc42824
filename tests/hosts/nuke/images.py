"""Pictures as Nuke has them: channels within a bounding box, which a format may be smaller or larger than."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Box = tuple[int, int, int, int]  # left, bottom, right, top; from the format's lower left corner

_CHANNELS = {"R": "red", "G": "green", "B": "blue", "A": "alpha"}
_LETTERS = {name: letter for letter, name in _CHANNELS.items()}


@dataclass(frozen=True)
class Format:
    wide: int
    high: int
    aspect: float = 1.0

    def width(self) -> int:
        return self.wide

    def height(self) -> int:
        return self.high

    def pixelAspect(self) -> float:
        return self.aspect


@dataclass(frozen=True)
class Image:
    """Planes have the box's size, their first row is its top. `checkerboard`: what a missing frame is shown as."""

    format: Format
    box: Box
    planes: dict[str, Plane]
    metadata: dict[str, Any]
    checkerboard: bool = False

    def plane(self, name: str) -> Plane:
        left, bottom, right, top = self.box
        return self.planes.get(name, np.zeros((top - bottom, right - left), np.float32))

    def cropped(self, box: Box) -> Image:
        """Another box; black where there was nothing."""
        planes = {name: _placed(plane, self.box, box) for name, plane in self.planes.items()}
        return replace(self, box=box, planes=planes)

    def moved(self, x: int, y: int) -> Image:
        left, bottom, right, top = self.box
        return replace(self, box=(left + x, bottom + y, right + x, top + y))

    def resized(self, size: Format) -> Image:
        whole = self.cropped((0, 0, self.format.wide, self.format.high))
        to = (size.wide, size.high)
        planes = {name: cv2.resize(plane, to, interpolation=cv2.INTER_AREA) for name, plane in whole.planes.items()}
        return Image(size, (0, 0, *to), planes, self.metadata, self.checkerboard)

    def rgb(self) -> NDArray[np.float32]:
        """The format's pixels, top row first."""
        whole = self.cropped((0, 0, self.format.wide, self.format.high))
        return np.stack([whole.plane(f"rgba.{name}") for name in ("red", "green", "blue")], axis=-1)


def _placed(plane: Plane, old: Box, new: Box) -> Plane:
    made = np.zeros((new[3] - new[1], new[2] - new[0]), np.float32)
    left, right = max(old[0], new[0]), min(old[2], new[2])
    bottom, top = max(old[1], new[1]), min(old[3], new[3])
    if left < right and bottom < top:
        made[new[3] - top : new[3] - bottom, left - new[0] : right - new[0]] = plane[
            old[3] - top : old[3] - bottom, left - old[0] : right - old[0]
        ]
    return made


def read(path: Path) -> Image:
    """A file. The unnamed layer is rgba; a layer that is a mere number fails (hosts.md: "purely numeric layer names
    fail")."""
    file = oiio.ImageInput.open(str(path))
    assert file is not None, path
    spec = file.spec()
    pixels = np.asarray(file.read_image(0, 0, 0, spec.nchannels, oiio.FLOAT)).reshape(spec.height, spec.width, -1)
    file.close()
    planes = {}
    for index, name in enumerate(spec.channelnames):
        layer, _, channel = name.rpartition(".")
        if layer.isdigit():
            raise RuntimeError(f"{path}: {name}: bad layer name")
        planes[f"{layer or 'rgba'}.{_CHANNELS.get(channel, channel)}"] = np.ascontiguousarray(pixels[..., index])
    full = Format(spec.full_width, spec.full_height, spec.get_float_attribute("PixelAspectRatio", 1.0))
    left, top = spec.x - spec.full_x, spec.full_height - (spec.y - spec.full_y)
    metadata = {attribute.name: attribute.value for attribute in spec.extra_attribs}
    metadata["input/bitsperchannel"] = {"uint8": "8-bit fixed", "half": "16-bit half float"}.get(str(spec.format), "")
    return Image(full, (left, top - spec.height, left + spec.width, top), planes, metadata)


def write(path: Path, image: Image, names: list[str], kind: str, metadata: bool) -> None:
    """An EXR: the box is the data window, the format the display window."""
    left, bottom, right, top = image.box
    spec = oiio.ImageSpec(right - left, top - bottom, len(names), kind)
    spec.channelnames = tuple(_name(name) for name in names)
    spec.x, spec.y = left, image.format.high - top
    spec.full_width, spec.full_height, spec.full_x, spec.full_y = image.format.wide, image.format.high, 0, 0
    spec.attribute("PixelAspectRatio", image.format.aspect)
    for name, value in image.metadata.items() if metadata else ():
        if isinstance(value, str) and not name.startswith(("input/", "oiio:")):
            spec.attribute(f"nuke/{name}", value)
    file = oiio.ImageOutput.create("exr")
    assert file.open(str(path), spec), file.geterror()
    assert file.write_image(np.stack([image.plane(name) for name in names], axis=-1)), file.geterror()
    file.close()


def _name(name: str) -> str:
    layer, _, channel = name.rpartition(".")
    letter = _LETTERS.get(channel, channel)
    return letter if layer == "rgba" else f"{layer}.{letter}"


def decoded(plane: Plane) -> Plane:
    """sRGB to light."""
    return np.where(plane <= 0.04045, plane / 12.92, ((plane + 0.055) / 1.055) ** 2.4).astype(np.float32)


def encoded(plane: Plane) -> Plane:
    """Light to sRGB."""
    root = np.maximum(plane, 0) ** (1 / 2.4)
    return np.where(plane <= 0.0031308, plane * 12.92, 1.055 * root - 0.055).astype(np.float32)

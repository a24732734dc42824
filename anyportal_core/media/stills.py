"""One image file through OpenImageIO: what it is, and its pixels placed in the display window, upright."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np
import OpenImageIO as oiio

from anyportal_core.errors import MediaNotFoundError, MediaUnreadableError, NonFinitePixelsError
from anyportal_core.frames import Image
from anyportal_core.media import bounds, timecode
from anyportal_core.media.channels import find_channels
from anyportal_core.media.clip import ClipInfo, Frame, Kind, Storage, Window
from anyportal_core.media.encoding import Encoding, named, primaries_of
from anyportal_core.shot import MediaRef

Given = ParamSpec("Given")
Read = TypeVar("Read")

_FASTEST, _WIDEST = 100_000, 1000
"""Frames a second and pixel aspects above these are damage."""

_BITS = {"uint8": 8, "uint16": 16, "half": 16, "float": 32}
# Anything but stuffing, restarts and filling.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


def _legible(read: Callable[Concatenate[Path, Given], Read]) -> Callable[Concatenate[Path, Given], Read]:
    """A reader to which text that is no UTF-8 is damage: OpenImageIO fails at it, in a header or its own complaint."""

    @wraps(read)
    def guarded(path: Path, /, *args: Given.args, **kwargs: Given.kwargs) -> Read:
        try:
            return read(path, *args, **kwargs)
        except UnicodeDecodeError as error:
            raise MediaUnreadableError(
                "a text in its header is none: it is damaged", where=str(path), hint="render or copy it again"
            ) from error

    return guarded


@_legible
def describe(path: Path, ref: MediaRef, kind: Kind, numbers: Sequence[int]) -> ClipInfo:
    """Read the header of an image.

    Raises:
        MediaNotFoundError, MediaUnreadableError: it is not there, or no image.
    """
    file = _open(path)
    try:
        found = find_channels(file, path)
        spec = _bounded(file.spec(found.part, 0), path)
    finally:
        file.close()
    encoding = _encoding(spec)
    turned = spec.get_int_attribute("Orientation", 1) in (5, 6, 7, 8)
    width, height = spec.full_width, spec.full_height
    bits = _several(spec, "smpte:TimeCode")
    display, data = _windows(spec) if _is_exr(path) else (None, None)
    return ClipInfo(
        path=path,
        kind=kind,
        width=height if turned else width,
        height=width if turned else height,
        rate=ref.rate or _rate(spec),
        numbers=numbers,
        encoding=named(ref.colour_space, encoding) if ref.colour_space else encoding,
        storage=_storage(spec, found.colours[0]),
        has_alpha=found.alpha is not None,
        pixel_aspect=_aspect(spec),
        timecode=timecode.valid(timecode.from_bits(int(bits[0]))) if bits else None,
        display_window=display,
        data_window=data,
        date=_text(spec, "DateTime"),
        layer=found.layer,
    )


@_legible
def windows(path: Path) -> tuple[Window, Window] | None:
    """Display and data window of an EXR, None for others.

    Raises:
        MediaNotFoundError, MediaUnreadableError: it is not there, or no image.
    """
    if not _is_exr(path):
        return None
    file = _open(path)
    try:
        return _windows(file.spec(find_channels(file, path).part, 0))
    finally:
        file.close()


def _bounded(spec: Any, path: Path) -> Any:
    """Raises ShotError where the picture, or what is stored of it, is too large."""
    bounds.check(spec.full_width, spec.full_height, path)
    bounds.check(spec.width, spec.height, path)
    return spec


def _is_exr(path: Path) -> bool:
    return path.suffix.lower() == ".exr"


def _windows(spec: Any) -> tuple[Window, Window]:
    display = spec.full_x, spec.full_y, spec.full_width, spec.full_height
    return display, (spec.x, spec.y, spec.width, spec.height)


@_legible
def read(path: Path, number: int, alpha: bool) -> Frame:
    """The picture in its display window, black around a smaller data window, float32, not clamped.

    Raises:
        MediaNotFoundError, MediaUnreadableError: it is not there, no image, or cut short.
        NonFinitePixelsError: NaN or infinity in it.
    """
    file = _open(path)
    try:
        found = find_channels(file, path)
        channels, cover = found.colours, found.alpha
        spec = _bounded(file.spec(found.part, 0), path)
        wanted = [*channels, *([cover] if alpha and cover is not None else [])]
        first, last = min(wanted), max(wanted) + 1
        stored = file.read_image(found.part, 0, first, last, oiio.FLOAT)
        if stored is None:
            raise MediaUnreadableError(
                f"the image is cut short or damaged ({_first_line(file.geterror())})",
                where=str(path),
                hint="render or copy it again",
            )
    finally:
        file.close()
    pixels = _placed(stored.reshape(spec.height, spec.width, -1), spec)
    if _storage(spec, channels[0]) in ("half", "float"):
        _refuse_non_finite(pixels[..., [c - first for c in wanted]], number, path)
    pixels = _upright(pixels, spec.get_int_attribute("Orientation", 1))
    rgb = np.ascontiguousarray(pixels[..., [c - first for c in channels]])
    if alpha and cover is not None:
        return Frame(number, rgb, np.ascontiguousarray(np.clip(pixels[..., cover - first], 0, 1)))
    return Frame(number, rgb)


def _open(path: Path) -> Any:
    if not path.exists():
        raise MediaNotFoundError("there is no such file", where=str(path), hint="check the path")
    if path.stat().st_size == 0:
        raise MediaUnreadableError("the file is empty", where=str(path), hint="render or copy it again")
    # Without this, PNG and TIFF colours come multiplied by their alpha.
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    file = oiio.ImageInput.open(str(path), config)
    if file is not None and file.format_name() == "jpeg" and _jpeg_is_cut(path.read_bytes()):
        file.close()
        raise MediaUnreadableError("the image is cut short", where=str(path), hint="copy or export it again")
    if file is None:
        raise MediaUnreadableError(
            f"this is no image that can be read ({_first_line(oiio.geterror())})",
            where=str(path),
            hint="render or copy it again, or convert it to EXR, PNG or TIFF",
        )
    return file


def _jpeg_is_cut(content: bytes) -> bool:
    """Whether a JPEG lacks its end marker; decoders silently paint the rest grey."""
    at = 2
    while marker := _JPEG_MARKER.search(content, at):
        at = marker.end()
        if marker.group() == b"\xff\xd9":
            return False
        at += int.from_bytes(content[at : at + 2], "big")
    return True


def _storage(spec: Any, channel: int) -> Storage:
    name = str(spec.channelformats[channel] if spec.channelformats else spec.format)
    if name in ("half", "float", "uint8", "uint16"):
        return name  # type: ignore[return-value]
    return "float" if name in ("double", "uint32", "int32") else "uint16"


def _encoding(spec: Any) -> Encoding:
    storage = _storage(spec, 0)
    if storage in ("half", "float"):
        stated = _several(spec, "chromaticities")
        primaries = primaries_of(stated) if len(stated) == 8 and np.isfinite(stated).all() else None
        return Encoding("linear", primaries or "bt709", bits=_BITS[storage])
    bits = spec.get_int_attribute("oiio:BitsPerSample", _BITS[storage])
    space, transfer = (_text(spec, name).lower() for name in ("oiio:ColorSpace", "dpx:Transfer"))
    log = "log" in space or transfer in ("printing density", "logarithmic")
    return Encoding("cineon" if log else "srgb", bits=bits)


def _rate(spec: Any) -> Fraction | None:
    stated = spec.getattribute("FramesPerSecond")
    exact = _several(spec, "FramesPerSecond")
    if len(exact) == 2 and min(exact) > 0:
        return Fraction(int(exact[0]), int(exact[1]))
    if isinstance(stated, float) and 0 < stated < _FASTEST:
        return Fraction(stated).limit_denominator(1001)
    return None


def _aspect(spec: Any) -> Fraction:
    stated = spec.get_float_attribute("PixelAspectRatio", 1.0)
    return Fraction(stated if 0 < stated < _WIDEST else 1.0).limit_denominator(1000)


# A damaged header may give an attribute another kind than it has.


def _text(spec: Any, name: str) -> str:
    stated = spec.getattribute(name)
    return stated if isinstance(stated, str) else ""


def _several(spec: Any, name: str) -> Sequence[float]:
    """An attribute of several numbers; none where it is not there, or something else."""
    stated = spec.getattribute(name)
    several = isinstance(stated, tuple | list) and all(isinstance(each, int | float) for each in stated)
    return cast(Sequence[float], stated) if several else ()


def _placed(pixels: Image, spec: Any) -> Image:
    """The data window within the display window: cropped where it is larger, black where it is smaller."""
    if (spec.x, spec.y, spec.width, spec.height) == (
        spec.full_x,
        spec.full_y,
        spec.full_width,
        spec.full_height,
    ):
        return pixels
    left, top = spec.x - spec.full_x, spec.y - spec.full_y
    canvas = np.zeros((spec.full_height, spec.full_width, pixels.shape[2]), np.float32)
    y0, y1 = max(top, 0), min(top + spec.height, spec.full_height)
    x0, x1 = max(left, 0), min(left + spec.width, spec.full_width)
    if y0 < y1 and x0 < x1:
        canvas[y0:y1, x0:x1] = pixels[y0 - top : y1 - top, x0 - left : x1 - left]
    return canvas


def _upright(pixels: Image, orientation: int) -> Image:
    """Undo the camera's orientation flag (EXIF 1..8)."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _refuse_non_finite(pixels: Image, number: int, path: Path) -> None:
    finite = np.isfinite(pixels)
    if finite.all():
        return
    row, column = np.argwhere(~finite.all(axis=2))[0]
    count = int((~finite.all(axis=2)).sum())
    raise NonFinitePixelsError(
        f"frame {number} has {count} pixel{'s' if count > 1 else ''} with NaN or infinity, the first at "
        f"x={column}, y={row}",
        where=str(path),
        hint="render the frame again, or clean it in a compositor (clamp, or an expression such as isnan(r)?0:r)",
    )


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"

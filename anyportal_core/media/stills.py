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
from anyportal_core.media import bounds, header, timecode
from anyportal_core.media.channels import find_channels
from anyportal_core.media.clip import ClipInfo, Frame, Kind, Storage
from anyportal_core.media.encoding import Encoding, named, primaries_of
from anyportal_core.media.windows import NO_MARGINS, Margins, Window, margins_of, place_in, placed
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
        declared = _alpha_straight(spec, file.format_name())
    finally:
        file.close()
    encoding = _encoding(spec)
    display, data = _windows(spec) if _is_exr(path) else (None, None)
    margins = margins_of([(display, data)]) if display and data else NO_MARGINS
    width, height = _size(spec, path, margins)
    turned = _orientation(spec, path) in (5, 6, 7, 8)
    bits = _several(spec, "smpte:TimeCode")
    return ClipInfo(
        path=path,
        kind=kind,
        width=height if turned else width,
        height=width if turned else height,
        rate=ref.rate or _rate(spec),
        numbers=numbers,
        encoding=named(ref.colour_space, encoding, ref.colour_config) if ref.colour_space else encoding,
        storage=_storage(spec, found.colours[0]),
        has_alpha=found.alpha is not None,
        alpha_straight=None if found.alpha is None else declared,
        pixel_aspect=_aspect(spec),
        timecode=timecode.valid(timecode.from_bits(int(bits[0]))) if bits else None,
        display_window=display,
        data_window=data,
        date=_text(spec, "DateTime"),
        layer=found.layer,
        margins=margins,
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
        return _windows(_bounded(file.spec(find_channels(file, path).part, 0), path))
    finally:
        file.close()


@_legible
def shot_header(path: Path) -> oiio.ImageSpec:
    """What the file says about the shot, see ``header``.

    Raises:
        MediaNotFoundError, MediaUnreadableError: it is not there, or no image.
    """
    file = _open(path)
    try:
        return header.of_shot(file.spec(find_channels(file, path).part, 0), _is_exr(path))
    finally:
        file.close()


def _bounded(spec: Any, path: Path) -> Any:
    """Raises ShotError where the picture, or what is stored of it, is too large."""
    bounds.check(spec.full_width, spec.full_height, path)
    bounds.check(spec.width, spec.height, path)
    return spec


def _size(spec: Any, path: Path, margins: Margins) -> tuple[int, int]:
    """Width and height of the picture. Raises ShotError where that is too large, though its windows may be small."""
    left, above, right, below = margins
    width, height = left + spec.full_width + right, above + spec.full_height + below
    bounds.check(width, height, path)
    return width, height


def _alpha_straight(spec: Any, form: str) -> bool | None:
    """What the file declares of its colours, by a tag or by its format's standard."""
    if form == "openexr":
        return False
    if spec.get_int_attribute("oiio:UnassociatedAlpha"):  # of what is read, which is as stored: see _open
        return True
    return False if form == "tiff" else None


def _is_exr(path: Path) -> bool:
    return path.suffix.lower() == ".exr"


def _windows(spec: Any) -> tuple[Window, Window]:
    display = spec.full_x, spec.full_y, spec.full_width, spec.full_height
    return display, (spec.x, spec.y, spec.width, spec.height)


@_legible
def read(path: Path, number: int, alpha: bool, margins: Margins = NO_MARGINS) -> Frame:
    """The picture: the display window and ``margins`` around it, black where there are no data; float32, not clamped.

    Raises:
        MediaNotFoundError, MediaUnreadableError: it is not there, no image, or cut short.
        NonFinitePixelsError: NaN or infinity in it.
        ShotError: it is too large.
    """
    file = _open(path)
    try:
        found = find_channels(file, path)
        channels, cover = found.colours, found.alpha
        spec = _bounded(file.spec(found.part, 0), path)
        wanted = [*channels, *([cover] if alpha and cover is not None else [])]
        first = min(wanted)
        stored = _stored(file, path, found.part, (first, max(wanted) + 1))
    finally:
        file.close()
    width, height = _size(spec, path, margins)
    pixels = stored.reshape(spec.height, spec.width, -1)
    pixels, extent = placed(pixels, *place_in(margins, *_windows(spec)), height, width)
    if _storage(spec, channels[0]) in ("half", "float"):
        _refuse_non_finite(pixels[..., _places(wanted, first)], margins, number, path)
    pixels = _upright(pixels, _orientation(spec, path))
    rgb = np.ascontiguousarray(pixels[..., _places(channels, first)])
    extent = extent if _is_exr(path) else None
    if alpha and cover is not None:
        return Frame(number, rgb, np.ascontiguousarray(np.clip(pixels[..., cover - first], 0, 1)), extent)
    return Frame(number, rgb, extent=extent)


def _places(channels: Sequence[int], first: int) -> slice | list[int]:
    """Where channels lie among those from ``first`` on: a slice, which copies nothing, where they follow each other."""
    places = [channel - first for channel in channels]
    together = places == list(range(places[0], places[0] + len(places)))
    return slice(places[0], places[-1] + 1) if together else places


def _stored(file: Any, path: Path, part: int, channels: tuple[int, int]) -> Image:
    """Channels of a part as float32; codes of integers as parts of the largest."""
    stored = file.read_image(part, 0, *channels, oiio.FLOAT)
    if stored is None:
        raise MediaUnreadableError(
            f"the image is cut short or damaged ({_first_line(file.geterror())})",
            where=str(path),
            hint="render or copy it again",
        )
    return cast(Image, stored)


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
        reason = _first_line(oiio.geterror())
        if "ubsampled" in reason:
            raise MediaUnreadableError(
                f"some of its channels are smaller than others, as in luminance and chroma ({reason})",
                where=str(path),
                hint="write R, G, B (and A), all of full size",
            )
        raise MediaUnreadableError(
            f"this is no image that can be read ({reason})",
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


def _orientation(spec: Any, path: Path) -> int:
    """As EXIF has it. In an EXR it says nothing: no program turns one, and its windows lie as it is stored."""
    return 1 if _is_exr(path) else int(spec.get_int_attribute("Orientation", 1))


def _upright(pixels: Image, orientation: int) -> Image:
    """Undo the camera's orientation flag (EXIF 1..8)."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _refuse_non_finite(pixels: Image, margins: Margins, number: int, path: Path) -> None:
    finite = np.isfinite(pixels)
    if finite.all():
        return
    row, column = np.argwhere(~finite.all(axis=2))[0]
    count = int((~finite.all(axis=2)).sum())
    raise NonFinitePixelsError(
        f"frame {number} has {count} pixel{'s' if count > 1 else ''} with NaN or infinity, the first at "
        f"x={column - margins[0]}, y={row - margins[1]}",
        where=str(path),
        hint="render the frame again, or clean it in a compositor (clamp, or an expression such as isnan(r)?0:r)",
    )


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"

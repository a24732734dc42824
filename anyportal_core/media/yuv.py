"""Y'CbCr planes to R'G'B' and back, in float, by the equations of ITU-T H.273.

swscale would do it in fixed point, clamp what lies outside 0..1 (a plate's super-whites) and fall back to
BT.601 where nobody tells it better; so the arithmetic is done here and swscale only unpacks odd layouts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.errors import unknown_name
from anyportal_core.frames import Image
from anyportal_core.media.encoding import Encoding

# Weights of red and blue in luma (H.273, table 4).
LUMA_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "bt601": (0.299, 0.114),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}

# Rows that are worked on at a time: whole planes in float would leave the processor's cache and cost more in
# fetching memory from the system than in arithmetic. A multiple of every subsampling.
_STRIPE = 64

# Of a code: below it lies what float arithmetic adds, above it what a picture has.
_SAME = 0.25

Plane = NDArray[np.unsignedinteger]


def to_rgb(planes: Sequence[Plane | Image], encoding: Encoding, size: tuple[int, int] | None = None) -> Image:
    """Integer planes to R'G'B' ``(H, W, 3)`` float32, nominal 0..1, not clamped.

    Args:
        planes: Y, Cb, Cr (chroma may be subsampled, sited left as MPEG-2 and H.264 do); R, G, B for the
            matrix ``rgb``; or Y alone.
        size: ``(h, w)`` to resample to on the way, averaging areas where it shrinks.
    """
    if size:
        return to_rgb([fit(plane.astype(np.float32), *size) for plane in planes], encoding)
    height, width = planes[0].shape
    pixels = np.empty((height, width, 3), np.float32)
    for rows in _stripes(height):
        luma = planes[0][rows].astype(np.float32)
        if len(planes) == 1:
            pixels[rows] = rescaled(luma, encoding)[..., None]
        else:
            codes = cv2.merge([luma, *(_upsampled(plane, rows, height, width) for plane in planes[1:3])])
            cv2.transform(codes, _decoding(encoding), dst=pixels[rows])
    return pixels


def from_rgb(pixels: Image, encoding: Encoding, subsampling: tuple[int, int]) -> list[Plane]:
    """R'G'B' ``(H, W, 3)`` or grey ``(H, W)`` to planes of codes: Y, Cb, Cr (or R, G, B), rounded and clipped.

    Undoes ``to_rgb``: planes that it was made from come back as they were, chroma of half size too (of an odd height
    but for its last line). Other chroma is averaged.

    Args:
        subsampling: ``(horizontal, vertical)`` factors of chroma, 1 or 2.
    """
    if pixels.ndim == 2:
        return _grey_planes(pixels, encoding, subsampling)
    height, width = pixels.shape[:2]
    across, down = subsampling
    small = -(-height // down), -(-width // across)
    kind = np.uint8 if encoding.bits == 8 else np.uint16
    planes: list[Plane] = [np.empty(size, kind) for size in ((height, width), small, small)]
    luma, *chroma = np.vsplit(_encoding(encoding), 3)
    for rows in _stripes(height):
        codes = cv2.transform(np.ascontiguousarray(pixels[rows]), luma)
        planes[0][rows] = _quantised(np.asarray(codes, np.float32), encoding.bits)
        part = _with_neighbours(pixels, rows) if down == 2 else pixels[rows]
        for plane, row in zip(planes[1:], chroma, strict=True):
            values: Image = np.asarray(cv2.transform(np.ascontiguousarray(part), row), np.float32)
            values = _columns(values) if across == 2 else values
            values = _lines(values) if down == 2 else values
            top = rows.start // down
            plane[top : top + len(values)] = _quantised(values, encoding.bits)
    return planes


def grey_from(plane: Image, encoding: Encoding) -> Plane:
    """One channel ``(H, W)``, 0..1, to codes of luma's range: alpha planes and mattes."""
    low, span = _luma_range(encoding)
    return _quantised(plane * np.float32(span) + np.float32(low), encoding.bits)


def _grey_planes(grey: Image, encoding: Encoding, subsampling: tuple[int, int]) -> list[Plane]:
    luma = grey_from(grey, encoding)
    if encoding.matrix == "rgb":
        return [luma] * 3
    size = -(-grey.shape[0] // subsampling[1]), -(-grey.shape[1] // subsampling[0])
    return [luma, *[np.full(size, 1 << encoding.bits - 1, luma.dtype)] * 2]


def rescaled(codes: Image, encoding: Encoding) -> Image:
    """Codes in luma's range to 0..1, float32."""
    low, span = _luma_range(encoding)
    return (codes - np.float32(low)) * np.float32(1 / span)


def reach(encoding: Encoding) -> tuple[float, float]:
    """The least and the greatest value that codes can hold: beyond 0..1 in video range."""
    low, span = _luma_range(encoding)
    return -low / span, (2**encoding.bits - 1 - low) / span


def bounded(pixels: Image, encoding: Encoding) -> Image:
    """R'G'B' ``(H, W, 3)``, clipped to ``reach`` where codes cannot hold it; the very object where they can everywhere.

    A colour with one channel beyond reach may well have codes of its own, and is left alone then.
    """
    low, high = reach(encoding)
    if encoding.matrix == "rgb" or (pixels.min(initial=low) >= low and pixels.max(initial=high) <= high):
        return pixels
    made = np.clip(pixels, low, high)
    least, most = np.float32(-0.5), np.float32(2**encoding.bits - 0.5)
    for rows in _stripes(len(pixels)):
        codes = cv2.transform(np.ascontiguousarray(pixels[rows]), _encoding(encoding))
        held = ((codes >= least) & (codes < most)).all(axis=-1, keepdims=True)
        made[rows] = np.where(held, pixels[rows], made[rows])
    return made


def fit(image: Image, height: int, width: int) -> Image:
    """Resample ``(H, W)`` or ``(H, W, C)`` to ``(height, width)``: areas averaged when shrinking, else linear."""
    while image.shape[0] >= 2 * height and image.shape[1] >= 2 * width:  # halving is many times as fast
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.float32)
    if image.shape[:2] == (height, width):
        return image
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.float32)


def _luma_range(encoding: Encoding) -> tuple[float, float]:
    """Code of black, and codes from black to white."""
    if encoding.full_range:
        return 0.0, 2.0**encoding.bits - 1
    step = 2.0 ** (encoding.bits - 8)
    return 16 * step, 219 * step


def _chroma_range(encoding: Encoding) -> tuple[float, float]:
    """Code of no colour, and codes from the least to the most of it."""
    middle = 2.0 ** (encoding.bits - 1)
    return middle, (2 * middle - 1 if encoding.full_range else 224 * middle / 128)


def _analysis(encoding: Encoding) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """R'G'B' to codes: the ``(3, 3)`` matrix and the ``(3,)`` offset."""
    low, span = _luma_range(encoding)
    if encoding.matrix == "rgb":
        return np.eye(3) * span, np.full(3, low)
    if encoding.matrix not in LUMA_WEIGHTS:
        raise unknown_name("colour matrix", encoding.matrix, LUMA_WEIGHTS)
    red, blue = LUMA_WEIGHTS[encoding.matrix]
    luma = np.array([red, 1 - red - blue, blue])
    middle, reach = _chroma_range(encoding)
    cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    return np.stack([luma * span, cb * reach, cr * reach]), np.array([low, middle, middle])


@lru_cache
def _encoding(encoding: Encoding) -> NDArray[np.float32]:
    matrix, offset = _analysis(encoding)
    return np.column_stack([matrix, offset]).astype(np.float32)


@lru_cache
def _decoding(encoding: Encoding) -> NDArray[np.float32]:
    matrix, offset = _analysis(encoding)
    inverse = np.linalg.inv(matrix)
    return np.column_stack([inverse, -inverse @ offset]).astype(np.float32)


def _stripes(height: int) -> Iterator[slice]:
    return (slice(top, min(top + _STRIPE, height)) for top in range(0, height, _STRIPE))


def _upsampled(plane: Plane | Image, rows: slice, height: int, width: int) -> Image:
    """Rows of chroma at the size of luma, linear: vertically between the lines, horizontally on every other column."""
    scale = -(-height // plane.shape[0])
    above = max(rows.start // scale - 1, 0)
    part = plane[above : -(-rows.stop // scale) + 1].astype(np.float32)
    if scale > 1:
        tall = cv2.resize(part, (part.shape[1], len(part) * scale), interpolation=cv2.INTER_LINEAR)
        part = np.asarray(tall, np.float32)
    part = part[rows.start - above * scale : rows.stop - above * scale]
    columns = part.shape[1]
    if columns == width:
        return np.ascontiguousarray(part)
    if -(-width // 2) != columns:  # 4:1:1 and its kin
        return np.asarray(cv2.resize(part, (width, len(part)), interpolation=cv2.INTER_LINEAR), np.float32)
    right = np.concatenate([part[:, 1:], part[:, -1:]], axis=1)
    between = cv2.addWeighted(part, 0.5, right, 0.5, 0)
    return np.asarray(cv2.merge([part, between]), np.float32).reshape(len(part), 2 * columns)[:, :width]


def _with_neighbours(pixels: Image, rows: slice) -> Image:
    """Rows, an even number of them, between the one above and the one below; the picture's edges repeat."""
    height = len(pixels)
    stop = rows.stop + (rows.stop - rows.start) % 2
    part = pixels[max(rows.start - 1, 0) : min(stop + 1, height)]
    above, below = part[:1][: rows.start == 0], part[-1:].repeat(max(stop + 1 - height, 0), axis=0)
    return np.concatenate([above, part, below]) if len(above) or len(below) else part


def _columns(plane: Image) -> Image:
    """Every other column: itself where those beside it lie between such columns, else averaged 1-2-1."""
    if plane.shape[1] % 2:
        plane = np.concatenate([plane, plane[:, -1:]], axis=1)
    here, right = cv2.split(plane.reshape(len(plane), -1, 2))
    following = np.concatenate([here[:, 1:], here[:, -1:]], axis=1)
    off = cv2.absdiff(right, cv2.addWeighted(here, 0.5, following, 0.5, 0))
    off = cv2.max(off, np.concatenate([off[:, :1], off[:, :-1]], axis=1))
    left = np.concatenate([here[:, :1], right[:, :-1]], axis=1)
    mean = cv2.addWeighted(cv2.addWeighted(left, 0.5, right, 0.5, 0), 0.5, here, 0.5, 0)
    return _chosen(here, mean, off)


def _lines(plane: Image) -> Image:
    """Between every two lines, see ``_with_neighbours``: what they were interpolated from, else their mean."""
    above, upper, lower, below = plane[:-2:2], plane[1:-1:2], plane[2::2], plane[3::2]
    from_above = cv2.addWeighted(upper, 1.5, above, -0.5, 0)
    from_below = cv2.addWeighted(lower, 1.5, below, -0.5, 0)
    source = cv2.addWeighted(from_above, 0.5, from_below, 0.5, 0)
    return _chosen(source, cv2.addWeighted(upper, 0.5, lower, 0.5, 0), cv2.absdiff(from_above, from_below))


def _chosen(source: Any, mean: Any, off: Any) -> Image:
    """``source`` where what it is to explain is ``off`` by no more than a fraction of a code, else ``mean``."""
    return np.asarray(cv2.copyTo(source, (np.asarray(off) <= _SAME).view(np.uint8), mean), np.float32)


def _quantised(codes: Image, bits: int) -> Plane:
    convert: Any = cv2.add  # the one call that rounds, saturates and narrows in a single pass
    if bits == 8:
        return np.asarray(convert(codes, 0.0, dtype=cv2.CV_8U), np.uint8)
    return np.minimum(np.asarray(convert(codes, 0.0, dtype=cv2.CV_16U), np.uint16), np.uint16(2**bits - 1))

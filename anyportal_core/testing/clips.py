"""Synthetic clips with known pixels: scenes as arrays, and files made of them.

Frames are ``(T, H, W, 3)`` float32 R'G'B' 0..1 in the encoding that the file is told to have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import OpenImageIO as oiio

from anyportal_core.frames import Image
from anyportal_core.media import h273
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.planes import video_frame

VIDEO = Encoding("bt709", "bt709", "bt709", full_range=False, bits=8)


@dataclass(frozen=True)
class Scene:
    """A shot with its truth: ``plate`` ``(T, H, W, 3)``, ``matte`` ``(T, H, W)``, ``background`` as ``plate``."""

    plate: Image
    matte: Image
    background: Image


def moving_scene(count: int = 12, height: int = 64, width: int = 96, pan: float = 1.0, seed: int = 0) -> Scene:
    """A textured ellipse with soft edges that sways before a textured wall; the camera pans.

    Args:
        pan: pixels a frame that the wall moves to the left.
        seed: of the textures.
    """
    generator = np.random.default_rng(seed)
    margin = int(abs(pan) * count) + 2
    wall = _texture(generator, height, width + margin, tint=(0.35, 0.45, 0.6))
    cloth = _texture(generator, height, width, tint=(0.75, 0.5, 0.35))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    background, matte = [], []
    for t in range(count):
        shift = np.array([[1, 0, -pan * t if pan >= 0 else -pan * t - margin], [0, 1, 0]], np.float32)
        background.append(cv2.warpAffine(wall, shift, (width, height), borderMode=cv2.BORDER_REFLECT))
        centre = width * (0.5 + 0.08 * np.sin(2 * np.pi * t / 24))
        radius = np.hypot((columns - centre) / (0.2 * width), (rows - 0.6 * height) / (0.42 * height))
        matte.append(np.clip((1 - radius) * 0.2 * width / 2 + 0.5, 0, 1))
    alpha, wall_frames = np.stack(matte).astype(np.float32), np.stack(background).astype(np.float32)
    return Scene(cloth * alpha[..., None] + wall_frames * (1 - alpha[..., None]), alpha, wall_frames)


def numbered_frames(count: int, height: int = 64, width: int = 96) -> Image:
    """Frames of one pattern that carry their own number, as sixteen blocks that are darker or lighter."""
    y, x = np.mgrid[:height, :width]
    pattern = 0.3 * np.sin(2 * np.pi * x / (width / 8)) * np.sin(4 * np.pi * y / height)  # no block's mean moves
    frames = np.repeat(pattern.astype(np.float32)[None, ..., None], count, 0).repeat(3, -1)
    for number in range(count):
        for bit in range(16):
            row, column = divmod(bit, 8)
            y, x = row * height // 2, column * width // 8
            frames[number, y : y + height // 2, x : x + width // 8] += 0.62 if number >> bit & 1 else 0.38
    return frames


def read_number(pixels: Image) -> int:
    """The number that a frame of ``numbered_frames`` carries, however badly it was compressed."""
    height, width = pixels.shape[:2]
    number = 0
    for bit in range(16):
        row, column = divmod(bit, 8)
        y, x = row * height // 2, column * width // 8
        block = pixels[y : y + height // 2, x : x + width // 8]
        number |= int(block.mean() > 0.5) << bit
    return number


def write_movie(
    path: Path,
    frames: Image,
    rate: Fraction | int = 24,
    codec: str = "libx264",
    layout: str = "yuv420p",
    encoding: Encoding = VIDEO,
    alpha: Image | None = None,
    tags: bool = True,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    timecode: str = "",
    pixel_aspect: Fraction = Fraction(1),
    options: Mapping[str, str] | None = None,
) -> Path:
    """Write a movie with explicit colour tags.

    Args:
        layout: the planar pixel format of libav to encode; ``encoding.bits`` must be its bit depth.
        encoding: how ``frames`` become codes; tagged unless ``tags`` is off.
        alpha: ``(T, H, W)`` for layouts that have it.
        times: presentation time of each frame in units of ``1 / (1000 * rate)``; constant rate by default.
        rotation: degrees anticlockwise that a player must turn the picture by.
    """
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream(
            codec, rate=Fraction(rate), options=dict({"crf": "8"} if options is None else options)
        )
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = layout
        stream.codec_context.thread_count = 1
        stream.codec_context.sample_aspect_ratio = pixel_aspect
        if times is not None:
            stream.codec_context.time_base = 1 / (1000 * Fraction(rate))
        if timecode:
            stream.metadata["timecode"] = timecode
        if rotation:
            stream.set_display_rotation(rotation)
        if tags:
            h273.tag(stream.codec_context, h273.tags_of(encoding))
        for index, pixels in enumerate(frames):
            cover = None if alpha is None else alpha[index]
            frame = video_frame(pixels, layout, encoding, cover)
            if tags:
                h273.tag(frame, h273.tags_of(encoding))
            frame.pts = index if times is None else times[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_images(
    pattern: Path,
    frames: Image,
    first: int = 1001,
    storage: str = "uint8",
    alpha: Image | None = None,
    names: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
    window: tuple[int, int, int, int] | None = None,
) -> list[Path]:
    """Write a sequence (``pattern`` holds ``%04d``) or, without a ``%``, the first frame as a still.

    Args:
        frames: ``(T, H, W, C)``; integer storages take 0..1.
        storage: ``uint8``, ``uint16``, ``half`` or ``float``.
        names: channel names, for EXR.
        attributes: of the header.
        window: x, y, width, height of the display window, where it is not the picture's.
    """
    if "%" not in pattern.name:
        return [write_image(pattern, frames[0], storage, _of(alpha, 0), names, attributes, window)]
    return [
        write_image(
            pattern.with_name(pattern.name % (first + i)), pixels, storage, _of(alpha, i), names, attributes, window
        )
        for i, pixels in enumerate(frames)
    ]


def write_image(
    path: Path,
    pixels: Image,
    storage: str = "uint8",
    alpha: Image | None = None,
    names: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
    window: tuple[int, int, int, int] | None = None,
) -> Path:
    """Write one image; arguments as ``write_images``."""
    channels = pixels if alpha is None else np.concatenate([pixels, alpha[..., None]], axis=-1)
    spec = oiio.ImageSpec(channels.shape[1], channels.shape[0], channels.shape[2], storage)
    if names:
        spec.channelnames = tuple(names)
    if alpha is not None:
        spec.alpha_channel = channels.shape[2] - 1
    if window:
        spec.full_x, spec.full_y, spec.full_width, spec.full_height = window
    spec.attribute("oiio:UnassociatedAlpha", 1)
    for name, value in {"DateTime": "2020:02:02 02:02:02", **(attributes or {})}.items():
        spec.attribute(name, *value) if isinstance(value, tuple) else spec.attribute(name, value)
    file: Any = oiio.ImageOutput.create(str(path))
    if not (file.open(str(path), spec) and file.write_image(np.ascontiguousarray(channels, np.float32))):
        raise OSError(file.geterror())
    file.close()
    return path


def _of(alpha: Image | None, index: int) -> Image | None:
    return None if alpha is None else alpha[index]


def _texture(generator: np.random.Generator, height: int, width: int, tint: Sequence[float]) -> Image:
    """Soft blobs and fine grain around a colour, ``(H, W, 3)``, within 0.05..0.95."""
    coarse = generator.random((max(height // 12, 2), max(width // 12, 2), 3)).astype(np.float32)
    fine = generator.random((max(height // 3, 2), max(width // 3, 2), 3)).astype(np.float32)
    blobs = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = cv2.resize(fine, (width, height), interpolation=cv2.INTER_CUBIC)
    picture = np.asarray(tint, np.float32) + 0.5 * (blobs - 0.5) + 0.25 * (grain - 0.5)
    return np.asarray(np.clip(picture, 0.05, 0.95), np.float32)

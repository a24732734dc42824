"""Decoded video frames as numpy planes, whatever layout the decoder chose, at their own bit depth."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from anyportal_core.frames import Image
from anyportal_core.media import yuv
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.yuv import Plane


def has_alpha(layout: VideoFormat) -> bool:
    return layout.has_palette or any(c.is_alpha for c in layout.components)


def colour_planes(frame: VideoFrame) -> list[Plane]:
    """Y, Cb, Cr; or Y alone; or R, G, B: unsigned codes as the decoder gave them, no resampling."""
    frame = planar(frame)
    return [_codes(frame, frame.planes[c.plane]) for c in frame.format.components if not c.is_alpha]


def alpha_plane(frame: VideoFrame) -> Image:
    """Alpha ``(H, W)``, 0..1; it always uses all bits."""
    frame = planar(frame)
    component = next(c for c in frame.format.components if c.is_alpha)
    codes = _codes(frame, frame.planes[component.plane]).astype(np.float32)
    return codes * np.float32(1 / (2**component.bits - 1))


def video_frame(pixels: Image, layout: str, encoding: Encoding, alpha: Image | None = None) -> VideoFrame:
    """R'G'B' ``(H, W, 3)`` or grey ``(H, W)``, and alpha ``(H, W)``, as a frame of a planar layout, without tags."""
    frame = VideoFrame(pixels.shape[1], pixels.shape[0], layout)
    shape = frame.format
    planes = yuv.from_rgb(pixels, encoding, (256 // shape.chroma_width(256), 256 // shape.chroma_height(256)))
    if alpha is not None:
        planes.append(yuv.grey_from(alpha, replace(encoding, full_range=True)))
    for component, codes in zip(shape.components, planes, strict=True):
        plane = frame.planes[component.plane]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width * codes.itemsize] = codes.view(np.uint8)
    return frame


def planar(frame: VideoFrame) -> VideoFrame:
    """The frame itself; or interleaved layouts (nv12, rgba, ...) unpacked by swscale into planes."""
    layout = frame.format
    bits = layout.components[0].bits
    separate = len({c.plane for c in layout.components}) == len(layout.components)
    if separate and bits <= 16 and not layout.has_palette:
        return frame
    alpha = "a" if has_alpha(layout) else ""
    depth = "" if bits <= 8 else ("10" if bits == 10 else "16") + ("le" if sys.byteorder == "little" else "be")
    if layout.is_rgb or layout.has_palette:
        return frame.reformat(format=f"gbr{alpha}p{depth}")
    if len(layout.components) < 3:
        return frame.reformat(format=f"yuva444p{depth}")
    narrow, low = layout.chroma_width(1 << 8) < 1 << 8, layout.chroma_height(1 << 8) < 1 << 8
    ratio = "420" if low else "422" if narrow else "444"
    return frame.reformat(format=f"yuv{alpha}{ratio}p{depth}")


def _codes(frame: VideoFrame, plane: VideoPlane) -> NDArray[np.unsignedinteger]:
    wide = frame.format.components[0].bits > 8
    kind = np.dtype(np.uint8 if not wide else ">u2" if frame.format.is_big_endian else "<u2")
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    codes: NDArray[np.unsignedinteger] = rows[:, : plane.width * kind.itemsize].view(kind)
    return codes

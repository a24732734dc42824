"""Pictures and movies that were good before something happened to them: read, or refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio
from hypothesis import strategies as st

from anyportal_core.errors import AnyPortalError
from anyportal_core.media import bounds
from anyportal_core.media.clip import open_clip
from anyportal_core.shot import MediaRef
from fuzz.strategies import Edit, edited, edits
from fuzz.target import Target

WIDTH, HEIGHT, FRAMES = 64, 48, 12
MOST_PIXELS = 1_000_000
STILLS = ("plate.exr", "tiled.exr", "plate.png", "deep16.png", "plate.tif", "plate.dpx", "plate.jpg")
MOVIES = {
    "plate.mp4": ("mpeg4", "yuv420p"),
    "plate.mov": ("prores_ks", "yuv422p10le"),
    "plate.mkv": ("ffv1", "yuv420p"),
    "plate.avi": ("mjpeg", "yuvj420p"),
    "plate.ts": ("mpeg2video", "yuv420p"),
}


def _still(path: Path) -> None:
    pixels = np.random.default_rng(0).random((HEIGHT, WIDTH, 4), np.float32)
    kind = {".exr": oiio.HALF, ".jpg": oiio.UINT8, ".dpx": oiio.UINT16}.get(path.suffix, oiio.UINT8)
    spec = oiio.ImageSpec(WIDTH, HEIGHT, 3 if path.suffix == ".jpg" else 4, kind)
    if path.name.startswith("tiled"):
        spec.tile_width = spec.tile_height = 16
    if path.name.startswith("deep"):
        spec.set_format(oiio.UINT16)
    out = oiio.ImageOutput.create(str(path))
    assert out and out.open(str(path), spec), oiio.geterror()
    assert out.write_image(np.ascontiguousarray(pixels[:, :, : spec.nchannels]))
    out.close()


def _movie(path: Path, codec: str, pixels: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        for index in range(FRAMES):
            picture = np.full((HEIGHT, WIDTH, 3), index * 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)))
        container.mux(stream.encode())


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[tuple[str, list[Edit]]], None]]:
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    good = {}
    for name in (*STILLS, *MOVIES):
        path = folder / name
        _movie(path, *MOVIES[name]) if name in MOVIES else _still(path)
        good[name] = path.read_bytes()
        _read(path)
    bounds.limit(MOST_PIXELS)
    try:
        yield lambda value: _try(folder / f"broken.{value[0]}", edited(good[value[0]], value[1]))
    finally:
        bounds.limit(None)


def _try(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with suppress(AnyPortalError):
        _read(path)


def _read(path: Path) -> None:
    with open_clip(MediaRef(path)) as clip:
        for frame in clip.frames(clip.info.numbers):
            assert frame.pixels.shape[0] * frame.pixels.shape[1] <= MOST_PIXELS


TARGET = Target("media", st.tuples(st.sampled_from((*STILLS, *MOVIES)), edits()), opened)

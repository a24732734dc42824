"""Movies in: colour as tagged, geometry, rates, alpha, and what is wrong with broken files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anyportal_core.errors import FrameRangeError, MediaNotFoundError, MediaUnreadableError, UnknownNameError
from anyportal_core.frames import Image
from anyportal_core.media import h273, planes, yuv
from anyportal_core.media.clip import open_clip
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.planes import video_frame
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import VIDEO, moving_scene, numbered_frames, read_number, write_movie

LOSSLESS = {"qp": "0", "preset": "ultrafast"}


def bars(count: int = 1) -> Image:
    """Eight flat colours, ``(count, 32, 128, 3)``."""
    colours = np.float32(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0], [0.5, 0.5, 0.5], [0.8, 0.3, 0.1], [0.1, 0.6, 0.7]]
    )
    return np.broadcast_to(np.repeat(colours, 16, axis=0), (count, 32, 128, 3))


def centres(pixels: Image) -> Image:
    """The colour in the middle of each of eight bars."""
    return pixels[16, 8::16]


def first_pixels(path: Path, **ref: Any) -> Image:
    with open_clip(MediaRef(path, **ref)) as clip:
        return next(clip.frames()).pixels


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("codec", "layout", "bits"),
    [
        ("libx264", "yuv420p", 8),
        ("libx264", "yuv422p10le", 10),
        ("libx264", "yuv444p10le", 10),
        ("ffv1", "yuv444p12le", 12),
        ("ffv1", "yuv422p16le", 16),
    ],
)
def test_colours_by_matrix_range_and_depth(
    tmp_path: Path, matrix: str, full: bool, codec: str, layout: str, bits: int
) -> None:
    encoding = Encoding("bt709", "bt709", matrix, full, bits)
    options = LOSSLESS if codec == "libx264" else {}
    path = write_movie(tmp_path / "a.mkv", bars(), codec=codec, layout=layout, encoding=encoding, options=options)
    with open_clip(MediaRef(path)) as clip:
        assert clip.info.encoding == encoding
        assert clip.info.storage == ("uint8" if bits == 8 else "uint16")
        seen = centres(next(clip.frames()).pixels)
    # From code values that this test works out for itself, rounded as a file rounds them.
    red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}[matrix]
    truth = centres(bars()[0]).astype(np.float64)
    luma = truth @ [red, 1 - red - blue, blue]
    step = (2**bits - 1) if full else 219 * 2 ** (bits - 8)
    error = 2.2 / step
    np.testing.assert_allclose(seen @ [red, 1 - red - blue, blue], luma, atol=error)
    np.testing.assert_allclose(seen, truth, atol=error)


def test_red_decodes_from_the_codes_of_bt709(tmp_path: Path) -> None:
    """The classic trap: swscale's default matrix is BT.601, and shows this red as orange."""
    frame = av.VideoFrame(64, 64, "yuv444p")
    for plane, code in zip(frame.planes, (63, 102, 240), strict=True):
        plane.update(bytes([code]) * plane.buffer_size)
    frame.colorspace, frame.color_range = 1, 1
    with av.open(str(tmp_path / "red.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=24, options=LOSSLESS)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        container.mux([*stream.encode(frame), *stream.encode(None)])
    np.testing.assert_allclose(first_pixels(tmp_path / "red.mp4")[32, 32], [1, 0, 0], atol=0.004)


@pytest.mark.parametrize(("height", "matrix"), [(64, "bt601"), (720, "bt709")])
def test_untagged_movies_are_read_as_hosts_do(tmp_path: Path, height: int, matrix: str) -> None:
    frames = np.broadcast_to(np.float32([0.8, 0.2, 0.1]), (1, height, 64, 3))
    encoding = replace(VIDEO, matrix=matrix)
    path = write_movie(tmp_path / "a.mp4", frames, encoding=encoding, tags=False, options=LOSSLESS)
    with open_clip(MediaRef(path)) as clip:
        assert (clip.info.encoding.matrix, clip.info.encoding.full_range) == (matrix, False)
        assert clip.info.colour_tags == (2, 2)
        np.testing.assert_allclose(next(clip.frames()).pixels[10, 10], [0.8, 0.2, 0.1], atol=0.01)


def test_tags_of_high_dynamic_range(tmp_path: Path) -> None:
    encoding = Encoding("pq", "bt2020", "bt2020", False, 10)
    path = write_movie(tmp_path / "a.mp4", bars(), layout="yuv420p10le", encoding=encoding)
    with open_clip(MediaRef(path)) as clip:
        assert clip.info.encoding == encoding
        assert clip.info.colour_tags == (9, 16)


def test_rgb_movies(tmp_path: Path) -> None:
    encoding = Encoding("srgb", "bt709", "rgb", True, 16)
    path = write_movie(tmp_path / "a.mkv", bars(), codec="ffv1", layout="gbrp16le", encoding=encoding, options={})
    np.testing.assert_allclose(centres(first_pixels(path)), centres(bars()[0]), atol=1e-5)


@pytest.mark.parametrize("layout", ["nv12", "p010le", "rgb24", "bgra", "yuyv422", "gray", "gray10le", "rgb48le"])
def test_interleaved_and_grey_layouts(tmp_path: Path, layout: str) -> None:
    """Layouts that are no planes are unpacked without touching the colours."""
    grey = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], (32, 64, 3))
    if "gray" in layout:
        codes = Encoding("bt709", "bt709", "bt601", True, 10 if "10" in layout else 8)
        frame = video_frame(grey, "yuv444p10le" if "10" in layout else "yuv444p", codes)
        h273.tag(frame, h273.tags_of(codes))
        frame = frame.reformat(format=layout)
    elif "b" in layout:
        codes = Encoding("srgb", "bt709", "rgb", True, 16 if "48" in layout else 8)
        frame = video_frame(grey, "gbrp16le" if "48" in layout else "gbrp", codes).reformat(format=layout)
    else:
        codes = Encoding("bt709", "bt709", "bt601", False, 10 if "10" in layout else 8)
        wide = "yuv422p" if layout == "yuyv422" else "yuv420p10le" if "10" in layout else "yuv420p"
        frame = video_frame(grey, wide, codes).reformat(format=layout)
    context = av.CodecContext.create("rawvideo", "r")
    found = planes.planar(frame)
    encoding = h273.encoding_of(found, context, "here")
    assert encoding.bits == codes.bits
    seen = yuv.to_rgb(planes.colour_planes(frame), encoding)
    np.testing.assert_allclose(seen, grey, atol=1.1 / 219)


def test_prores_4444_with_alpha(tmp_path: Path) -> None:
    scene = moving_scene(2)
    encoding = replace(VIDEO, bits=10)
    options = {"profile": "4444", "alpha_bits": "16"}
    path = write_movie(
        tmp_path / "a.mov",
        scene.plate,
        codec="prores_ks",
        layout="yuva444p10le",
        encoding=encoding,
        alpha=scene.matte,
        options=options,
    )
    with open_clip(MediaRef(path)) as clip:
        assert clip.info.has_alpha
        frames = list(clip.frames(alpha=True))
        assert next(clip.frames()).alpha is None
    for frame, pixels, matte in zip(frames, scene.plate, scene.matte, strict=True):
        assert frame.alpha is not None
        np.testing.assert_allclose(frame.alpha, matte, atol=2e-3)
        assert np.abs(frame.pixels - pixels).mean() < 0.003


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, degrees: int) -> None:
    upright = moving_scene(1, 48, 96).plate
    stored = np.rot90(upright, -degrees // 90, axes=(1, 2))
    path = write_movie(tmp_path / "a.mp4", stored, rotation=degrees, options=LOSSLESS, layout="yuv444p")
    with open_clip(MediaRef(path)) as clip:
        assert (clip.info.width, clip.info.height) == (96, 48)
        assert np.abs(next(clip.frames()).pixels - upright[0]).mean() < 0.01
        assert next(clip.frames(size=(24, 48))).pixels.shape == (24, 48, 3)


def test_mirroring_is_applied(tmp_path: Path) -> None:
    upright = moving_scene(1, 48, 96).plate
    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=24, options=LOSSLESS)
        stream.width, stream.height, stream.pix_fmt = 48, 96, "yuv444p"
        stream.set_display_rotation(90, hflip=True)
        stored = np.ascontiguousarray(np.rot90(upright[0][:, ::-1], -1))
        frame = video_frame(stored, "yuv444p", replace(VIDEO, matrix="bt601"))
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert np.abs(first_pixels(tmp_path / "a.mov") - upright[0]).mean() < 0.01


@pytest.mark.parametrize(
    "rate", [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50)]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_rates(tmp_path: Path, rate: Fraction, suffix: str, count: int) -> None:
    path = write_movie(tmp_path / f"a{suffix}", numbered_frames(count, 16, 32), rate=rate)
    with open_clip(MediaRef(path)) as clip:
        assert len(clip.info.numbers) == count
        assert clip.info.rate == rate
    with open_clip(MediaRef(path, rate=Fraction(12))) as clip:
        assert clip.info.rate == 12


def test_pixel_aspect_and_timecode(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mov", bars(), pixel_aspect=Fraction(16, 15), timecode="01:00:00:12")
    with open_clip(MediaRef(path)) as clip:
        assert clip.info.pixel_aspect == Fraction(16, 15)
        assert clip.info.timecode == "01:00:00:12"


def test_an_even_rate_is_not_called_variable(tmp_path: Path) -> None:
    for rate in (Fraction(24000, 1001), Fraction(25), Fraction(24)):
        path = write_movie(tmp_path / "a.mp4", numbered_frames(30), rate=rate, options={"bf": "2"})
        with open_clip(MediaRef(path)) as clip:
            assert not clip.info.variable_rate


def test_variable_rate_keeps_every_frame(tmp_path: Path) -> None:
    times = [0, 1000, 2000, 5000, 5500, 6000, 9000, 9999]
    path = write_movie(tmp_path / "a.mp4", numbered_frames(8), times=times, options={"bf": "2"})
    with open_clip(MediaRef(path)) as clip:
        assert clip.info.numbers == range(8)
        assert clip.info.rate is not None
        assert 15 < clip.info.rate < 20
        assert clip.info.variable_rate
        assert [read_number(f.pixels) for f in clip.frames()] == list(range(8))


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (17, 31), (33, 15)])
def test_tiny_and_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = np.broadcast_to(np.float32([0.7, 0.4, 0.2]), (2, *size, 3))
    path = write_movie(tmp_path / "a.mkv", frames, codec="ffv1", options={})
    with open_clip(MediaRef(path)) as clip:
        for frame in clip.frames():
            np.testing.assert_allclose(frame.pixels, frames[0], atol=0.01)


def test_decoding_to_a_size_averages(tmp_path: Path) -> None:
    scene = moving_scene(1, 96, 160)
    path = write_movie(tmp_path / "a.mp4", scene.plate, options=LOSSLESS, layout="yuv444p")
    with open_clip(MediaRef(path)) as clip:
        small = next(clip.frames(size=(24, 40))).pixels
    expected = scene.plate[0].reshape(24, 4, 40, 4, 3).mean((1, 3))
    np.testing.assert_allclose(small, expected, atol=0.01)


def test_a_colour_space_may_be_assumed(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", bars())
    with open_clip(MediaRef(path, colour_space="sRGB")) as clip:
        assert clip.info.encoding == replace(VIDEO, transfer="srgb")
    with pytest.raises(UnknownNameError):
        open_clip(MediaRef(path, colour_space="sRGBB"))


def test_digest_is_of_the_bytes(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", bars())
    with open_clip(MediaRef(path)) as clip:
        assert clip.digest() == hashlib.sha256(path.read_bytes()).hexdigest()
    with open_clip(MediaRef(path, digest="known")) as clip:
        assert clip.digest() == "known"


def test_missing_and_empty_and_garbage(tmp_path: Path) -> None:
    with pytest.raises(MediaNotFoundError, match=r"nothing\.mp4"):
        open_clip(MediaRef(tmp_path / "nothing.mp4"))
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MediaUnreadableError, match="empty"):
        open_clip(MediaRef(tmp_path / "empty.mp4"))
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(MediaUnreadableError, match=r"noise\.mp4"):
        open_clip(MediaRef(tmp_path / "noise.mp4"))
    (tmp_path / "letter.txt").write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(MediaUnreadableError):
        open_clip(MediaRef(tmp_path / "letter.txt"))


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile secret.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
)
@pytest.mark.parametrize("name", ["plate.mp4", "plate.m3u8", "plate.ffconcat", "plate.sdp"])
def test_a_file_cannot_make_us_open_others(tmp_path: Path, playlist: str, name: str) -> None:
    write_movie(tmp_path / "secret.mp4", bars())
    (tmp_path / name).write_text(playlist)
    with pytest.raises(MediaUnreadableError, match="no movie or image"):
        open_clip(MediaRef(tmp_path / name))


def test_sound_alone(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream: Any = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(MediaUnreadableError, match="sound but no picture"):
        open_clip(MediaRef(tmp_path / "a.m4a"))


def test_frames_outside_the_movie(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", numbered_frames(5))
    with open_clip(MediaRef(path)) as clip, pytest.raises(FrameRangeError, match="0-4"):
        clip.frames([3, 4, 5])

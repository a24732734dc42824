"""Every format of delivery: what is in it, how it is tagged, that it loses no pixel, and that ffprobe agrees."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anyportal_core.errors import ShotError
from anyportal_core.frames import Image
from anyportal_core.media.clip import ClipInfo, open_clip
from anyportal_core.media.encoding import Encoding, convert
from anyportal_core.media.movie_formats import MOVIE_FORMATS
from anyportal_core.media.writers import open_writer
from anyportal_core.media.yuv import LUMA_WEIGHTS
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import VIDEO, moving_scene, write_movie

NTSC = Fraction(24000, 1001)
HEIGHT, WIDTH = 128, 256
SCENE = moving_scene(3, HEIGHT, WIDTH)
PQ = Encoding("pq", "bt2020", "bt2020", False, 10)
HLG = replace(PQ, transfer="hlg")
SD = Encoding("bt709", "bt601-525", "bt601", False, 8)
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"

# Of codecs at their settings here, for a scene whose colours change from pixel to pixel: the mean and the greatest
# error of luma; the mean error of colours, most of which is chroma at half size (0.014 without any codec).
LUMA_MEAN, LUMA_MOST, COLOUR_MEAN = 0.007, 0.04, 0.02


def plate(encoding: Encoding, tags: tuple[int, int], size: tuple[int, int] = (HEIGHT, WIDTH)) -> ClipInfo:
    height, width = size
    return ClipInfo(
        Path("/nowhere/plate.mov"),
        "movie",
        width,
        height,
        NTSC,
        range(100),
        encoding,
        "uint8" if encoding.bits == 8 else "uint16",
        colour_tags=tags,
        timecode="01:00:00:00",
        pixel_aspect=Fraction(4, 3),
    )


def write(
    form: str,
    folder: Path,
    info: ClipInfo,
    layers: Mapping[str, Image],
    count: int = 3,
    first: int = 0,
) -> dict[str, Path]:
    """The files of the layers: of a sequence the first."""
    writer = open_writer(form, folder, "shot", tuple(layers), info, NTSC, {})
    written = []
    for index in range(count):
        written += writer.write(first + index, layers)
    files: dict[str, Path] = {}
    for item in [*written, *writer.close()]:
        files.setdefault(item.layers[0], item.path)
    return files


def layers(index: int = 0) -> dict[str, Image]:
    return {"comp": SCENE.plate[index], "foreground": SCENE.plate[index], "matte": SCENE.matte[index]}


def assert_alike(seen: Image, expected: Image, matrix: str) -> None:
    error = seen - expected
    red, blue = LUMA_WEIGHTS[matrix]
    luma = np.abs(error @ np.float32([red, 1 - red - blue, blue]))
    figures = luma.mean(), luma.max(), np.abs(error).mean()
    assert figures < (LUMA_MEAN, 1, 1) and figures[1] < LUMA_MOST and figures[2] < COLOUR_MEAN, figures


def stream_of(path: Path) -> dict[str, Any]:
    """What a file says of its picture."""
    with closing(av.open(str(path))) as movie:
        stream = movie.streams.video[0]
        frame = next(movie.decode(stream))
        codec: Any = stream.codec_context
        return {
            "codec": codec.codec.canonical_name,
            "tag": codec.codec_tag,
            "profile": codec.profile,
            "layout": frame.format.name,
            "tags": tuple(int(v) for v in (frame.color_primaries, frame.color_trc, frame.colorspace)),
            "range": int(frame.color_range),
            "rate": stream.average_rate,
            "aspect": Fraction(stream.sample_aspect_ratio or 1),
        }


@pytest.mark.parametrize(
    ("form", "codec", "tag", "layouts"),
    [
        ("mp4", "h264", "avc1", ("yuv420p", "yuv420p", "yuv420p")),
        ("h265", "hevc", "hvc1", ("yuv420p10le", "yuv420p10le", "yuv420p10le")),
        ("prores", "prores", "apch", ("yuv422p10le", "yuva444p12le", "yuv422p10le")),
        ("prores4444", "prores", "ap4h", ("yuva444p12le", "yuva444p12le", "yuv444p12le")),
        ("dnxhr", "dnxhd", "AVdh", ("yuv422p10le", "yuv422p10le", "yuv422p10le")),
    ],
)
def test_codecs_and_planes(tmp_path: Path, form: str, codec: str, tag: str, layouts: tuple[str, ...]) -> None:
    """A ProRes 4444 decodes with 12 bits; 10 of them are written."""
    files = write(form, tmp_path, plate(VIDEO, (1, 1)), layers())
    told = {layer: stream_of(path) for layer, path in files.items()}
    assert {told[layer]["codec"] for layer in told} == {codec}
    assert told["comp"]["tag"] == tag
    assert tuple(told[layer]["layout"] for layer in ("comp", "foreground", "matte")) == layouts
    assert {told[layer]["rate"] for layer in told} == {NTSC}
    assert {told[layer]["aspect"] for layer in told} == {Fraction(4, 3)}


TAGGED = {
    "bt709": (VIDEO, (1, 1), (1, 1, 1)),
    "pq": (PQ, (9, 16), (9, 16, 9)),
    "hlg": (HLG, (9, 18), (9, 18, 9)),
    "sd": (SD, (6, 6), (6, 6, 5)),
}


@pytest.mark.parametrize("name", TAGGED)
@pytest.mark.parametrize("form", MOVIE_FORMATS)
def test_colour_tags(tmp_path: Path, form: str, name: str) -> None:
    """In the stream, and in the container's own atom. DNxHR knows BT.709 and BT.2020 alone, so SD has other codes."""
    encoding, own, tags = TAGGED[name]
    path = write(form, tmp_path, plate(encoding, own), {"comp": SCENE.plate[0]}, 1)["comp"]
    if form == "dnxhr" and name == "sd":
        tags = (6, 6, 1)
    assert stream_of(path)["tags"] == tags and stream_of(path)["range"] == 1
    content = path.read_bytes()
    kind = b"colrnclx" if MOVIE_FORMATS[form].container == "mp4" else b"colrnclc"
    place = content.index(kind) + len(kind)
    assert struct.unpack(">3H", content[place : place + 6]) == tags
    with open_clip(MediaRef(path)) as clip:
        assert clip.info.timecode == "01:00:00:00"
        assert_alike(next(clip.frames()).pixels, SCENE.plate[0], clip.info.encoding.matrix)


def test_full_range_is_told(tmp_path: Path) -> None:
    info = plate(replace(VIDEO, full_range=True), (1, 1))
    for form in MOVIE_FORMATS:
        path = write(form, tmp_path / form, info, {"comp": SCENE.plate[0]}, 1)["comp"]
        assert stream_of(path)["range"] == (2 if form in ("mp4", "h265") else 1)
        with open_clip(MediaRef(path)) as clip:
            assert_alike(next(clip.frames()).pixels, SCENE.plate[0], "bt709")


def test_alpha_is_straight(tmp_path: Path) -> None:
    """Colours are not multiplied by alpha; the comp covers everything, as in EXR."""
    colour = np.broadcast_to(np.float32([0.8, 0.4, 0.2]), (HEIGHT, WIDTH, 3))
    made = {"comp": colour, "foreground": colour, "matte": np.full((HEIGHT, WIDTH), 0.25, np.float32)}
    for form in ("prores", "prores4444"):
        files = write(form, tmp_path / form, plate(VIDEO, (1, 1)), made, 1)
        with open_clip(MediaRef(files["foreground"])) as clip:
            frame = next(clip.frames(alpha=True))
            np.testing.assert_allclose(frame.pixels, colour, atol=0.01)
            np.testing.assert_allclose(frame.alpha, 0.25, atol=2e-3)
    with open_clip(MediaRef(tmp_path / "prores4444" / "shot.mov")) as clip:
        alpha = next(clip.frames(alpha=True)).alpha
        assert alpha is not None and (alpha == 1).all()


def test_a_foreground_in_4444_has_its_alpha_without_a_matte_beside_it(tmp_path: Path) -> None:
    writer = open_writer("prores4444", tmp_path, "shot", ("foreground",), plate(VIDEO, (1, 1)), NTSC, {})
    writer.write(0, layers())
    with open_clip(MediaRef(writer.close()[0].path)) as clip:
        alpha = next(clip.frames(alpha=True)).alpha
        assert alpha is not None
        np.testing.assert_allclose(alpha, SCENE.matte[0], atol=2e-3)


@pytest.mark.parametrize(
    ("form", "size"),
    [
        *((form, size) for form in ("mp4", "prores", "prores4444", "png", "tiff") for size in ((1, 1), (63, 95))),
        *((form, size) for form in ("h265",) for size in ((16, 16), (63, 95), (64, 95), (63, 96))),
        *((form, size) for form in ("dnxhr",) for size in ((120, 256), (121, 257), (121, 256), (120, 257))),
    ],
)
def test_odd_sizes_lose_no_pixel(tmp_path: Path, form: str, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 0.4, np.float32)
    pixels[-1] = pixels[:, -1] = 0.9
    path = write(form, tmp_path, plate(VIDEO, (1, 1), size), {"comp": pixels}, 1)["comp"]
    with open_clip(MediaRef(path)) as clip:
        assert (clip.info.height, clip.info.width) == size
        np.testing.assert_allclose(next(clip.frames()).pixels, pixels, atol=0.04)


@pytest.mark.parametrize(
    ("form", "size", "limit"),
    [
        ("h265", (1, 1), "16x16"),
        ("h265", (15, 64), "16x16"),
        ("dnxhr", (119, 256), "256x120"),
        ("dnxhr", (6480, 12288), "67 megapixels"),
        ("mp4", (16, 16386), "16384x16384"),
        ("prores", (16, 32768), "32767x32767"),
    ],
)
def test_pictures_that_a_codec_cannot_hold_are_refused(
    tmp_path: Path, form: str, size: tuple[int, int], limit: str
) -> None:
    with pytest.raises(ShotError, match=f"{limit}.*{size[1]}x{size[0]}") as caught:
        open_writer(form, tmp_path / "new", "shot", ("comp",), plate(VIDEO, (1, 1), size), NTSC, {})
    assert caught.value.where == "delivery.format" and "sequence" in caught.value.hint
    assert not (tmp_path / "new").exists()


def test_ten_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """Long and large enough for x265 to look ahead, to place key frames and to use its wavefronts, had it threads."""
    pixels = moving_scene(20, 192, 320, pan=4).plate
    found = set()
    for run in range(10):
        info = plate(VIDEO, (1, 1), (192, 320))
        writer = open_writer("h265", tmp_path / str(run), "shot", ("comp",), info, NTSC, {})
        for index, image in enumerate(pixels):
            writer.write(index, {"comp": image})
        found.add(writer.close()[0].path.read_bytes())
    assert len(found) == 1
    assert b"x265" not in found.pop()  # its note about itself names the processor


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_films(tmp_path: Path, count: int) -> None:
    """Of one or two frames, x265 gives times of decoding that it never set, and refuses or differs by chance."""
    found = set()
    for run in range(6):
        rubbish = [np.full(1 << size, run + 1, np.uint8) for size in range(4, 20)]
        del rubbish
        path = write("h265", tmp_path, plate(VIDEO, (1, 1)), {"comp": SCENE.plate[0]}, count)["comp"]
        found.add(path.read_bytes())
    with open_clip(MediaRef(path)) as clip:
        assert len(clip.info.numbers) == count and clip.info.rate == NTSC
    assert len(found) == 1


def test_mastering_goes_along_where_the_plate_has_it(tmp_path: Path) -> None:
    hdr = write_movie(
        tmp_path / "hdr.mp4",
        SCENE.plate,
        codec="libx265",
        layout="yuv420p10le",
        encoding=PQ,
        options={"x265-params": f"log-level=none:master-display={DISPLAY}:max-cll=1000,400"},
    )
    with open_clip(MediaRef(hdr)) as clip:
        info = clip.info
    for form in ("mp4", "h265"):
        for layer, path in write(form, tmp_path / form, info, layers(), 1).items():
            with open_clip(MediaRef(path)) as clip:
                said = clip.info.mastering
            assert (said.display, said.light) == (("", "") if layer == "matte" else (DISPLAY, "1000,400"))


def test_tiff_is_of_16_bits_and_tells_nothing_of_the_run(tmp_path: Path) -> None:
    info = replace(plate(VIDEO, (1, 1)), date="2020:02:02 02:02:02", kind="sequence")
    pixels = np.random.default_rng(0).random((HEIGHT, WIDTH, 3), np.float32)
    files = write("tiff", tmp_path / "one", info, {"comp": pixels, "matte": SCENE.matte[0]}, 1, 1001)
    assert [path.name for path in files.values()] == ["shot.1001.tif", "shot_matte.1001.tif"]
    with open_clip(MediaRef(files["comp"])) as clip:
        assert (clip.info.storage, clip.info.encoding.bits) == ("uint16", 16)
        assert clip.info.pixel_aspect == Fraction(4, 3)
        np.testing.assert_allclose(next(clip.frames()).pixels, pixels, atol=0.51 / 65535)
    again = write("tiff", tmp_path / "two", info, {"comp": pixels}, 1, 1001)
    assert again["comp"].read_bytes() == files["comp"].read_bytes()


def chunks(path: Path) -> dict[bytes, bytes]:
    content, place, found = path.read_bytes(), 8, {}
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        found[content[place + 4 : place + 8]] = content[place + 8 : place + 8 + length]
        place += 12 + length
    return found


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        (VIDEO, {b"sRGB": b"\0", b"gAMA": struct.pack(">I", 45455)}),
        (PQ, {b"cICP": bytes((9, 16, 0, 1))}),
        (HLG, {b"cICP": bytes((9, 18, 0, 1))}),
        (Encoding("srgb", "p3"), {b"cICP": bytes((12, 13, 0, 1))}),
        (Encoding("linear", "ap1", bits=16), {b"sRGB": b"\0"}),
        (Encoding("cineon", "bt709", bits=10), {}),
    ],
    ids=["video", "pq", "hlg", "p3", "linear", "log"],
)
def test_png_says_what_its_codes_mean(tmp_path: Path, encoding: Encoding, expected: dict[bytes, bytes]) -> None:
    files = write("png", tmp_path, plate(encoding, (2, 2)), {"comp": SCENE.plate[0], "matte": SCENE.matte[0]}, 1)
    found = chunks(files["comp"])
    assert {name: found[name] for name in expected} == expected
    assert {b"sRGB", b"cICP"} & found.keys() == {b"sRGB", b"cICP"} & expected.keys()
    assert found[b"pHYs"] == struct.pack(">IIB", 3, 4, 0)
    assert not {b"sRGB", b"cICP", b"gAMA", b"tIME"} & chunks(files["matte"]).keys()
    with open_clip(MediaRef(files["comp"])) as clip:
        assert clip.info.pixel_aspect == Fraction(4, 3)


def test_data_layers_are_not_coloured(tmp_path: Path) -> None:
    """Shadow and matte are stored as they are; wrap is light, and shown as the picture's."""
    linear = Encoding("linear", "bt709", bits=16)
    info = replace(plate(linear, (2, 2)), kind="sequence", storage="half")
    grey = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    wrap = np.full((HEIGHT, WIDTH, 3), 0.18, np.float32)
    for form in ("png", "tiff", "prores"):
        files = write(form, tmp_path / form, info, {"shadow": grey, "wrap": wrap, "clean_plate": wrap}, 1)
        for layer, path in files.items():
            with open_clip(MediaRef(path)) as clip:
                seen = float(next(clip.frames()).pixels[64, 128].mean())
            shown = convert(wrap[:1, :1], linear, Encoding()).item(0)
            assert seen == pytest.approx(0.5 if layer == "shadow" else shown, abs=1e-2)


def test_a_space_that_is_asked_for_brings_its_matrix_and_depth(tmp_path: Path) -> None:
    """An SD plate as PQ: BT.2020's matrix, tags of its own, and 10 bits; in PNG 16."""
    info = plate(SD, (6, 6))
    wanted = replace(SD, transfer="pq", primaries="bt2020")
    for form in (*MOVIE_FORMATS, "png"):
        writer = open_writer(form, tmp_path / form, "shot", ("comp",), info, NTSC, {}, wanted=wanted)
        written = [*writer.write(0, layers()), *writer.close()]
        if form == "png":
            assert chunks(written[0].path)[b"cICP"] == bytes((9, 16, 0, 1))
        else:
            assert stream_of(written[0].path)["tags"] == (9, 16, 9)
        with open_clip(MediaRef(written[0].path)) as clip:
            assert clip.info.encoding.bits >= 10
            seen = next(clip.frames()).pixels
        assert_alike(seen, np.clip(convert(SCENE.plate[0], SD, wanted), 0, 1), "bt2020")


@pytest.mark.parametrize("form", [*MOVIE_FORMATS, "png", "tiff"])
def test_scene_linear_light_is_not_squeezed_into_integers(tmp_path: Path, form: str) -> None:
    wanted = Encoding("linear", "ap1", bits=16)
    with pytest.raises(ShotError, match="scene-linear") as caught:
        open_writer(form, tmp_path / "new", "shot", ("comp",), plate(VIDEO, (1, 1)), NTSC, {}, wanted=wanted)
    assert caught.value.where == "delivery.colour_space" and "exr" in caught.value.hint
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
@pytest.mark.parametrize("name", ["bt709", "pq"])
@pytest.mark.parametrize("form", MOVIE_FORMATS)
def test_ffprobe_agrees(tmp_path: Path, form: str, name: str) -> None:
    encoding, own, _ = TAGGED[name]
    path = write(form, tmp_path, plate(encoding, own), {"comp": SCENE.plate[0]})["comp"]
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    streams = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)["streams"]
    picture = next(each for each in streams if each["codec_type"] == "video")
    transfer, space = {"bt709": ("bt709", "bt709"), "pq": ("smpte2084", "bt2020nc")}[name]
    assert picture["color_transfer"] == transfer and picture["color_space"] == space
    assert picture["color_primaries"] == ("bt709" if name == "bt709" else "bt2020")
    # ProRes is always of video range, so QuickTime has no place to say it.
    assert picture.get("color_range", "tv" if "prores" in form else "") == "tv"
    assert picture["avg_frame_rate"] == picture["r_frame_rate"] == "24000/1001"
    assert picture["nb_read_frames"] == "3" and picture["sample_aspect_ratio"] == "4:3"
    assert any(each.get("tags", {}).get("timecode") == "01:00:00:00" for each in streams)

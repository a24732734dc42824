"""Results as movies and PNG: pixels, tags, names; the same bytes every time; nothing half-finished."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from anyportal_core.errors import DiskFullError, StorageError, UnknownNameError
from anyportal_core.frames import Image
from anyportal_core.media.clip import Clip, ClipInfo, open_clip
from anyportal_core.media.encoding import LINEAR, SRGB, Encoding, to_display
from anyportal_core.media.writers import Written, open_writer, result_name
from anyportal_core.ops import opencv as ops
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import VIDEO, moving_scene, write_movie

ALL = ("comp", "foreground", "background", "matte", "gain")
COUNT = 5
RATE = Fraction(24000, 1001)


def plate(
    encoding: Encoding = VIDEO, kind: str = "movie", height: int = 64, width: int = 96, first: int = 0
) -> ClipInfo:
    return ClipInfo(
        Path("/nowhere/plate"),
        kind,  # type: ignore[arg-type]
        width,
        height,
        RATE,
        range(first, first + 100),
        encoding,
        "uint8",
        colour_tags=(1, 1),
    )


def layers_of(index: int, height: int = 64, width: int = 96) -> dict[str, Image]:
    scene = moving_scene(COUNT, height, width)
    return {
        "comp": scene.plate[index],
        "foreground": scene.plate[index],
        "background": scene.background[index],
        "matte": scene.matte[index],
        "gain": np.full((height, width, 3), 2, np.float32),
    }


def write(
    form: str,
    folder: Path,
    info: ClipInfo,
    layers: tuple[str, ...] = ALL,
    first: int = 0,
    stem: str = "shot",
    pixels: Mapping[str, Image] | None = None,
) -> list[Written]:
    writer = open_writer(form, folder, stem, layers, info, RATE, {"anyportal/recipe": "1234"})
    written = []
    for index in range(COUNT):
        made = pixels or layers_of(index, info.height, info.width)
        written += writer.write(first + index, {name: made[name] for name in layers})
    return written + writer.close()


def opened(path: Path) -> Clip:
    return open_clip(MediaRef(path))


@pytest.mark.parametrize(
    ("layer", "form", "number", "name"),
    [
        ("comp", "mp4", None, "shot.mp4"),
        ("matte", "mp4", None, "shot_matte.mp4"),
        ("foreground", "prores", None, "shot_foreground.mov"),
        ("comp", "png", 7, "shot.0007.png"),
        ("gain", "png", 123456, "shot_gain.123456.png"),
        ("matte", "exr", 1001, "shot.1001.exr"),
    ],
)
def test_names(layer: str, form: str, number: int | None, name: str) -> None:
    assert result_name("shot", layer, form, number) == name


@pytest.mark.parametrize("form", ["mp4", "prores"])
def test_movies_hold_their_layers(tmp_path: Path, form: str) -> None:
    written = write(form, tmp_path, plate())
    assert [w.layers for w in written] == [(name,) for name in ALL]
    for item in written:
        clip = opened(item.path)
        assert (clip.info.numbers, clip.info.rate) == (range(COUNT), RATE)
        assert (clip.info.width, clip.info.height) == (96, 64)
        for frame in clip.frames():
            expected = layers_of(frame.number)[item.layers[0]]
            if item.layers == ("matte",):
                expected = np.repeat(expected[..., None], 3, axis=-1)
            elif item.layers == ("gain",):
                expected = np.full_like(frame.pixels, 0.5 + 1 / 8)  # one stop
            assert np.abs(frame.pixels - expected).mean() < 0.02
            # Colours of neighbours blend where chroma is stored at half size; grey stays exact.
            assert np.abs(frame.pixels.mean(-1) - expected.mean(-1)).mean() < 0.012


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_mp4_keeps_the_encoding_of_a_movie(tmp_path: Path, matrix: str, full: bool, bits: int) -> None:
    colours = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0], [0.5, 0.5, 0.5]])
    pixels = np.broadcast_to(np.repeat(colours, 16, axis=0), (64, 96, 3))
    encoding = Encoding("bt709", "bt2020" if matrix == "bt2020" else "bt709", matrix, full, bits)
    info = replace(plate(encoding), colour_tags=(9 if matrix == "bt2020" else 1, 14))
    written = write("mp4", tmp_path, info, ("comp",), pixels={"comp": pixels})
    clip = opened(written[0].path)
    assert clip.info.encoding == encoding
    assert clip.info.colour_tags == info.colour_tags
    for frame in clip.frames():
        np.testing.assert_allclose(frame.pixels[32, 8::16], colours, atol=0.02)


def test_super_whites_of_a_video_survive_and_its_highlights_keep_their_hue(tmp_path: Path) -> None:
    for value, expected in (([1.07] * 3, [1.07] * 3), ([9.0, 0.5, 0.5], [1.09, 0.5, 0.5])):
        pixels = np.broadcast_to(np.float32(value), (64, 96, 3))
        written = write("mp4", tmp_path, plate(), ("comp",), pixels={"comp": pixels})
        seen = next(opened(written[0].path).frames()).pixels[32, 48]
        np.testing.assert_allclose(seen, expected, atol=0.02)


def test_the_texture_of_what_moves_in_the_dark_survives(tmp_path: Path) -> None:
    """A dark grainy cloth moves before a still bright place, on which a codec likes to spend its bits instead."""
    rng = np.random.default_rng(1)
    cloth = ops.gaussian(rng.normal(0, 1, (120, 160)).astype(np.float32), 1)
    cloth = 0.1 + 0.01 * cloth / cloth.std()
    place = np.repeat(ops.gaussian(rng.uniform(0, 1, (240, 320, 1)).astype(np.float32), 1), 3, -1)
    frames = [place.copy() for _ in range(16)]
    for index, frame in enumerate(frames):
        grain = rng.normal(0, 0.004, (120, 120, 1))
        frame[60:180, 100:220] = cloth[:, 2 * index : 2 * index + 120, None] + grain
    writer = open_writer("mp4", tmp_path, "shot", ("comp",), plate(height=240, width=320), RATE, {})
    for index, frame in enumerate(frames):
        writer.write(index, {"comp": frame})
    (written,) = writer.close()
    kept = []
    for frame, made in zip(frames, opened(written.path).frames(range(16)), strict=True):
        fine = [x - ops.gaussian(x, 2) for x in (frame[60:180, 100:220, 1].copy(), made.pixels[60:180, 100:220, 1])]
        kept.append(np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1])
    assert np.mean(kept) > 0.82


def test_prores_is_video_range_and_tagged(tmp_path: Path) -> None:
    written = write("prores", tmp_path, plate(replace(VIDEO, full_range=True)), ("comp", "foreground"))
    clip = opened(written[0].path)
    assert clip.info.encoding == replace(VIDEO, bits=10)
    assert not clip.info.has_alpha
    assert not opened(written[1].path).info.has_alpha  # no matte is delivered


def test_prores_foreground_carries_the_matte(tmp_path: Path) -> None:
    written = write("prores", tmp_path, plate(), ("foreground", "matte"))
    clip = opened(written[0].path)
    assert clip.info.has_alpha
    for frame in clip.frames(alpha=True):
        assert frame.alpha is not None
        np.testing.assert_allclose(frame.alpha, layers_of(frame.number)["matte"], atol=2e-3)


@pytest.mark.parametrize("form", ["mp4", "prores"])
@pytest.mark.parametrize("size", [(1, 1), (63, 95), (64, 95), (17, 32)])
def test_odd_sizes_lose_no_pixel(tmp_path: Path, form: str, size: tuple[int, int]) -> None:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    pixels = np.stack([rows / 64, columns / 96, np.full(size, 0.4)], axis=-1).astype(np.float32)
    written = write(form, tmp_path, plate(height=size[0], width=size[1]), ("comp",), pixels={"comp": pixels})
    clip = opened(written[0].path)
    assert (clip.info.height, clip.info.width) == size
    assert np.abs(next(clip.frames()).pixels - pixels).mean() < 0.02


@pytest.mark.parametrize(("form", "layout"), [("mp4", "yuv420p"), ("prores", "yuv422p10le")])
def test_movies_of_image_plates(tmp_path: Path, form: str, layout: str) -> None:
    """A linear plate is shown as sRGB; the tags say so."""
    info = plate(LINEAR, "sequence", first=1001)
    light = np.float32([0.18, 0.5, 40.0])
    pixels = np.broadcast_to(light, (64, 96, 3))
    written = write(form, tmp_path, info, ("comp",), first=1001, pixels={"comp": pixels})
    clip = opened(written[0].path)
    assert (clip.info.encoding.transfer, clip.info.encoding.matrix) == ("srgb", "bt709")
    np.testing.assert_allclose(
        np.clip(next(clip.frames()).pixels[32, 48], 0, 1), to_display(pixels, LINEAR)[0, 0], atol=0.012
    )
    with av.open(str(written[0].path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == layout


@pytest.mark.parametrize("form", ["mp4", "prores"])
def test_timecode_begins_with_the_first_frame_delivered(tmp_path: Path, form: str) -> None:
    info = replace(plate(), timecode="01:00:00:20")
    written = write(form, tmp_path, info, ("comp",), first=10)
    assert opened(written[0].path).info.timecode == "01:00:01:06"


def test_a_part_of_a_plate_without_timecode_says_where_it_begins(tmp_path: Path) -> None:
    part = write("mp4", tmp_path / "part", plate(), ("comp",), first=10)
    assert opened(part[0].path).info.timecode == "00:00:00:10"
    whole = write("mp4", tmp_path / "whole", plate(), ("comp",), first=0)
    assert opened(whole[0].path).info.timecode is None


def test_a_drop_frame_timecode_at_a_rate_that_has_none(tmp_path: Path) -> None:
    info = replace(plate(), timecode="00:00:59;20")
    for form in ("mp4", "exr"):
        for number, expected in ((0, None), (10, "00:00:00:10" if form == "mp4" else None)):
            folder = tmp_path / f"{form}{number}"
            writer = open_writer(form, folder, "shot", ("comp",), info, Fraction(25), {})
            written = writer.write(number, {"comp": layers_of(0)["comp"]}) + writer.close()
            assert opened(written[0].path).info.timecode == expected


@pytest.mark.parametrize("rate", [Fraction(8), Fraction(17400, 673), Fraction(1000)])
def test_odd_rates_with_a_timecode(tmp_path: Path, rate: Fraction) -> None:
    info = replace(plate(), timecode="01:00:00:00")
    writer = open_writer("mp4", tmp_path, "shot", ("comp",), info, rate, {})
    for index in range(2):
        writer.write(index, {"comp": layers_of(index)["comp"]})
    assert opened(writer.close()[0].path).info.rate == rate


@pytest.mark.parametrize("form", ["mp4", "prores", "png", "exr"])
def test_two_runs_give_the_same_bytes(tmp_path: Path, form: str) -> None:
    info = replace(plate(), timecode="01:00:00:00")
    one = write(form, tmp_path / "one", info)
    two = write(form, tmp_path / "two", info)
    for a, b in zip(one, two, strict=True):
        assert a.path.read_bytes() == b.path.read_bytes()
    assert b"creation_time" not in one[0].path.read_bytes()


ENCODED = """
import hashlib, sys
from fractions import Fraction
from pathlib import Path
from anyportal_core.media.clip import open_clip
from anyportal_core.media.writers import open_writer
from anyportal_core.shot import MediaRef

clip = open_clip(MediaRef(Path(sys.argv[1])))
writer = open_writer(sys.argv[3], Path(sys.argv[2]), "shot", ("comp",), clip.info, Fraction(24), {})
for frame in clip.frames():
    writer.write(frame.number, {"comp": frame.pixels})
print(hashlib.sha256(writer.close()[0].path.read_bytes()).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can fill memory before it is written to")
@pytest.mark.parametrize("form", ["mp4", "h265", "prores", "dnxhr"])
def test_what_lay_in_memory_before_does_not_show(tmp_path: Path, form: str) -> None:
    scene = moving_scene(30, 288, 432, pan=3)
    source = write_movie(tmp_path / "plate.mp4", scene.plate)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", ENCODED, str(source), str(tmp_path / filled), form],
            stdout=subprocess.PIPE,
            env={**os.environ, "MALLOC_PERTURB_": filled},
        )
        for filled in ("1", "85", "255")
    ]
    digests = [run.communicate(timeout=120)[0] for run in runs]
    assert len(set(digests)) == 1 and len(digests[0]) == 65


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process")
@pytest.mark.parametrize("form", ["mp4", "h265", "prores", "dnxhr"])
def test_the_number_of_processors_does_not_show(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    info = plate(height=128, width=256)
    one = write(form, tmp_path / "one", info, ("comp",))
    cv2_threads = cv2.getNumThreads()
    available = os.sched_getaffinity(0)
    try:
        cv2.setNumThreads(1)
        os.sched_setaffinity(0, {min(available)})
        two = write(form, tmp_path / "two", info, ("comp",))
    finally:
        os.sched_setaffinity(0, available)
        cv2.setNumThreads(cv2_threads)
    assert one[0].path.read_bytes() == two[0].path.read_bytes()


@pytest.mark.parametrize(("bits", "depth"), [(8, 8), (10, 16), (16, 16)])
def test_png_by_depth(tmp_path: Path, bits: int, depth: int) -> None:
    info = plate(replace(SRGB, bits=bits), "sequence", first=1001)
    most = 2**depth - 1
    pixels = np.rint(np.random.default_rng(0).random((64, 96, 3)) * most).astype(np.float32) / np.float32(most)
    written = write("png", tmp_path, info, ("comp", "matte"), first=1001, pixels={**layers_of(0), "comp": pixels})
    assert [w.path.name for w in written[:3]] == ["shot.1001.png", "shot_matte.1001.png", "shot.1002.png"]
    assert [w.number for w in written[::2]] == [1001, 1002, 1003, 1004, 1005]
    clip = opened(tmp_path / "shot.%04d.png")
    assert clip.info.encoding.bits == depth
    np.testing.assert_allclose(next(clip.frames()).pixels, pixels, atol=1e-7)
    matte = opened(tmp_path / "shot_matte.####.png")
    np.testing.assert_allclose(next(matte.frames()).pixels[..., 0], layers_of(0)["matte"], atol=0.51 / most)


def test_png_of_a_linear_plate_is_srgb(tmp_path: Path) -> None:
    pixels = np.broadcast_to(np.float32([0.18, -1.0, 7.0]), (64, 96, 3))
    write("png", tmp_path, plate(LINEAR, "sequence"), ("comp",), pixels={"comp": pixels})
    seen = next(opened(tmp_path).frames()).pixels
    np.testing.assert_allclose(seen[0, 0], [0.46135613, 0, 1], atol=1e-5)


@pytest.mark.parametrize("form", ["mp4", "prores"])
def test_nothing_has_its_name_before_it_is_finished(tmp_path: Path, form: str) -> None:
    writer = open_writer(form, tmp_path, "shot", ALL, plate(), RATE, {})
    writer.write(0, layers_of(0))
    assert all(path.suffix == ".part" for path in tmp_path.iterdir())
    writer.abort()
    assert list(tmp_path.iterdir()) == []
    writer.abort()


@pytest.mark.parametrize("form", ["mp4", "prores", "png", "exr"])
def test_without_a_frame_there_is_no_file(tmp_path: Path, form: str) -> None:
    writer = open_writer(form, tmp_path / "new" / "folder", "shot", ALL, plate(), RATE, {})
    assert writer.close() == []
    assert list((tmp_path / "new" / "folder").iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full to stand for a full disk")
@pytest.mark.parametrize("form", ["mp4", "h265", "prores4444", "png", "tiff", "exr"])
def test_a_full_disk(tmp_path: Path, form: str) -> None:
    name = result_name("shot", "comp", form, 0 if form in ("png", "tiff", "exr") else None)
    (tmp_path / f"{name}.part").symlink_to("/dev/full")
    writer = open_writer(form, tmp_path, "shot", ("comp",), plate(), RATE, {})
    noise = np.random.default_rng(0)
    with pytest.raises(DiskFullError, match=name):
        for index in range(60):
            writer.write(index, {"comp": noise.random((64, 96, 3), np.float32)})
            if form in ("png", "tiff", "exr"):
                break
        writer.close()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


class SmallDisk(io.BytesIO):
    """Takes so many bytes and no more: of what does not fit, the first part."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def write(self, content: Any) -> int:
        fits = self._room - self.tell()
        if fits <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(content)[:fits])


@pytest.mark.parametrize("room", [0, 200, 3000, 9000, 20_000])
@pytest.mark.parametrize("form", ["mp4", "prores"])
def test_a_full_disk_is_spoken_of_once(
    tmp_path: Path, form: str, room: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The buffer keeps what the disk did not take, so that whatever libav does to tidy up fails too, in each file."""
    monkeypatch.setattr(Path, "open", lambda *_: io.BufferedWriter(SmallDisk(room)))  # type: ignore[arg-type]
    writer = open_writer(form, tmp_path, "shot", ("comp", "foreground"), plate(), RATE, {})
    pixels = moving_scene(30).plate
    with pytest.raises(DiskFullError, match="shot"):
        for index, image in enumerate(pixels):
            writer.write(index, {"comp": image, "foreground": image})
        writer.close()
    writer.abort()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("form", ["mp4", "prores", "png", "tiff", "exr"])
def test_a_folder_that_cannot_be(tmp_path: Path, form: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        open_writer(form, tmp_path / "file" / "below", "shot", ("comp",), plate(), RATE, {})
    (tmp_path / result_name("shot", "comp", form, 0 if form in ("png", "tiff", "exr") else None)).mkdir()
    with pytest.raises(StorageError, match="shot"):
        write(form, tmp_path, plate(), ("comp",))
    assert not list(tmp_path.glob("*.part"))


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="mp4"):
        open_writer("mp5", tmp_path, "shot", ("comp",), plate(), RATE, {})

"""A movie's sound in its results: the same packets, in time with the frames, or a reason why there is none."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from anyportal_client.spans import cut_span
from anyportal_core.errors import MediaNotFoundError
from anyportal_core.media.clip import open_clip
from anyportal_core.media.movie import MovieClip
from anyportal_core.media.movie_formats import MOVIE_FORMATS
from anyportal_core.media.writers import Written, open_writer
from anyportal_core.shot import MediaRef, Span
from anyportal_core.testing.clips import moving_scene, write_movie
from anyportal_core.testing.sounds import RATE, add_sound, hear, payloads

FRAMES = moving_scene(60).plate
SECONDS = Fraction(60, 24)

# Which codec, in which container it comes, into which format it goes, and how far its times may be off, in samples:
# Matroska's are of milliseconds.
SOURCES = {
    "aac.mp4": ("aac", "mp4", 0),
    "aac.mov": ("aac", "prores", 0),
    "aac.ts": ("aac", "mp4", 1),
    "pcm.mov": ("pcm_s24le", "prores4444", 0),
    "wide.mov": ("pcm_s16be", "prores", 0),
    "alac.mov": ("alac", "mp4", 0),
    "flac.mkv": ("flac", "h265", 24),
    "pcm.avi": ("pcm_s16le", "prores", 1),
    "s16le.mov": ("pcm_s16le", "mp4", 0),
    "s16be.mov": ("pcm_s16be", "h265", 0),
    "s24le.mov": ("pcm_s24le", "mp4", 0),
    "s24be.mov": ("pcm_s24be", "mp4", 0),
    "s32le.mov": ("pcm_s32le", "mp4", 0),
    "f32le.mov": ("pcm_f32le", "mp4", 0),
    "f32be.mov": ("pcm_f32be", "mp4", 0),
    "f64le.mov": ("pcm_f64le", "mp4", 0),
    "counted.avi": ("pcm_s16le", "mp4", 1),
    "counted.mkv": ("pcm_s24le", "mp4", 24),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("movies")
    write_movie(folder / "silent.mp4", FRAMES, options={"crf": "20", "g": "10", "bf": "3"})
    write_movie(folder / "silent.avi", FRAMES, codec="mjpeg", layout="yuvj420p", options={})
    return folder


def source_of(folder: Path, name: str, tracks: int = 1, begins: int = 0) -> Path:
    path = folder / f"{tracks}_{begins}_{name}"
    picture = folder / ("silent.avi" if name.endswith("avi") else "silent.mp4")
    if not path.exists():
        add_sound(picture, path, SOURCES[name][0], SECONDS, tracks, begins)
    return path


def deliver(
    ref: MediaRef, folder: Path, form: str, frames: range, layers: tuple[str, ...] = ("comp",)
) -> list[Written]:
    with open_clip(ref) as clip:
        assert isinstance(clip, MovieClip) and clip.info.rate
        sound, said = clip.sound(frames, clip.info.rate)
        assert not said and sound is not None
        sound, said = sound.fitting(MOVIE_FORMATS[form].container)
        assert not said and sound is not None
        writer = open_writer(form, folder, "shot", layers, clip.info, clip.info.rate, {}, sound=sound)
        for frame in clip.frames(frames):
            writer.write(frame.number, dict.fromkeys(layers, frame.pixels) | {"matte": frame.pixels[..., 0]})
        return writer.close()


@pytest.mark.parametrize("frames", [range(60), range(25, 41)], ids=["whole", "part"])
@pytest.mark.parametrize("name", SOURCES)
def test_sound_stays_with_its_frames(folder: Path, tmp_path: Path, name: str, frames: range) -> None:
    source = source_of(folder, name)
    path = deliver(MediaRef(source), tmp_path, SOURCES[name][1], frames)[0].path
    theirs, ours = hear(source), hear(path)
    assert ours.codec == theirs.codec
    # Away from both ends, where decoders settle and files end.
    asked = np.arange(RATE // 20, round(len(frames) * RATE / 24) - RATE // 20)
    there = theirs.samples[:, asked + round((Fraction(frames[0], 24) - theirs.begins) * RATE)]
    slack = SOURCES[name][2]
    errors = [
        np.abs(there - ours.samples[:, asked + lag - round(ours.begins * RATE)]).max()
        for lag in range(-slack, slack + 1)
    ]
    assert min(errors) < 1e-4
    assert len(ours.samples[0]) >= round(len(frames) * RATE / 24) - 1


@pytest.mark.parametrize("frames", [range(60), range(25, 41)], ids=["whole", "part"])
@pytest.mark.parametrize("name", [name for name in SOURCES if not name.endswith(".ts")])
def test_the_bytes_of_sound_are_the_source_s(folder: Path, tmp_path: Path, name: str, frames: range) -> None:
    """Whole packets of codecs; of plain samples exactly those of the frames. (MPEG-TS has a header in each packet.)"""
    source = source_of(folder, name)
    path = deliver(MediaRef(source), tmp_path, SOURCES[name][1], frames)[0].path
    theirs, ours = payloads(source), payloads(path)
    if SOURCES[name][0].startswith("pcm"):
        size = 2 * int(SOURCES[name][0][5:7]) // 8
        first, last = (frame * RATE // 24 * size for frame in (frames[0], frames[-1] + 1))
        if name.endswith(".mkv"):  # its times do not count samples, so packets stay whole
            assert b"".join(ours) in b"".join(theirs) and len(b"".join(ours)) >= last - first
        else:
            assert b"".join(ours) == b"".join(theirs)[first:last]
    else:
        place = theirs.index(ours[0])
        assert ours == theirs[place : place + len(ours)]
        assert len(ours) * 1024 >= len(frames) * RATE // 24 or name in ("alac.mov", "flac.mkv")


@pytest.mark.parametrize("begins", [-4800, 9600])
@pytest.mark.parametrize("name", ["pcm.mov", "alac.mov"])
def test_sound_that_begins_elsewhere_than_the_picture(folder: Path, tmp_path: Path, name: str, begins: int) -> None:
    source = source_of(folder, name, begins=begins)
    path = deliver(MediaRef(source), tmp_path, SOURCES[name][1], range(2, 40))[0].path
    theirs, ours = hear(source), hear(path)
    start = Fraction(2, 24)
    heard = max(theirs.begins - start, Fraction(0))
    assert abs(max(ours.begins, Fraction(0)) - heard) <= Fraction(1, RATE)
    asked = np.arange(round(heard * RATE), round(heard * RATE) + RATE)
    there = theirs.samples[:, asked + round((start - theirs.begins) * RATE)]
    assert np.abs(there - ours.samples[:, asked - round(ours.begins * RATE)]).max() < 1e-6


def test_all_tracks_go_along_with_what_they_are_called(folder: Path, tmp_path: Path) -> None:
    source = source_of(folder, "pcm.mov", tracks=2)
    written = deliver(MediaRef(source), tmp_path, "prores", range(4, 30), ("comp", "foreground", "matte"))
    for place, language in enumerate(("eng", "ita")):
        theirs, ours = hear(source, place), hear(written[0].path, place)
        assert np.array_equal(ours.samples[:, :100], theirs.samples[:, 4 * 2000 : 4 * 2000 + 100])
        assert ours.metadata["handler_name"] == f"Boom {place}"
        assert ours.metadata["language"] == language
    for item in written[1:]:
        with av.open(str(item.path)) as movie:
            assert not movie.streams.audio, "layers laid over each other are heard once"


def test_quicktime_has_names_of_its_own_for_languages(folder: Path, tmp_path: Path) -> None:
    source = source_of(folder, "aac.mp4", tracks=3)
    assert hear(source, 2).metadata["language"] == "deu"
    written = deliver(MediaRef(source), tmp_path, "prores", range(4))
    assert hear(written[0].path, 2).metadata["language"] == "ger"


@pytest.mark.parametrize("name", ["aac.mp4", "pcm.mov", "s24be.mov", "counted.mkv", "flac.mkv"])
def test_a_part_of_the_movie_gives_the_same_bytes(folder: Path, tmp_path: Path, name: str) -> None:
    source, frames = source_of(folder, name), range(25, 41)
    span = cut_span(source, frames[0], frames[-1], tmp_path / name)
    part = MediaRef(tmp_path / name, span=Span(span.first, span.count, span.rate, span.timecode))
    form = SOURCES[name][1]
    whole = deliver(MediaRef(source), tmp_path / "whole", form, frames)
    again = deliver(MediaRef(source), tmp_path / "again", form, frames)
    cut = deliver(part, tmp_path / "cut", form, frames)
    assert whole[0].path.read_bytes() == again[0].path.read_bytes() == cut[0].path.read_bytes()


def test_where_frames_do_not_lie_on_samples_a_part_is_rounded_as_the_whole(folder: Path, tmp_path: Path) -> None:
    """At 29.97 frames a second, a frame has 1601.6 samples."""
    rate = Fraction(30000, 1001)
    write_movie(tmp_path / "silent.mp4", FRAMES, rate, options={"crf": "20", "g": "7", "bf": "3"})
    source = add_sound(tmp_path / "silent.mp4", tmp_path / "ntsc.mp4", "aac", 60 / rate)
    for first in range(29, 35):
        frames = range(first, first + 6)
        span = cut_span(source, frames[0], frames[-1], tmp_path / "part.mp4")
        part = MediaRef(tmp_path / "part.mp4", span=Span(span.first, span.count, span.rate, span.timecode))
        whole = deliver(MediaRef(source), tmp_path / "whole", "mp4", frames)[0].path
        cut = deliver(part, tmp_path / "cut", "mp4", frames)[0].path
        assert whole.read_bytes() == cut.read_bytes()


def test_sound_that_is_gone_leaves_no_file_behind(folder: Path, tmp_path: Path) -> None:
    with open_clip(MediaRef(source_of(folder, "aac.mp4"))) as clip:
        assert isinstance(clip, MovieClip)
        sound, _ = clip.sound(range(4), Fraction(24))
        assert sound is not None
        gone = replace(sound, path=tmp_path / "gone.mp4")
        writer = open_writer("mp4", tmp_path / "out", "shot", ("comp",), clip.info, Fraction(24), {}, sound=gone)
        with pytest.raises(MediaNotFoundError):
            writer.write(0, {"comp": FRAMES[0]})
            writer.close()
        writer.abort()
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("codec", "layout"), [("pcm_mulaw", "stereo"), ("pcm_u8", "mono"), ("pcm_s24le", "6 channels")]
)
def test_what_a_container_does_not_hold_is_told(folder: Path, tmp_path: Path, codec: str, layout: str) -> None:
    """MP4 has no word for old kinds of samples, nor for several channels of which nobody knows where they are heard."""
    add_sound(folder / "silent.mp4", tmp_path / "odd.mov", codec, SECONDS, layout=layout)
    with open_clip(MediaRef(tmp_path / "odd.mov")) as clip:
        assert isinstance(clip, MovieClip)
        sound, _ = clip.sound(range(60), Fraction(24))
        assert sound is not None and sound.fitting("mov")[0] == sound
        left, said = sound.fitting("mp4")
    assert left is None
    assert said == [
        f"the sound of odd.mov ({codec}) does not go into MP4 as it is, so the result has none of it; prores holds it"
    ]


def test_plain_samples_in_mp4_keep_their_channels(folder: Path, tmp_path: Path) -> None:
    add_sound(folder / "silent.mp4", tmp_path / "film.mov", "pcm_s24le", SECONDS, layout="5.1")
    path = deliver(MediaRef(tmp_path / "film.mov"), tmp_path, "mp4", range(25, 41))[0].path
    with av.open(str(path)) as movie:
        assert movie.streams.audio[0].layout.name == "5.1"
    assert b"".join(payloads(path)) == b"".join(payloads(tmp_path / "film.mov"))[25 * 2000 * 18 : 41 * 2000 * 18]


def test_sound_that_would_not_stay_with_its_frames_is_left_out(folder: Path) -> None:
    with open_clip(MediaRef(source_of(folder, "aac.mp4"))) as clip:
        assert isinstance(clip, MovieClip)
        assert clip.sound([3, 4, 8], Fraction(24)) == (
            None,
            ["the frames do not follow each other: the result has no sound"],
        )
        found, said = clip.sound(range(60), Fraction(25))
        assert found is None and "24.000 frames a second, the result 25.000" in said[0]
        assert clip.sound(range(60), Fraction(24000, 1001))[0] is not None, "a thousandth over two seconds is no frame"
    with open_clip(MediaRef(folder / "silent.mp4")) as clip:
        assert isinstance(clip, MovieClip)
        assert clip.sound(range(60), Fraction(25)) == (None, [])


def test_a_track_of_an_unknown_codec_is_told(folder: Path, tmp_path: Path) -> None:
    source = source_of(folder, "alac.mov", tracks=2)
    content = source.read_bytes()
    place = content.rindex(b"alac\0\0\0\0\0\0\0\1")
    (tmp_path / "odd.mov").write_bytes(content[:place] + b"zzzz" + content[place + 4 :])
    with open_clip(MediaRef(tmp_path / "odd.mov")) as clip:
        assert isinstance(clip, MovieClip)
        sound, said = clip.sound(range(60), Fraction(24))
    assert sound is not None and len(sound.tracks) == 1
    assert said == ["1 of the sound tracks of odd.mov are of a kind that is not known: left out"]


def test_an_edit_list_hides_what_comes_before(folder: Path, tmp_path: Path) -> None:
    """The packets that a decoder needs to settle lie before time 0: QuickTime knows by the track's edit list."""
    path = deliver(MediaRef(source_of(folder, "aac.mp4")), tmp_path, "mp4", range(25, 41))[0].path
    begins = 25 * RATE // 24
    hidden = begins - (begins // 1024 - 1) * 1024  # from the packet before the first that is heard, on
    lists = path.read_bytes().split(b"elst")[1:]
    assert (0, 1, hidden) in [struct.unpack(">II4xi", each[:16]) for each in lists]

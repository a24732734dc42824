"""Frames at work size, and mattes on the plate's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyportal_core.errors import LengthMismatchError, MissingFramesError, SizeMismatchError
from anyportal_core.media.clip import Clip, ClipInfo, Kind, open_clip
from anyportal_core.media.encoding import SRGB
from anyportal_core.media.work import AlphaFrames, WorkFrames, matte_numbers
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import (
    VIDEO,
    moving_scene,
    numbered_frames,
    read_number,
    write_image,
    write_images,
    write_movie,
)


def opened(path: Path) -> Clip:
    return open_clip(MediaRef(path))


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = tmp_path_factory.mktemp("work") / "a.mp4"
    return opened(write_movie(path, numbered_frames(60), options={"bf": "3", "g": "20"}))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 39), st.integers(1, 12)), max_size=4))
def test_read_in_any_order(movie: Clip, reads: list[tuple[int, int]]) -> None:
    source = WorkFrames(movie, range(10, 50), (32, 48))
    assert (len(source), source.height, source.width) == (40, 32, 48)
    for start, count in reads:
        frames = source.read(start, start + count)
        expected = list(range(start, min(start + count, 40)))
        assert frames.shape == (len(expected), 32, 48, 3)
        assert [read_number(f) - 10 for f in frames] == expected
        assert [source.numbers[i] for i in expected] == [i + 10 for i in expected]


def test_overlapping_windows_decode_every_frame_once(movie: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    finished = type(movie)._finished  # type: ignore[attr-defined]

    def counted(self: Clip, number: int, *rest: object) -> object:
        decoded.append(number)
        return finished(self, number, *rest)

    monkeypatch.setattr(type(movie), "_finished", counted)
    source = WorkFrames(movie, range(60), (16, 24))
    for start in range(0, 48, 9):
        source.read(start, start + 17)
    assert decoded == list(range(60))[: len(decoded)]


@pytest.mark.parametrize(("step", "begun"), [(1, 1), (3, 1), (12, 5)])
def test_every_few_frames_of_a_movie_are_read_in_one_go(
    movie: Clip, monkeypatch: pytest.MonkeyPatch, step: int, begun: int
) -> None:
    opened_at = []
    frames = type(movie).frames

    def counted(self: Clip, numbers: Sequence[int], *rest: object) -> object:
        opened_at.append(numbers[0])
        return frames(self, numbers, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(type(movie), "frames", counted)
    source = WorkFrames(movie, range(60), (32, 48))
    assert [read_number(source.read(index, index + 1)[0]) for index in range(0, 60, step)] == list(range(0, 60, step))
    assert len(opened_at) == begun


def test_files_in_between_are_not_read(tmp_path: Path) -> None:
    write_images(tmp_path / "a.%04d.png", numbered_frames(9))
    clip = opened(tmp_path)
    (tmp_path / "a.1003.png").write_bytes(b"not a picture")
    source = WorkFrames(clip, range(1001, 1010), (32, 48))
    assert [read_number(source.read(index, index + 1)[0]) for index in range(0, 9, 4)] == [0, 4, 8]


def test_work_frames_are_shown_light(tmp_path: Path) -> None:
    write_images(tmp_path / "a.%04d.exr", np.full((2, 8, 8, 3), 0.18, np.float32), storage="float")
    source = WorkFrames(opened(tmp_path), [1001, 1002], (4, 4))
    frames = source.read(0, 2)
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames, 0.46135613, atol=1e-5)


def test_work_frames_want_frames_that_exist(tmp_path: Path) -> None:
    write_images(tmp_path / "a.%04d.png", numbered_frames(4))[2].unlink()
    with pytest.raises(MissingFramesError):
        WorkFrames(opened(tmp_path), range(1001, 1005), (8, 8))


def info(numbers: Sequence[int], kind: Kind = "sequence") -> ClipInfo:
    return ClipInfo(Path("clip"), kind, 8, 8, None, numbers, SRGB, "uint8")


@pytest.mark.parametrize(
    ("matte", "plate", "wanted", "expected"),
    [
        (range(1001, 1101), range(1001, 1101), [1005, 1006], [1005, 1006]),
        (range(990, 1110), range(1001, 1101), [1005, 1006], [1005, 1006]),
        (range(100), range(1001, 1101), [1005, 1006], [4, 5]),
        (range(10), range(100), range(50, 60), range(10)),
        (range(1001, 1004), range(1001, 1101), [1050, 1052, 1054], [1001, 1002, 1003]),
        ((1, 2, 4), range(10, 13), [11, 12], [2, 4]),
    ],
)
def test_matte_numbers(
    matte: Sequence[int], plate: Sequence[int], wanted: Sequence[int], expected: Sequence[int]
) -> None:
    assert list(matte_numbers(info(matte), info(plate), wanted)) == list(expected)


@pytest.mark.parametrize(
    ("matte", "wanted", "expected"),
    [
        (info(range(100), "movie"), [5, 6], [5, 6]),
        (info(range(2), "movie"), [0, 1], [0, 1]),
        (info(range(2), "movie"), [50, 51], [0, 1]),
        (info(range(1, 101)), [5, 6], [6, 7]),
        (info(range(40, 60)), [50, 51], [50, 51]),
        (info(range(120)), [50, 51], [50, 51]),
    ],
    ids=["as long", "of the range at the start", "of the range", "counted from 1", "a part by number", "and beyond"],
)
def test_mattes_of_a_movie(matte: ClipInfo, wanted: Sequence[int], expected: Sequence[int]) -> None:
    assert list(matte_numbers(matte, info(range(100), "movie"), wanted)) == expected


@pytest.mark.parametrize("length", [3, 99, 101, 150])
@pytest.mark.parametrize("plate", [info(range(100), "movie"), info(range(100)), info(range(1001, 1101))])
def test_a_matte_movie_of_another_length(length: int, plate: ClipInfo) -> None:
    """Though it has frames of these numbers, nobody knows which frames of the plate they belong to."""
    with pytest.raises(LengthMismatchError, match=rf"{length} frames.*plate 100"):
        matte_numbers(info(range(length), "movie"), plate, plate.numbers[:2])


def test_a_matte_of_another_length() -> None:
    with pytest.raises(LengthMismatchError, match=r"7 frames.*plate 100.*10 are wanted"):
        matte_numbers(info(range(7)), info(range(100)), range(50, 60))


def test_a_matte_of_another_size(tmp_path: Path) -> None:
    clip = opened(write_movie(tmp_path / "a.mp4", numbered_frames(3)))
    with pytest.raises(SizeMismatchError, match=r"96x64.*97x64"):
        AlphaFrames(clip, replace(clip.info, width=97), range(3), (8, 8))


@pytest.mark.parametrize("form", ["movie", "png", "exr", "alpha"])
def test_mattes_in_every_form(tmp_path: Path, form: str) -> None:
    scene = moving_scene(4)
    grey = np.repeat(scene.matte[..., None], 3, axis=-1)
    if form == "movie":
        matte = opened(write_movie(tmp_path / "a.mp4", grey, encoding=VIDEO, options={"qp": "0"}))
    elif form == "alpha":
        write_images(tmp_path / "a.%04d.png", scene.plate, first=0, storage="uint16", alpha=scene.matte)
        matte = opened(tmp_path)
    else:
        storage = "half" if form == "exr" else "uint8"
        write_images(tmp_path / f"a.%04d.{form}", grey, first=0, storage=storage)
        matte = opened(tmp_path)
    source = AlphaFrames(matte, replace(matte.info, numbers=range(1001, 1005)), [1002, 1003], (32, 48))
    assert list(source.numbers) == [1002, 1003]
    small = source.read(0, 2)
    assert small.shape == (2, 32, 48, 1)
    np.testing.assert_allclose(small[..., 0], scene.matte[1:3].reshape(2, 32, 2, 48, 2).mean((2, 4)), atol=0.01)
    full = list(source.full())
    np.testing.assert_allclose(np.stack(full), scene.matte[1:3], atol=0.01)
    assert [len(list(source.full([1]))), len(list(source.full([]))), len(list(source.full([0, 1])))] == [1, 0, 2]


def test_black_and_white_of_a_video_matte_are_exact(tmp_path: Path) -> None:
    """Full cover decides which pixels of the plate stay untouched: 0.9999999 would not do."""
    frames = np.zeros((1, 32, 32, 3), np.float32)
    frames[:, :, 16:] = 1
    clip = opened(write_movie(tmp_path / "a.mp4", frames, options={"qp": "0"}))
    cover = next(AlphaFrames(clip, clip.info, [0], (32, 32)).full())
    assert set(np.unique(cover)) == {0, 1}


def test_an_alpha_that_says_nothing_gives_way_to_luminance(tmp_path: Path) -> None:
    scene = moving_scene(2)
    grey = np.repeat(scene.matte[..., None], 3, axis=-1)
    write_images(tmp_path / "a.%04d.png", grey, first=0, alpha=np.ones_like(scene.matte))
    clip = opened(tmp_path)
    assert clip.info.has_alpha
    full = next(AlphaFrames(clip, clip.info, [0], (32, 48)).full())
    np.testing.assert_allclose(full, scene.matte[0], atol=0.01)


def test_a_frame_without_the_alpha_that_the_others_have_is_opaque(tmp_path: Path) -> None:
    scene = moving_scene(3)
    write_images(tmp_path / "a.%04d.png", scene.plate, alpha=scene.matte)
    write_image(tmp_path / "a.1002.png", scene.plate[1])
    clip = opened(tmp_path)
    matte = AlphaFrames(clip, clip.info, range(1001, 1004), (64, 96), own=True)
    first, bare, last = matte.full()
    assert bare.min() == 1
    assert first.min() == last.min() == 0
    assert matte.read(1, 2).min() == 1

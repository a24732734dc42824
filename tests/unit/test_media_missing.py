"""Frames that a sequence lacks: listed, or filled by the nearest or by black; above, every sequence is whole."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.errors import FrameRangeError, MediaNotFoundError, MissingFramesError, ShotError
from anyportal_core.frames import Image
from anyportal_core.media.clip import Clip, open_clip
from anyportal_core.media.header import DATE, TIMECODE
from anyportal_core.media.timecode import to_bits
from anyportal_core.media.windows import NOTHING
from anyportal_core.media.work import matte_numbers
from anyportal_core.shot import MediaRef, MissingFrames
from anyportal_core.testing.clips import numbered_frames, read_number, write_image, write_images

COUNT = 12


def sequence(folder: Path, *missing: int, name: str = "a", alpha: Image | None = None) -> Path:
    """Twelve numbered frames from 1001 on, some of which are not there."""
    folder.mkdir(exist_ok=True)
    for path in write_images(folder / f"{name}.%04d.exr", numbered_frames(COUNT + 1)[1:], storage="half", alpha=alpha):
        if int(path.stem[-4:]) in missing:
            path.unlink()
    return folder / f"{name}.%04d.exr"


def opened(path: Path, missing: MissingFrames = "hold", *asked: int) -> Clip:
    return open_clip(MediaRef(path), missing, asked)


def shown(clip: Clip, size: tuple[int, int] | None = None) -> list[int]:
    """The numbers that the frames carry in their pixels, -1 for black."""
    return [read_number(f.pixels) + 1000 if f.pixels.any() else -1 for f in clip.frames(size=size)]


def test_the_nearest_before_is_held(tmp_path: Path) -> None:
    clip = opened(sequence(tmp_path, 1003, 1004, 1007))
    assert clip.info.numbers == range(1001, 1013)
    assert clip.info.filled == {1003: 1002, 1004: 1002, 1007: 1006}
    expected = [1001, 1002, 1002, 1002, 1005, 1006, 1006, *range(1008, 1013)]
    assert shown(clip) == shown(clip, (32, 48)) == expected
    assert [frame.number for frame in clip.frames([1003, 1007])] == [1003, 1007]


def test_black_has_no_pixels_that_could_be_in_front(tmp_path: Path) -> None:
    clip = opened(sequence(tmp_path, 1003, alpha=np.ones((COUNT, 64, 96), np.float32)), "black")
    assert shown(clip) == [1001, 1002, -1, *range(1004, 1013)]
    frame = next(clip.frames([1003], alpha=True))
    assert frame.extent is NOTHING
    assert clip.extent(1003) is NOTHING
    assert clip.extent(1004) is None
    assert frame.alpha is not None
    assert not frame.alpha.any()
    assert clip.windows(1003) == clip.windows(1002)
    assert clip.header(1003) is None


def test_the_default_lists_them(tmp_path: Path) -> None:
    clip = opened(sequence(tmp_path, 1003, 1004, 1005, 1009), "error")
    with pytest.raises(MissingFramesError, match=r"4 of the frames are missing: 1003-1005,1009") as caught:
        clip.frames()
    assert "hold" in caught.value.hint


def test_a_range_that_the_pattern_states(tmp_path: Path) -> None:
    """The ends of it may be missing, too: then the nearest after it stands in for the first."""
    pattern = sequence(tmp_path, 1001, 1002, 1003, 1006, 1012)
    clip = opened(pattern.with_name("a.1002-1012#.exr"))
    assert clip.info.numbers == range(1002, 1013)
    assert shown(clip) == [1004, 1004, 1004, 1005, 1005, *range(1007, 1012), 1011]
    part = opened(pattern.with_name("a.1005-1008#.exr"))
    assert shown(part) == [1005, 1005, 1007, 1008]
    assert shown(opened(pattern.with_name("a.1006-1007#.exr"))) == [1007, 1007]  # nothing from outside
    with pytest.raises(MediaNotFoundError):
        opened(tmp_path / "b.1001-1002#.exr")
    with pytest.raises((MissingFramesError, FrameRangeError)):
        opened(pattern.with_name("a.1001-1003#.exr"))


def test_what_is_asked_for_by_number_is_missing_too(tmp_path: Path) -> None:
    pattern = sequence(tmp_path, 1001, 1012)
    assert opened(pattern).info.numbers == range(1002, 1012)
    clip = opened(pattern, "hold", 1001, 1012)
    assert shown(clip) == [1002, *range(1002, 1012), 1011]
    assert opened(pattern, "hold", 1003).info.numbers == range(1002, 1012)
    assert opened(pattern, "error", 1001, 1012).info.numbers == range(1002, 1012)


def test_content_is_that_of_what_is_shown(tmp_path: Path) -> None:
    """A held frame is the same as a copy of the frame that it shows; black is no frame at all."""
    holed, copied = sequence(tmp_path / "holed", 1004), sequence(tmp_path / "copied", 1004)
    copied.with_name("a.1004.exr").write_bytes(copied.with_name("a.1003.exr").read_bytes())
    numbers = range(1001, 1013)
    held, black = opened(holed).content(numbers), opened(holed, "black").content(numbers)
    assert held == opened(copied).content(numbers)
    assert len({held, black, opened(sequence(tmp_path / "whole")).content(numbers)}) == 3
    assert opened(holed).content(range(1005, 1010)) == opened(holed, "black").content(range(1005, 1010))
    write_image(holed.with_name("a.1003.exr"), numbered_frames(1)[0] * 0.5, "half")
    assert opened(holed).content([1004]) != held
    assert opened(holed).content([1004, 1005]) != opened(copied).content([1004, 1005])


def test_the_description_is_of_a_frame_that_is_there(tmp_path: Path) -> None:
    bits = to_bits("01:00:00:10")
    attributes = {TIMECODE: (oiio.TypeDesc("timecode"), (bits, 0))}
    pattern = tmp_path / "a.%04d.exr"
    write_image(tmp_path / "a.1005.exr", numbered_frames(6)[5], "half", attributes=attributes)
    clip = opened(pattern, "hold", 1001, 1007)
    for numbers in ([1002, 1003], [1006, 1007], range(1001, 1008)):
        clip.describe_by(numbers)
        assert clip.info.timecode == "01:00:00:06"  # of frame 1001
        assert clip.info.numbers == range(1001, 1008)
    header = clip.header(1006)
    assert header is not None
    assert header.getattribute(TIMECODE) is None, "a held frame's timecode is not its own"
    assert header.getattribute(DATE) == "2020:02:02 02:02:02"


def test_a_matte_follows_what_the_plate_shows(tmp_path: Path) -> None:
    plate = opened(sequence(tmp_path, 1003, 1004)).info
    matte = opened(sequence(tmp_path, name="matte")).info
    assert matte_numbers(matte, plate, range(1001, 1006)) == [1001, 1002, 1002, 1002, 1005]
    black = opened(sequence(tmp_path, 1003, 1004), "black").info
    assert list(matte_numbers(matte, black, range(1001, 1006))) == [1001, 1002, 1003, 1004, 1005]


def test_each_frame_is_read_once_however_often_it_is_shown(tmp_path: Path) -> None:
    clip = opened(sequence(tmp_path))
    numbers = [1001, 1002, 1002, 1002, 1005]
    frames = list(clip.repeating(numbers))
    assert [frame.number for frame in frames] == numbers
    assert frames[1] is frames[2] is frames[3]


FAR = 4_000_000_000
"""The number of a stray file: whoever lists the numbers up to it fills the memory of any machine."""


def stretched(folder: Path) -> Path:
    """Twelve frames, and one far from them all."""
    pattern = sequence(folder, 1005)
    shutil.copyfile(folder / "a.1001.exr", folder / f"a.{FAR}.exr")
    return pattern


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("missing", ["hold", "black"])
def test_holes_are_filled_without_listing_them(tmp_path: Path, missing: MissingFrames) -> None:
    clip = opened(stretched(tmp_path), missing)
    assert clip.info.numbers == range(1001, FAR + 1)
    assert len(clip.info.filled) == FAR - 1000 - COUNT
    assert [number in clip.info.filled for number in (1000, 1001, 1005, FAR - 1, FAR)] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert [frame.number for frame in clip.frames([1004, 1005, FAR - 1])] == [1004, 1005, FAR - 1]
    assert clip.content(range(1001, 1004)) == opened(sequence(tmp_path / "b"), missing).content(range(1001, 1004))
    assert len(clip.paths()) == COUNT


@pytest.mark.usefixtures("little_memory")
def test_holes_are_told_without_listing_them(tmp_path: Path) -> None:
    clip = opened(stretched(tmp_path), "error")
    lacking = f"{FAR - 1001 - COUNT + 1} of the frames are missing: 1005,1013-{FAR - 1}"
    with pytest.raises(MissingFramesError, match=re.escape(lacking)):
        clip.require()
    with pytest.raises(MissingFramesError, match="1 of the frames is missing: 1005"):
        clip.require(range(1003, 1008))
    assert clip.require(range(1006, 1010)) == range(1006, 1010)


@pytest.mark.parametrize("digits", [20, 30])
@pytest.mark.parametrize("folder", [False, True])
def test_a_number_that_no_frame_can_have_is_refused(tmp_path: Path, digits: int, folder: bool) -> None:
    pattern = sequence(tmp_path)
    shutil.copyfile(tmp_path / "a.1001.exr", tmp_path / f"a.{'9' * digits}.exr")
    with pytest.raises(ShotError, match="number"):
        opened(tmp_path if folder else pattern, "hold")


def test_a_pattern_that_states_an_absurd_range_is_refused(tmp_path: Path) -> None:
    sequence(tmp_path)
    with pytest.raises(FrameRangeError, match="9000000 frames"):
        opened(tmp_path / "a.1-9000000#.exr")

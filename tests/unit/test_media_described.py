"""What a sequence is, is told by the first frame that is wanted, whatever the files before it are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.catalogue import load_catalogue
from anyportal_core.errors import MediaUnreadableError, MissingFramesError, SizeMismatchError
from anyportal_core.frames import FrameSet
from anyportal_core.media.clip import open_clip
from anyportal_core.media.timecode import to_bits
from anyportal_core.recipe import BackdropChoice, RecipeRequest, resolve
from anyportal_core.shot import MediaRef, Shot
from anyportal_core.stages.material import Material
from anyportal_core.testing.clips import numbered_frames, read_number, write_image, write_images

FRAMES = numbered_frames(6)
OTHER = np.zeros((16, 24, 3), np.float32)
RECIPE = resolve(RecipeRequest(BackdropChoice("colour", "#ff8000")), load_catalogue())


def sequence(folder: Path, name: str = "plate.%04d.exr", first: int = 1001, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    write_images(folder / name, FRAMES, first, "half" if name.endswith("exr") else "uint8", **more)
    return folder / name


def material(plate: Path, frames: str = "", **more: Any) -> Material:
    return Material(Shot(MediaRef(plate), frames=FrameSet.parse(frames) if frames else None, **more), RECIPE)


def alone(plate: Path, first: int, last: int) -> Path:
    """The same frames without the others, as they are sent."""
    folder = plate.parent / "alone"
    folder.mkdir()
    for number in range(first, last + 1):
        shutil.copy(plate.parent / (plate.name % number), folder)
    return folder / plate.name


def garbage(file: Path) -> None:
    file.write_bytes(b"garbage" * 99)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def of_another_size(file: Path) -> None:
    write_image(file, OTHER, "half")


def with_alpha(file: Path) -> None:
    write_image(file, FRAMES[0], "half", alpha=np.zeros(FRAMES.shape[1:3], np.float32))


def of_another_kind(file: Path) -> None:
    primaries = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)
    attributes = {"chromaticities": (oiio.TypeDesc("float[8]"), primaries), "PixelAspectRatio": 2.0}
    write_image(file, FRAMES[0], "float", names=("right.R", "right.G", "right.B"), attributes=attributes)


FIRSTS = [garbage, empty, of_another_size, with_alpha, of_another_kind]


@pytest.mark.parametrize("spoil", FIRSTS, ids=lambda spoil: spoil.__name__)
def test_files_before_the_range_decide_nothing(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    plate = sequence(tmp_path / "plate")
    for number in (1001, 1002):
        spoil(plate.parent / (plate.name % number))
    made, sent = material(plate, "1003-1005"), material(alone(plate, 1003, 1005))
    assert made.digests() == sent.digests()
    assert replace(made.info, path=sent.info.path, numbers=sent.info.numbers) == sent.info
    assert (made.info.width, made.info.height, made.info.has_alpha) == (96, 64, False)
    numbers = [read_number(frame.pixels) for frame in made.plate_clip.frames(made.numbers, alpha=True)]
    assert numbers == [2, 3, 4]


@pytest.mark.parametrize("spoil", FIRSTS[2:], ids=lambda spoil: spoil.__name__)
def test_the_same_files_read_in_another_way_are_other_content(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    plate = sequence(tmp_path / "plate")
    with open_clip(MediaRef(plate)) as clip:
        plain = clip.content(range(1003, 1006))
    spoil(plate.parent / (plate.name % 1001))
    with open_clip(MediaRef(plate)) as clip:
        assert clip.content(range(1003, 1006)) != plain
        clip.describe_by([1003])
        assert clip.content(range(1003, 1006)) == plain


@pytest.mark.parametrize("range_", ["", "1001-1003", "1002"])
def test_a_broken_file_that_is_wanted_is_told(tmp_path: Path, range_: str) -> None:
    plate = sequence(tmp_path / "plate")
    for number in (1001, 1002):
        garbage(plate.parent / (plate.name % number))
    with pytest.raises(MediaUnreadableError) as caught:
        material(plate, range_)
    assert caught.value.where == str(plate.parent / (plate.name % (1002 if range_ == "1002" else 1001)))


def test_handles_are_wanted_too(tmp_path: Path) -> None:
    plate = sequence(tmp_path / "plate")
    of_another_size(plate.parent / (plate.name % 1002))
    assert material(plate, "1004", handles=1).info.width == 96
    made = material(plate, "1004", handles=2)
    with pytest.raises(SizeMismatchError, match="frame 1003 is 96x64, but the first one wanted is 24x16"):
        list(made.plate_clip.frames(made.numbers))


def test_a_sequence_of_nothing_but_broken_files(tmp_path: Path) -> None:
    plate = sequence(tmp_path / "plate")
    for file in plate.parent.iterdir():
        garbage(file)
    with pytest.raises(MediaUnreadableError) as caught:
        open_clip(MediaRef(plate))
    assert caught.value.where == str(plate.parent / "plate.1001.exr")


def test_a_hole_where_the_range_begins(tmp_path: Path) -> None:
    plate = sequence(tmp_path / "plate")
    (plate.parent / "plate.1003.exr").unlink()
    with pytest.raises(MissingFramesError, match="1003"):
        material(plate, "1003-1005")
    with open_clip(MediaRef(plate)) as clip, pytest.raises(MissingFramesError, match="1003"):
        clip.describe_by([1003])


def test_a_pattern_with_a_range_of_its_own(tmp_path: Path) -> None:
    plate = sequence(tmp_path / "plate")
    garbage(plate.parent / "plate.1001.exr")
    garbage(plate.parent / "plate.1003.exr")
    with open_clip(MediaRef(plate.with_name("plate.1002-1005#.exr"))) as clip:
        assert clip.info.numbers == range(1002, 1006)
        assert [read_number(frame.pixels) for frame in clip.frames([1002, 1005])] == [1, 4]
    assert material(plate.with_name("plate.1003-1006#.exr"), "1004-1006").info.numbers == range(1003, 1007)


def test_the_timecode_stays_that_of_the_first_frame(tmp_path: Path) -> None:
    """Writers count on from there."""
    plate, kind = sequence(tmp_path / "plate"), oiio.TypeDesc("timecode")
    for number, text in ((1002, "23:59:59:24"), (1003, "00:00:00:00"), (1004, "00:00:00:01")):
        attributes = {"smpte:TimeCode": (kind, (to_bits(text), 0))}
        write_image(plate.parent / (plate.name % number), FRAMES[0], "half", attributes=attributes)
    garbage(plate.parent / "plate.1001.exr")
    for number in (1002, 1003, 1004):
        with open_clip(MediaRef(plate, rate=Fraction(25))) as clip:
            clip.describe_by([number])
            assert clip.info.timecode == "23:59:59:23"


@pytest.mark.parametrize("first", [1001, 1])
def test_a_matte_is_described_by_the_frames_that_are_used(tmp_path: Path, first: int) -> None:
    """Whether they are found by number or by place."""
    plate = sequence(tmp_path / "plate")
    matte = sequence(tmp_path / "matte", "matte.%04d.png", first)
    content = material(plate, "1003-1005", matte=MediaRef(matte)).digests()["matte"]
    write_image(matte.parent / (matte.name % first), OTHER)
    garbage(matte.parent / (matte.name % (first + 1)))
    made = material(plate, "1003-1005", matte=MediaRef(matte))
    supplied = made.supplied_matte()
    assert supplied is not None and len(supplied) == 3
    assert made.digests()["matte"] == content


def test_a_backdrop_is_used_whole(tmp_path: Path) -> None:
    plate, sky = sequence(tmp_path / "plate"), sequence(tmp_path / "sky", "sky.%04d.png")
    garbage(sky.parent / "sky.1001.png")
    recipe = resolve(RecipeRequest(BackdropChoice("clip", "a digest")), load_catalogue())
    with pytest.raises(MediaUnreadableError, match=r"sky\.1001\.png"):
        Material(Shot(MediaRef(plate), backdrop=MediaRef(sky)), recipe)

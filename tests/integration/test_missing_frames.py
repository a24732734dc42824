"""Shots whose plate or matte lacks frames, as a crashed render leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.delivery import Delivery
from anyportal_core.errors import MissingFramesError
from anyportal_core.frames import FrameSet
from anyportal_core.media.timecode import from_bits, to_bits
from anyportal_core.shot import MediaRef, MissingFrames, Shot
from anyportal_core.testing.clips import moving_scene, write_image, write_images
from tests.integration.core_house import Heard, read, recipe_for, render

FRAMES = 6
LAYERS = ("comp", "foreground", "background", "matte")
SCENE = moving_scene(FRAMES, 48, 64)


def footage(folder: Path, plate_lacks: set[int], matte_lacks: set[int]) -> None:
    for index in range(FRAMES):
        number = 1001 + index
        if number not in plate_lacks:
            bits = to_bits(f"01:00:00:{index:02}")
            attributes = {"smpte:TimeCode": (oiio.TypeDesc("timecode"), (bits, 0)), "owner": f"take {number}"}
            write_image(folder / f"plate.{number}.exr", SCENE.plate[index], "half", attributes=attributes)
        if number not in matte_lacks:
            matte = np.repeat(np.float32(SCENE.matte[index] > 0.5)[..., None], 3, axis=-1)
            write_image(folder / f"matte.{number}.png", matte)
    write_image(folder / "backdrop.png", SCENE.background[0] * 0.5)


def made(folder: Path, missing: MissingFrames, frames: str = "1001-1006") -> Heard:
    shot = Shot(
        MediaRef(folder / "plate.%04d.exr"),
        frames=FrameSet.parse(frames),
        matte=MediaRef(folder / "matte.%04d.png"),
        backdrop=MediaRef(folder / "backdrop.png"),
        missing=missing,
        name="shot",
    )
    recipe = recipe_for(folder / "backdrop.png", relight_strength=0.0)
    return render(shot, recipe, folder / "out", Delivery(LAYERS, format="exr"))


def layer(folder: Path, number: int, *names: str) -> np.ndarray:
    file: Any = oiio.ImageInput.open(str(folder / f"out/shot.{number}.exr"))
    found = file.spec().channelnames
    pixels = file.read_image("half")
    file.close()
    return np.stack([pixels[..., found.index(name)] for name in names], axis=-1)


def test_they_are_refused_in_one_compact_line(tmp_path: Path) -> None:
    footage(tmp_path, {1002, 1003, 1005}, set())
    with pytest.raises(MissingFramesError, match="3 of the frames are missing: 1002-1003,1005"):
        made(tmp_path, "error")
    footage(tmp_path, set(), set())
    (tmp_path / "matte.1004.png").unlink()
    with pytest.raises(MissingFramesError, match=r"matte.*missing: 1004"):
        made(tmp_path, "error")


def test_a_held_frame_has_the_matte_of_what_it_shows(tmp_path: Path) -> None:
    footage(tmp_path, {1003, 1006}, {1001})
    heard = made(tmp_path, "hold")
    assert [written.number for written in heard.written] == list(range(1001, 1007))
    for number, like in ((1003, 1002), (1006, 1005)):
        for names in (("foreground.R", "foreground.G", "foreground.B"), ("matte.A",)):
            np.testing.assert_array_equal(layer(tmp_path, number, *names), layer(tmp_path, like, *names))
    matte = read(tmp_path / "matte.%04d.png")[..., 0]  # from 1002 on
    np.testing.assert_array_equal(layer(tmp_path, 1001, "matte.A")[..., 0], matte[0])
    said = "\n".join(heard.said)
    assert "plate.%04d.exr lacks frames 1003,1006: the nearest frame before, else after it stands in for each" in said
    assert "matte.%04d.png lacks frame 1001:" in said


def test_a_black_frame_is_pure_background(tmp_path: Path) -> None:
    footage(tmp_path, {1003}, {1005})
    heard = made(tmp_path, "black")
    for number in (1003, 1005):
        assert not layer(tmp_path, number, "matte.A").any()
        comp = layer(tmp_path, number, "R", "G", "B")
        np.testing.assert_array_equal(comp, layer(tmp_path, number, "background.R", "background.G", "background.B"))
        assert comp.any()
    assert layer(tmp_path, 1004, "matte.A").any()
    assert any("plate.%04d.exr lacks frame 1003: black stands in for it" in text for text in heard.said)


def test_filled_frames_are_numbered_as_the_plate(tmp_path: Path) -> None:
    footage(tmp_path, {1003}, set())
    made(tmp_path, "hold")
    for number in range(1001, 1007):
        file: Any = oiio.ImageInput.open(str(tmp_path / f"out/shot.{number}.exr"))
        spec = file.spec()
        file.close()
        assert from_bits(spec.getattribute("smpte:TimeCode")[0]) == f"01:00:00:{number - 1001:02}"
        assert spec.getattribute("Copyright") == f"take {1002 if number == 1003 else number}"


def test_the_policy_decides_what_is_reused(tmp_path: Path) -> None:
    footage(tmp_path, {1003}, set())
    made(tmp_path, "hold")
    assert not made(tmp_path, "black").reused["matte"]
    assert made(tmp_path, "hold").reused["matte"]
    assert made(tmp_path, "black", "1004-1006").reused["matte"] is False
    assert made(tmp_path, "hold", "1004-1006").reused["matte"], "no frame of these is filled"


def test_png_plates_and_mattes_too(tmp_path: Path) -> None:
    write_images(tmp_path / "plate.%04d.png", SCENE.plate)
    write_images(tmp_path / "matte.%04d.png", np.repeat(SCENE.matte[..., None], 3, axis=-1))
    write_image(tmp_path / "backdrop.png", SCENE.background[0])
    (tmp_path / "plate.1002.png").unlink()
    shot = Shot(
        MediaRef(tmp_path / "plate.%04d.png"),
        matte=MediaRef(tmp_path / "matte.%04d.png"),
        backdrop=MediaRef(tmp_path / "backdrop.png"),
        missing="hold",
    )
    render(shot, recipe_for(tmp_path / "backdrop.png"), tmp_path / "out", Delivery(("comp",)))
    frames = read(tmp_path / "out/plate.%04d.png")
    assert len(frames) == FRAMES

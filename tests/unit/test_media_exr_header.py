"""What of a plate's headers its results say too, and what of them would be untrue."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.media import stills
from anyportal_core.media.clip import open_clip
from anyportal_core.media.header import TIMECODE
from anyportal_core.media.timecode import from_bits
from anyportal_core.media.writers import open_writer
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import write_image

MATRIX = tuple(float(i) for i in range(16))
OF_THE_SHOT: dict[str, Any] = {
    "owner": "a studio",
    "comments": "second unit",
    "capDate": "2024:03:02 01:00:00",
    "cameraMake": "ARRI",
    "arri/lens/model": "MP 50",
    "red.iso": 800,
    "sony.shutter": 180.5,
    "interim.clip.cameraFirmwareVersion": "1.2",
    "nuke/input/filename": "plate.exr",
    "reelName": "A001C002",
    "Exif:LensModel": "S7/i",
    "expTime": 0.02083,
    "isoSpeed": 800.0,
    "screenWindowWidth": 1.25,
    "worldToCamera": ("matrix", MATRIX),
    "worldToNDC": ("matrix", MATRIX[::-1]),
    "keyCode": ("keycode", (1, 2, 3, 4, 5, 64, 4)),
    "adoptedNeutral": ("float[2]", (0.3127, 0.329)),
    "markers": ("string[2]", ("in", "out")),
    "camera.position": ("vector", (1.0, 2.0, 3.0)),
    "cropped": ("box2i", (0, 0, 9, 9)),
}
OF_THE_FILE: dict[str, Any] = {
    "Software": "some renderer",
    "ImageHistory": "oiiotool a.exr",
    "multiView": ("string[2]", ("left", "right")),
    "cryptomatte/3a/name": "object",
    "cryptomatte/3a/manifest": "{}",
    "wrapmodes": "clamp,clamp",
    "oiio:SHA-1": "12ab",
    "colorInteropID": "lin_ap1_scene",
    "anyportal/recipe": "of another",
    "anyportal/lossy": "dwab",
    "chunkCount": 4,
}
OF_THE_FRAME = {TIMECODE: ("timecode", (0x01020304, 0x0A0B0C0D))}


def result(folder: Path, plate: Path, number: int = 1001, **more: Any) -> Path:
    """What the frame of a plate comes out as."""
    clip = open_clip(MediaRef(plate))
    frame = next(clip.frames([number]))
    writer = open_writer(
        "exr",
        folder / "out",
        "shot",
        ("comp",),
        clip.info,
        Fraction(24),
        {"anyportal/recipe": "12ab", "anyportal/seed": "7"},
        clip.windows,
        headers=clip.header,
        **more,
    )
    return writer.write(number, {"comp": frame.pixels})[0].path


def header(path: Path) -> dict[str, tuple[str, Any]]:
    file: Any = oiio.ImageInput.open(str(path))
    found = {each.name: (str(each.type), each.value) for each in file.spec().extra_attribs}
    file.close()
    return found


def plate(folder: Path, **attributes: Any) -> Path:
    pixels = np.random.default_rng(0).random((8, 12, 3), np.float32)
    write_image(folder / "plate.1001.exr", pixels, "half", attributes=attributes)
    return folder / "plate.%04d.exr"


def test_what_is_of_the_shot_is_passed_on_with_its_type(tmp_path: Path) -> None:
    source = plate(tmp_path, **OF_THE_SHOT, **OF_THE_FRAME)
    before, after = header(tmp_path / "plate.1001.exr"), header(result(tmp_path, source))
    named = {"owner": "Copyright", "comments": "ImageDescription", "capDate": "DateTime", "expTime": "ExposureTime"}
    named |= {"keyCode": "smpte:KeyCode"}
    for name in (*OF_THE_SHOT, TIMECODE):
        name = named.get(name, name)
        assert after[name] == before[name], name
    assert after["DateTime"] == ("string", "2024:03:02 01:00:00")
    assert after[TIMECODE][1] == (0x01020304, 0x0A0B0C0D), "user bits, too"


@pytest.mark.parametrize("name", OF_THE_FILE)
def test_what_is_of_the_file_is_not(tmp_path: Path, name: str) -> None:
    source = plate(tmp_path, **{name: OF_THE_FILE[name]})
    value = OF_THE_FILE[name][1] if isinstance(OF_THE_FILE[name], tuple) else OF_THE_FILE[name]
    assert header(result(tmp_path, source)).get(name, ("", None))[1] != value


def test_how_the_file_is_stored_is_ours(tmp_path: Path) -> None:
    """A tiled, uncompressed ACES container becomes scanlines with ZIP, and no container that it cannot be."""
    spec = oiio.ImageSpec(64, 64, 3, "half")
    spec.tile_width = spec.tile_height = 32
    spec.attribute("compression", "none")
    spec.attribute("lineOrder", "decreasingY")
    spec.attribute("owner", "a studio")
    file: Any = oiio.ImageOutput.create("exr")
    assert file.open(str(tmp_path / "plate.1001.exr"), spec)
    file.write_image(np.zeros((64, 64, 3), np.float16))
    file.close()
    out = result(tmp_path, tmp_path / "plate.%04d.exr")
    made: Any = oiio.ImageInput.open(str(out))
    assert (made.spec().tile_width, made.spec().getattribute("compression")) == (0, "zip")
    made.close()
    assert header(out)["Copyright"][1] == "a studio"


def test_an_aces_container_is_read_and_its_results_claim_no_such_thing(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(16, 16, 3, "half")
    spec.attribute("openexr:ACESContainerPolicy", "relaxed")
    spec.attribute("compression", "none")
    file: Any = oiio.ImageOutput.create("exr")
    assert file.open(str(tmp_path / "plate.1001.exr"), spec)
    file.write_image(np.zeros((16, 16, 3), np.float16))
    file.close()
    assert header(tmp_path / "plate.1001.exr")["acesImageContainerFlag"][1] == 1
    assert "acesImageContainerFlag" not in header(result(tmp_path, tmp_path / "plate.%04d.exr"))


def test_ours_is_beside_it_and_nothing_is_of_the_run(tmp_path: Path) -> None:
    source = plate(tmp_path, **OF_THE_SHOT)
    first = result(tmp_path, source).read_bytes()
    (tmp_path / "again").mkdir()
    again = result(tmp_path / "again", source)
    assert again.read_bytes() == first
    assert header(again)["anyportal/recipe"][1] == "12ab"
    assert header(again)["anyportal/seed"][1] == "7"


def test_headers_without_bounds_are_bounded(tmp_path: Path) -> None:
    source = plate(tmp_path, aaa="x" * 700_000, bbb="y" * 700_000, ccc="z")
    found = header(result(tmp_path, source))
    assert {"aaa", "ccc"} <= set(found)
    assert "bbb" not in found


def test_texts_in_another_encoding_are_passed_on_as_they_are(tmp_path: Path) -> None:
    source = plate(tmp_path, **{"arri/operator": "Mueller"})
    path = tmp_path / "plate.1001.exr"
    path.write_bytes(path.read_bytes().replace(b"Mueller", b"M\xfcller "))
    assert b"M\xfcller " in result(tmp_path, source).read_bytes()


@pytest.mark.parametrize("suffix", ["dpx", "tif", "png", "jpg"])
def test_other_formats_say_which_frame_it_is(tmp_path: Path, suffix: str) -> None:
    """Timecode, keycode and reel, as far as the format has them."""
    pixels = np.random.default_rng(0).random((8, 12, 3), np.float32)
    attributes = {
        "smpte:TimeCode": ("timecode", (0x01020304, 0)),
        "smpte:KeyCode": ("keycode", (1, 2, 3, 4, 5, 64, 4)),
        "dpx:InputDevice": "A001C002",
        "Make": "somebody",
    }
    write_image(tmp_path / f"plate.1001.{suffix}", pixels, "uint8", attributes=attributes)
    found = header(result(tmp_path, tmp_path / f"plate.%04d.{suffix}"))
    assert "Make" not in found
    if suffix == "dpx":
        assert from_bits(found["smpte:TimeCode"][1][0]) == "01:02:03:04"
        assert found["smpte:KeyCode"] == header(tmp_path / "plate.1001.dpx")["smpte:KeyCode"]
        assert found["smpte:KeyCode"][1][:5] == (1, 2, 3, 4, 5)
        assert found["reelName"][1] == "A001C002"
    else:
        assert not {"smpte:TimeCode", "smpte:KeyCode", "reelName"} & set(found)


def test_a_header_is_asked_of_the_picture_s_own_part(tmp_path: Path) -> None:
    specs = [oiio.ImageSpec(4, 4, 3, "half") for _ in range(2)]
    for spec, title in zip(specs, ("albedo", "rgba"), strict=True):
        spec.attribute("oiio:subimagename", title)
        spec.attribute("owner", f"of {title}")
    file: Any = oiio.ImageOutput.create("exr")
    assert file.open(str(tmp_path / "a.exr"), tuple(specs))
    file.write_image(np.zeros((4, 4, 3), np.float32))
    assert file.open(str(tmp_path / "a.exr"), specs[1], "AppendSubimage")
    file.write_image(np.ones((4, 4, 3), np.float32))
    file.close()
    found = stills.shot_header(tmp_path / "a.exr")
    assert found.getattribute("Copyright") == "of rgba"
    assert found.getattribute("name") is None

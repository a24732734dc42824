"""A show's colours in Nuke: the script's own configuration travels, and results lie over their plates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from tests.hosts.nuke import configs, house
from tests.hosts.nuke.flows import BACKDROP, click, replace, said
from tests.hosts.nuke.module import FakeNuke
from tests.hosts.nuke.nodes import Node

pytest_plugins = ["tests.hosts.nuke.flows"]
AS_IT_IS = {"Settings (name=value)": "relight_strength=0"}


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return configs.write_show(tmp_path_factory.mktemp("show"))


def with_matte(nuke: FakeNuke, media: Path, answers: dict[str, str], plate: Node) -> Node:
    matte = house.make_read(nuke, media / "exr" / "plate.%04d.exr", raw=True)
    matte["last"].setValue(plate["last"].value())
    nuke.answers = [{"Plate": plate.title}]
    read = replace(nuke, [matte, plate], {"Matte": f"the alpha of {matte.title}", **AS_IT_IS, **answers})
    assert read is not None and nuke.errors == [], nuke.errors
    assert said(read)["status"] == "done" and said(read)["sent"] == "as it is"
    return read


def inside(read: Node, plate: Node, frame: int) -> float:
    """How far the result is from its plate where the foreground is, as the script shows both."""
    core = read.image(frame).planes["matte.alpha"] == 1
    assert core.sum() > 50
    return float(np.abs(read.image(frame).rgb() - plate.image(frame).rgb())[core].max())


def test_a_show_s_log_goes_as_it_is_and_lies_over_its_plate(nuke: FakeNuke, media: Path, show: Path) -> None:
    configs.use(nuke, show)
    plate = house.make_read(nuke, media / "png" / "plate.%04d.png")
    plate["last"].setValue(1002)
    read = with_matte(nuke, media, {}, plate)
    wish = json.loads((Path(read["file"].value()).parent / "anyportal.json").read_text())["wish"]
    assert (wish["colour_space"], wish["out_colour_space"]) == ("show_log", "scene_linear")
    assert wish["colour_config"] == str(show)
    assert (read["raw"].value(), read["colorspace"].value()) == (False, "lin")
    assert read.image(1002).rgb().max() > 0.3 and inside(read, plate, 1002) < 1e-3
    assert f"show_log in {show} (OCIO)" in read["anyportal_colour"].value()


def test_what_is_rendered_in_a_show_s_light_comes_back_in_it(nuke: FakeNuke, media: Path, show: Path) -> None:
    configs.use(nuke, show)
    exr = house.make_read(nuke, media / "exr" / "plate.%04d.exr", colorspace="aces")
    graded = nuke.make("Grade", [exr], multiply=1.5)
    nuke.root_node["last_frame"].setValue(1001)
    answers = {"Matte": "the plate's alpha", "The plate's colours are": "straight", **AS_IT_IS}
    read = replace(nuke, [graded], answers)
    assert read is not None and nuke.errors == [], nuke.errors
    assert read["raw"].value() is True and inside(read, graded, 1001) == pytest.approx(0, abs=2e-3)


def test_nuke_s_own_log_comes_back_in_the_camera_s_gamut(
    nuke: FakeNuke, media: Path, show: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Nuke leaves it: by its own curves no gamut is ever converted. $OCIO explains nothing here."""
    monkeypatch.setenv("OCIO", str(show))
    plate = house.make_read(nuke, media / "png" / "plate.%04d.png", colorspace="AlexaV3LogC")
    plate["last"].setValue(1001)
    read = with_matte(nuke, media, {}, plate)
    assert read["colorspace"].value() == "linear"
    codes = oiio.ImageBuf(str(media / "png" / "plate.1001.png")).get_pixels(oiio.FLOAT)
    # EI 800: ARRI's "ALEXA Log C Curve, usage in VFX"
    light = np.where(codes > 0.1496582, (10 ** ((codes - 0.385537) / 0.247190) - 0.052272) / 5.555556,
                     (codes - 0.092809) / 5.367655)  # fmt: skip
    image = read.image(1001)
    core = image.planes["matte.alpha"] == 1
    assert np.allclose(image.rgb()[core], light[core], rtol=2e-3, atol=2e-4)


def test_frames_that_are_not_there_are_filled_as_the_read_fills_them(
    nuke: FakeNuke, media: Path, tmp_path: Path
) -> None:
    plate = house.make_read(nuke, house.write_sequence(tmp_path / "hole"), on_error="nearest frame")
    (tmp_path / "hole" / "plate.1003.png").unlink()
    (tmp_path / "hole" / "plate.1001.png").unlink()
    plate["last"].setValue(1004)
    matte = media / "exr" / "plate.%04d.exr"
    alpha = {"Matte": "a file", "Matte's channel or file": str(matte), **AS_IT_IS}
    read = replace(nuke, [plate], alpha)
    assert read is not None and nuke.errors == [], nuke.errors
    assert all(not read.image(frame).checkerboard for frame in range(1001, 1005))
    assert any("1003" in text for text in nuke.warnings)
    nuke.answers.append({"Missing frames": "error"})
    house.settle(nuke, lambda: click(read, "rerun"))
    assert "is not there" in nuke.messages[-1] and said(read)["version"] == "v001"


def test_overscan_goes_as_it_is_and_comes_back_in_its_window(nuke: FakeNuke, tmp_path: Path) -> None:
    plate = house.make_read(nuke, house.write_sequence(tmp_path / "over", kind="exr", window=(8, 4, 80, 56)))
    plate["last"].setValue(1001)
    read = replace(nuke, [plate], {"Matte": "the plate's alpha", "The plate's colours are": "straight", **AS_IT_IS})
    assert read is not None and nuke.errors == [] and said(read)["sent"] == "as it is"
    image, shown = read.image(1001), plate.image(1001)
    assert (image.box, image.format) == (shown.box, shown.format) == ((-8, -4, 88, 60), shown.format)
    assert not [node for node in nuke.all if node.kind in ("Transform", "Reformat")]
    core = image.planes["matte.alpha"] == 1
    assert np.array_equal(image.planes["rgba.red"][core], shown.planes["rgba.red"][core])


def test_some_frames_again_are_those_of_the_whole_shot(nuke: FakeNuke, exr: Node) -> None:
    straight = {"Matte": "the plate's alpha", "The plate's colours are": "straight"}
    read = replace(nuke, [exr], {**straight, BACKDROP: "#405060"})
    assert read is not None
    pattern = read["file"].value()
    nuke.answers.append({"Frames": "1003"})
    house.settle(nuke, lambda: click(read, "rerun"))
    assert nuke.errors == [] and said(read)["version"] == "v002"
    record = json.loads((Path(read["file"].value()).parent / "anyportal.json").read_text())
    assert (record["wish"]["within"], record["wish"]["range"]) == ("1001-1006", "1003")
    assert record["kept"] == "1001-1002,1004-1006"
    whole, part = Path(pattern % 1003), Path(read["file"].value() % 1003)
    assert whole.read_bytes() == part.read_bytes() and not whole.samefile(part)

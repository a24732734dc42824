"""Colour spaces and mattes, as the Nuke client reads them from the script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anyportal_core.media.encoding import SRGB, named
from anyportal_core.media.ocio import DEFAULT_CONFIG, open_config
from anyportal_core.media.primaries import matrix_to_aces
from tests.hosts.nuke import configs, house
from tests.hosts.nuke.module import ACES_SPACES, FakeNuke
from tests.hosts.nuke.nodes import Node

ALL = list(range(1001, 1007))


def refused() -> Any:
    return pytest.raises(house.load("anyportal_nuke").Refused)


# Colour


def test_every_space_of_the_table_is_one_that_the_core_knows(nuke: FakeNuke) -> None:
    for space, words in house.load("anyportal_nuke.spaces").SPACES:
        encoding = named(space.name, SRGB)
        assert (encoding.transfer == "linear") == space.linear, space
        if space.primaries:
            assert encoding.primaries == space.primaries
        if space.light:  # its curve alone lies between
            light = named(space.light, SRGB)
            assert light.transfer == "linear"
            assert np.allclose(matrix_to_aces(light.primaries), matrix_to_aces(encoding.primaries), atol=1e-6)
        assert words == "".join(c for c in words.lower() if c.isalnum() or c == " ")


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("sRGB", "sRGB"),
        ("default (sRGB)", "sRGB"),
        ("ACES - ACEScg\tACES/ACES - ACEScg", "ACEScg"),
        ("scene_linear (ACES - ACEScg)", "ACEScg"),
        ("Utility/Linear/Linear Rec.709 (sRGB)", "Linear Rec.709"),
        ("Linear Rec.709 (sRGB),lin_rec709", "Linear Rec.709"),
        ("nothing,lin_ap1", "ACEScg"),
        ("linear", "Linear Rec.709"),
        ("AlexaV3LogC", "ARRI LogC3 (EI800)"),
        ("ARRI LogC3 (EI800)", "ARRI LogC3 (EI800)"),  # no role
        ("compositing_log (ACEScct)", "ACEScct"),
        ("Input - Sony - S-Log3 - S-Gamut3.Cine\tInput/Sony/S-Log3", "S-Log3 S-Gamut3.Cine"),
        ("SLog3", None),  # of which gamut?
        ("Output - Rec.709", None),  # a display, not the camera's curve
    ],
)
def test_entries_are_split_before_they_are_compared(nuke: FakeNuke, entry: str, name: str | None) -> None:
    """hosts.md: "`nuke.getColorspaceList(knob)` entries are tab- or comma-joined aliases: split before comparing"."""
    found = house.load("anyportal_nuke.colour").known(entry)
    assert (found.name if found else None) == name


def test_an_alias_that_says_nothing_is_found_by_its_entry(nuke: FakeNuke, read: Node) -> None:
    nuke.colour_spaces = ["odd,ACES - ACEScg"]
    assert house.load("anyportal_nuke.colour").known("odd", read["colorspace"]).name == "ACEScg"


def test_default_is_the_project_s_choice_for_such_files(nuke: FakeNuke, read: Node, tmp_path: Path) -> None:
    """hosts.md: Root knobs `workingSpaceLUT`, `floatLut`."""
    colour = house.load("anyportal_nuke.colour")
    assert colour.of_read(read) == "sRGB"
    nuke.root_node["int8Lut"].setValue("rec709")
    assert colour.of_read(read) == "rec709"
    exr = house.make_read(nuke, house.write_sequence(tmp_path / "exr", kind="exr"))
    assert colour.of_read(exr) == "linear"
    exr["raw"].setValue(True)
    nuke.root_node["workingSpaceLUT"].setValue("ACES - ACEScg")
    assert colour.of_read(exr) == "ACES - ACEScg"  # raw values are taken for the working space's


def test_the_config_is_the_environment_s_then_the_custom_then_the_stock_one(
    nuke: FakeNuke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """hosts.md: "Config order: `$OCIO`, custom, stock path"."""
    identity = house.load("anyportal_nuke.configuration").identity
    assert identity()["config"] == "nuke-default"
    for name, value in (
        ("colorManagement", "OCIO"), ("OCIO_config", "aces_1.2"), ("customOCIOConfigPath", "/show/config.ocio"),
    ):  # fmt: skip
        nuke.root_node[name].setValue(value)
    assert identity()["config"] == "aces_1.2"
    nuke.root_node["OCIO_config"].setValue("custom")
    assert identity()["config"] == "/show/config.ocio"
    monkeypatch.setenv("OCIO", "/site/config.ocio")
    assert identity()["config"] == "/site/config.ocio"


FOUNDRY = (
    "fn-nuke_studio-config-v1.0.0_aces-v1.3_ocio-v2.1", "fn-nuke_cg-config-v2.2.0_aces-v1.3_ocio-v2.4",
    "fn-nuke_studio-config-v3.0.0_aces-v2.0_ocio-v2.4", "aces_1.2", "nuke-default",
)  # fmt: skip
"""What Nuke 15 to 17 list in `OCIO_config`; the first two are OpenColorIO's own under another name."""


def test_the_configuration_that_is_sent_is_the_script_s(
    nuke: FakeNuke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    to_send = house.load("anyportal_nuke.configuration").to_send
    assert to_send("") == ("", False)
    nuke.root_node["colorManagement"].setValue("OCIO")
    sent = []
    for name in FOUNDRY:
        nuke.root_node["OCIO_config"].setValue(name)
        sent.append(to_send(""))
    assert sent == [(name[len("fn-nuke_") :], True) for name in FOUNDRY[:2]] + [("", False)] * 3
    assert all(open_config(name).names() for name, explains in sent if explains)
    nuke.root_node["OCIO_config"].setValue("custom")
    monkeypatch.setenv("SHOW", "hero")
    nuke.root_node["customOCIOConfigPath"].setValue("[getenv SHOW]/config.ocio")
    nuke.root_node["project_directory"].setValue(str(tmp_path))
    assert to_send("") == (f"{tmp_path}/hero/config.ocio", True)
    assert (to_send("none"), to_send("/a/b.ocio")) == (("", False), ("/a/b.ocio", True))
    monkeypatch.setenv("OCIO", "/site/config.ocio")
    assert to_send("") == ("/site/config.ocio", True)


def test_names_are_never_explained_by_an_environment_that_is_not_the_script_s(
    nuke: FakeNuke, read: Node, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command would take $OCIO, which Nuke's own curves have nothing to do with."""
    assert asked(read).wish()["colour_config"] == ""
    monkeypatch.setenv("OCIO", "/site/config.ocio")
    assert asked(read).wish()["colour_config"] == DEFAULT_CONFIG
    nuke.root_node["colorManagement"].setValue("OCIO")
    assert asked(read).wish()["colour_config"] == "/site/config.ocio"
    assert asked(read, colour_config="none").wish()["colour_config"] == DEFAULT_CONFIG


def looks(plan: Any) -> tuple[Any, ...]:
    """The plate's space, the results', and how the Read takes these."""
    wish = plan.wish()
    return wish["colour_space"], wish["out_colour_space"], plan.look.raw, plan.look.entry


def test_spaces_of_a_custom_configuration_need_no_rendering(
    nuke: FakeNuke, read: Node, asked: Any, tmp_path: Path
) -> None:
    configs.use(nuke, configs.write_show(tmp_path))
    assert looks(asked(read)) == ("show_log", "scene_linear", False, "lin")
    for value in ("compositing_log (show_log)", "show_log", "cameras/show_log"):
        read["colorspace"].setValue(value)
        assert looks(asked(read)) == ("show_log", "scene_linear", False, "lin")
    assert asked(read).wish()["colour_config"] == f"{tmp_path}/config.ocio"
    graded = asked(nuke.make("Grade", [read]))
    assert graded.rendered and looks(graded) == ("lin", "lin", True, "")
    # Data, and raw, are taken for the working space's values, as Nuke takes them.
    read["colorspace"].setValue("plates/raw")
    assert looks(asked(read)) == ("lin", "lin", True, "")
    read["colorspace"].setValue("show_log")
    read["raw"].setValue(True)
    assert looks(asked(read)) == ("lin", "lin", True, "")


def test_without_the_role_s_name_results_come_in_the_working_space(nuke: FakeNuke, read: Node, asked: Any) -> None:
    use_stock(nuke, ["cam\tInput/cam", "work\tWork/work\t\twork alias,w"])
    nuke.root_node["workingSpaceLUT"].setValue("w")
    read["colorspace"].setValue("cam")
    assert looks(asked(read)) == ("cam", "work", True, "")


def test_light_of_a_configuration_comes_back_in_its_own_name(nuke: FakeNuke, read: Node, asked: Any) -> None:
    use_stock(nuke, ["scene_linear (ACEScg)", "ACES2065-1\tACES/ACES2065-1\t\tlin_ap0", "ACEScg"])
    read["colorspace"].setValue("lin_ap0")
    assert looks(asked(read)) == ("ACES2065-1", "ACES2065-1", False, "ACES2065-1")  # bit for bit


def use_stock(nuke: FakeNuke, spaces: list[str]) -> None:
    """One of Nuke's own that is OpenColorIO's; entries as Nuke 17 lists them: name, path, nothing, aliases."""
    nuke.root_node["colorManagement"].setValue("OCIO")
    nuke.root_node["OCIO_config"].setValue(FOUNDRY[0])
    nuke.colour_spaces = spaces


def test_a_camera_s_log_of_nuke_s_own_comes_back_in_the_camera_s_gamut(nuke: FakeNuke, read: Node, asked: Any) -> None:
    read["colorspace"].setValue("AlexaV3LogC")
    own = ("ARRI LogC3 (EI800)", "Linear ARRI Wide Gamut 3", False, "linear")
    assert looks(asked(read)) == own
    nuke.root_node["colorManagement"].setValue("OCIO")  # Nuke's own curves as a configuration
    assert looks(asked(read)) == own
    nuke.root_node["OCIO_config"].setValue("aces_1.2")
    nuke.colour_spaces = [*ACES_SPACES, "Input - ARRI - V3 LogC (EI800) - Wide Gamut"]
    read["colorspace"].setValue("Input - ARRI - V3 LogC (EI800) - Wide Gamut")
    assert looks(asked(read)) == ("ARRI LogC3 (EI800)", "ACEScg", False, "ACES - ACEScg")


def test_a_space_that_a_person_states(nuke: FakeNuke, read: Node, asked: Any, tmp_path: Path) -> None:
    nuke.colour_spaces.append("SLog3")
    read["colorspace"].setValue("SLog3")
    assert "SLog3" in asked(read).reason
    stated = asked(read, colour_space="S-Gamut3.Cine/S-Log3")
    assert looks(stated) == ("S-Log3 S-Gamut3.Cine", "Linear S-Gamut3.Cine", False, "linear")
    # What only the command may know comes back in the working space.
    assert looks(asked(read, colour_space="Apple Log")) == ("Apple Log", "Linear Rec.709", True, "")
    config = str(configs.write_show(tmp_path))
    show = asked(read, colour_space="show_log", colour_config=config)
    assert looks(show) == ("show_log", "scene_linear", True, "") and show.wish()["colour_config"] == config


def test_a_read_goes_in_its_own_space_and_its_result_in_the_light_of_that(
    nuke: FakeNuke, read: Node, asked: Any
) -> None:
    plan = asked(read)
    assert (plan.wish()["colour_space"], plan.look.raw, plan.look.entry) == ("sRGB", False, "linear")
    nuke.colour_spaces = list(ACES_SPACES)
    read["colorspace"].setValue("Utility - sRGB - Texture")
    assert asked(read).look.entry == "Utility - Linear - sRGB"
    read["colorspace"].setValue("ACES - ACEScg")
    plan = asked(read)
    assert (plan.wish()["colour_space"], plan.look.entry) == ("ACEScg", "ACES - ACEScg")


def test_a_space_that_the_command_does_not_know_is_rendered_or_refused(nuke: FakeNuke, read: Node, asked: Any) -> None:
    nuke.colour_spaces = list(ACES_SPACES)
    nuke.root_node["workingSpaceLUT"].setValue("ACES - ACEScg")
    read["colorspace"].setValue("Input - ARRI - LogC")
    plan = asked(read)
    assert plan.rendered and "Input - ARRI - LogC" in plan.reason
    assert (plan.wish()["colour_space"], plan.look.raw) == ("ACEScg", True)
    nuke.root_node["workingSpaceLUT"].setValue("Input - ARRI - LogC")
    with refused() as told:
        asked(read)
    assert "working space 'Input - ARRI - LogC'" in str(told.value) and "ACES2065-1" in str(told.value)
    assert asked(read, colour_space="ACES2065-1").look.space.primaries == "ap0"  # a person may say what it is


def test_without_a_name_for_the_result_s_light_the_plate_is_rendered(nuke: FakeNuke, read: Node, asked: Any) -> None:
    nuke.colour_spaces = ["Utility - sRGB - Texture", "ACES - ACEScg"]
    nuke.root_node["workingSpaceLUT"].setValue("ACES - ACEScg")
    read["colorspace"].setValue("Utility - sRGB - Texture")
    assert asked(read).rendered


def test_colours_that_nuke_divides_before_it_converts_are_rendered(nuke: FakeNuke, read: Node, asked: Any) -> None:
    read["premultiplied"].setValue(True)
    assert "divides" in asked(read).reason
    read["raw"].setValue(True)
    assert not asked(read).rendered


def test_default_of_the_plate_is_not_default_of_its_result(nuke: FakeNuke, read: Node, asked: Any) -> None:
    nuke.colour_spaces = list(ACES_SPACES)
    nuke.root_node["int8Lut"].setValue("ACES - ACEScg")
    assert asked(read).look.entry == "ACES - ACEScg"  # an EXR's default would be another


def test_frames_that_are_kept_and_new_ones_are_in_one_space(
    nuke: FakeNuke, read: Node, asked: Any, tmp_path: Path
) -> None:
    module, again = house.load("anyportal_nuke.result"), house.load("anyportal_nuke.again")
    plan = asked(read)
    made = module.create(plan, "v001", f"{tmp_path}/v001/r.%04d.exr", plan.wanted)
    (tmp_path / "v001").mkdir()
    house.load("anyportal_hostkit").record.write(str(tmp_path / "v001"), {"schema": 1, "wish": plan.wish()})
    again.fit(asked(read, frames="1003"), made.read)
    configs.use(nuke, configs.write_show(tmp_path / "show"))
    with refused() as told:
        again.fit(asked(read, frames="1003"), made.read)
    assert "v001 are in sRGB" in str(told.value) and "scene_linear of" in str(told.value)
    again.fit(asked(read), made.read)


# Mattes


def test_mattes(nuke: FakeNuke, read: Node, asked: Any, tmp_path: Path) -> None:
    exr = house.make_read(nuke, house.write_sequence(tmp_path / "exr", kind="exr"))
    assert asked(exr).wish()["matte"] == ""
    plan = asked(exr, matte="alpha", colours="photographed")
    assert (plan.wish()["matte"], plan.rendered, plan.wish()["settings"]) == ("alpha", False, {})
    assert asked(exr, matte="alpha", colours="straight").wish()["settings"] == {"clean_edges": False}
    plan = asked(exr, matte="alpha", colours="premultiplied")
    assert plan.rendered and plan.wish()["settings"] == {"clean_edges": False}
    assert asked(exr, matte="/m/matte.mov").wish()["matte"] == "/m/matte.mov"
    other = asked(read, exr, matte=f"node:{exr.title}")
    assert (other.matte.node, other.matte.channel, other.renders()) == (exr, "rgba.alpha", (ALL, True))
    assert asked(exr, matte="channel:rgba.red").matte.channel == "rgba.red"
    assert asked(exr, colours="straight").wish()["settings"] == {"clean_edges": False}  # a statement is never dropped


def test_a_mask_belongs_to_the_frame_that_is_stated_else_in_its_name(read: Node, asked: Any) -> None:
    read["frame_mode"].setValue("start at")
    read["frame"].setValue("1")
    assert asked(read, mask="/m/mask.1003.png").wish()["mask_frame"] == 1003
    assert asked(read, mask="/m/mask.0003.png").wish()["mask_frame"] is None  # the first, as nobody says another
    assert asked(read, mask="/m/mask.png", mask_frame="4").wish()["mask_frame"] == 1004
    assert "mask" not in asked(read).wish()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"matte": "alpha"}, ["how do its colours stand", "premultiplied", "straight"]),
        ({"matte": "alpha", "colours": "guess"}, ["guess"]),
        ({"matte": "alpha", "colours": "straight"}, ["no channel rgba.alpha", "rgba.red"]),
        ({"matte": "channel:mask.a"}, ["no channel mask.a"]),
        ({"matte": "channel:"}, ["none was named"]),
        ({"matte": "node:Read9"}, ["no node Read9"]),
        ({"matte": "/m/matte.mov", "colours": "premultiplied"}, ["/m/matte.mov", "a Read of the matte's files"]),
        ({"colours": "premultiplied"}, ["yet to be found", "the plate's alpha"]),
        ({"mask": "/m/mask.png", "colours": "premultiplied"}, ["yet to be found"]),
    ],
)
def test_a_matte_that_is_none(read: Node, asked: Any, what: dict[str, Any], words: list[str]) -> None:
    with refused() as told:
        asked(read, **what)
    assert all(word in str(told.value) for word in words)


def test_a_layer_that_is_a_mere_number_is_refused(nuke: FakeNuke, read: Node) -> None:
    """hosts.md: "purely numeric layer names fail"."""
    matte = house.load("anyportal_nuke.matte")
    read.channels = lambda: ["1.red"]  # type: ignore[method-assign]
    with refused() as told:
        matte.read_matte("channel:1.red", read, None, "")
    assert "mere number" in str(told.value)

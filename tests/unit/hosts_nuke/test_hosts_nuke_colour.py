"""Colour spaces and mattes, as the Nuke client reads them from the script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anyportal_core.media.encoding import SRGB, named
from tests.hosts.nuke import house
from tests.hosts.nuke.module import ACES_SPACES, FakeNuke
from tests.hosts.nuke.nodes import Node

ALL = list(range(1001, 1007))


def refused() -> Any:
    return pytest.raises(house.load("anyportal_nuke").Refused)


# Colour


def test_every_space_of_the_table_is_one_that_the_core_knows(nuke: FakeNuke) -> None:
    for space, _ in house.load("anyportal_nuke.colour")._SPACES:
        encoding = named(space.name, SRGB)
        assert (encoding.primaries, encoding.transfer == "linear") == (space.primaries, space.linear)


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
        ("AlexaV3LogC", None),
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
    identity = house.load("anyportal_nuke.colour").identity
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

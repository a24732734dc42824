"""In which colour space Resolve says that media are. In quotation marks: rows of ../shared/hosts.md."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from anyportal_core.media import ocio
from anyportal_core.media.encoding import SRGB, named
from tests.hosts.resolve import house
from tests.hosts.resolve.app import Resolve
from tests.hosts.resolve.pool import MediaPoolItem

house.importable()
colours = importlib.import_module("anyportal_resolve.colours")
kit = importlib.import_module("anyportal_hostkit.colours")
MANAGED = {"colorScienceMode": "davinciYRGBColorManagedv2"}
LOG = "ARRI LogC3 (EI800)"


def test_every_name_is_one_that_the_core_knows() -> None:
    for name, words in colours._SPACES:
        assert named(name, SRGB).transfer not in ("srgb", "bt709")  # whose files' tags say more
        assert words == "".join(c for c in words.lower() if c.isalnum() or c == " ")
    assert kit.OWN_CONFIG == ocio.DEFAULT_CONFIG


@pytest.mark.parametrize(
    ("settings", "properties", "space"),
    [
        ({}, {"Input Color Space": "ARRI LogC3"}, ""),  # without colour management nothing is converted
        (MANAGED, {"Input Color Space": "ARRI LogC3"}, LOG),
        (MANAGED, {"Input Color Space": "S-Gamut3.Cine/S-Log3"}, "S-Log3 S-Gamut3.Cine"),
        (MANAGED, {"Input Color Space": "Rec.709 Gamma 2.4"}, ""),
        (MANAGED, {"Input Color Space": "A vendor's new log"}, ""),
        (MANAGED | {"colorSpaceInput": "Rec.2100 ST2084"}, {"Input Color Space": "Project"}, "PQ Rec.2020"),
        (
            MANAGED | {"colorSpaceInput": "Sony S-Gamut3.Cine", "colorSpaceInputGamma": "S-Log3"},
            {},
            "S-Log3 S-Gamut3.Cine",
        ),
        (MANAGED | {"colorSpaceInput": "DaVinci WG", "colorSpaceInputGamma": "DaVinci Intermediate"}, {},
         "DaVinci Intermediate WideGamut"),
        ({"colorScienceMode": "acescct"}, {"IDT": "ACEScct", "Input Color Space": "ARRI LogC3"}, "ACEScct"),
        ({"colorScienceMode": "acescct"}, {"IDT": "No Input Transform"}, ""),
    ],
)  # fmt: skip
def test_the_space_is_what_the_project_reads_media_in(
    resolve: Resolve, plate: str, settings: dict[str, str], properties: dict[str, str], space: str
) -> None:
    """ "colour": 'IDT' or 'Input Color Space' by GetClipProperty."""
    resolve.project.settings = settings
    assert colours.stated(resolve.project, MediaPoolItem(plate, **properties)) == space
    assert colours.stated(resolve.project, None) == ""


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({}, {"colour_space": LOG}),
        ({"format": "exr"}, {"colour_space": LOG, "out_colour_space": LOG}),
        ({"format": "exr", "out_colour_space": "ACEScg"}, {"colour_space": LOG}),
        ({"colour_space": "show_log"}, {}),
    ],
)
def test_what_is_said_of_it(wish: dict[str, Any], said: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)
    assert colours.wish_of(LOG, wish) == said
    assert colours.wish_of("", wish) == {}
    monkeypatch.setenv("OCIO", "/site/config.ocio")  # which explains no names of Resolve's
    assert colours.wish_of(LOG, wish) == (said | {"colour_config": ocio.DEFAULT_CONFIG} if said else {})


@pytest.mark.parametrize(
    ("wish", "path", "alike"),
    [
        ({"plate": "a.mov"}, "r.mp4", True),
        ({"plate": "a.mov"}, "r.%04d.exr", False),
        ({"plate": "a.%04d.EXR"}, "r.%04d.exr", True),
        ({"plate": "a.mov", "colour_space": LOG, "out_colour_space": LOG}, "r.%04d.exr", True),
        ({"plate": "a.mov", "colour_space": LOG, "out_colour_space": "ACEScg"}, "r.mov", False),
    ],
)
def test_a_result_that_is_encoded_otherwise_is_not_read_as_its_plate(
    wish: dict[str, str], path: str, alike: bool
) -> None:
    assert colours.is_as_its_plate(wish, path) == alike

"""Colour spaces of Blender: which go by name alone, and which with the configuration that explains them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.blender.cut import Cut

NAMES = [f"plate.{number}.png" for number in range(1001, 1013)]


def asked(cut: Cut, name: str, **settings: Any) -> dict[str, Any]:
    """What is asked of pictures in a space."""
    from anyportal_blender import shot

    strip = cut.pictures(NAMES)
    strip.colorspace_settings.name = name
    wish = shot.shot_of(cut.scene, strip, {"format": "png", **settings}).wish
    return {key: wish[key] for key in ("colour_space", "colour_config", "out_colour_space") if key in wish}


def test_a_log_of_blender_s_goes_with_blender_s_configuration_and_comes_back_in_it(cut: Cut) -> None:
    strip = cut.pictures(NAMES)
    strip.colorspace_settings.name = "AgX Log"
    plate = cut.look(24)
    matte = str(cut.media / "matte.%04d.png")
    result = cut.replace(matte_file=matte)
    assert result.colorspace_settings.name == "AgX Log"
    np.testing.assert_allclose(cut.look(24)[50:70, 75:85], plate[50:70, 75:85], atol=0.01)
    result = cut.replace(matte_file=matte, format="exr")  # light: as Blender reads it
    assert result.colorspace_settings.name == "Linear Rec.709"
    np.testing.assert_allclose(cut.look(24)[50:70, 75:85], plate[50:70, 75:85], atol=0.01)


def test_what_anyportal_knows_goes_by_name_alone(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)
    assert asked(cut, "sRGB") == {}
    assert asked(cut, "Display P3") == {"colour_space": "Display P3"}
    light = {"colour_space": "Display P3", "out_colour_space": "Linear Rec.709"}
    assert asked(cut, "Display P3", format="exr") == light
    log = asked(cut, "Filmic Log")
    assert log["colour_space"] == "Filmic Log" and Path(log["colour_config"]).is_file()


def test_a_site_s_configuration_explains_all_names(cut: Cut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIO", "/site/config.ocio")
    assert asked(cut, "Display P3") == {"colour_space": "Display P3", "colour_config": "/site/config.ocio"}
    assert asked(cut, "AgX Base sRGB", format="exr") == {
        "colour_space": "AgX Base sRGB",
        "colour_config": "/site/config.ocio",
        "out_colour_space": "scene_linear",
    }

"""`blender -b file.blend -P background.py -- --strip NAME`: without a window, from the file on the disk."""

from __future__ import annotations

import runpy
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.blender.conftest import CLIENT

if TYPE_CHECKING:
    from tests.blender.cut import Cut

SCRIPT = CLIENT / "anyportal_blender/background.py"


def run(*words: str) -> int:
    """What Blender does with -P: the file runs as the main module, in a Blender that has the .blend file open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["blender", "-b", "cut.blend", "-P", str(SCRIPT), "--", *words])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def closed(cut: Cut, bpy: Any) -> Cut:
    """A saved file in a Blender where the add-on is not enabled."""
    import addon_utils

    cut.movie()
    cut.save()
    addon_utils.disable("anyportal_blender", default_set=True)
    return cut


def test_a_strip_by_name_and_the_file_is_saved(closed: Cut, bpy: Any, capfd: Any) -> None:
    asked = ["--strip", "shot", "--backdrop", "#2040c0", "--matte", str(closed.media / "matte.mp4"), "--handles", "1"]
    assert run(*asked, "--set", "relight_strength=0.5", "--save") == 0
    said = capfd.readouterr().out
    assert "AnyPortal: shot: finish" in said
    assert "AnyPortal: shot AnyPortal v001 is there" in said
    bpy.ops.wm.open_mainfile(filepath=str(closed.folder / "cut.blend"))
    assert [strip.name for strip in closed.strips] == ["shot", "shot AnyPortal v001"]
    assert run("--strip", "shot", "--rerun", "--save", str(closed.folder / "other.blend")) == 0
    assert [strip.name for strip in closed.strips] == ["shot", "shot AnyPortal v002"]
    bpy.ops.wm.open_mainfile(filepath=str(closed.folder / "cut.blend"))
    assert [strip.name for strip in closed.strips] == ["shot", "shot AnyPortal v001"]


def test_exit_codes_are_those_of_the_command(closed: Cut, capfd: Any) -> None:
    assert run("--strip", "shot", "--backdrop", "nowhere.jpg") == 3
    assert "What to do:" in capfd.readouterr().err
    assert run("--strip", "shot", "--backdrop", "#2040c0", "--daemon", "127.0.0.1:9") == 5
    assert run("--strip", "other", "--backdrop", "#2040c0") == 2
    assert "there are shot" in capfd.readouterr().err
    assert run("--strip", "shot") == 2
    assert run() == 2

"""A first-time user's mistakes and a studio's mishaps: told with what to do, and nothing is left behind."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.blender.cut import Cut


@pytest.fixture
def failing(cut: Cut, bpy: Any) -> Any:
    """Replace the background of the active strip, which fails: gives what is said, and looks that nothing changed."""

    def fail(**settings: Any) -> str:
        before = sorted(strip.name for strip in cut.strips)
        with pytest.raises(RuntimeError) as caught:
            cut.replace(**settings)
        assert sorted(strip.name for strip in cut.strips) == before
        assert not list((cut.folder / "anyportal").rglob("v0*"))  # no version is used up
        return str(caught.value)

    return fail


def test_media_that_are_offline(cut: Cut, failing: Any) -> None:
    strip = cut.movie()
    gone = shutil.copy(strip.filepath, cut.folder / "gone.mp4")
    strip.filepath = str(gone)
    gone.unlink()
    said = failing()
    assert "The media are offline" in said
    assert str(gone) in said
    assert "What to do: put them back" in said


def test_a_missing_picture_is_named(cut: Cut, failing: Any) -> None:
    cut.pictures([f"plate.{number}.png" for number in range(1001, 1015)])
    assert "plate.1013.png" in failing()


def test_a_daemon_that_does_not_run(cut: Cut, bpy: Any, failing: Any) -> None:
    cut.movie()
    bpy.context.preferences.addons["anyportal_blender"].preferences.daemon = "127.0.0.1:9"
    said = failing()
    assert "127.0.0.1:9" in said
    assert "What to do:" in said


def test_a_wrong_token(cut: Cut, failing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cut.movie()
    monkeypatch.setenv("ANYPORTAL_TOKEN", "another")
    assert "token" in failing()


def test_a_command_that_is_not_there(cut: Cut, bpy: Any, failing: Any) -> None:
    cut.movie()
    bpy.context.preferences.addons["anyportal_blender"].preferences.command = "/nowhere/anyportal"
    assert "/nowhere/anyportal" in failing()


def test_a_wish_that_says_too_little_or_too_much(cut: Cut, bpy: Any, failing: Any) -> None:
    cut.movie()
    assert "There is no backdrop" in failing(backdrop_kind="FILE", backdrop_file="")
    assert "There is no matte" in failing(matte_file="")
    assert "'strength' is no setting" in failing(more="strength")
    assert "A table has two values at '1001'" in failing(more="""'exposure={"1001": 0, "1001": 1}'""")
    assert "no such" in failing(backdrop_kind="FILE", backdrop_file="//nowhere.jpg")
    assert "relight_strength" in failing(more="relight_strenght=1")


def test_a_sound_strip_and_an_adjustment_layer_have_no_picture(cut: Cut, bpy: Any) -> None:
    parameters = cut.strips.bl_rna.functions["new_effect"].parameters.keys()
    more = {"length": 10} if "length" in parameters else {"frame_end": 30}
    layer = cut.select(cut.strips.new_effect("layer", "ADJUSTMENT", 1, 20, **more))
    cut.wish()
    with pytest.raises(RuntimeError, match="An adjustment layer has no picture of its own"):
        bpy.ops.anyportal.replace()
    cut.strips.remove(layer)
    cut.scene.sequence_editor.active_strip = None
    assert not bpy.ops.anyportal.replace.poll()


def test_a_version_whose_files_are_gone_cannot_be_shown(cut: Cut, bpy: Any) -> None:
    cut.movie()
    cut.replace()
    cut.select(cut.replace("#c04020"))
    next((cut.folder / "anyportal/Scene/shot/v001").glob("*.mp4")).unlink()
    with pytest.raises(RuntimeError, match=r"pictures of this version are gone[\s\S]*v001[\s\S]*choose another"):
        bpy.ops.anyportal.show_version(version="v001")
    assert cut.scene.sequence_editor.active_strip.name == "shot AnyPortal v002"


def test_the_presets_of_the_daemon_are_listed(cut: Cut, bpy: Any, capfd: Any) -> None:
    bpy.ops.anyportal.presets()
    said = capfd.readouterr().out
    assert "draft: Quick and honest" in said
    assert "anyportal: " in said


def test_the_doctor_says_what_works_and_what_does_not(cut: Cut, bpy: Any, capfd: Any, daemon: dict[str, Any]) -> None:
    bpy.ops.anyportal.doctor()
    said = capfd.readouterr().out
    assert f"ok  blender: {bpy.app.version_string}" in said
    assert daemon["address"] in said
    preferences = bpy.context.preferences.addons["anyportal_blender"].preferences
    preferences.daemon = "127.0.0.1:9"
    bpy.ops.anyportal.doctor()
    assert "BROKEN  running" in capfd.readouterr().out
    preferences.command = "/nowhere/anyportal"
    bpy.ops.anyportal.doctor()
    assert "BROKEN" in capfd.readouterr().out

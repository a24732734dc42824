"""The daemon on a GPU box: whole ways over TLS, with nothing changed but its name; and the list to choose it from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.blender.panel import drawn, press
from tests.blender.studio import REFUSALS, Studio

if TYPE_CHECKING:
    from tests.blender.cut import Cut


@pytest.fixture(scope="module")
def studio(command: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    found = Studio(command, tmp_path_factory.mktemp("studio"))
    try:
        found.login()
        yield found
    finally:
        found.close()


@pytest.fixture(autouse=True)
def desk(studio: Studio, daemon: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of this machine's daemon: none runs here, and nobody names one yet."""
    for name, value in studio.env.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def named(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_DAEMON", studio.address)


@pytest.fixture
def offers(addon: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The add-on's list, as if Blender had just begun."""
    from anyportal_blender import offers

    offers.stop()
    monkeypatch.setattr(offers, "_search", offers.hostkit.daemons.Search())
    monkeypatch.setattr(offers, "_asked", False)
    yield offers
    offers.stop()


def preferences(bpy: Any) -> Any:
    return bpy.context.preferences.addons["anyportal_blender"].preferences


def listed(bpy: Any) -> dict[str, str]:
    """What the choice shows, by what is chosen."""
    from anyportal_blender.preferences import _choices

    return {item[0]: item[1] for item in _choices(preferences(bpy), bpy.context)}


def wait(offers: Any) -> None:
    """Call the timer until it ends."""
    end = time.monotonic() + 60
    while offers.tick() is not None:
        assert time.monotonic() < end
        time.sleep(0.05)


def record(cut: Cut, strip: str, version: str) -> Any:
    from anyportal_hostkit import record

    return record.read(str(cut.folder / "anyportal/Scene" / strip / version))


def test_a_strip_is_replaced_rerun_and_its_job_shown(
    cut: Cut, bpy: Any, named: None, studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    cut.movie()
    cut.select(cut.replace())
    assert record(cut, "shot", "v001")["job"] in studio.jobs()
    bpy.ops.anyportal.rerun()
    kept = record(cut, "shot", "v002")
    assert kept["daemon"] == studio.address and kept["job"] in studio.jobs() and not studio.worked_here
    capfd.readouterr()
    bpy.ops.anyportal.job()
    assert "matte: reused" in capfd.readouterr().out
    bpy.ops.anyportal.doctor()
    said = capfd.readouterr().out
    assert f"running: {studio.address}" in said and "BROKEN" not in said


def test_what_is_rendered_goes_there_too(cut: Cut, named: None, studio: Studio) -> None:
    cut.meta()
    cut.replace(matte_kind="FILE", matte_file=str(cut.media / "matte.mp4"))
    assert record(cut, "meta", "v001")["job"] in studio.jobs() and not studio.worked_here


def test_a_cancel_ends_the_job_there(cut: Cut, bpy: Any, named: None, studio: Studio, ticks: Any) -> None:
    from anyportal_blender import running

    cut.movie()
    cut.wish(matte_kind="NONE", more="matte.plugin=draft.person")
    before = studio.jobs()
    press(cut)
    ticks(until=lambda: bool(running.now()[0].job))
    bpy.ops.anyportal.cancel()
    ticks()
    [state] = [state for job, state in studio.jobs().items() if job not in before]
    assert state == "cancelled" and [strip.name for strip in cut.strips] == ["shot"] and not studio.worked_here


def test_the_configuration_names_it_as_well(cut: Cut, studio: Studio) -> None:
    studio.config.write_text(f'daemon = "{studio.address}"\n')
    try:
        cut.movie()
        cut.replace("#102030")
    finally:
        studio.config.unlink()
    assert record(cut, "shot", "v001")["job"] in studio.jobs() and not studio.worked_here


def test_the_list_offers_it_and_the_preferences_keep_the_choice(
    cut: Cut, bpy: Any, studio: Studio, offers: Any
) -> None:
    begun = time.monotonic()
    shown = drawn(bpy)  # the first time that it is drawn they are looked for
    assert time.monotonic() - begun < 5 and "Looking for other daemons" in shown
    assert {"choice", "anyportal.find"} <= set(shown)
    assert list(listed(bpy)) == ["configured", "local", "any"] and preferences(bpy).choice == "configured"
    wait(offers)
    assert "Looking for other daemons" not in drawn(bpy)
    assert listed(bpy)[studio.address] == f"{studio.address}, cpu, 0 waiting, 0 running, 0.1.0"
    bpy.context.preferences.is_dirty = False
    preferences(bpy).choice = studio.address
    assert (preferences(bpy).daemon, preferences(bpy).choice) == (studio.address, studio.address)
    assert bpy.context.preferences.is_dirty
    cut.movie()
    cut.replace("#203040")
    kept = record(cut, "shot", "v001")
    assert kept["wish"]["daemon"] == studio.address and kept["job"] in studio.jobs() and not studio.worked_here
    preferences(bpy).choice = "any"
    cut.replace("#203041")
    kept = record(cut, "shot", "v002")
    assert (kept["wish"]["daemon"], kept["daemon"]) == ("any", studio.address) and not studio.worked_here
    preferences(bpy).choice = "configured"
    assert preferences(bpy).daemon == ""


def test_where_nobody_can_be_looked_for_the_panel_says_why(
    cut: Cut, bpy: Any, offers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    preferences(bpy).command = "/nowhere/anyportal"
    preferences(bpy).daemon = "old-box"
    shown = drawn(bpy)
    assert any("Other daemons cannot be listed" in text and "/nowhere/anyportal" in text for text in shown)
    assert preferences(bpy).choice == "old-box" and list(listed(bpy)) == ["configured", "local", "any", "old-box"]
    preferences(bpy).command = ""
    bpy.ops.anyportal.find()
    wait(offers)
    assert not any("cannot be listed" in text for text in drawn(bpy))
    assert listed(bpy)["old-box"] == "old-box, not found now"


@pytest.mark.parametrize("how", REFUSALS)
def test_who_is_refused_is_told_what_where_and_what_to_do(cut: Cut, named: None, studio: Studio, how: str) -> None:
    cut.movie()
    with studio.refusing(how), pytest.raises(RuntimeError) as told:
        cut.replace()
    for words in (*REFUSALS[how], f"Where: {studio.address}", "What to do: "):
        assert words in str(told.value)
    assert len(cut.strips) == 1 and not list(Path(cut.folder / "anyportal").rglob("v0*")) and not studio.worked_here

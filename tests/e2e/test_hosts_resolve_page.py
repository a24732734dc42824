"""The window of the Resolve client: the host's script, the real window, a real daemon; by HTTP and in a browser."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyportal_core.testing.clips import moving_scene, write_images, write_movie
from tests.hosts.resolve import browser, house
from tests.hosts.resolve.app import Resolve
from tests.hosts.resolve.opened import GO, Open, ended
from tests.hosts.resolve.pool import MediaPoolItem

house.importable()
baking = importlib.import_module("anyportal_resolve.baking")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("page")
    patch = pytest.MonkeyPatch()
    scene = moving_scene(count=24)
    write_movie(folder / "plate.mp4", scene.plate)
    write_images(folder / "mask.png", scene.matte[:1, ..., None].repeat(3, -1))
    with house.daemon(folder) as env:
        for name in [name for name in os.environ if name.startswith("ANYPORTAL_")]:
            patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        patch.setattr(baking, "_TICK", 0.0)
        yield folder
    patch.undo()


def test_a_person_looks_goes_compares_runs_again_and_leaves(folder: Path, tmp_path: Path) -> None:
    resolve = Resolve()
    plate, compound = MediaPoolItem(str(folder / "plate.mp4")), MediaPoolItem(kind="Compound")
    compound.parts = [(plate, 0)]
    item, baked = resolve.clip(plate, 4, 8), resolve.clip(compound, 0, 8, at=8)
    resolve.clip(None, 0, 8, at=16)
    window = Open(resolve, tmp_path)
    window.open()
    state = window.look(lambda state: bool(state.get("clips")))
    assert [clip["id"] for clip in state["clips"]] == [item._id]
    assert state["host"] == {
        "name": "DaVinci Resolve Studio", "version": "20.1.0.49", "project": "Beach Film", "timeline": "Cut 3",
    }  # fmt: skip
    look = {"action": "look", "scope": "timeline", "mark": "", "handles": 2, "placement": "take"}
    assert window.call("POST", "/wish", look) == {}
    state = window.look(lambda state: len(state["clips"]) == 3 and bool(state.get("presets")))
    first, second, title = state["clips"]
    assert first["facts"].endswith("8 frames · frames 4-11 · 2+2 handles")
    assert second["notes"] == ["Resolve renders it first, since it is a compound clip"]
    assert "title" in title["refused"]
    assert "draft" in [preset["name"] for preset in state["presets"]]
    assert window.call("GET", f"/still/{item._id}/before")[:2] == b"\xff\xd8"

    mask = {"matte": str(folder / "mask.png")}
    go = {**GO, **mask, "clips": [item._id, baked._id]}
    assert window.call("POST", "/wish", go) == {}
    state = window.look(ended)
    assert [clip.get("said") for clip in state["clips"]] == ["v001: take 2", "v001: take 2", None]
    assert item.selected == baked.selected == 2
    for each in (item, baked):
        before, after = (window.call("GET", f"/still/{each._id}/{side}") for side in ("before", "after"))
        assert before[:2] == after[:2] == b"\xff\xd8" and before != after

    window.call("POST", "/wish", look)
    state = window.look(lambda state: "has v001: another run adds a take" in state["clips"][0]["notes"])
    assert state["clips"][0]["after"] and state["clips"][1]["after"]
    window.call("POST", "/wish", {**go, "clips": [item._id], "seed": 3})
    state = window.look(lambda state: state["clips"][0].get("said") == "v002: take 3")
    assert len(item.takes) == 3
    window.close()


def test_a_cancel_at_the_page_is_heard(folder: Path, tmp_path: Path) -> None:
    resolve = Resolve()
    items = [resolve.clip(MediaPoolItem(str(folder / "plate.mp4")), 4, 8, at=8 * place) for place in range(5)]
    window = Open(resolve, tmp_path)
    window.open()
    look = {"action": "look", "scope": "timeline", "mark": "", "handles": 2, "placement": "take"}
    window.call("POST", "/wish", look)
    window.look(lambda state: len(state.get("clips", [])) == 5)
    ids = [item._id for item in items]
    window.call("POST", "/wish", {**GO, "matte": str(folder / "mask.png"), "clips": ids, "seed": 9})
    window.look(lambda state: bool(state.get("working")))
    window.call("POST", "/wish", {"action": "cancel"})
    state = window.look(ended)
    assert "cancelled" in [clip["state"] for clip in state["clips"]]
    assert items[-1].takes == []
    window.close()


def test_without_a_daemon_that_lets_one_in_the_page_says_what_to_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANYPORTAL_TOKEN", "wrong")
    resolve = Resolve(studio=False)
    resolve.clip(MediaPoolItem(str(folder / "plate.mp4")), 4, 8)
    window = Open(resolve, tmp_path)
    window.open()
    state = window.look(lambda state: len(state.get("notices", [])) == 2)
    assert state["notices"][0]["bad"] and "ANYPORTAL_TOKEN" in state["notices"][0]["hint"]
    assert "is not Studio" in state["notices"][1]["message"]
    window.close()


@pytest.mark.browser
def test_in_a_browser_by_keyboard_alone(folder: Path, tmp_path: Path) -> None:
    program = browser.find()
    if program is None:
        pytest.skip("no browser here")
    resolve = Resolve()
    plate = MediaPoolItem(str(folder / "plate.mp4"))
    item = resolve.clip(plate, 4, 8, name="<b>&clip")
    item.colour = "Orange"
    resolve.clip(plate, 0, 4, at=8)
    window = Open(resolve, tmp_path / "results")
    with browser.browser(program, tmp_path / "profile") as page:
        page.size(1280, 800)
        page.ask("Page.navigate", url=window.url)
        page.wait("document.querySelector('.clip .name')?.textContent === '<b>&clip'")
        assert page.run("location.href") == f"http://{window.address}/"  # the token stands nowhere any more
        page.run("document.querySelector('input[name=scope]').focus()")
        page.key("ArrowRight", 39)
        page.wait("document.querySelector('#mark') && !document.querySelector('#mark-label').hidden")
        page.wait("document.querySelector('#preset').options.length > 0")
        page.wait(
            "document.querySelectorAll('.clip').length === 1 && document.querySelector('img.before').naturalWidth"
        )
        page.run("document.querySelector('#backdrop-file').focus()")
        page.type("/no/such/beach.jpg")
        page.key("Enter", 13, "\r")
        page.wait("document.querySelector('#wrong-backdrop').textContent.startsWith('there is no file')")
        assert page.run("document.activeElement.id") == "backdrop-file"
        page.run("document.activeElement.select()")
        page.type(str(folder / "mask.png"))
        page.run("document.querySelector('#matte-kind').focus()")
        page.run(
            "Object.assign(document.querySelector('#matte-kind'), {value: 'mask'}).dispatchEvent(new Event('change'))"
        )
        page.run("document.querySelector('#matte').focus()")
        page.type(str(folder / "mask.png"))
        page.key("Enter", 13, "\r", modifiers=2)
        page.wait("document.querySelector('.clip.done .stage')?.textContent === 'v001: take 2'", 90)
        page.wait("document.querySelector('img.after').naturalWidth > 0")
        page.run("document.querySelector('.compare input').focus()")
        page.key("ArrowRight", 39)
        assert page.run("document.querySelector('.compare').style.getPropertyValue('--at')") == "51%"
        unnamed = (
            "[...document.querySelectorAll('input, select, textarea, button, progress')].filter(each => !each.hidden"
        )
        unnamed += " && !each.labels?.length && !each.ariaLabel && !each.textContent.trim()).length"
        assert page.run(unnamed) == 0
        page.size(420, 800)
        assert page.run("document.documentElement.scrollWidth") <= 420
        refused = [text for text in page.complaints() if "400" not in text]  # the mistake above
        assert refused == []
        page.ask("Page.reload")
        page.wait("document.querySelector('.clip.done')")  # the key is kept for this tab
        page.ask("Page.navigate", url="about:blank")
        window.until(lambda: not window.thread.is_alive())
    assert item.selected == 2
    assert (window.told[-1]["event"], window.told[-1]["reason"]) == ("window_closed", "page closed")

"""Resolve on a workstation, the daemon on a GPU box: whole flows over TLS; nothing is changed but the daemon's name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import remote
from tests.hosts.remote import REFUSALS, Studio
from tests.hosts.resolve import browser, house
from tests.hosts.resolve.app import Resolve
from tests.hosts.resolve.opened import GO, Open, ended
from tests.hosts.resolve.pool import MediaPoolItem

house.importable()
client = importlib.import_module("anyportal_resolve")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    patch = pytest.MonkeyPatch()
    with remote.studio(tmp_path_factory.mktemp("studio")) as found:
        for name in [name for name in os.environ if name.startswith("ANYPORTAL_")]:
            patch.delenv(name)
        for name, value in {**found.env, "HOME": str(found.desk.folder)}.items():
            patch.setenv(name, value)
        yield found
    patch.undo()


@pytest.fixture
def named(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_DAEMON", studio.box.address)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("footage")
    return {"plate": house.movie(folder, "plate.mp4", range(100, 148)), "mask": house.white(folder)}


@pytest.fixture
def resolve(footage: dict[str, str]) -> Resolve:
    """The playhead is on the only clip."""
    resolve = Resolve()
    resolve.clip(MediaPoolItem(footage["plate"]), 10, 8)
    return resolve


@pytest.fixture
def run(resolve: Resolve, footage: dict[str, str], tmp_path: Path) -> Any:
    """Process the clip under the playhead; gives the shot."""

    def call(**wish: Any) -> Any:
        given = {"backdrop": "#405060", "mask": footage["mask"], "settings": house.EXACT, "handles": 3}
        tell, cancelled = wish.pop("tell", None), wish.pop("cancelled", None)
        folder = str(tmp_path / "results")
        [shot] = client.process(resolve, {**given, **wish}, folder=folder, tell=tell, cancelled=cancelled)
        return shot

    return call


@pytest.mark.parametrize("placement", ["take", "track"])
def test_the_clip_under_the_playhead_gets_its_result_and_another(
    resolve: Resolve, named: None, run: Any, studio: Studio, placement: str
) -> None:
    [item] = resolve.timeline.tracks[0].items
    before = resolve.timeline.numbers(item)
    colour = "#405061" if placement == "take" else "#405062"
    where = {"take": ("take 2", "take 3"), "track": ("track V2", "take 2 on track V2")}[placement]
    for version, words in zip(("v001", "v002"), where, strict=True):
        shot = run(placement=placement, backdrop=colour, seed=int(version[-1]))
        assert (shot.state, shot.said.split(";")[0]) == ("done", f"{version}: {words}"), shot.message
        record = client.hostkit.record.read(str(Path(shot.path).parent))
        assert record["job"] == studio.jobs()[0] and record["daemon"] == studio.box.address
        assert resolve.timeline.numbers(item) == before
    assert [track.name for track in resolve.timeline.tracks] == ["Video 1", "AnyPortal"][: 1 + (placement == "track")]
    assert not studio.worked_here


def test_what_resolve_renders_goes_there_too(resolve: Resolve, named: None, run: Any, studio: Studio) -> None:
    compound = MediaPoolItem(kind="Compound")
    compound.parts = [(resolve.timeline.tracks[0].items[0].GetMediaPoolItem(), 0)]
    resolve.timeline.playhead = resolve.clip(compound, 0, 8, at=8).start
    shot = run(backdrop="#405063")
    assert (shot.state, shot.said.split(";")[0]) == ("done", "v001: take 2"), shot.message
    assert not studio.worked_here


def test_a_cancel_ends_the_job_there(resolve: Resolve, named: None, run: Any, studio: Studio) -> None:
    stages: list[str] = []
    with studio.busy():
        shot = run(
            backdrop="#405064",
            tell=lambda _, values: stages.append(values.get("stage", "")),
            cancelled=lambda: "in the queue" in stages,
        )
    assert shot.state == "cancelled"
    states = [line["state"] for line in studio.desk.run("jobs", "--daemon", studio.box.address, "--limit", "2")]
    assert states == ["cancelled", "cancelled"]  # it, and what kept the box busy
    assert resolve.timeline.tracks[0].items[0].takes == [] and not studio.worked_here


def test_the_configuration_and_any_name_it_as_well(run: Any, studio: Studio) -> None:
    studio.config.write_text(f'daemon = "{studio.box.address}"\n')
    try:
        assert run(backdrop="#405065").state == "done"
    finally:
        studio.config.unlink()
    configured = studio.jobs()[0]
    shot = run(backdrop="#405066", daemon="any")
    assert shot.state == "done" and studio.jobs()[1] == configured and not studio.worked_here


@pytest.mark.parametrize("how", REFUSALS)
def test_who_is_refused_is_told_what_where_and_what_to_do(
    resolve: Resolve, named: None, run: Any, studio: Studio, tmp_path: Path, how: str
) -> None:
    with studio.refusing(how):
        shot = run(backdrop="#405067")
    what, todo = REFUSALS[how]
    assert shot.state == "failed" and what.lower() in shot.message.lower()
    assert studio.box.address in shot.message and todo in shot.hint
    assert resolve.timeline.tracks[0].items[0].takes == [] and not studio.worked_here
    assert not list((tmp_path / "results").rglob("v0*"))


# The page


@pytest.fixture
def window(resolve: Resolve, studio: Studio, tmp_path: Path) -> Iterator[Open]:
    window = Open(resolve, tmp_path / "results")
    yield window
    window.close()
    (studio.desk.folder / "AnyPortal" / "resolve.json").unlink(missing_ok=True)


def find(window: Open, studio: Studio) -> dict[str, Any]:
    """The state of the page once the box is offered."""

    def offered(state: dict[str, Any]) -> bool:
        return studio.box.address in [each["daemon"] for each in state.get("daemons", [])]

    window.open()
    return window.look(lambda state: bool(state.get("clips")) and offered(state))


def test_the_page_offers_the_box_and_the_choice_is_kept(
    resolve: Resolve, window: Open, studio: Studio, footage: dict[str, str], tmp_path: Path
) -> None:
    state = find(window, studio)
    [item] = resolve.timeline.tracks[0].items
    texts = {each["daemon"]: each["text"] for each in state["daemons"]}
    assert list(texts)[:3] == ["", "local", "any"] and state["daemon"] == ""
    assert texts[studio.box.address] == f"{studio.box.address}, cpu, 0 waiting, 0 running, 0.1.0"
    window.call("POST", "/wish", {"action": "daemon", "daemon": studio.box.address})
    window.look(lambda state: state["daemon"] == studio.box.address and bool(state.get("presets")))
    go = {**GO, "backdrop": "#405068", "matte": footage["mask"], "clips": [item._id], "daemon": studio.box.address}
    assert window.call("POST", "/wish", go) == {}
    [clip] = window.look(ended)["clips"]
    assert clip["said"].split(";")[0] == "v001: take 2"
    record = client.hostkit.record.read(str(next((tmp_path / "results").rglob("v001"))))
    assert record["job"] == studio.jobs()[0]
    again = Open(resolve, tmp_path / "results")
    again.open()
    state = again.look(lambda state: bool(state.get("clips")))
    assert state["daemon"] == studio.box.address in [each["daemon"] for each in state["daemons"]]
    again.close()


def test_the_page_says_why_the_box_refuses(window: Open, studio: Studio) -> None:
    find(window, studio)
    with studio.refusing("revoked"):
        window.call("POST", "/wish", {"action": "daemon", "daemon": studio.box.address})
        [notice] = window.look(lambda state: bool(state["notices"]))["notices"]
    what, todo = REFUSALS["revoked"]
    assert what.lower() in notice["message"].lower() and studio.box.address in notice["message"]
    assert todo in notice["hint"] and notice["bad"]
    window.call("POST", "/wish", {"action": "daemon", "daemon": studio.box.address})
    assert window.look(lambda state: not state["notices"])["clips"]  # it is asked again, and lets us in


def test_where_nobody_can_be_looked_for_the_page_says_why_and_works(
    resolve: Resolve, studio: Studio, footage: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "anyportal"
    real = os.environ["ANYPORTAL_COMMAND"]
    program.write_text(f'#!/bin/sh\ntest "$1" = discover && sleep 600\nexec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("ANYPORTAL_COMMAND", str(program))
    monkeypatch.setattr(client.hostkit.daemons, "_PATIENCE", 1.0)
    monkeypatch.setenv("ANYPORTAL_DAEMON", studio.box.address)
    window = Open(resolve, tmp_path / "results")
    window.open()
    state = window.look(lambda state: bool(state.get("daemons_note")) and bool(state.get("clips")))
    assert "did not answer within" in state["daemons_note"] and not state["finding"]
    assert state["daemons"][0]["text"] == f"as configured: {studio.box.address}"
    [clip] = state["clips"]
    go = {**GO, "backdrop": "#405069", "matte": footage["mask"], "clips": [clip["id"]], "daemon": ""}
    window.call("POST", "/wish", go)
    [clip] = window.look(ended)["clips"]
    assert clip["said"].split(";")[0] == "v001: take 2"
    window.close()


@pytest.mark.browser
def test_a_person_takes_the_box_in_a_browser(
    resolve: Resolve, window: Open, studio: Studio, footage: dict[str, str], tmp_path: Path
) -> None:
    program = browser.find()
    if program is None:
        pytest.skip("no browser here")
    with browser.browser(program, tmp_path / "profile") as page:
        page.ask("Page.navigate", url=window.url)
        page.wait(
            f"[...document.querySelectorAll('#daemon option')].some(each => each.value === '{studio.box.address}')"
        )
        page.wait("document.querySelector('#preset').options.length > 0 && !document.querySelector('#find').disabled")
        page.run(
            "Object.assign(document.querySelector('#daemon'),"
            f" {{value: '{studio.box.address}'}}).dispatchEvent(new Event('change'))"
        )
        page.wait("document.querySelector('#daemon-hint').textContent.startsWith('cpu, 0 waiting')")
        page.run("document.querySelector('#find').click()")
        page.wait("document.querySelector('#daemon-hint').textContent.includes('looking for others')")
        page.wait("!document.querySelector('#find').disabled")
        assert page.run("document.querySelector('#daemon').value") == studio.box.address
        page.run("document.querySelector('#backdrop-file').focus()")
        page.type(footage["mask"])
        page.run(
            "Object.assign(document.querySelector('#matte-kind'), {value: 'mask'}).dispatchEvent(new Event('change'))"
        )
        page.run("document.querySelector('#matte').focus()")
        page.type(footage["mask"])
        page.key("Enter", 13, "\r", modifiers=2)
        page.wait("document.querySelector('.clip.done')", 90)
        assert page.complaints() == []
    record = client.hostkit.record.read(str(next((tmp_path / "results").rglob("v001"))))
    assert record["job"] == studio.jobs()[0]

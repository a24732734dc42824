"""Two boxes and a desk, with real daemons over TLS: work goes to the one that will be done first."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import opentimelineio as otio
import pytest

sys.path.append(str(Path(__file__).parents[2] / "clients/hostkit"))
import anyportal_hostkit as hostkit

from tests.e2e.cli_house import GREY, write_movies
from tests.integration.network_house import Box, Desk

COUNT, LONG = 8, 400


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    write_movies(folder / "plate.mp4", folder / "matte.mp4", COUNT)
    write_movies(folder / "long.mp4", folder / "long_matte.mp4", LONG)
    return folder


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Box, Box]]:
    one, two = (Box(tmp_path_factory.mktemp(name), "127.0.0.1") for name in ("one", "two"))
    one.serve()
    two.serve()
    yield one, two
    one.close()
    two.close()


@pytest.fixture
def desk(tmp_path: Path, boxes: tuple[Box, Box]) -> Desk:
    desk = Desk(tmp_path / "desk")
    for box in boxes:
        desk.login(box)
    return desk


def test_the_queue_decides_where_nobody_knows_how_long_it_takes(
    desk: Desk, boxes: tuple[Box, Box], media: Path, tmp_path: Path
) -> None:
    busy, idle = boxes
    long = ["submit", media / "long.mp4", "--matte", media / "long_matte.mp4", *GREY, "--no-wait"]
    job = desk.run(*long, "--daemon", busy.address)[-1]["job"]
    shot = ["submit", media / "plate.mp4", "--matte", media / "matte.mp4", *GREY, "--range", f"0-{COUNT - 1}"]
    try:
        events = desk.run(*shot, "--out", tmp_path / "out", "--daemon", "any")
        chosen = next(each for each in events if each["event"] == "chosen")
        assert chosen["address"] == idle.address and chosen["asked"] == 2 and chosen["reason"]
        assert events[-1]["event"] == "done"
        # Whoever asks about a job is led to the daemon that has it.
        led = desk.run("cancel", job, "--daemon", "any")
        assert (led[-1]["state"], led[-1]["job"]) == ("cancelled", job)
        assert next(each for each in led if each["event"] == "chosen")["reason"] == "it has the job"
    finally:
        desk.run("cancel", job, "--daemon", busy.address, code=None)

    again = desk.run(*shot, "--set", "relight_strength=0.5", "--out", tmp_path / "again", "--daemon", "any")
    chosen = next(each for each in again if each["event"] == "chosen")
    assert chosen["end_seconds"] is not None and "done first" in chosen["reason"]  # one of them has done it before


def test_who_does_not_answer_or_accept_is_passed_over(
    desk: Desk, boxes: tuple[Box, Box], media: Path, tmp_path: Path
) -> None:
    hosts = desk.folder / "config" / "hosts.json"
    kept = json.loads(hosts.read_text())
    kept[boxes[0].address]["token"] = "apt_of_somebody_else"
    kept["127.0.0.1:4"] = dict(kept[boxes[1].address])
    hosts.write_text(json.dumps(kept))
    shot = ["submit", media / "plate.mp4", "--matte", media / "matte.mp4", *GREY, "--out", tmp_path / "out"]
    events = desk.run(*shot, "--daemon", "any")
    chosen = next(each for each in events if each["event"] == "chosen")
    assert (chosen["address"], chosen["asked"]) == (boxes[1].address, 3) and "no other" in chosen["reason"]
    passed = [each["text"] for each in events if each["event"] == "log" and each["text"].startswith("not ")]
    assert len(passed) == 2

    hosts.unlink()  # nobody is left: this machine does it
    events = desk.run(*shot, "--daemon", "any", "--overwrite")
    assert events[-1]["event"] == "done" and next(e for e in events if e["event"] == "daemon")["started"]


def test_a_host_script_needs_only_the_name(desk: Desk, boxes: tuple[Box, Box], media: Path, tmp_path: Path) -> None:
    """By the environment and by the configuration, as Nuke and Resolve call it."""
    shot = ["submit", media / "plate.mp4", "--matte", media / "matte.mp4", *GREY, "--out", tmp_path / "out"]
    desk.env["ANYPORTAL_DAEMON"] = boxes[0].address
    events = desk.run(*shot)
    assert events[0]["event"] == "daemon" and events[0]["address"] == boxes[0].address and not events[0]["started"]
    del desk.env["ANYPORTAL_DAEMON"]
    (desk.folder / "config" / "client.toml").write_text(f'daemon = "{boxes[1].address}"')
    assert desk.run("presets")[0]["event"] == "preset"
    assert desk.run("jobs") != []


def test_a_host_script_lists_the_daemons(desk: Desk, boxes: tuple[Box, Box], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in desk.env.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "anyportal_client.cli"]
    monkeypatch.setenv("ANYPORTAL_DAEMON", boxes[0].address)
    events = hostkit.ask(["discover", "--seconds", "0.1"], command)
    named = [(line["daemon"], line["origin"]) for line in events if line["event"] == "named"]
    assert named == [(boxes[0].address, "ANYPORTAL_DAEMON")]
    found = {line["address"]: line for line in events if line["event"] == "discovered"}
    assert all(found[box.address]["queued_jobs"] is not None and found[box.address]["logged_in"] for box in boxes)


def test_a_host_and_a_cut_work_elsewhere_by_the_name_alone(
    desk: Desk, boxes: tuple[Box, Box], media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (desk.env | {"ANYPORTAL_DAEMON": boxes[1].address}).items():
        monkeypatch.setenv(name, value)
        desk.env[name] = value
    command = [sys.executable, "-m", "anyportal_client.cli"]
    wish = {"plate": media / "plate.mp4", "matte": media / "matte.mp4", "backdrop": "#204060"}
    done = hostkit.Work(str(tmp_path / "shot"), wish, command=command).follow()
    assert done["event"] == "done" and all(Path(path).is_file() for path in done["files"].values())

    frames = otio.opentime.TimeRange(otio.opentime.RationalTime(0, 24), otio.opentime.RationalTime(COUNT, 24))
    footage = otio.schema.ExternalReference(str(media / "plate.mp4"), available_range=frames)
    clip = otio.schema.Clip("sh10", footage, frames, {"anyportal": {"matte": str(media / "matte.mp4")}})
    timeline = otio.schema.Timeline("cut", tracks=[otio.schema.Track("V1", children=[clip])])
    otio.adapters.write_to_file(timeline, str(tmp_path / "cut.otio"))
    events = desk.run("batch", tmp_path / "cut.otio", "--out", tmp_path / "cut", "--backdrop", "#204060")
    assert next(e for e in events if e["event"] == "daemon")["address"] == boxes[1].address
    assert events[-1]["event"] == "batch_done" and set(events[-1]["states"].values()) == {"done"}


def test_a_token_that_was_good_once_says_so(desk: Desk, boxes: tuple[Box, Box]) -> None:
    for name, more, said in (("brief", ("--days", "0"), "expired"), ("gone", (), "revoked")):
        token = boxes[0].add(name, *more)
        if said == "revoked":
            desk.login(boxes[0], token)
            boxes[0].run("users", "revoke", name)
        else:
            hosts = desk.folder / "config" / "hosts.json"
            kept = json.loads(hosts.read_text())
            kept[boxes[0].address]["token"] = token
            hosts.write_text(json.dumps(kept))
        refused = desk.run("jobs", "--daemon", boxes[0].address, code=5)[-1]
        assert refused["code"] == "TOKEN" and said in refused["message"]
        assert f"anyportal login {boxes[0].address}" in refused["hint"] and token not in str(refused)
        assert refused["where"] == boxes[0].address


def test_a_token_is_in_no_output_and_no_process_title(desk: Desk, boxes: tuple[Box, Box]) -> None:
    process = desk.start("jobs", "--daemon", boxes[0].address, "--json", "--debug", stderr=subprocess.STDOUT)
    titles = Path(f"/proc/{process.pid}/cmdline")
    assert not titles.exists() or boxes[0].token.encode() not in titles.read_bytes()
    said, _ = process.communicate(timeout=60)
    logs = "".join((box.folder / "serve.log").read_text() for box in boxes)
    assert boxes[0].token not in said + logs

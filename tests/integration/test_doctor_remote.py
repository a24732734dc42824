"""`anyportal doctor --daemon HOST` against a real daemon over TLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyportal_client.cli import doctor_daemon
from anyportal_client.messages import DaemonInfo, WorkerInfo
from tests.integration.network_house import Box, Desk, Line

NAMES = ("certificate", "running", "gpu", "disk", "queue", "clock", "round_trip", "bandwidth", "scopes")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    box = Box(tmp_path_factory.mktemp("box"), "127.0.0.1")
    box.serve()
    yield box
    box.close()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


def by_name(lines: list[Line]) -> dict[str, Line]:
    return {line["name"]: line for line in lines}


def files(box: Box) -> set[str]:
    found = (path for kind in ("blobs", "uploads") for path in (box.state / kind).rglob("*"))
    return {str(path) for path in found if path.is_file()}


def test_everything_is_looked_at_and_nothing_stays(desk: Desk, box: Box) -> None:
    desk.login(box)
    before = files(box)
    found = by_name(desk.run("doctor", "--daemon", box.address))
    assert [name for name in NAMES if name not in found] == []
    broken = [line for line in found.values() if line["status"] == "broken"]
    assert not broken
    assert "127.0.0.1" in found["certificate"]["message"] and "days left" in found["certificate"]["message"]
    assert found["round_trip"]["message"].endswith(" ms") and "/s there" in found["bandwidth"]["message"]
    assert found["scopes"]["message"] == "ann may submit" and found["clock"]["status"] == "ok"
    assert all(line["hint"] for line in found.values() if line["status"] == "warning")
    assert files(box) == before


def test_what_a_token_may_not_is_said(desk: Desk, box: Box) -> None:
    desk.login(box, box.add("watcher", "--scope", "read-all"))
    found = by_name(desk.run("doctor", "--daemon", box.address, code=5))
    assert found["scopes"]["status"] == "broken" and "read-all" in found["scopes"]["message"]
    assert "--scope submit" in found["scopes"]["hint"]
    assert found["bandwidth"]["status"] == "warning" and found["bandwidth"]["message"].startswith("not measured")


def test_a_way_that_is_not_safe_is_not_gone(desk: Desk, box: Box) -> None:
    desk.login(box)
    hosts = desk.folder / "config" / "hosts.json"
    kept = json.loads(hosts.read_text())
    other = Box(desk.folder / "other", "127.0.0.1")
    kept[box.address]["authority"] = (other.state / "tls" / "ca.pem").read_text()
    hosts.write_text(json.dumps(kept))
    found = by_name(desk.run("doctor", "--daemon", box.address, code=5))
    assert found["certificate"]["status"] == "broken" and box.fingerprint in found["certificate"]["message"]
    assert "running" not in found
    found = by_name(desk.run("doctor", "--daemon", "192.0.2.1", code=5))
    assert found["running"]["status"] == "broken" and "anyportal login" in found["running"]["hint"]


@pytest.mark.parametrize(
    ("info", "status", "said"),
    [
        (
            DaemonInfo("1", "", (WorkerInfo("cuda:0", "ready", ""),), 0, 0, 1 << 40, {}, (), "ann", ("submit",)),
            ["ok", "ok"],
            "cuda:0",
        ),
        (
            DaemonInfo("1", "", (WorkerInfo("cpu", "ready", ""),), 0, 0, 5 << 30, {}, (), "ann", ("submit",)),
            ["warning", "warning"],
            "cpu",
        ),
        (
            DaemonInfo(
                "1", "", (WorkerInfo("cuda:0", "dead", "", "killed"),), 0, 0, 1 << 30, {}, (), "ann", ("submit",)
            ),
            ["broken", "broken"],
            "killed",
        ),
    ],
)
def test_what_the_daemon_says_is_judged(info: DaemonInfo, status: list[str], said: str) -> None:
    checks = [check for check, _ in doctor_daemon._state(info)]
    assert [check.status for check in checks] == [*status, "ok", "ok"] and said in checks[0].message
    assert all(check.hint for check in checks if check.status != "ok")

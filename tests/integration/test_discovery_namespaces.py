"""Two daemons and a client, each a machine of its own on a network that is cut: found, logged in to, used."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.network_cuts import COUNT, DESK, ONE, TWO, Shot, fetching, sending, studio, working, write_noise
from tests.integration.network_house import Box, Desk, Line
from tests.integration.network_lan import Lan, lan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CUT = 5.0
"""Seconds. `python -m benchmarks.network` cuts for 30."""

Studio = tuple[Lan, Box, Box, Desk]


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with ExitStack() as all_of_it:
        try:
            network = all_of_it.enter_context(lan(ONE, TWO, DESK))
        except OSError as error:
            pytest.skip(str(error))
        yield network, *all_of_it.enter_context(studio(network, tmp_path_factory.mktemp("studio")))


def test_both_are_found_and_can_be_logged_in_to(machines: Studio) -> None:
    _, one, two, desk = machines
    found = until_both(desk, one, two)
    assert [found[box.address]["name"].rpartition("-")[0] for box in (one, two)] == [ONE, TWO]
    assert not any(line["logged_in"] for line in found.values()) and all(line["tls"] for line in found.values())
    assert found[one.address]["queued_jobs"] is None
    assert desk.run("presets", "--daemon", one.address, code=5)[-1]["code"] == "NOT_SECURE"

    for box in (one, two):
        assert desk.login(box)[-1] == {
            "schema": 1, "event": "login", "address": box.address, "user": "ann",
            "fingerprint": box.fingerprint, "keyring": False,
        }  # fmt: skip
    found = until_both(desk, one, two)
    assert all(line["logged_in"] and line["queued_jobs"] == 0 for line in found.values())


def until_both(desk: Desk, one: Box, two: Box) -> dict[str, Line]:
    """What discover lists, by address, once it has heard both."""
    for _ in range(6):
        found = {line["address"]: line for line in desk.run("discover", "--seconds", "2")}
        if found.keys() >= {one.address, two.address}:
            return found
    raise AssertionError(f"not both were heard: {found}")


def test_a_shot_outlives_cuts_and_a_restart(machines: Studio, tmp_path: Path) -> None:
    network, one, two, desk = machines
    for box in (one, two):
        desk.login(box)
    footage = write_noise(tmp_path / "media")

    def cut() -> None:
        network.cut(ONE)
        time.sleep(CUT)
        network.mend(ONE)

    def restart() -> None:
        one.kill()
        one.serve()

    cut_one = Shot(desk, one, network, tmp_path / "media", tmp_path / "one")
    disturbed = cut_one.run([(sending, cut), (working, restart), (fetching, cut)])
    quiet = Shot(desk, two, network, tmp_path / "media", tmp_path / "two").run([])
    assert disturbed.files == quiet.files and len(quiet.files) == COUNT
    assert disturbed.sent < 1.3 * footage  # what had come through was not sent again
    assert disturbed.events[-1]["event"] == "done"

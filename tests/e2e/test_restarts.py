"""Commands that wait while their daemon is killed and started again on another port: they end as if it had not been."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import opentimelineio as otio
import psutil
import pytest

from anyportal_client import Client
from anyportal_client.errors import DaemonError
from anyportal_client.events import Event
from tests.e2e.cli_house import GREY, VALIDATOR, Shell, daemons_of, write_movies
from tests.unit.client_fakes import CuttingProxy

Line = dict[str, Any]

COUNT = 100
BIG = 3, 1080, 1920
"""Frames, height and width of a shot whose transfers take a moment."""


class House(Shell):
    """A state directory whose daemon dies and comes back, and the commands that talk to it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._ports: list[socket.socket] = []
        self._proxies: list[CuttingProxy] = []
        self._begin()

    def _begin(self) -> None:
        self._serve = self.start("serve", "--listen", "127.0.0.1:0", "--json", stdin=subprocess.DEVNULL)
        assert self._serve.stdout is not None
        self.address = json.loads(self._serve.stdout.readline())["address"]

    def kill(self) -> None:
        """With everything it has started, and take its port, so that it comes back on another."""
        everyone = [psutil.Process(self._serve.pid), *psutil.Process(self._serve.pid).children(recursive=True)]
        self._serve.kill()
        self._serve.communicate()
        psutil.wait_procs(everyone, 20)
        host, _, port = self.address.rpartition(":")
        self._ports.append(socket.create_server((host, int(port))))

    def kill_amid_bytes(self, seed: int) -> None:
        """After some of the next connection's bytes; what is under way is held up until it is dead."""
        proxy = CuttingProxy(int(self.address.rpartition(":")[2]), seed, cuts=1, most_bytes=8 << 20, at_cut=self.kill)
        self._proxies.append(proxy)
        found = json.loads((self.state / "daemon.json").read_text())
        (self.state / "daemon.json").write_text(json.dumps(found | {"address": proxy.address}))

    def come_back(self) -> None:
        before = self.address
        self._begin()
        assert self.address != before

    def close(self) -> None:
        self._serve.terminate()
        self._serve.communicate(timeout=30)
        for port in self._ports:
            port.close()
        for proxy in self._proxies:
            proxy.stop()


class Waiting:
    """A command that waits, and its lines so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[Line] = []

    def until(self, reached: Callable[[Line], bool]) -> Line:
        for line in self._read():
            if reached(line):
                return line
        raise AssertionError(f"it ended before: {self.lines[-1:]}")

    def end(self) -> Line:
        """Its last line."""
        for _ in self._read():
            pass
        self.process.communicate(timeout=30)
        return self.lines[-1]

    def _read(self) -> Iterator[Line]:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line = json.loads(text)
            VALIDATOR.validate(line)
            self.lines.append(line)
            yield line

    def names(self) -> list[str]:
        return [line["event"] for line in self.lines]


def event(name: str) -> Callable[[Line], bool]:
    return lambda line: line["event"] == name


def inside(stage: str) -> Callable[[Line], bool]:
    """In the middle of a stage."""
    return lambda line: line["event"] == "progress" and line["stage"] == stage and 0 < line["stage_fraction"] < 1


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    write_movies(folder / "long.mp4", folder / "matte.mp4", COUNT)
    count, height, width = BIG
    inside = np.zeros((height, width), np.uint8)
    inside[height // 8 :, width // 8 : -width // 8] = 255
    for name in ("big", "big_matte"):
        (folder / name).mkdir()
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 65535, (height, width, 3), dtype=np.uint16)
        cv2.imwrite(str(folder / "big" / f"big.{number}.png"), noise)
        cv2.imwrite(str(folder / "big_matte" / f"big_matte.{number}.png"), inside)
    return folder


def long(media: Path, *more: str | Path) -> list[str | Path]:
    return ["submit", media / "long.mp4", "--matte", media / "matte.mp4", *GREY, "--format", "png", *more, "--json"]


def big(media: Path, *more: str | Path) -> list[str | Path]:
    return ["submit", media / "big", "--matte", media / "big_matte", *GREY, "--layers", "comp,matte", *more, "--json"]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(media: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The files of both shots from a daemon that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    house = House(folder)
    for name, shot in (("long", long), ("big", big)):
        assert house.run(*shot(media, "--out", folder / name)).code == 0
    house.close()
    return {name: digests(folder / name) for name in ("long", "big")}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    found.close()


Undisturbed = dict[str, dict[str, str]]


def test_a_job_is_waited_for_over_two_deaths(
    house: House, media: Path, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    out = tmp_path / "out"
    waiting = Waiting(house.start(*long(media, "--out", out), stdin=subprocess.DEVNULL))
    waiting.until(inside("harmonise"))
    house.kill()
    away = waiting.until(event("away"))
    assert away["patience_seconds"] >= 60
    house.come_back()
    assert waiting.until(event("back"))["address"] == house.address
    waiting.until(event("file"))
    house.kill()
    house.come_back()
    last = waiting.end()
    assert (waiting.process.returncode, last["event"]) == (0, "done"), last
    assert digests(out) == undisturbed["long"]

    told = [line for line in waiting.lines if line.get("sequence")]
    again = [line for line in house.run("watch", last["job"], "--json").events if line.get("sequence")]
    assert [line["sequence"] for line in told] == sorted({line["sequence"] for line in told})
    # Those of files have no line, and how long the job will take is known otherwise by now.
    assert [(line["sequence"], line["event"]) for line in told] == [(line["sequence"], line["event"]) for line in again]
    files = [line["path"] for line in waiting.lines if line["event"] == "file"]
    assert len(files) == len(set(files)) == COUNT


def test_uploads_and_downloads_go_on(house: House, media: Path, tmp_path: Path, undisturbed: Undisturbed) -> None:
    house.kill_amid_bytes(seed=5)
    waiting = Waiting(house.start(*big(media, "--out", tmp_path / "sent"), stdin=subprocess.DEVNULL))
    waiting.until(event("away"))
    house.come_back()
    job = waiting.end()["job"]
    assert waiting.process.returncode == 0, waiting.lines[-1]
    assert waiting.names().index("submitted") > waiting.names().index("away")
    assert digests(tmp_path / "sent") == undisturbed["big"]

    out = tmp_path / "fetched"
    house.kill_amid_bytes(seed=6)
    waiting = Waiting(house.start("fetch", job, "--out", out, "--json", stdin=subprocess.DEVNULL))
    waiting.until(event("away"))
    assert (
        0
        < sum(path.stat().st_size for path in out.iterdir())
        < sum(path.stat().st_size for path in (tmp_path / "sent").iterdir())
    ), "some of it is here"
    house.come_back()
    assert waiting.end()["event"] == "done" and digests(out) == undisturbed["big"]


def test_whoever_does_not_want_to_wait_is_told_what_becomes_of_the_job(
    house: House, media: Path, tmp_path: Path
) -> None:
    waiting = Waiting(house.start(*long(media, "--out", tmp_path / "out")))
    job = waiting.until(event("progress"))["job"]
    house.kill()
    waiting.until(event("away"))
    assert waiting.process.stdin is not None
    waiting.process.stdin.write('{"cancel": true}\n')
    waiting.process.stdin.flush()
    began = time.monotonic()
    last = waiting.end()
    assert time.monotonic() - began < 10, "about three seconds"
    assert (waiting.process.returncode, last["event"], last["job"]) == (130, "cancelled", job)
    assert f"{job} is not cancelled" in last["message"] and f"anyportal cancel {job}" in last["message"]

    house.come_back()
    killed: list[Event] = []

    def kill_it(event: Event) -> None:
        if not killed:
            house.kill()
        killed.append(event)

    with (
        Client.connect(state_dir=house.state, start=False, patience=0.5) as client,
        pytest.raises(DaemonError) as caught,
    ):
        client.fetch(job, tmp_path / "out", kill_it)
    assert caught.value.code == "UNREACHABLE"
    assert f"{job} goes on by itself" in caught.value.hint
    assert f"anyportal fetch {job} --out DIR" in caught.value.hint

    house.come_back()
    assert house.run("fetch", job, "--out", tmp_path / "out", "--json").last["event"] == "done"


def test_a_batch_goes_on(house: House, media: Path, tmp_path: Path) -> None:
    time = otio.opentime.RationalTime
    clips = [
        otio.schema.Clip(
            f"sh{number}0",
            otio.schema.ExternalReference((media / "long.mp4").as_uri()),
            otio.opentime.TimeRange(time(30 * number, 24), time(30, 24)),
            metadata={"anyportal": {"backdrop": "#607080", "matte": str(media / "matte.mp4")}},
        )
        for number in range(3)
    ]
    timeline = otio.schema.Timeline("cut", tracks=[otio.schema.Track("Video 1", children=clips)])
    otio.adapters.write_to_file(timeline, str(tmp_path / "cut.otio"))
    command = ["batch", tmp_path / "cut.otio", "--out", tmp_path / "out", "--json"]
    waiting = Waiting(house.start(*command, stdin=subprocess.DEVNULL))
    waiting.until(lambda line: line["event"] == "progress" and line["shot"] == "sh10")
    house.kill()
    assert "shot" not in waiting.until(event("away"))
    house.come_back()
    last = waiting.end()
    assert (waiting.process.returncode, last["event"]) == (0, "batch_done"), last
    assert set(last["states"].values()) == {"done"} and len(last["states"]) == 3
    assert waiting.names().count("away") == waiting.names().count("back") == 1


def test_a_daemon_that_was_started_for_the_call_is_not_waited_for(media: Path, tmp_path: Path) -> None:
    alone = Shell(tmp_path)
    waiting = Waiting(alone.start(*long(media, "--out", tmp_path / "out"), stdin=subprocess.DEVNULL))
    waiting.until(event("progress"))
    (serve,) = [each for each in daemons_of(alone) if "serve" in each.cmdline()]
    serve.kill()
    began = time.monotonic()
    last = waiting.end()
    assert time.monotonic() - began < 15, "at once"
    assert (waiting.process.returncode, last["code"]) == (5, "UNREACHABLE")
    assert "submit it again" in last["hint"] and "away" not in waiting.names()

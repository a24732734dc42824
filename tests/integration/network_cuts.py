"""One shot over a network that is cut, and a daemon that dies under it: what the test and the benchmark both run."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.integration.network_house import Box, Desk, Line
from tests.integration.network_lan import Lan

COUNT, HEIGHT, WIDTH = 12, 360, 640
ONE, TWO, DESK = "gpu-one", "gpu-two", "desk"


@dataclass
class Outcome:
    """What came of a shot.

    Args:
        files: digest of each by name.
        events: all lines.
        times: when each line came, on the monotonic clock.
        sent, received: bytes that the desk and the box put on the wire.
        seconds: from the first to the last line.
    """

    files: dict[str, str]
    events: list[Line]
    times: list[float]
    sent: int
    received: int
    seconds: float

    def named(self, name: str) -> list[Line]:
        return [line for line in self.events if line["event"] == name]


def write_noise(folder: Path) -> int:
    """A plate and a matte of frames that no codec makes small; gives their bytes."""
    noise = np.random.default_rng(29)
    matte = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    matte[60:300, 160:480] = 255
    for name in ("plate", "matte"):
        (folder / name).mkdir(parents=True)
    for number in range(1001, 1001 + COUNT):
        picture = noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        cv2.imwrite(str(folder / "plate" / f"plate.{number}.png"), picture)
        cv2.imwrite(str(folder / "matte" / f"matte.{number}.png"), matte)
    return sum(path.stat().st_size for path in folder.rglob("*.png"))


@contextmanager
def studio(lan: Lan, folder: Path) -> Iterator[tuple[Box, Box, Desk]]:
    """Two boxes that serve and announce themselves, and a desk that knows neither."""
    boxes = [Box(folder / name, lan.hosts[name], lan.at(name), toml="") for name in (ONE, TWO)]
    try:
        for box in boxes:
            box.serve()
        yield boxes[0], boxes[1], Desk(folder / DESK, lan.at(DESK))
    finally:
        for box in boxes:
            box.close()


class Shot:
    """A shot on its way from a desk to a box and back, as its lines tell."""

    def __init__(self, desk: Desk, box: Box, lan: Lan, media: Path, out: Path) -> None:
        self._desk, self._box, self._lan, self._out = desk, box, lan, out
        self._arguments = ["submit", media / "plate", "--matte", media / "matte", "--backdrop", "#204060"]
        self._arguments += ["--format", "png", "--out", out, "--daemon", box.address, "--json"]

    def run(self, troubles: list[tuple[Callable[[Line], bool], Callable[[], None]]]) -> Outcome:
        """Wait for its end.

        Args:
            troubles: what to do, once each and in this order, when a line of that kind has come.
        """
        waiting, lines, times = list(troubles), [], []
        desk, box = (next(name for name, host in self._lan.hosts.items() if host == each) for each in self._ends())
        sent, received, begun = self._lan.sent(desk), self._lan.sent(box), time.monotonic()
        process = self._desk.start(*self._arguments, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        for text in process.stdout:
            line: dict[str, Any] = json.loads(text)
            lines.append(line)
            times.append(time.monotonic())
            if waiting and waiting[0][0](line):
                waiting.pop(0)[1]()
        code = process.wait(60)
        assert code == 0, lines[-3:]
        assert not waiting, f"{len(waiting)} troubles never came: {[each['event'] for each in lines]}"
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self._out.glob("*.png")}
        spent = time.monotonic() - begun
        return Outcome(files, lines, times, self._lan.sent(desk) - sent, self._lan.sent(box) - received, spent)

    def _ends(self) -> tuple[str, str]:
        return self._lan.hosts[DESK], self._box.address.rpartition(":")[0]


def sending(line: Line) -> bool:
    """Some of the footage is on its way."""
    return bool(line["event"] == "upload" and line["phase"] == "sending" and line["done_bytes"] > 2 << 20)


def working(line: Line) -> bool:
    """The job is in the middle of it."""
    return bool(line["event"] == "progress" and line["fraction"] > 0.1)


def fetching(line: Line) -> bool:
    """The first results are here, others on their way."""
    return bool(line["event"] == "file")

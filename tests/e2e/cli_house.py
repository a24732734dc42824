"""The command `anyportal` in a shell of its own, and media for it to work on."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import av
import jsonschema
import numpy as np
import psutil

from anyportal_client.cli.app import run

WIDTH, HEIGHT, COUNT = 96, 64, 12
LONG = 400
SCHEMA = json.loads((Path(__file__).parents[2] / "clients/anyportal_client/cli/events.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
COMMAND = [sys.executable, "-m", "anyportal_client.cli"]
GREY = ["--backdrop", "#607080"]


@dataclass
class Ended:
    """What became of a call."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines, each checked by the schema: every field documented, and nothing else on the output."""
        events = [json.loads(line) for line in self.out.splitlines()]
        for event in events:
            VALIDATOR.validate(event)
            assert set(event) <= set(SCHEMA["$defs"][event["event"]]["properties"])
        return events

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]


class Shell:
    """Runs the command with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("ANYPORTAL_")}
        self.env |= {"ANYPORTAL_STATE": str(self.state), "XDG_CACHE_HOME": str(folder / "cache")}
        self.env["ANYPORTAL_CLIENT_CONFIG"] = str(folder / "config" / "client.toml")

    def run(self, *arguments: str | Path, **env: str) -> Ended:
        """Run the command in this process, which is quick; the daemon is in another all the same."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.env | env, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = run([*map(str, arguments)])
        if "--debug" not in arguments:
            assert "Traceback" not in err.getvalue(), err.getvalue()
        return Ended(code, out.getvalue(), err.getvalue())

    def process(self, *arguments: str | Path) -> Ended:
        """Run the command in a process, as cron would."""
        process = self.start(*arguments, stdin=subprocess.DEVNULL)
        out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out, err)

    def start(self, *arguments: str | Path, stdin: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
        )


def daemons_of(shell: Shell) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if str(shell.state) in " ".join(p.info["cmdline"] or ())]


def pictures(number: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A warm disc in front of blocks, and its matte."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disc = (x - 30 - number % 24) ** 2 + (y - 32) ** 2 < 300
    blocks = ((x // 8 * 37 + y // 8 * 91) % 200 + 30).astype(np.uint8)
    plate = np.stack([blocks, blocks // 2, 255 - blocks], axis=-1)
    plate[disc] = (210, 120, 60)
    return plate, np.repeat(disc[..., None], 3, axis=-1).astype(np.uint8) * 255


def write_movies(plate: Path, matte: Path, count: int) -> None:
    for which, path in enumerate((plate, matte)):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=24, options={"crf": "8", "preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for number in range(count):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pictures(number)[which], format="rgb24")))
            container.mux(stream.encode())


def running(process: subprocess.Popen[str]) -> str:
    """Wait until the call's job runs; gives its name."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        VALIDATOR.validate(event)
        if event["event"] == "progress":
            return str(event["job"])
    raise AssertionError("the call ended before its job ran")

"""Machines of a studio for tests: boxes that run real daemons for others, and desks that call them.

Each is a folder with a home of its own; with a prefix its processes run in a network namespace of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.cli_house import VALIDATOR

Line = dict[str, Any]

_COMMAND = [sys.executable, "-m", "anyportal_client.cli"]


class Machine:
    """Runs commands at home.

    Args:
        prefix: what stands before each command, such as `ip netns exec NAME`.
    """

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        self.folder, self._prefix = folder, list(prefix)
        self.state = folder / "state"
        folder.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANYPORTAL_")}
        self.env = kept | {
            "ANYPORTAL_STATE": str(self.state),
            "ANYPORTAL_CLIENT_CONFIG": str(folder / "config" / "client.toml"),
            "ANYPORTAL_DAEMON_CONFIG": "",
            "XDG_CACHE_HOME": str(folder / "cache"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        """A command that runs beside the test."""
        command = [*self._prefix, *_COMMAND, *map(str, arguments)]
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.Popen(command, env=self.env, text=True, **given)

    def run(self, *arguments: str | Path, told: str = "", code: int | None = 0) -> list[Line]:
        """The events of a command that ends."""
        # A pipe that ends while the command is at work would cancel it.
        process = self.start(*arguments, "--json", stdin=subprocess.PIPE if told else subprocess.DEVNULL)
        out, err = process.communicate(told or None, timeout=150)
        lines = [json.loads(line) for line in out.splitlines()]
        for line in lines:
            VALIDATOR.validate(line)
        assert code is None or process.returncode == code, f"{process.returncode}: {lines[-1:]} {err}"
        return lines


class Box(Machine):
    """A machine whose daemon serves others.

    Args:
        host: the address it is called by, which is in its certificate. It listens on all it has.
        toml: its configuration.
    """

    def __init__(self, folder: Path, host: str, prefix: Sequence[str] = (), toml: str = "announce = false\n") -> None:
        super().__init__(folder, prefix)
        (folder / "daemon.toml").write_text(toml)
        self.env["ANYPORTAL_DAEMON_CONFIG"] = str(folder / "daemon.toml")
        shown = self.run("tls", "init", "--name", host)
        self.fingerprint = next(line["fingerprint"] for line in shown if line["kind"] == "authority")
        self._host, self._port = host, 0
        self._daemon: subprocess.Popen[str] | None = None
        self.token = self.add("ann")

    def add(self, name: str, *more: str) -> str:
        """The token of a new user."""
        return str(self.run("users", "add", name, *more)[-1]["token"])

    def serve(self) -> None:
        """Start the daemon; the second time it takes the port that it had."""
        with (self.folder / "serve.log").open("a") as log:
            self._daemon = self.start("serve", "--listen", f"0.0.0.0:{self._port}", "--json", stderr=log)
        assert self._daemon.stdout is not None
        line = self._daemon.stdout.readline()
        assert '"serving"' in line, line + (self.folder / "serve.log").read_text()
        said = json.loads((self.state / "daemon.json").read_text())
        self._port = int(said["lan"].rpartition(":")[2])
        self.address = f"{self._host}:{self._port}"

    def kill(self) -> None:
        """The daemon, with everything it has started, at once."""
        assert self._daemon is not None
        everyone = [psutil.Process(self._daemon.pid), *psutil.Process(self._daemon.pid).children(recursive=True)]
        for each in everyone:
            each.kill()
        self._daemon.communicate()
        psutil.wait_procs(everyone, 20)
        self._daemon = None

    def close(self) -> None:
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.communicate(timeout=60)


class Desk(Machine):
    """A machine of somebody who works."""

    def login(self, box: Box, token: str = "") -> list[Line]:
        """Log in to a box, as a script does."""
        known = ("--token-stdin", "--fingerprint", box.fingerprint)
        return self.run("login", box.address, *known, told=f"{token or box.token}\n")

"""A GPU box, and this machine as the workstation of a user who has logged in to it; all by the command alone."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.addresses import own_address

REFUSALS = {
    "revoked": ("The token is revoked", "anyportal login"),
    "expired": ("The daemon's certificate has expired", "anyportal tls renew"),
}
"""What a user is told of each, and what to do."""


class Studio:
    """The two machines.

    Args:
        env: the environment of a host on the workstation. It names no daemon.
    """

    def __init__(self, command: str, folder: Path) -> None:
        self._command = command
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANYPORTAL_", "PYTHON"))}
        (folder / "daemon.toml").write_text("announce = false\n")
        self.state = folder / "box"
        own = {"ANYPORTAL_STATE": str(self.state), "ANYPORTAL_DAEMON_CONFIG": str(folder / "daemon.toml")}
        self._box = kept | own
        self.env = {"ANYPORTAL_STATE": str(folder / "desk"), "ANYPORTAL_CLIENT_CONFIG": str(folder / "client.toml")}
        self._desk = kept | self.env
        self.config = folder / "client.toml"
        shown = self.box("tls", "init")
        self._fingerprint = next(line["fingerprint"] for line in shown if line["kind"] == "authority")
        self._token = self.add("ann")
        self._serve()

    def _serve(self) -> None:
        serve = [self._command, "serve", "--listen", "0.0.0.0:0", "--json", "--stop-with-stdin"]
        self._daemon = subprocess.Popen(
            serve, env=self._box, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._daemon.stdout is not None
        serving = json.loads(self._daemon.stdout.readline())
        assert serving["event"] == "serving", serving
        self.address = f"{own_address()}:{serving['lan'].rpartition(':')[2]}"

    def close(self) -> None:
        self._daemon.communicate(timeout=60)

    def box(self, *arguments: str) -> list[dict[str, Any]]:
        """A command on the box."""
        return self._run(self._box, *arguments)

    def add(self, user: str) -> str:
        """The token of a new user."""
        return str(self.box("users", "add", user)[-1]["token"])

    def login(self, token: str = "") -> None:
        """Log in, as Ann or with the token of another user."""
        known = ("--token-stdin", "--fingerprint", self._fingerprint)
        self._run(self._desk, "login", self.address, *known, told=token or self._token)

    def jobs(self) -> dict[str, str]:
        """The states of the box's jobs, the newest first."""
        found = self._run(self._desk, "jobs", "--daemon", self.address, "--limit", "100")
        return {line["job"]: line["state"] for line in found}

    @property
    def worked_here(self) -> bool:
        """Whether a daemon was ever started on the workstation."""
        return Path(self.env["ANYPORTAL_STATE"], "calls").exists()

    @contextmanager
    def refusing(self, how: str) -> Iterator[None]:
        """The box refuses the workstation's user for a while.

        Args:
            how: one of `REFUSALS`.
        """
        if how == "revoked":
            self.login(self.add("gone"))
            self.box("users", "revoke", "gone")
        else:
            self._expire()
        try:
            yield
        finally:
            if how == "expired":
                self.box("tls", "renew")
            self.login()

    def _expire(self) -> None:
        """The daemon takes up none that has expired: it has to be served already when it does."""
        for seconds in (5, 20, 80):
            self.box("tls", "renew", "--days", str(seconds / 86400))
            left = self._served_until() - time.time()
            if left < seconds:
                time.sleep(max(0.0, left) + 1)
                return
        raise AssertionError("the daemon goes on with the certificate before")

    def _served_until(self) -> float:
        context = ssl.create_default_context(cafile=self.state / "tls" / "ca.pem")
        host, _, port = self.address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), 60) as plain,
            context.wrap_socket(plain, server_hostname=host) as line,
        ):
            shown = line.getpeercert()
        assert shown is not None
        return float(ssl.cert_time_to_seconds(str(shown["notAfter"])))

    def _run(self, env: dict[str, str], *arguments: str, told: str = "") -> list[dict[str, Any]]:
        words = [self._command, *arguments, "--json"]
        ended = subprocess.run(words, env=env, input=told, capture_output=True, text=True, timeout=150)
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        assert ended.returncode == 0, f"{arguments}: {lines} {ended.stderr}"
        return lines

"""A GPU box, and a workstation whose user has logged in to it: what the hosts' scripts find in a studio.

The box is called by an address that is not loopback, where this machine has one, so that everything goes over TLS.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from anyportal_daemon.security.tls import authority, setup
from anyportal_daemon.security.tls.folder import TlsFolder, write_private
from tests.addresses import own_address
from tests.e2e.cli_house import GREY, write_movies
from tests.integration.network_house import Box, Desk

REFUSALS = {
    "wrong": ("The daemon does not know this token", "anyportal login"),
    "revoked": ("The token is revoked", "anyportal login"),
    "expired": ("The daemon's certificate has expired", "anyportal tls renew"),
}
"""What a user is told of each, and what to do."""

_LONG = 400
"""Frames that keep a box busy."""


@dataclass(frozen=True)
class Studio:
    """Two machines.

    Args:
        env: the environment of a host on the workstation. It names no daemon.
    """

    box: Box
    desk: Desk
    env: dict[str, str]

    @property
    def config(self) -> Path:
        """The workstation's client.toml."""
        return self.desk.folder / "config" / "client.toml"

    def jobs(self) -> list[str]:
        """Those that the box has, the newest first."""
        return [str(line["job"]) for line in self.desk.run("jobs", "--daemon", self.box.address, "--limit", "100")]

    @property
    def worked_here(self) -> bool:
        """Whether a daemon was ever started on the workstation."""
        return (self.desk.state / "calls").exists()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """The box has so much to do for a while that what comes waits in its queue."""
        plate, matte = self.desk.folder / "long.mp4", self.desk.folder / "long_matte.mp4"
        if not plate.exists():
            write_movies(plate, matte, _LONG)
        there = ("--daemon", self.box.address)
        job = self.desk.run("submit", plate, "--matte", matte, *GREY, "--no-wait", *there)[-1]["job"]
        try:
            yield
        finally:
            self.desk.run("cancel", job, *there, code=None)

    @contextmanager
    def refusing(self, how: str) -> Iterator[None]:
        """The box refuses the workstation's user for a while.

        Args:
            how: one of `REFUSALS`.
        """
        refuse = {"wrong": self._forget_token, "revoked": self._revoke, "expired": self._expire}[how]
        refuse()
        try:
            yield
        finally:
            if how == "expired":
                self.box.run("tls", "renew")
            self.desk.login(self.box)

    def _forget_token(self) -> None:
        hosts = self.config.with_name("hosts.json")
        kept = json.loads(hosts.read_text())
        kept[self.box.address]["token"] = "apt_of_somebody_else"
        hosts.write_text(json.dumps(kept))

    def _revoke(self) -> None:
        self.desk.login(self.box, self.box.add("gone"))
        self.box.run("users", "revoke", "gone")

    def _expire(self) -> None:
        """The daemon takes up none that has expired: it has to be served already when it does."""
        folder = TlsFolder.of(self.box.state)
        for seconds in (4, 16, 64):
            pair = authority.sign_server(setup.load(folder), setup.own_names([]), seconds / 86400)
            write_private(folder.server_key, pair.key)
            write_private(folder.server, pair.certificate)
            left = self._served_until() - time.time()
            if left < seconds:
                time.sleep(max(0.0, left) + 1)
                return
        raise AssertionError("the daemon goes on with the certificate before")

    def _served_until(self) -> float:
        """When the certificate expires that the box shows."""
        context = ssl.create_default_context(cafile=TlsFolder.of(self.box.state).ca)
        host, _, port = self.box.address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), 60) as plain,
            context.wrap_socket(plain, server_hostname=host) as line,
        ):
            shown = line.getpeercert()
        assert shown is not None
        return float(ssl.cert_time_to_seconds(str(shown["notAfter"])))


@contextmanager
def studio(folder: Path) -> Iterator[Studio]:
    """A box that serves, and a workstation that is logged in to it."""
    box, desk = Box(folder / "box", own_address()), Desk(folder / "desk")
    try:
        box.serve()
        desk.login(box)
        kept = ("ANYPORTAL_STATE", "ANYPORTAL_CLIENT_CONFIG", "ANYPORTAL_DAEMON_CONFIG", "XDG_CACHE_HOME")
        env = {name: desk.env[name] for name in kept} | {"ANYPORTAL_COMMAND": str(_command(folder))}
        yield Studio(box, desk, env)
    finally:
        box.close()


def _command(folder: Path) -> Path:
    """The real `anyportal`, as a program of its own."""
    program = folder / "anyportal"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m anyportal_client.cli "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program

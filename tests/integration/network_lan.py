"""A network of its own for tests: machines as network namespaces on one switch, whose cables can be cut."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

RATE = "48mbit"
"""Of every cable: slow enough that something is always under way."""


class Lan:
    """A switch and the machines on it, by name. Nothing of it touches the machine's own network."""

    def __init__(self, names: Sequence[str]) -> None:
        self._mark = f"ap{os.getpid() % 100000}"
        self._hub = f"{self._mark}-hub"
        self._made: list[str] = []
        self.hosts = {name: f"10.77.29.{number}" for number, name in enumerate(names, 1)}
        try:
            self._make(self._hub)
            self._ip("-n", self._hub, "link", "add", "switch", "type", "bridge", "mcast_snooping", "0")
            self._ip("-n", self._hub, "link", "set", "switch", "up")
            for name, host in self.hosts.items():
                self._plug(name, host)
        except BaseException:
            self.close()
            raise

    def _make(self, space: str) -> None:
        self._ip("netns", "add", space)
        self._made.append(space)
        self._ip("-n", space, "link", "set", "lo", "up")

    def _plug(self, name: str, host: str) -> None:
        space, port = f"{self._mark}-{name}", f"port-{name}"
        self._make(space)
        self._ip("-n", self._hub, "link", "add", port, "type", "veth", "peer", "name", "lan0", "netns", space)
        self._ip("-n", self._hub, "link", "set", port, "master", "switch", "up")
        self._ip("-n", space, "address", "add", f"{host}/24", "dev", "lan0")
        self._ip("-n", space, "link", "set", "lan0", "up")
        self._ip("-n", space, "route", "add", "224.0.0.0/4", "dev", "lan0")
        for where, device in ((space, "lan0"), (self._hub, port)):
            shape = ("qdisc", "add", "dev", device, "root", "tbf", "rate", RATE, "burst", "64kb", "latency", "100ms")
            _run("tc", "-n", where, *shape)

    def at(self, name: str) -> list[str]:
        """What to put before a command, so that it runs on that machine and under its name."""
        named = ["unshare", "--uts", "sh", "-c", f'hostname {name}; exec "$0" "$@"']
        return ["ip", "netns", "exec", f"{self._mark}-{name}", *named]

    def cut(self, name: str) -> None:
        """Pull a machine's cable out of the switch: its own end does not see it."""
        self._ip("-n", self._hub, "link", "set", f"port-{name}", "down")

    def mend(self, name: str) -> None:
        """Put it in again."""
        self._ip("-n", self._hub, "link", "set", f"port-{name}", "up")

    def sent(self, name: str) -> int:
        """Bytes that a machine has sent so far."""
        counter = "/sys/class/net/lan0/statistics/tx_bytes"
        return int(_run("ip", "netns", "exec", f"{self._mark}-{name}", "cat", counter))

    def close(self) -> None:
        for space in self._made:
            subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)

    def _ip(self, *arguments: str) -> None:
        _run("ip", *arguments)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def lan(*names: str) -> Iterator[Lan]:
    """A network of such machines, gone afterwards.

    Raises:
        OSError: there can be none here: the message says why.
    """
    if missing := [tool for tool in ("ip", "tc", "unshare", "hostname") if shutil.which(tool) is None]:
        raise OSError(f"no network of its own without {', '.join(missing)}")
    try:
        made = Lan(names)
    except subprocess.CalledProcessError as error:
        raise OSError(f"network namespaces cannot be made here (it takes root): {error.stderr.strip()}") from error
    try:
        yield made
    finally:
        made.close()

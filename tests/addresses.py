"""Where this machine is reached, for tests of a daemon that is not on loopback."""

from __future__ import annotations

import socket


def own_address() -> str:
    """An address of this machine's that others reach it by; loopback's name where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # it sends nothing: a route is looked up
        except OSError:
            return "localhost"
        return str(probe.getsockname()[0])

"""The list of `anyportal discover`: who announces itself, who was logged in to, and what their queues are."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence

from anyportal_client.aio import AsyncClient
from anyportal_client.credentials import SavedHost, saved_hosts
from anyportal_client.discovery import (
    Endpoint,
    endpoint_of,
    host_and_port,
    is_loopback,
    process_gone,
    read_daemon_file,
    state_directory,
)
from anyportal_client.discovery_mdns import Announced, browse
from anyportal_client.errors import ClientError
from anyportal_client.events import DaemonDiscovered, LogLine, OnEvent
from anyportal_client.messages import DaemonInfo

_EVERYWHERE = ("0.0.0.0", "::")  # nosec B104: what a daemon says, nothing is bound here
"""Where a daemon serves that serves at all addresses of its machine."""

SECONDS = 6.0
"""For the queue of each, all at once."""

Row = tuple[Announced | None, Endpoint | None]


async def discovered(
    seconds: float, interfaces: list[str] | None = None, on_event: OnEvent = lambda event: None
) -> list[DaemonDiscovered]:
    """Everybody that can be found, each once: who announces itself, who was logged in to, and who runs here.

    Args:
        seconds: to listen for announcements.
        interfaces: the addresses of this machine to listen on; None: all.
        on_event: is told where this machine cannot listen; the others are listed all the same.
    """
    try:
        announced = await browse(seconds, interfaces)
    except OSError as error:
        on_event(LogLine("", 0, "warning", f"announcements cannot be heard on this network: {error}"))
        announced = []
    rows = list(_rows(announced, list(saved_hosts().values())))
    return list(await asyncio.gather(*(_described(each, endpoint) for each, endpoint in rows)))


def _rows(announced: Sequence[Announced], saved: Sequence[SavedHost]) -> Iterator[Row]:
    """Each daemon, and how to call it where that is known."""
    here = read_daemon_file(state_directory())
    if here is not None and process_gone(here.pid):
        here = None
    local = here
    known = [each.known_as(saved) for each in announced]
    for each, host in zip(announced, known, strict=True):
        own = here if here is not None and _announces(each, here) else None
        yield each, own or (endpoint_of(host) if host is not None else None)
        here = here if own is None else None
    for host in saved:
        if host not in known and not (local is not None and _is_login_to(host, local)):
            yield None, endpoint_of(host)
    if here is not None:
        yield None, here


def _announces(announced: Announced, own: Endpoint) -> bool:
    """Whether an announcement is that of this machine's own daemon."""
    if not own.lan:
        return False
    bound, port = host_and_port(own.lan)
    hosts, ports = zip(*map(host_and_port, announced.addresses), strict=True)
    return port in ports and (bound in hosts or (bound in _EVERYWHERE and _is_this_machine(announced.host)))


def _is_login_to(saved: SavedHost, own: Endpoint) -> bool:
    """Whether somebody has logged in, over the network, to this machine's own daemon."""
    if not own.lan:
        return False
    (bound, port), (host, named) = host_and_port(own.lan), host_and_port(saved.address)
    here = _is_this_machine(host) or (bound in _EVERYWHERE and is_loopback(saved.address))
    return port == named and (bound == host or here)


def _is_this_machine(host: str) -> bool:
    """Whether a name is this machine's, with a domain or without."""
    return host.partition(".")[0] == socket.gethostname().partition(".")[0]


async def _described(announced: Announced | None, endpoint: Endpoint | None) -> DaemonDiscovered:
    info, note = await _asked(endpoint) if endpoint is not None else (None, "not logged in")
    address = endpoint.address if endpoint is not None else announced.addresses[0] if announced is not None else ""
    devices = ", ".join(sorted({worker.device for worker in info.workers if worker.device})) if info else ""
    return DaemonDiscovered(
        name=announced.name if announced is not None else host_and_port(address)[0],
        address=address,
        gpu=(announced.gpu if announced is not None else "") or devices,
        version=info.version if info else announced.version if announced is not None else "",
        queued_jobs=info.queued_jobs if info else None,
        running_jobs=info.running_jobs if info else None,
        tls=endpoint.tls is not None if endpoint is not None else announced is not None and announced.tls,
        logged_in=endpoint is not None,
        note=note,
    )


async def _asked(endpoint: Endpoint) -> tuple[DaemonInfo | None, str]:
    """What a daemon says of itself, or why it says nothing."""
    try:
        async with asyncio.timeout(SECONDS):
            async with await AsyncClient.connect(endpoint, start=False, patience=1.0) as client:
                return client.info, ""
    except ClientError as error:
        return None, error.message
    except TimeoutError:
        return None, "it does not answer in time"

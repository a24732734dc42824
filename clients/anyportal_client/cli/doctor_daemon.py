"""The part of `anyportal doctor` that looks at a daemon, and at the way there where one was named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from anyportal_client.cli.check import Result, broken, ok, warning
from anyportal_client.cli.output import size
from anyportal_client.discovery import ANY, Endpoint, find_endpoint, named_address
from anyportal_client.errors import ClientError, DaemonError, StorageError
from anyportal_client.extras import DISTRIBUTION, missing_packages
from anyportal_client.messages import DaemonInfo, WorkerInfo
from anyportal_client.version import __version__

if TYPE_CHECKING:
    from anyportal_client.channel import Connection

_ELSEWHERE = f"name one: --daemon HOST:PORT or ANYPORTAL_DAEMON; or pip install '{DISTRIBUTION}[daemon]'"
_PATIENCE = 3.0

SKEW = 60.0
"""Seconds that two clocks may be apart: certificates and tokens are good from and until a moment."""

SLOW_TRIP = 0.1
"""Seconds for a question and its answer: within a building it is far less."""

SLOW = 10 << 20
"""Bytes a second: a cable of 100 Mbit/s. Below it the footage waits longer than the GPU."""

SOON = 30
"""Days before the end of a certificate at which somebody should renew it."""

_LOW_DISK, _FULL_DISK = 20 << 30, 2 << 30


def daemon_checks(address: str | None) -> Iterator[Result]:
    """The daemon that is used; and all about one that was named."""
    try:
        named, endpoint = named_address(address)[0], find_endpoint(address)
    except ClientError as error:
        yield broken("running", error.message, error.hint, type(error))
        return
    if endpoint is not None and endpoint.tls is not None:
        result, failure = _certificate(endpoint)
        yield result, failure
        if failure is not None:
            return
    found, info = _running(address, endpoint, bool(named))
    yield found
    if info is not None and endpoint is not None and named and named != ANY:
        yield from _state(info)
        yield from asyncio.run(_way(endpoint))


def _certificate(endpoint: Endpoint) -> Result:
    from anyportal_client.network_tls import certificate_of

    try:
        found = certificate_of(endpoint)
    except ClientError as error:
        return broken("certificate", error.message, error.hint, type(error))
    said = f"for {', '.join(found.names)}; {found.days_left:.0f} days left"
    if found.days_left < SOON:
        return warning("certificate", said, "on the daemon's machine: anyportal tls renew; no client has to be told")
    return ok("certificate", said)


def _running(address: str | None, endpoint: Endpoint | None, named: bool) -> tuple[Result, DaemonInfo | None]:
    from anyportal_client.client import Client

    try:
        with Client.connect(address, start=False) as client:
            info, where = client.daemon(), client.address
    except ClientError as error:
        if error.code == "UNREACHABLE" and not named and not missing_packages("daemon"):
            stale = " (daemon.json is of one that has ended)" if endpoint is not None else ""
            return ok("running", f"none{stale}: each call starts one, anyportal serve keeps one"), None
        hint = error.hint if named or error.code != "UNREACHABLE" else _ELSEWHERE
        return broken("running", error.message, hint, type(error)), None
    return _described(info, where), info


def _described(info: DaemonInfo, where: str) -> Result:
    unread = "; ".join(f"{name}: {reason}" for name, reason in info.broken_plugins.items())
    if unread:
        return warning("running", f"{where}: plug-ins that cannot be read: {unread}", "reinstall them")
    if info.version != __version__:
        said = f"{where} is version {info.version}, this is {__version__}"
        return warning("running", said, "install the same version on both sides")
    workers = ", ".join(map(_worker, info.workers))
    free = info.free_disk_bytes / (1 << 30)
    return ok("running", f"{where}, version {info.version}, {workers}, {free:.1f} GiB free")


def _worker(worker: WorkerInfo) -> str:
    trouble = f" ({worker.trouble})" if worker.trouble else ""
    return f"{worker.device or worker.name} {worker.state}{trouble}"


def _state(info: DaemonInfo) -> Iterator[Result]:
    """What the daemon says of itself."""
    yield _gpu(info)
    free = size(info.free_disk_bytes)
    if info.free_disk_bytes < _FULL_DISK:
        yield broken("disk", f"{free} free", "there: free space, or anyportal store prune", StorageError)
    elif info.free_disk_bytes < _LOW_DISK:
        yield warning("disk", f"{free} free", "there: free space, or give the store a smaller budget")
    else:
        yield ok("disk", f"{free} free")
    queue = f"{info.queued_jobs} waiting, {info.running_jobs} running"
    if info.draining:
        yield warning("queue", f"{queue}; it takes no more jobs", "wait until it is back, or use another")
    else:
        yield ok("queue", queue)
    yield _scopes(info)


def _gpu(info: DaemonInfo) -> Result:
    dead = [worker for worker in info.workers if worker.state == "dead"]
    if dead:
        why = dead[0].trouble or "it does not say why"
        return broken("gpu", f"the worker is dead: {why}", "look at the daemon's log, and restart it", DaemonError)
    devices = ", ".join(sorted({worker.device or worker.state for worker in info.workers}))
    if not any(worker.device.startswith("cuda") for worker in info.workers) and devices != "starting":
        hint = "only the preset draft is quick on a CPU; for others: nvidia-smi there, and the extra 'diffusion'"
        return warning("gpu", f"none: it works on {devices}", hint)
    return ok("gpu", devices)


def _scopes(info: DaemonInfo) -> Result:
    said = f"{info.user or 'somebody'} may {', '.join(info.scopes) or 'look'}"
    if "submit" not in info.scopes:
        return broken("scopes", said, f"there: anyportal users scopes {info.user} --scope submit", DaemonError)
    return ok("scopes", said)


async def _way(endpoint: Endpoint) -> list[Result]:
    """The way there: clocks, time, speed."""
    from anyportal_client.channel import Connection
    from anyportal_client.retry import Backoff

    connection = Connection(endpoint, Backoff(_PATIENCE), on_event=lambda event: None)
    try:
        return [result async for result in _measured(connection)]
    finally:
        await connection.close()


async def _measured(connection: Connection) -> AsyncIterator[Result]:
    for name, check in _CHECKS.items():
        try:
            yield await check(connection)
        except ClientError as error:
            yield warning(name, f"not measured: {error.message}", error.hint)


async def _clock(connection: Connection) -> Result:
    from anyportal_client.network_measure import clock_ahead

    ahead = await clock_ahead(connection)
    if ahead is None:
        return warning("clock", "not known: the daemon's worker has not said anything yet", "try again in a minute")
    said = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this one"
    if abs(ahead) > SKEW:
        hint = "set both by the network (timedatectl set-ntp true): certificates and tokens expire by them"
        return warning("clock", f"the daemon's is {said}", hint)
    return ok("clock", f"the daemon's is within {max(abs(ahead), 1):.0f} s of this one's")


async def _round_trip(connection: Connection) -> Result:
    from anyportal_client.network_measure import round_trip

    seconds = await round_trip(connection)
    said = f"{seconds * 1000:.1f} ms"
    if seconds > SLOW_TRIP:
        return warning("round_trip", said, "use a cable in place of WLAN or a VPN; or the daemon's machine is busy")
    return ok("round_trip", said)


async def _bandwidth(connection: Connection) -> Result:
    from anyportal_client.network_measure import speed

    found = await speed(connection)
    said = f"{size(int(found.up))}/s there, {size(int(found.down))}/s back"
    if min(found.up, found.down) < SLOW:
        return warning("bandwidth", said, "use a cable of 1 Gbit/s or more; or let both reach the footage ([mappings])")
    return ok("bandwidth", said)


_CHECKS: dict[str, Callable[[Connection], Awaitable[Result]]] = {
    "clock": _clock,
    "round_trip": _round_trip,
    "bandwidth": _bandwidth,
}

"""The daemon makes itself known on the network: multicast DNS, service `_anyportal._tcp`.

Told are the name of the machine, where it listens, the version, what it works on, and whether it speaks TLS. Nothing of
that is secret, and nothing of it is a proof: clients know the daemon by its certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator

from anyportal_daemon.config import DEFAULT_LISTEN, Address

log = logging.getLogger(__name__)

SERVICE = "_anyportal._tcp.local."

GPU_SECONDS = 10.0
"""For the driver to name the GPU: the first question after the machine has started wakes it."""

DEFAULT_PORT = int(DEFAULT_LISTEN.rpartition(":")[2])

_LONGEST = 63
"""Letters of a name in DNS."""

_EVERYWHERE = ("0.0.0.0", "::")  # nosec B104: to recognise it


@contextlib.asynccontextmanager
async def announced(address: Address | None, version: str) -> AsyncIterator[None]:
    """Known on the network inside the block, and taken back after it. Whatever the network refuses is logged alone.

    Args:
        address: where other machines are served; None: they are not, and nothing is announced.
    """
    if address is None:
        yield
        return
    task = asyncio.create_task(_announce(address, version))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _announce(address: Address, version: str) -> None:
    from zeroconf import Error, InterfaceChoice, IPVersion
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    host = socket.gethostname().partition(".")[0][:_LONGEST]
    gpus = await asyncio.to_thread(gpu_names)
    said = {"version": version, "gpu": ", ".join(gpus)[:200] or "cpu", "tls": "1"}
    everywhere = address.host in _EVERYWHERE
    where = InterfaceChoice.All if everywhere else [address.host]
    try:
        async with AsyncZeroconf(interfaces=where, ip_version=IPVersion.V4Only) as network:
            info = AsyncServiceInfo(
                SERVICE,
                f"{_label(host, address.port)}.{SERVICE}",
                port=address.port,
                properties=said,
                server=f"{host}.local.",
                parsed_addresses=_own_addresses() if everywhere else [address.host],
            )
            # Another machine may have this name already.
            await (await network.async_register_service(info, allow_name_change=True))
            await asyncio.Event().wait()  # until it is cancelled; then it says that it goes
    except (OSError, Error) as error:
        log.warning("the daemon does not announce itself, and can be named all the same: %s", error)


def _label(host: str, port: int) -> str:
    """What the daemon is called: as its machine, with the port where it is not the usual one, since then another daemon
    may run there. Two that start at the same moment would not hear of each other."""
    return host if port == DEFAULT_PORT else f"{host[: _LONGEST - 6]}-{port}"


def _own_addresses() -> list[str]:
    import ifaddr

    found = (ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str))
    return [ip for ip in found if not ip.startswith("127.")]


def gpu_names() -> list[str]:
    """What the driver calls the GPUs of this machine; empty where there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    asked = [command, "--query-gpu=name", "--format=csv,noheader"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=GPU_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.splitlines() if line.strip()]

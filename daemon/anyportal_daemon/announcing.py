"""The daemon makes itself known on the network: multicast DNS, service `_anyportal._tcp`.

Told are the name of the machine, where it listens, the version, what it works on, and whether it speaks TLS. Nothing of
that is secret, and nothing of it is a proof: clients know the daemon by its certificate.

Several daemons of one machine know nothing of each other, so none says anything in the machine's own name: whoever goes
takes its records back, and `gpu-box.local` would go with it for all. Each has a host name of its own, new at a start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyportal_daemon.config import DEFAULT_LISTEN, Address

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

log = logging.getLogger(__name__)

SERVICE = "_anyportal._tcp.local."

GPU_SECONDS = 10.0
"""For the driver to name the GPU: the first question after the machine has started wakes it."""

DEFAULT_PORT = int(DEFAULT_LISTEN.rpartition(":")[2])

SETTLING = (1.5, 2.5)
"""Seconds after which a daemon looks whether another was given its name at the same moment; not all look at once."""

_LONGEST = 48
"""Letters of a machine's name: DNS has 63, and a port and a mark may come behind them."""

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
    from zeroconf.asyncio import AsyncZeroconf

    host = socket.gethostname().partition(".")[0][:_LONGEST]
    gpus = await asyncio.to_thread(gpu_names)
    said = {"version": version, "gpu": ", ".join(gpus)[:200] or "cpu", "tls": "1", "host": f"{host}.local"}
    everywhere = address.host in _EVERYWHERE
    addresses = _own_addresses() if everywhere else [address.host]
    record = _Record(host, address.port, tuple(addresses), said, secrets.token_hex(4))
    where = InterfaceChoice.All if everywhere else [address.host]
    try:
        async with AsyncZeroconf(interfaces=where, ip_version=IPVersion.V4Only) as network:
            await _register(network, record)
            await asyncio.Event().wait()  # until it is cancelled; then it says that it goes
    except (OSError, Error) as error:
        log.warning("the daemon does not announce itself, and can be named all the same: %s", error)


@dataclass(frozen=True)
class _Record:
    """What is announced.

    Args:
        mark: nobody else has it.
    """

    host: str
    port: int
    addresses: tuple[str, ...]
    said: dict[str, str]
    mark: str

    @property
    def label(self) -> str:
        """What the daemon is called: as its machine, with the port where it is not the usual one, since then another
        daemon may run there."""
        return self.host if self.port == DEFAULT_PORT else f"{self.host}-{self.port}"

    def info(self, label: str) -> AsyncServiceInfo:
        from zeroconf.asyncio import AsyncServiceInfo

        return AsyncServiceInfo(
            SERVICE,
            f"{label}.{SERVICE}",
            port=self.port,
            properties=self.said,
            server=f"anyportal-{self.mark}.local.",
            parsed_addresses=list(self.addresses),
        )


async def _register(network: AsyncZeroconf, record: _Record) -> None:
    """Under its label, or with a number behind it where somebody has that; with its mark where two took it at once."""
    info = record.info(record.label)
    await (await network.async_register_service(info, allow_name_change=True))
    await asyncio.sleep(random.uniform(*SETTLING))  # nosec B311: no secret
    if _contested(network, info):
        await (await network.async_unregister_service(info))
        await (await network.async_register_service(record.info(f"{record.label}-{record.mark}")))


def _contested(network: AsyncZeroconf, info: AsyncServiceInfo) -> bool:
    """Whether somebody else was heard to be called the same: who starts at the same moment does not object in time."""
    from zeroconf.const import _CLASS_IN, _TYPE_SRV

    heard = network.zeroconf.cache.get_all_by_details(info.name, _TYPE_SRV, _CLASS_IN)
    return any(getattr(each, "server", info.server) != info.server for each in heard)


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

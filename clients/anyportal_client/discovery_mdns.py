"""Daemons that announce themselves on the network (DNS-SD over multicast DNS, service `_anyportal._tcp`).

What is announced is nobody's word: it is for a list to choose from. Who is logged in to is known by its certificate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyportal_client.credentials import SavedHost
from anyportal_client.discovery import host_and_port

if TYPE_CHECKING:
    from zeroconf import ServiceInfo

SERVICE = "_anyportal._tcp.local."
_MOST = 200
"""Daemons that are listed: more is somebody's bad joke."""

_LONGEST = 120
"""Letters of anything that a stranger says of itself."""


@dataclass(frozen=True)
class Announced:
    """A daemon as it announces itself.

    Args:
        name: for people.
        host: of its machine, as it says; the name its addresses stand under is made up.
        addresses: where it can be called, HOST:PORT each.
        version, gpu: as it says.
        tls: it takes TLS only.
    """

    name: str
    host: str
    addresses: tuple[str, ...]
    version: str
    gpu: str
    tls: bool

    def known_as(self, saved: Iterable[SavedHost]) -> SavedHost | None:
        """The daemon of those that were logged in to which this is, by name or address; None where it is none."""
        port = host_and_port(self.addresses[0])[1]
        short = self.host.removesuffix(".local")
        names = {*self.addresses, *(f"{name}:{port}" for name in (self.host, short))}
        return next((each for each in saved if each.address in names), None)


async def browse(seconds: float, interfaces: list[str] | None = None) -> list[Announced]:
    """Listen for so long; gives who announced themselves, by name.

    Args:
        interfaces: the addresses of this machine to listen on; None: all.
    """
    from zeroconf import InterfaceChoice, IPVersion, ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

    names: dict[str, None] = {}

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed:
            names.pop(name, None)
        elif len(names) < _MOST:
            names[name] = None

    where = InterfaceChoice.All if interfaces is None else interfaces
    async with AsyncZeroconf(interfaces=where, ip_version=IPVersion.V4Only) as listening:
        browser = AsyncServiceBrowser(listening.zeroconf, SERVICE, handlers=[changed])
        await asyncio.sleep(seconds)
        infos = [AsyncServiceInfo(SERVICE, name) for name in names]
        await asyncio.gather(*(info.async_request(listening.zeroconf, 1000) for info in infos))
        await browser.async_cancel()
    found = [announced for info in infos if (announced := _read(info)) is not None]
    return sorted(found, key=lambda each: each.name)


def _read(info: ServiceInfo) -> Announced | None:
    """What an announcement says, as far as it can be used."""
    addresses = info.parsed_addresses()
    if not addresses or not info.port:
        return None
    said = {key.decode("utf-8", "replace"): value or b"" for key, value in info.properties.items()}
    return Announced(
        _plain(info.name.removesuffix(f".{SERVICE}")),
        _plain(said.get("host") or (info.server or "").rstrip(".")),
        tuple(f"[{each}]:{info.port}" if ":" in each else f"{each}:{info.port}" for each in addresses),
        _plain(said.get("version", b"")),
        _plain(said.get("gpu", b"")),
        said.get("tls") == b"1",
    )


def _plain(text: str | bytes) -> str:
    """What strangers say, without what would make a terminal do anything."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return "".join(letter for letter in shown if letter.isprintable())[:_LONGEST]

"""A daemon as other machines reach it, with users, for the tests of what keeps strangers out."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc import aio

from anyportal.v1 import catalog_pb2, catalog_pb2_grpc
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from anyportal_daemon.security.accounts import Accounts
from anyportal_daemon.security.limits import CallLimits
from anyportal_daemon.security.scopes import Scope
from anyportal_daemon.security.tls import setup
from anyportal_daemon.security.tls.folder import TlsFolder
from anyportal_daemon.security.tls.keys import TlsKeys

Metadata = tuple[tuple[str, str], ...]
MANY = CallLimits(calls_per_second=10_000, calls_at_once=10_000, wrong_tokens_per_minute=10_000)


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def add(state: Path, name: str, *scopes: Scope, days: float | None = None) -> str:
    """Let somebody in; gives the token."""
    with closing(Accounts(state)) as accounts:
        return accounts.add(name, frozenset(scopes or {Scope.SUBMIT}), days)


@dataclass
class House:
    """A daemon that serves other machines.

    Args:
        address: where it serves them; the host is one that its certificate names.
    """

    state: Path
    address: str
    local: str
    owner: str
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def channel(self, address: str = "", client: str = "", options: tuple[tuple[str, object], ...] = ()) -> aio.Channel:
        folder = TlsFolder.of(self.state)
        key = chain = None
        if client:
            certificate, private = folder.client(client)
            key, chain = private.read_bytes(), certificate.read_bytes()
        credentials = grpc.ssl_channel_credentials(folder.ca.read_bytes(), key, chain)
        return aio.secure_channel(address or self.address, credentials, options=options)

    def context(self) -> ssl.SSLContext:
        """What a client of no gRPC would use."""
        return ssl.create_default_context(cafile=TlsFolder.of(self.state).ca)


@asynccontextmanager
async def house(
    state: Path, limits: CallLimits = MANY, tls: TlsKeys | None = None, days: float = 397
) -> AsyncIterator[House]:
    """Ann is a user of it."""
    state.mkdir(mode=0o700, exist_ok=True)
    if not TlsFolder.of(state).ca.exists():
        setup.init(TlsFolder.of(state), [], days)
    tokens = {"ann": add(state, "ann")}
    config = Config(Address("0.0.0.0", 0), state, limits=limits, tls=tls or TlsKeys())
    async with daemon(config) as found:
        port = found.lan.rpartition(":")[2]
        yield House(state, f"localhost:{port}", found.address, found.token, tokens)


async def until_ready(channel: aio.Channel, metadata: Metadata) -> None:
    """The worker has said what it can do."""
    catalog: catalog_pb2_grpc.CatalogServiceAsyncStub = catalog_pb2_grpc.CatalogServiceStub(channel)
    while True:
        try:
            await catalog.ListPresets(catalog_pb2.ListPresetsRequest(), metadata=metadata)
            return
        except aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise

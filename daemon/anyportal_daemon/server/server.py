"""The gRPC server: services, limits, health and reflection behind one gate."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from anyportal.v1 import (
    blobs_pb2,
    blobs_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    store_pb2,
    store_pb2_grpc,
)
from anyportal_daemon.config import Address
from anyportal_daemon.errors import AddressInUseError
from anyportal_daemon.security.scopes import MANIFESTS
from anyportal_daemon.server import health
from anyportal_daemon.server.blobs import BlobService
from anyportal_daemon.server.catalog import CatalogService
from anyportal_daemon.server.gate import Gate
from anyportal_daemon.server.jobs import JobService
from anyportal_daemon.server.store import StoreService
from anyportal_daemon.server.watch import Watch
from anyportal_daemon.storage.blobs import CHUNK

READ_AHEAD = 2 * CHUNK
"""Bytes of a stream that gRPC takes before the daemon asks for them: enough for the full rate of a local network."""

HANDSHAKE_SECONDS = 10
"""Within this a connection has spoken TLS and HTTP/2, or is closed."""

OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.max_receive_message_length", MANIFESTS),  # of any rpc; what each takes is in security/scopes.py
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),  # else between the two some calls are refused by chance
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
    # What is read ahead of a stream nobody has taken is lost when its connection is cut, and has to be sent again.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", READ_AHEAD),
    ("grpc.so_reuseport", 0),  # else two daemons could share a port unseen
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)

SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (blobs_pb2, "BlobService"),
        (jobs_pb2, "JobService"),
        (catalog_pb2, "CatalogService"),
        (store_pb2, "StoreService"),
    )
)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record of gRPC's is worth a line: that a client went away while it was sent something is not."""
    return not record.getMessage().startswith("ExecuteBatchError raised in core")


@dataclass(frozen=True)
class Served:
    """Where the daemon serves: without TLS on this machine, and with it for others, if at all."""

    local: Address
    lan: Address | None = None


class Server:
    """Serves from ``start`` to ``stop``."""

    def __init__(
        self,
        watch: Watch,
        blobs: BlobService,
        store: StoreService,
        jobs: JobService,
        catalog: CatalogService,
    ) -> None:
        logging.getLogger("grpc._cython.cygrpc").addFilter(_is_news)
        self._watch = watch
        self._patrol: asyncio.Task[None] | None = None
        limits = (
            ("grpc.max_concurrent_streams", watch.limits.streams_per_connection),
            ("grpc.max_allowed_incoming_connections", watch.limits.connections),
            ("grpc.max_connection_idle_ms", watch.limits.idle_seconds * 1000),
        )
        self._server = aio.server(interceptors=(Gate(watch),), options=(*OPTIONS, *limits))
        blobs_pb2_grpc.add_BlobServiceServicer_to_server(blobs, self._server)
        jobs_pb2_grpc.add_JobServiceServicer_to_server(jobs, self._server)
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(catalog, self._server)
        store_pb2_grpc.add_StoreServiceServicer_to_server(store, self._server)
        self._health = health.HealthService(SERVICES)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE, reflection.SERVICE_NAME), self._server)

    async def start(self, listen: Address, credentials: grpc.ServerCredentials | None = None) -> Served:
        """Serve.

        Args:
            credentials: with them ``listen`` speaks TLS, and loopback stays plain on a free port of its own: gRPC has
                one way of speaking for each port, and who reads ``daemon.json`` finds any port.

        Raises:
            AddressInUseError: another program has the address.
        """
        if credentials is None:
            served = Served(self._bind(listen))
        else:
            lan = self._bind(listen, credentials)
            served = Served(self._bind(Address("127.0.0.1", 0)), lan)
        await self._server.start()
        self._patrol = asyncio.create_task(self._watch.patrol())
        self._health.tell(serving=True)
        return served

    def _bind(self, address: Address, credentials: grpc.ServerCredentials | None = None) -> Address:
        try:
            if credentials is None:
                port = self._server.add_insecure_port(str(address))
            else:
                port = self._server.add_secure_port(str(address), credentials)
        except RuntimeError:
            port = 0
        if port == 0:
            raise AddressInUseError(
                "the address is in use, or this machine does not have it",
                where=str(address),
                hint="another daemon may run already; or give another port with --listen HOST:PORT",
            )
        return address.with_port(port)

    def refuse(self) -> None:
        """Say that the end is near: health turns to NOT_SERVING."""
        self._health.tell(serving=False)

    async def stop(self, grace: float) -> None:
        """Take no new rpcs and give those that run ``grace`` seconds."""
        await self._server.stop(grace)
        if self._patrol:
            self._patrol.cancel()

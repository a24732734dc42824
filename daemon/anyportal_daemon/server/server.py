"""The gRPC server: services, limits, health and reflection behind one gate."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
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
from anyportal_daemon.security.users import Authenticator
from anyportal_daemon.server.blobs import BlobService
from anyportal_daemon.server.catalog import CatalogService
from anyportal_daemon.server.gate import Gate
from anyportal_daemon.server.jobs import JobService
from anyportal_daemon.server.store import StoreService
from anyportal_daemon.storage.blobs import CHUNK

MAX_MESSAGE = 64 * 1024 * 1024
"""Bytes: room for the manifests of long sequences, and none for a flood."""

READ_AHEAD = 2 * CHUNK
"""Bytes of a stream that gRPC takes before the daemon asks for them: enough for the full rate of a local network."""

OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", 16 * 1024),
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


class Server:
    """Serves from ``start`` to ``stop``."""

    def __init__(
        self,
        authenticator: Authenticator,
        blobs: BlobService,
        store: StoreService,
        jobs: JobService,
        catalog: CatalogService,
    ) -> None:
        logging.getLogger("grpc._cython.cygrpc").addFilter(_is_news)
        self._server = aio.server(interceptors=(Gate(authenticator),), options=OPTIONS)
        blobs_pb2_grpc.add_BlobServiceServicer_to_server(blobs, self._server)
        jobs_pb2_grpc.add_JobServiceServicer_to_server(jobs, self._server)
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(catalog, self._server)
        store_pb2_grpc.add_StoreServiceServicer_to_server(store, self._server)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    async def start(self, listen: Address) -> Address:
        """Serve; gives the address with the port that was taken.

        Raises:
            AddressInUseError: another program has it.
        """
        try:
            port = self._server.add_insecure_port(str(listen))
        except RuntimeError:
            port = 0
        if port == 0:
            raise AddressInUseError(
                "the address is in use, or this machine does not have it",
                where=str(listen),
                hint="another daemon may run already; or give another port with --listen HOST:PORT",
            )
        await self._server.start()
        for service in ("", *SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return listen.with_port(port)

    async def refuse(self) -> None:
        """Say that the end is near: health turns to NOT_SERVING."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float) -> None:
        """Take no new rpcs and give those that run ``grace`` seconds."""
        await self._server.stop(grace)

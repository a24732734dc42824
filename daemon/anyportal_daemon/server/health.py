"""grpc.health.v1: whether the daemon serves. All of its services do, or none does.

grpcio-health-checking brings a servicer for asyncio, in which the first watcher to leave takes the news
from the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import NoReturn

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from anyportal_daemon.server.guard import Context

SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # it has no types
    """Used on one event loop.

    Args:
        services: by their full names; the empty one, for all of them, is known in any case.
    """

    def __init__(self, services: Collection[str]) -> None:
        self._services = frozenset(("", *services))
        self._status = HealthCheckResponse.NOT_SERVING
        self._news = asyncio.Event()
        """Of the status as it is; another one has an event of its own."""

    def tell(self, serving: bool) -> None:
        """Whether the daemon serves, from now on."""
        self._status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        told, self._news = self._news, asyncio.Event()
        told.set()

    async def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        if request.service not in self._services:
            await _unknown(context)
        return HealthCheckResponse(status=self._status)

    async def Watch(self, request: HealthCheckRequest, context: Context) -> AsyncIterator[HealthCheckResponse]:
        known, told = request.service in self._services, None
        while True:
            news, status = self._news, self._status if known else HealthCheckResponse.SERVICE_UNKNOWN
            if status != told:
                yield HealthCheckResponse(status=status)
            told = status
            await news.wait()


async def _unknown(context: Context) -> NoReturn:
    await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
    raise AssertionError("abort raises")

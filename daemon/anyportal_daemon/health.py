"""Asks a daemon of this machine whether it serves: ``anyportal health``, for containers and monitors."""

from __future__ import annotations

from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from anyportal_daemon.drain import running
from anyportal_daemon.errors import NoDaemonError
from anyportal_daemon.security.users import METADATA_KEY


def check(state: Path, patience: float) -> str:
    """The address of the daemon, which has said by ``grpc.health.v1`` that it serves.

    Raises:
        NoDaemonError: none runs, it does not answer within ``patience`` seconds, or it says that it does not serve.
    """
    found = running(state)
    metadata = ((METADATA_KEY, f"Bearer {found.token}"),)
    with grpc.insecure_channel(found.address) as channel:
        try:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=patience, metadata=metadata)
        except grpc.RpcError as error:
            code = error.code().name
            raise NoDaemonError(f"it does not answer ({code})", where=found.address, hint="see its log") from None
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise NoDaemonError("it says that it does not serve", where=found.address, hint="it is about to end")
    return found.address

"""The client of AnyPortal: submit shots to a daemon, watch them, fetch the results.

    from anyportal_client import Client, ShotRequest

    with Client.connect() as client:
        job = client.submit(ShotRequest(plate="plate.mov", backdrop="beach.jpg"))
        files = client.fetch(job.name, "out")

Names are loaded when they are first used: importing this package is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from anyportal_client.version import __version__

if TYPE_CHECKING:
    from anyportal_client.aio import AsyncClient
    from anyportal_client.client import Client
    from anyportal_client.errors import ClientError
    from anyportal_client.messages import DaemonInfo, Job, PresetInfo
    from anyportal_client.request import ShotRequest

_HOMES = {
    "AsyncClient": "aio",
    "Client": "client",
    "ClientError": "errors",
    "DaemonInfo": "messages",
    "Job": "messages",
    "PresetInfo": "messages",
    "ShotRequest": "request",
}

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "DaemonInfo",
    "Job",
    "PresetInfo",
    "ShotRequest",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

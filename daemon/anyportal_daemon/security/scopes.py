"""What a user may do, and what each rpc needs. An rpc that is not listed here is refused to everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Scope(StrEnum):
    """Something that a user may do beside looking at their own jobs and what the daemon can do."""

    SUBMIT = "submit"
    """Upload, and create, cancel, retry and delete their own jobs."""
    READ_ALL = "read-all"
    """See everybody's jobs, events and results."""
    ADMIN = "admin"
    """See, cancel, retry and delete everybody's jobs; verify and prune the store."""


Scopes = frozenset[Scope]
NONE: Scopes = frozenset()
ALL: Scopes = frozenset(Scope)

MESSAGE = 2 * 1024 * 1024
"""Bytes of a message: four times what is sent at once of an upload, and the names of 10,000 blobs."""

MANIFESTS = 24 * 1024 * 1024
"""Bytes of a new job: plate, matte and backdrop of 100,000 files each, which are 79 bytes for each file."""


@dataclass(frozen=True)
class Need:
    """What an rpc needs.

    Args:
        scopes: one of these is enough; none: whoever is known may call it.
        changes: it changes something, and so is written into the audit log.
        most: bytes of a message that it takes.
    """

    scopes: Scopes = NONE
    changes: bool = False
    most: int = MESSAGE


_LOOK = Need()
_SEND = Need(frozenset({Scope.SUBMIT}))
_SUBMIT = Need(frozenset({Scope.SUBMIT}), changes=True)
_CHANGE = Need(frozenset({Scope.SUBMIT, Scope.ADMIN}), changes=True)
_KEEP = Need(frozenset({Scope.ADMIN}), changes=True)

_SERVICES: Mapping[str, Mapping[str, Need]] = {
    "anyportal.v1.BlobService": {
        "FindMissingBlobs": _SEND,
        "GetUpload": _SEND,
        "WriteBlob": _SUBMIT,
        "ReadBlob": _LOOK,
    },
    "anyportal.v1.JobService": {
        "CreateJob": replace(_SUBMIT, most=MANIFESTS),
        "GetJob": _LOOK,
        "ListJobs": _LOOK,
        "WatchJob": _LOOK,
        "CancelJob": _CHANGE,
        "RetryJob": _CHANGE,
        "DeleteJob": _CHANGE,
        "ExplainJob": _LOOK,
    },
    "anyportal.v1.CatalogService": {
        "GetDaemon": _LOOK,
        "ListPresets": _LOOK,
        "ListPlugins": _LOOK,
        "ListModels": _LOOK,
        "Measure": _LOOK,
    },
    "anyportal.v1.StoreService": {"GetStore": _LOOK, "VerifyStore": _KEEP, "PruneStore": _KEEP},
    "grpc.health.v1.Health": {"Check": _LOOK, "Watch": _LOOK},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": _LOOK},
}
NEEDS: Mapping[str, Need] = {
    f"/{service}/{rpc}": need for service, rpcs in _SERVICES.items() for rpc, need in rpcs.items()
}
"""By the path of the rpc on the wire."""

"""The daemon's store from afar: how much there is, whether it is sound, and what can go."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass

import grpc.aio

from anyportal.v1 import store_pb2
from anyportal_client.channel import Connection
from anyportal_client.events import Event

Held = Mapping[str, int]
"""`count` and `size_bytes`."""

LONG = 3600.0
"""Seconds for a call that deletes files: of a million it takes minutes."""

_KINDS = {
    store_pb2.Holding.BLOB: "blobs",
    store_pb2.Holding.UPLOAD: "uploads",
    store_pb2.Holding.STAGE: "stages",
}
_RECOVERIES = {
    store_pb2.Damage.COMPUTED: "computed",
    store_pb2.Damage.SENT: "sent",
    store_pb2.Damage.RUN: "run",
}


@dataclass(frozen=True)
class StoreShown(Event):
    """What the daemon's store holds, by kind: blobs, uploads, stages. `whole` is empty for who is not its owner."""

    event = "store"
    budget_bytes: int
    free_disk_bytes: int
    prunable_bytes: int
    own: Mapping[str, Held]
    whole: Mapping[str, Held]


@dataclass(frozen=True)
class Verifying(Event):
    """How far the daemon is with hashing its store again."""

    event = "verify"
    done_bytes: int
    total_bytes: int
    checked: int


@dataclass(frozen=True)
class DamageFound(Event):
    """Something in the store was not what it had been, and is removed; `gone` where nothing was left of it.

    `recovery` is how it comes back: `computed` when a job needs it, `sent` again, or by a job that is `run` again.
    """

    event = "damage"
    kind: str
    name: str
    size_bytes: int
    gone: bool
    recovery: str
    jobs: tuple[str, ...]


@dataclass(frozen=True)
class StoreVerified(Event):
    """All of the store is hashed again."""

    event = "verified"
    checked: int
    damaged: int
    total_bytes: int


@dataclass(frozen=True)
class StorePruned(Event):
    """What nobody needs is evicted."""

    event = "pruned"
    count: int
    freed_bytes: int
    used_bytes: int


Verification = Verifying | DamageFound | StoreVerified


async def show(connection: Connection) -> StoreShown:
    """What the store holds."""
    found = await connection.call(connection.store.GetStore, store_pb2.GetStoreRequest(), seconds=120)
    own, whole = _held(found.own), _held(found.whole)
    return StoreShown(found.budget_bytes, found.free_disk_bytes, found.prunable_bytes, own, whole)


async def verify(connection: Connection) -> AsyncGenerator[Verification, None]:
    """Have everything hashed again: progress and damage as it goes; begins anew after a cut."""
    attempts, damaged = connection.attempts(), 0
    while True:
        try:
            async for step in connection.stream(connection.store.VerifyStore, store_pb2.VerifyStoreRequest()):
                attempts.progressed()
                for each in step.damage:
                    damaged += 1
                    yield _damage(each)
                if step.complete:
                    yield StoreVerified(step.checked, damaged, step.total_bytes)
                    return
                yield Verifying(step.done_bytes, step.total_bytes, step.checked)
        except grpc.aio.AioRpcError as error:
            await attempts.failed(error)


async def prune(connection: Connection, keep: int, recent: bool) -> StorePruned:
    """Have evicted what nobody needs."""
    request = store_pb2.PruneStoreRequest(keep_bytes=keep, recent=recent)
    done = await connection.call(connection.store.PruneStore, request, seconds=LONG)
    return StorePruned(done.count, done.freed_bytes, done.used_bytes)


def _held(holdings: Iterable[store_pb2.Holding]) -> dict[str, Held]:
    """Holdings by kind; a newer daemon may have kinds that this client does not know."""
    return {
        _KINDS[each.kind]: {"count": each.count, "size_bytes": each.size_bytes}
        for each in holdings
        if each.kind in _KINDS
    }


def _damage(found: store_pb2.Damage) -> DamageFound:
    kind, recovery = _KINDS.get(found.kind, "blobs"), _RECOVERIES.get(found.recovery, "sent")
    return DamageFound(kind, found.name, found.size_bytes, found.gone, recovery, tuple(found.jobs))

"""StoreService: the store looked at, verified, pruned."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from anyportal.v1 import store_pb2, store_pb2_grpc
from anyportal.v1.store_pb2 import Holding
from anyportal_daemon.security.scopes import Scope
from anyportal_daemon.security.users import calling
from anyportal_daemon.server.guard import Context
from anyportal_daemon.server.threads import in_thread
from anyportal_daemon.storage.blobs import BlobStore
from anyportal_daemon.storage.keeper import Keeper
from anyportal_daemon.storage.shelf import Kind, Shelf, Total
from anyportal_daemon.storage.verification import Damage, Step, Verifier

_KINDS: Mapping[Kind, Holding.Kind.ValueType] = {
    "blob": Holding.BLOB,
    "upload": Holding.UPLOAD,
    "stage": Holding.STAGE,
}
_RECOVERIES = {
    "computed": store_pb2.Damage.COMPUTED,
    "sent": store_pb2.Damage.SENT,
    "run": store_pb2.Damage.RUN,
}
QUIET = 0.1
"""Seconds between two reports of progress."""


class StoreService(store_pb2_grpc.StoreServiceServicer):
    """See store.proto. All file work happens in threads."""

    def __init__(
        self, root: Path, store: BlobStore, shelves: Sequence[Shelf], keeper: Keeper, verifier: Verifier
    ) -> None:
        self._root, self._store, self._shelves = root, store, shelves
        self._keeper, self._verifier = keeper, verifier

    async def GetStore(self, request: store_pb2.GetStoreRequest, context: Context) -> store_pb2.Store:
        principal = calling()
        return await in_thread(self._describe, principal.user, principal.may(Scope.ADMIN))

    def _describe(self, user: str, whole: bool) -> store_pb2.Store:
        store = store_pb2.Store(budget_bytes=self._keeper.budget, free_disk_bytes=shutil.disk_usage(self._root).free)
        if whole:
            store.prunable_bytes = self._keeper.prunable()  # finds what is gone, so that it is in no sum
            store.whole.extend(_holdings((shelf.kind, shelf.total()) for shelf in self._shelves))
        store.own.extend(_holdings(self._store.holdings(user).items()))
        return store

    async def VerifyStore(
        self, request: store_pb2.VerifyStoreRequest, context: Context
    ) -> AsyncIterator[store_pb2.VerifyStoreResponse]:
        steps = self._verifier.verify()
        last = Step(0, 0, 0)
        while step := await in_thread(_next, steps):
            last = step
            yield _message(step)
        yield store_pb2.VerifyStoreResponse(
            done_bytes=last.done, total_bytes=last.total, checked=last.checked, complete=True
        )

    async def PruneStore(self, request: store_pb2.PruneStoreRequest, context: Context) -> store_pb2.PruneStoreResponse:
        freed = await in_thread(self._keeper.prune, max(request.keep_bytes, 0), request.recent)
        used = await in_thread(self._keeper.used)
        return store_pb2.PruneStoreResponse(count=freed.count, freed_bytes=freed.size, used_bytes=used)


def _next(steps: Iterator[Step]) -> Step | None:
    """The next step with damage, or the one that is due, or the last: small files are not worth a message each."""
    begun, step = time.monotonic(), None
    for step in steps:
        if step.damage or time.monotonic() - begun >= QUIET:
            break
    return step


def _holdings(totals: Iterable[tuple[Kind, Total]]) -> list[Holding]:
    return [Holding(kind=_KINDS[kind], count=total.count, size_bytes=total.size) for kind, total in totals]


def _message(step: Step) -> store_pb2.VerifyStoreResponse:
    return store_pb2.VerifyStoreResponse(
        done_bytes=step.done,
        total_bytes=step.total,
        checked=step.checked,
        damage=[_damage(each) for each in step.damage],
    )


def _damage(damage: Damage) -> store_pb2.Damage:
    return store_pb2.Damage(
        kind=_KINDS[damage.kind],
        name=damage.name,
        size_bytes=damage.size,
        gone=damage.gone,
        recovery=_RECOVERIES[damage.recovery],
        jobs=[f"jobs/{job_id}" for job_id in damage.jobs],
    )

"""`any`: of the daemons that were logged in to, and the one of this machine, that which will be done first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from anyportal_client.credentials import saved_hosts
from anyportal_client.discovery import Endpoint, endpoint_of, process_gone
from anyportal_client.errors import ClientError
from anyportal_client.events import DaemonChosen, LogLine, OnEvent

if TYPE_CHECKING:
    from anyportal_client.aio import AsyncClient

SECONDS = 10.0
"""For all of them to answer, at once. Who takes longer will hardly be done first."""


@dataclass(frozen=True)
class Prospect:
    """What a daemon promises.

    Args:
        start: seconds until it would begin; None where nobody knows.
        end: seconds until it would be done; None where nobody knows.
        jobs: that wait or run there.
        device: what it works on.
        why: what speaks for it, where that is something else.
    """

    start: float | None
    end: float | None
    jobs: int = 0
    device: str = ""
    why: str = ""


Suits = Callable[["AsyncClient"], Awaitable[Prospect]]
"""Asks a daemon what it promises. An error takes it out of the choice."""


async def queue_of(client: AsyncClient) -> Prospect:
    """What the queue alone tells, where it is not known yet what is to be done."""
    info = client.info
    jobs = info.queued_jobs + info.running_jobs
    devices = sorted({worker.device for worker in info.workers}, reverse=True)
    return Prospect(0.0 if jobs == 0 else None, None, jobs, devices[0] if devices else "")


async def choose(local: Endpoint | None, suits: Suits, on_event: OnEvent) -> Endpoint | None:
    """The daemon that will be done first, of those that answer and accept; which and why is told.

    Args:
        local: that of this machine, where one runs; it is one of them, and takes the work where no other can.
    """
    endpoints = {saved.address: endpoint_of(saved) for saved in saved_hosts().values()}
    if local is not None and not process_gone(local.pid):
        endpoints.setdefault(local.address, local)
    found = await asyncio.gather(*(_asked(endpoint, suits, on_event) for endpoint in endpoints.values()))
    promised = [(endpoint, what) for endpoint, what in zip(endpoints.values(), found, strict=True) if what is not None]
    if not promised:
        on_event(LogLine("", 0, "warning", f"none of {len(endpoints)} daemons can do it: this machine has to"))
        return local
    endpoint, best = _first([what for _, what in promised], promised)
    on_event(DaemonChosen(endpoint.address, _reason(best, len(promised)), best.end, len(endpoints)))
    return endpoint


def _first(prospects: Sequence[Prospect], promised: Sequence[tuple[Endpoint, Prospect]]) -> tuple[Endpoint, Prospect]:
    """Who never did such work is taken to be about as quick as the others; where all else is equal, who did it before
    goes first, then a GPU."""
    lasts = [each.end - each.start for each in prospects if each.end is not None and each.start is not None]
    usual = median(lasts) if lasts else None

    def worth(pair: tuple[Endpoint, Prospect]) -> tuple[bool, float, int, bool, bool]:
        what = pair[1]
        end = what.end
        if end is None and what.start is not None and usual is not None:
            end = what.start + usual
        return end is None, end or 0.0, what.jobs, what.end is None, not what.device.startswith("cuda")

    return min(promised, key=worth)


def _reason(what: Prospect, count: int) -> str:
    if what.why:
        return what.why
    if count == 1:
        return "no other answers and accepts it"
    if what.end is not None:
        return f"it will be done first, in about {what.end:.0f} s"
    waiting = "nobody waits there" if what.jobs == 0 else f"{what.jobs} jobs wait or run there, fewer than elsewhere"
    return f"how long it takes is not known yet; {waiting}"


async def _asked(endpoint: Endpoint, suits: Suits, on_event: OnEvent) -> Prospect | None:
    from anyportal_client.aio import AsyncClient

    try:
        async with asyncio.timeout(SECONDS):
            async with await AsyncClient.connect(endpoint, start=False, patience=1.0) as client:
                return await suits(client)
    except (ClientError, TimeoutError) as error:
        said = error.message if isinstance(error, ClientError) else "it does not answer in time"
        on_event(LogLine("", 0, "info", f"not {endpoint.address}: {said}"))
        return None

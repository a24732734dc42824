"""When to try again, after how long, and when to give up."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass

import grpc
import grpc.aio

from anyportal_client import rpc_errors
from anyportal_client.errors import ClientError
from anyportal_client.line import Line

logging.getLogger("anyportal_client").addHandler(logging.NullHandler())  # silent unless somebody listens

PATIENCE = 120.0
"""Seconds to wait for a daemon that was there and is away. Its jobs are safe, so there is nothing to lose but time: an
update of its packages, or a machine that starts again by itself, should cost nobody a night's batch. For longer than
that it is more likely that somebody has to look, and should be told so."""

STARTING_PATIENCE = 60.0
"""Seconds to wait for a daemon that says it is not ready yet."""

TOKEN_PATIENCE = 10.0
"""Seconds to wait for daemon.json where the daemon refuses the token that stands there: one that starts listens a
moment before it writes the file."""

LOOK_AGAIN = 0.5
"""Seconds between two looks into daemon.json while the daemon is surely away, which cost nobody anything."""

_HIDDEN = "Internal error from Core"
# What a cut connection looks like depends on what the cut hit.
_CUT = {
    grpc.StatusCode.UNAVAILABLE: ("",),
    grpc.StatusCode.CANCELLED: ("",),
    grpc.StatusCode.UNKNOWN: ("Stream removed",),
    grpc.StatusCode.INTERNAL: ("RST_STREAM", _HIDDEN),
}


@dataclass(frozen=True)
class Backoff:
    """How long to go on trying.

    Args:
        patience: seconds without any progress after which to give up.
        first, factor, most: the first delay, its growth, its limit, in seconds.
        jitter: share by which a delay is made longer at random, so that many clients do not return as one.
    """

    patience: float = PATIENCE
    first: float = 0.1
    factor: float = 1.7
    most: float = 4.0
    jitter: float = 0.3


class Attempts:
    """The attempts at one thing. Call `failed` after each failure, `progressed` whenever something was gained."""

    def __init__(self, backoff: Backoff, line: Line, job: str = "") -> None:
        self._backoff = backoff
        self._line = line
        self._job = job
        self.progressed()

    def progressed(self) -> None:
        """Patience begins anew, at the next failure."""
        self._failures = 0
        self._since: dict[str, float] = {}

    async def failed(self, error: grpc.aio.AioRpcError) -> None:
        """Wait until the next attempt is due, which goes to where the daemon is by then.

        Raises:
            ClientError: another attempt is no use, or patience is at its end.
        """
        reason = rpc_errors.reason(error)
        refused = error.code() is grpc.StatusCode.UNAUTHENTICATED
        if not worth_retrying(error, reason) and not (refused and self._line.endpoint.token_of_file):
            raise self._translated(error) from error
        trouble = self._trouble(reason, refused)
        if trouble == "AWAY" and self._line.endpoint.tls is not None and (found := await self._line.insecure()):
            raise found from error
        until = self._since.setdefault(trouble, time.monotonic()) + self._patience(trouble)
        delay = self._delay(rpc_errors.retry_delay(error))
        while True:
            if time.monotonic() + delay > until:
                raise await self._given_up(error, refused) from error
            await asyncio.sleep(delay)
            if await self._line.renew():
                return
            delay = LOOK_AGAIN * (1 + random.uniform(0, self._backoff.jitter))

    def _trouble(self, reason: str, refused: bool) -> str:
        """What patience is needed for; each trouble has its own, since the end of one may be the beginning of another.

        Who refuses a token may be another daemon on the same port: the own one is neither there nor lost for that.
        """
        if refused:
            return "TOKEN"
        if reason in ("", "STOPPING"):
            self._line.lost()
            return "AWAY"
        self._line.answered()
        return reason

    def _patience(self, trouble: str) -> float:
        own = self._backoff.patience
        return {"STARTING": STARTING_PATIENCE, "TOKEN": min(own, TOKEN_PATIENCE)}.get(trouble, own)

    async def _given_up(self, error: grpc.aio.AioRpcError, refused: bool) -> ClientError:
        if self._line.away and not refused:  # what it said as it went is old news
            insecure = await self._line.insecure()
            return insecure or rpc_errors.unreachable(self._line.endpoint.address, self._job)
        return self._translated(error)

    def _translated(self, error: grpc.aio.AioRpcError) -> ClientError:
        endpoint = self._line.endpoint
        return rpc_errors.translate(error, endpoint.address, self._job, logged_in=endpoint.tls is not None)

    def _delay(self, asked: float | None) -> float:
        backoff = self._backoff
        own = min(backoff.most, backoff.first * backoff.factor**self._failures)
        self._failures += 1
        return (own if asked is None else asked) * (1 + random.uniform(0, backoff.jitter))


def worth_retrying(error: grpc.aio.AioRpcError, reason: str) -> bool:
    """Whether the same call may succeed later."""
    if reason:
        return error.code() is grpc.StatusCode.UNAVAILABLE or reason in ("UPLOAD_BUSY", "RATE")
    return any(sign in (error.details() or "") for sign in _CUT.get(error.code(), ()))


def hides_its_reason(error: grpc.aio.AioRpcError) -> bool:
    """Whether gRPC noticed while sending that a call had ended: then it forgets what the daemon said about it."""
    return error.code() is grpc.StatusCode.INTERNAL and _HIDDEN in (error.details() or "")

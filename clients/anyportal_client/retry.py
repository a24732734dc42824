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

log = logging.getLogger(__name__)
logging.getLogger("anyportal_client").addHandler(logging.NullHandler())  # silent unless somebody listens

_TELL_AFTER = 4

STARTING_PATIENCE = 60.0
"""Seconds to wait for a daemon that says it is not ready yet."""

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

    patience: float = 30.0
    first: float = 0.1
    factor: float = 1.7
    most: float = 4.0
    jitter: float = 0.3


class Attempts:
    """The attempts at one thing. Call `failed` after each failure, `progressed` whenever something was gained."""

    def __init__(self, backoff: Backoff, address: str, job: str = "") -> None:
        self._backoff = backoff
        self._address = address
        self._job = job
        self.progressed()

    def progressed(self) -> None:
        """Patience begins anew."""
        self._failures = 0
        self._since = time.monotonic()

    async def failed(self, error: grpc.aio.AioRpcError) -> None:
        """Wait until the next attempt is due.

        Raises:
            ClientError: another attempt is no use, or patience is at its end.
        """
        reason = rpc_errors.reason(error)
        if not worth_retrying(error, reason):
            raise rpc_errors.translate(error, self._address, self._job) from error
        delay = self._delay(rpc_errors.retry_delay(error))
        patience = self._backoff.patience
        if reason == "STARTING":
            patience = max(patience, STARTING_PATIENCE)
        if time.monotonic() - self._since + delay > patience:
            raise rpc_errors.translate(error, self._address, self._job) from error
        if self._failures == _TELL_AFTER and reason != "STARTING":
            log.warning("no answer from the daemon at %s: trying again", self._address)
        await asyncio.sleep(delay)

    def _delay(self, asked: float | None) -> float:
        backoff = self._backoff
        own = min(backoff.most, backoff.first * backoff.factor**self._failures)
        self._failures += 1
        return (own if asked is None else asked) * (1 + random.uniform(0, backoff.jitter))


def worth_retrying(error: grpc.aio.AioRpcError, reason: str) -> bool:
    """Whether the same call may succeed later."""
    if reason:
        return error.code() is grpc.StatusCode.UNAVAILABLE or reason == "UPLOAD_BUSY"
    return any(sign in (error.details() or "") for sign in _CUT.get(error.code(), ()))


def hides_its_reason(error: grpc.aio.AioRpcError) -> bool:
    """Whether gRPC noticed while sending that a call had ended: then it forgets what the daemon said about it."""
    return error.code() is grpc.StatusCode.INTERNAL and _HIDDEN in (error.details() or "")

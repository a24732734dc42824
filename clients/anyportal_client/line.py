"""The line to a daemon: a channel that follows it to another address, and whether anybody is at its other end."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from functools import partialmethod
from typing import Any

import grpc.aio

from anyportal_client.discovery import Endpoint, Tls, is_loopback
from anyportal_client.errors import ClientError, DaemonError, UsageError
from anyportal_client.events import DaemonAway, DaemonBack, Event, OnEvent

log = logging.getLogger(__name__)

# Names are looked up as every other program does it: grpc's own way asks DNS servers, and knows nothing of what else
# the system may be told to ask, such as multicast DNS for `.local`. Read when the first channel is made.
os.environ.setdefault("GRPC_DNS_RESOLVER", "native")

Renew = Callable[[], Endpoint | None]
"""Where the daemon is by now; None while it is surely away. Raises DaemonError where it will never be back."""

TELL_AFTER = 2.0
"""Seconds after which it is told that the daemon is away: a cut is over by then, and of no interest to anybody."""

_OPTIONS = (
    ("grpc.enable_http_proxy", 0),  # a studio's web proxy knows nothing of the daemon
    ("grpc.enable_retries", 0),  # retry.py does it, and knows what may be retried
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),  # a manifest of 100,000 frames is 10 MiB
)

_OPTIONS_OF_NETWORK = (
    # A machine that vanished says nothing: whoever waits for it asks, and has noticed within 30 seconds. The daemon
    # takes one such question in ten seconds.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 8_000),
    # Also the time that a connection and its handshake get, and the first try over a bad line needs more than 100 ms.
    ("grpc.min_reconnect_backoff_ms", 5000),
)


class Line:
    """Stands for a channel: each call goes to where the daemon is at that moment.

    So the stubs that are made with it, and whoever holds one of their methods to try it again, outlive a daemon that
    comes back elsewhere.

    Args:
        patience: seconds for which the daemon is waited for, to be told.
        on_event: is told of a daemon that is away, and that it is back.

    Raises:
        ClientError: it would be called in clear text on another machine, or a certificate of this client is not there.
    """

    def __init__(self, endpoint: Endpoint, renew: Renew, patience: float, on_event: OnEvent | None = None) -> None:
        self.endpoint = endpoint
        self._renew = renew
        self._patience = patience
        self._tell = on_event or _log
        self._channel = _open(endpoint)
        self._left: list[grpc.aio.Channel] = []
        self._lost_at: float | None = None
        self._told = False
        self._timer: asyncio.TimerHandle | None = None

    def _method(self, kind: str, *form: Any, **named: Any) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            return getattr(self._channel, kind)(*form, **named)(*given, **options)

        return call

    unary_unary = partialmethod(_method, "unary_unary")
    unary_stream = partialmethod(_method, "unary_stream")
    stream_unary = partialmethod(_method, "stream_unary")
    stream_stream = partialmethod(_method, "stream_stream")

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What to show with a call that is made now."""
        return (("authorization", f"Bearer {self.endpoint.token}"),) if self.endpoint.token else ()

    @property
    def away(self) -> bool:
        """Whether nobody answered when the daemon was called last."""
        return self._lost_at is not None

    async def renew(self) -> bool:
        """Look where the daemon is by now; False while it is surely away, and to call it no use.

        Raises:
            DaemonError: it will never be back.
        """
        found = await asyncio.to_thread(self._renew)
        if found is None:
            return False
        if found.address != self.endpoint.address:
            # What is under way on the old channel ends by itself, with the daemon that it went to. To close it would
            # cancel the tasks that wait for it. Without calls it holds no connection, so it may stay until the end.
            self._left.append(self._channel)
            self._channel = _open(found)
        self.endpoint = found
        return True

    async def insecure(self) -> ClientError | None:
        """Why a call cannot have come through, where that is about TLS. Makes a connection of its own to see."""
        from anyportal_client.network_tls import trouble

        return await asyncio.to_thread(trouble, self.endpoint)

    def lost(self) -> None:
        """Nobody answered."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(TELL_AFTER, self._tell_away)

    def answered(self) -> None:
        """Somebody did."""
        if self._lost_at is None:
            return
        seconds, told = time.monotonic() - self._lost_at, self._told
        self._forget()
        if told:
            self._tell(DaemonBack(self.endpoint.address, round(seconds, 1)))

    async def close(self) -> None:
        self._forget()
        for channel in (*self._left, self._channel):
            await channel.close(None)

    def _tell_away(self) -> None:
        self._told = True
        self._tell(DaemonAway(self.endpoint.address, self._patience))

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._lost_at, self._timer, self._told = None, None, False


def _open(endpoint: Endpoint) -> grpc.aio.Channel:
    if endpoint.tls is not None:
        options = dict(_OPTIONS) | dict(_OPTIONS_OF_NETWORK)
        return grpc.aio.secure_channel(endpoint.address, _credentials(endpoint.tls), options=tuple(options.items()))
    if not is_loopback(endpoint.address):
        raise DaemonError(
            "this daemon is on another machine, and nobody has said how to know it: nothing was sent",
            code="NOT_SECURE",
            where=endpoint.address,
            hint=f"log in first: anyportal login {endpoint.address}",
        )
    return grpc.aio.insecure_channel(endpoint.address, options=_OPTIONS)


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    own: list[bytes | None] = [None, None]
    if tls.certificate is not None:
        key = tls.key or tls.certificate
        try:
            own = [key.read_bytes(), tls.certificate.read_bytes()]
        except OSError as error:
            hint = "give it back its place, or log in again with --certificate and --key"
            raise UsageError(
                f"this client's certificate cannot be read: {error.strerror}", where=str(error.filename), hint=hint
            ) from error
    return grpc.ssl_channel_credentials(tls.authority.encode(), *own)


def _log(event: Event) -> None:
    """What a library's user sees who listens to nothing else."""
    if isinstance(event, DaemonAway):
        log.warning("no answer from the daemon at %s: trying again", event.address)
    elif isinstance(event, DaemonBack):
        log.info("the daemon at %s answers again", event.address)

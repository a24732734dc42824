"""One rpc as those see it who look after the daemon: who calls, from where, whether they may, what came of it."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from grpc import StatusCode

from anyportal_core.errors import AnyPortalError
from anyportal_daemon.errors import RateError, Refusal, ScopeError, SilentError, TokenError
from anyportal_daemon.security.audit import Entry
from anyportal_daemon.security.scopes import NEEDS
from anyportal_daemon.security.users import METADATA_KEY, Metadata, Principal
from anyportal_daemon.server.errors import to_code
from anyportal_daemon.server.hearing import NO_EAR

if TYPE_CHECKING:
    from anyportal_daemon.server.watch import Watch

_STATED = frozenset({"STARTING", "STOPPING", "SILENT", "UPLOAD_BUSY", "OFFSET"})
"""Refusals that say how things stand and nothing about the caller; they are of no interest to an audit."""


class Visit:
    """One rpc, from its metadata to its end."""

    def __init__(self, watch: Watch, method: str, metadata: Metadata) -> None:
        self._watch, self._method, self.metadata = watch, method, metadata
        self._need = NEEDS.get(method)
        self._principal: Principal | None = None
        self._target = self.peer = ""
        self._task: asyncio.Task[Any] | None = None
        """Of the call, as long as it may be dismissed."""
        self._sending_since: float | None = None
        self.dismissed: Refusal | None = None
        """Why the call is to end before its time."""
        self.ear = NO_EAR
        self.most = self._need.most if self._need else 0
        self.patience = float(watch.limits.idle_seconds)

    def enter(self) -> Principal:
        """Who calls.

        Raises:
            TokenError: nobody known.
            RateError: they call too often.
        """
        found = self._principal = self._watch.authenticator.principal(self.metadata)
        wait = 0.0 if found.owner else self._watch.calls.take(found.user)
        if wait:
            raise RateError("too many calls in too short a time", wait, hint="wait a little, then call again")
        return found

    def check(self) -> None:
        """Raises ScopeError where this is not for them; an rpc that nobody has thought of is for nobody."""
        scopes = self._need.scopes if self._need else None
        principal = self._principal
        if principal is None or scopes is None or (scopes and not principal.may(*scopes)):
            needed = " or ".join(sorted(scopes or ("nothing that a user can have",)))
            hint = "on the daemon's machine: anyportal users scopes NAME --scope ..."
            raise ScopeError(f"this needs the scope {needed}", where=self._method, hint=hint)

    def begin(self, peer: str, streaming: bool) -> None:
        """The caller's place is known now. From here to ``close`` the call may be dismissed.

        Args:
            streaming: the caller sends any number of messages.

        Raises:
            TokenError: the daemon's own token is shown from another machine.
            RateError: too many of this user's calls run.
        """
        self.peer = peer
        principal = self._principal
        assert principal is not None, "nobody has entered"
        if principal.owner and not is_here(peer):
            raise TokenError(
                "the token of daemon.json is good on the daemon's machine alone",
                where=METADATA_KEY,
                hint="make one for a user there: anyportal users add NAME",
            )
        self._watch.begin(self, principal)
        self._task = asyncio.current_task()
        if not principal.owner:
            self.ear = self._watch.ears.of(principal.user, self.most, streaming)

    def asks(self, request: Any) -> None:
        """What the call is about."""
        blob = getattr(request, "blob", None)
        self._target = getattr(request, "name", "") or getattr(blob, "sha256", "")

    def undisturbed(self) -> None:
        """It will be over soon, and is not to be left half done: it is not dismissed any more."""
        self._task = None

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Inside the block a message waits for the caller to take it."""
        self._sending_since = time.monotonic()
        yield
        self._sending_since = None

    def look(self, found: Principal | TokenError, now: float) -> None:
        """Dismiss the call where it may not go on.

        Args:
            found: who the caller is by now.
        """
        stalled = self._watch.limits.stalled_seconds
        if isinstance(found, TokenError):
            self._dismiss(found)
        elif found != self._principal:
            self._dismiss(ScopeError("what you may do has changed while the call ran", hint="call again"))
        elif self._sending_since is not None and now - self._sending_since > stalled:
            hint = "go on from where you are"
            self._dismiss(SilentError(f"nothing was taken for {stalled} seconds", hint=hint))

    def _dismiss(self, why: Refusal) -> None:
        if self._task is not None and self.dismissed is None:
            self.dismissed = why
            self._task.cancel()

    def reason(self, error: BaseException) -> BaseException:
        """Why the call really ended, where it ended by an error."""
        if self.dismissed is None or not isinstance(error, asyncio.CancelledError) or self._task is None:
            return error
        self._task.uncancel()
        return self.dismissed

    def close(self) -> None:
        """The call is over."""
        if self._principal is not None:
            self._watch.end(self, self._principal)

    def end(self, reply: Any) -> None:
        """It has ended well."""
        self._target = self._target or getattr(reply, "name", "")
        if self._need and self._need.changes:
            self.write(None)

    def failed(self, error: BaseException) -> None:
        """It has not."""
        changes = self._need is not None and self._need.changes
        refused = isinstance(error, Refusal) and error.code not in _STATED
        if changes or refused:
            self.write(error)

    def turned_away(self, peer: str, error: Exception) -> Exception:
        """Somebody was not let in; gives what to say to them."""
        self.peer = peer
        if isinstance(error, TokenError):
            return self._watch.stranger(self, error)
        self.write(error)
        return error

    def write(self, error: BaseException | None) -> None:
        """Into the audit log, how it ended."""
        if self._watch.audit is None:
            return
        result = _result(error)
        entry = Entry(self._user, self.peer, self._method, self._target, result)
        if isinstance(error, AnyPortalError) and to_code(error) is not StatusCode.INTERNAL:
            self._watch.audit.refused(entry, self._user or host_of(self.peer))
        else:
            self._watch.audit.record(entry)

    @property
    def _user(self) -> str:
        return self._principal.user if self._principal else ""


def is_here(peer: str) -> bool:
    """Whether a peer, as gRPC calls it, is on this machine."""
    if peer.startswith("unix:"):
        return True
    try:
        address = ipaddress.ip_address(host_of(peer))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def host_of(peer: str) -> str:
    """The address of a peer without its port."""
    _, _, place = unquote(peer).partition(":")
    return place.rpartition(":")[0].strip("[]") or place


def _result(error: BaseException | None) -> str:
    if error is None:
        return "OK"
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "CANCELLED"
    if isinstance(error, AnyPortalError):
        return f"{to_code(error).name} {error.code}"
    return "INTERNAL"

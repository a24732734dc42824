"""One rpc as those see it who look after the daemon: who calls, from where, whether they may, what came of it."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from typing import Any
from urllib.parse import unquote

from anyportal_core.errors import AnyPortalError
from anyportal_daemon.errors import RateError, Refusal, ScopeError, TokenError
from anyportal_daemon.security.audit import AuditLog
from anyportal_daemon.security.limits import CallLimits
from anyportal_daemon.security.rates import Buckets, Rate
from anyportal_daemon.security.scopes import NEEDS
from anyportal_daemon.security.users import METADATA_KEY, Authenticator, Metadata, Principal
from anyportal_daemon.server.errors import to_code

LOOK_AGAIN = 1.0
"""Seconds after which a long call is looked at again: whether its user is still let in."""

_STATED = frozenset({"STARTING", "STOPPING", "SILENT", "UPLOAD_BUSY", "OFFSET"})
"""Refusals that say how things stand and nothing about the caller; they are of no interest to an audit."""


class Watch:
    """Knows callers and counts what they do. Belongs to the event loop.

    Args:
        audit: is told what was done and refused; None: nobody is.
    """

    def __init__(self, authenticator: Authenticator, limits: CallLimits, audit: AuditLog | None = None) -> None:
        self.authenticator, self.audit = authenticator, audit
        self.set_limits(limits)
        self._unwritten: dict[str, int] = {}

    def set_limits(self, limits: CallLimits) -> None:
        """From now on these hold."""
        self.limits = limits
        self.calls = Buckets(Rate(limits.calls_at_once, limits.calls_per_second))
        self.strangers = Buckets(Rate(limits.wrong_tokens_per_minute, limits.wrong_tokens_per_minute / 60))

    def visit(self, method: str, metadata: Metadata) -> Visit:
        return Visit(self, method, metadata)

    def stranger(self, visit: Visit, error: TokenError) -> AnyPortalError:
        """What to say to somebody with a wrong token: why, or that there were too many of them."""
        host = host_of(visit.peer)
        wait = self.strangers.take(host)
        if not wait:
            visit.write(error, 1 + self._unwritten.pop(host, 0))
            return error
        # Not written one by one: a flood of them would push everything else out of the log.
        if host in self._unwritten or len(self._unwritten) < 4096:
            self._unwritten[host] = self._unwritten.get(host, 0) + 1
        hint = "show the right token: it is let in all the same"
        return RateError("too many wrong tokens from this address", wait, where=METADATA_KEY, hint=hint)


class Visit:
    """One rpc, from its metadata to its end."""

    def __init__(self, watch: Watch, method: str, metadata: Metadata) -> None:
        self._watch, self._method, self._metadata = watch, method, metadata
        self._need = NEEDS.get(method)
        self._principal: Principal | None = None
        self._target, self._looked = "", 0.0
        self.peer = ""
        self.patience = float(watch.limits.idle_seconds)

    def enter(self) -> Principal:
        """Who calls.

        Raises:
            TokenError: nobody known.
            RateError: they call too often.
        """
        found = self._principal = self._authenticated()
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

    def begin(self, peer: str) -> None:
        """The caller's place is known now.

        Raises:
            TokenError: the daemon's own token is shown from another machine.
        """
        self.peer = peer
        if self._principal and self._principal.owner and not is_here(peer):
            raise TokenError(
                "the token of daemon.json is good on the daemon's machine alone",
                where=METADATA_KEY,
                hint="make one for a user there: anyportal users add NAME",
            )

    def asks(self, request: Any) -> None:
        """What the call is about."""
        blob = getattr(request, "blob", None)
        self._target = getattr(request, "name", "") or getattr(blob, "sha256", "")

    def stays(self) -> None:
        """The call goes on.

        Raises:
            TokenError: its user is no longer let in.
            ScopeError: they may do more or less by now.
        """
        if time.monotonic() - self._looked < LOOK_AGAIN:
            return
        found = self._authenticated()
        if found != self._principal:
            raise ScopeError("what you may do has changed while the call ran", hint="call again")

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
        if not isinstance(error, RateError) or not self._watch.strangers.take(f"calls of {self._user}"):
            self.write(error)
        return error

    def write(self, error: BaseException | None, count: int = 1) -> None:
        """Into the audit log, how it ended."""
        if self._watch.audit is not None:
            self._watch.audit.record(self._user, self.peer, self._method, self._target, _result(error), count)

    @property
    def _user(self) -> str:
        return self._principal.user if self._principal else ""

    def _authenticated(self) -> Principal:
        found = self._watch.authenticator.principal(self._metadata)
        self._looked = time.monotonic()
        return found


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

"""Who is calling: from an rpc's metadata to a user."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from anyportal_daemon.errors import TokenError
from anyportal_daemon.security.scopes import Scope, Scopes

OWNER = "local"
"""Whoever holds the daemon's own token. Nobody else is called so."""

METADATA_KEY = "authorization"
_SCHEME = "Bearer "

Metadata = Mapping[str, str | bytes]


@dataclass(frozen=True)
class Principal:
    """Somebody who may call.

    Args:
        owner: holds the daemon's own token, and so may do everything, on its machine.
        scopes: what they may do beside looking at what is theirs.
    """

    user: str
    owner: bool = False
    scopes: Scopes = frozenset({Scope.SUBMIT})

    def may(self, *scopes: Scope) -> bool:
        """Whether one of these scopes is theirs."""
        return self.owner or not self.scopes.isdisjoint(scopes)

    @property
    def sees_all(self) -> bool:
        return self.may(Scope.READ_ALL, Scope.ADMIN)


class Authenticator(Protocol):
    def principal(self, metadata: Metadata) -> Principal:
        """Who sent this metadata.

        Raises:
            TokenError: nobody known.
        """
        ...


def token_of(metadata: Metadata) -> str:
    """The token that is shown; empty: none."""
    value = metadata.get(METADATA_KEY, "")
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.removeprefix(_SCHEME) if text.startswith(_SCHEME) else ""


class TokenAuthenticator:
    """One token, one user: enough on loopback."""

    def __init__(self, token: str, user: str = OWNER, owner: bool = False) -> None:
        self._token = token.encode()
        self._principal = Principal(user, owner)

    def principal(self, metadata: Metadata) -> Principal:
        if not hmac.compare_digest(token_of(metadata).encode(), self._token):
            raise TokenError(
                "no token, or a wrong one",
                where=METADATA_KEY,
                hint="send 'authorization: Bearer TOKEN' with the token that `anyportal users add` printed, or on the"
                " daemon's machine that of daemon.json in the state directory",
            )
        return self._principal


_caller: ContextVar[Principal] = ContextVar("caller")


def let_in(principal: Principal) -> None:
    """Note who makes the rpc that this task serves."""
    _caller.set(principal)


def calling() -> Principal:
    """Who makes the rpc that this task serves."""
    return _caller.get()


def caller() -> str:
    """The user whose rpc this task serves."""
    return _caller.get().user

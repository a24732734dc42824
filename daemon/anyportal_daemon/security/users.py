"""Who is calling: from an rpc's metadata to a user."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from anyportal_daemon.errors import TokenError

METADATA_KEY = "authorization"
_SCHEME = "Bearer "


@dataclass(frozen=True)
class Principal:
    """Somebody who may call.

    Args:
        owner: holds the daemon's own token, and so may do what concerns everybody's files.
    """

    user: str
    owner: bool = False


class Authenticator(Protocol):
    def principal(self, metadata: Mapping[str, str | bytes]) -> Principal:
        """Who sent this metadata.

        Raises:
            TokenError: nobody known.
        """
        ...


class TokenAuthenticator:
    """One token, one user: enough on loopback."""

    def __init__(self, token: str, user: str = "local", owner: bool = False) -> None:
        self._token = token.encode()
        self._principal = Principal(user, owner)

    def principal(self, metadata: Mapping[str, str | bytes]) -> Principal:
        value = metadata.get(METADATA_KEY, "")
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        given = text.removeprefix(_SCHEME).encode()
        if not text.startswith(_SCHEME) or not hmac.compare_digest(given, self._token):
            raise TokenError(
                "no token, or a wrong one",
                where=METADATA_KEY,
                hint="send 'authorization: Bearer TOKEN' with the token of daemon.json in the state directory",
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

"""Who may talk to the page: whoever has the one-time token, from the page itself, under its own name."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass

KEY_HEADER = "X-AnyPortal-Key"


@dataclass(eq=False)
class Refusal(Exception):
    """A request that is not answered; `status` is HTTP's."""

    status: int
    message: str
    hint: str = ""
    field: str = ""


class Session:
    """A token that opens the page once, and the key that it is exchanged for.

    The key travels in a header, not in a cookie: browsers send cookies to every port of a machine, and without being
    asked. The token stands behind the address's `#`, which browsers send to nobody.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._key = secrets.token_urlsafe(32)
        self._lock = threading.Lock()
        self._used = False

    @property
    def used(self) -> bool:
        """Whether somebody has opened the page."""
        return self._used

    def exchange(self, token: object) -> str:
        """The key, for the token, once.

        Raises:
            Refusal: it is another token, or it was used before.
        """
        with self._lock:
            said = token.encode(errors="replace") if isinstance(token, str) else b""
            if not secrets.compare_digest(said, self.token.encode()):
                raise Refusal(403, "this address does not open the window", "use the address that the script printed")
            if self._used:
                raise Refusal(403, "this address has been used already", "start AnyPortal again from the host's menu")
            self._used = True
        return self._key

    def check_key(self, headers: Mapping[str, str]) -> None:
        """Whether a request comes from the page that was opened.

        Raises:
            Refusal: it does not.
        """
        if not secrets.compare_digest(headers.get(KEY_HEADER, "").encode(), self._key.encode()):
            raise Refusal(401, "this page was not opened by the script", "start AnyPortal again from the host's menu")


def check_origin(headers: Mapping[str, str], address: str, writes: bool) -> None:
    """Whether a request is meant for this page, and comes from no other.

    A name that leads to this machine is not enough: a page from elsewhere can have its own name lead here.

    Args:
        address: HOST:PORT that the page is served on.
        writes: the request changes something; browsers say where those come from.

    Raises:
        Refusal: it is not.
    """
    if headers.get("Host", "") != address:
        raise Refusal(421, "this is not the name of this window")
    origin = headers.get("Origin")
    if origin is None and not writes:
        origin = f"http://{address}"
    if origin != f"http://{address}":
        raise Refusal(403, "another page may not talk to this window")
    if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise Refusal(403, "another page may not talk to this window")

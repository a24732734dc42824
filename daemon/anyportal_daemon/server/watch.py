"""Who looks after all calls together: how many there are, and whether those that run may go on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter

from anyportal_core.errors import AnyPortalError
from anyportal_daemon.errors import RateError, TokenError
from anyportal_daemon.security.audit import AuditLog
from anyportal_daemon.security.limits import CallLimits
from anyportal_daemon.security.rates import Buckets, Rate
from anyportal_daemon.security.users import METADATA_KEY, Authenticator, Metadata, Principal, token_of
from anyportal_daemon.server.hearing import Ears
from anyportal_daemon.server.visit import Visit, host_of

log = logging.getLogger(__name__)

LOOK_AGAIN = 1.0
"""Seconds between two looks at the calls that run."""


class Watch:
    """Knows callers and counts what they do. Belongs to the event loop.

    Args:
        audit: is told what was done and refused; None: nobody is.
    """

    def __init__(self, authenticator: Authenticator, limits: CallLimits, audit: AuditLog | None = None) -> None:
        self.authenticator, self.audit = authenticator, audit
        self.set_limits(limits)
        self.ears = Ears()
        self.open = set[Visit]()
        self._counts = Counter[str]()

    def set_limits(self, limits: CallLimits) -> None:
        """From now on these hold."""
        self.limits = limits
        self.calls = Buckets(Rate(limits.calls_at_once, limits.calls_per_second))
        strange = Rate(limits.wrong_tokens_per_minute, limits.wrong_tokens_per_minute / 60)
        self.strangers = Buckets(strange)
        if self.audit is not None:
            self.audit.set_rate(strange)

    def visit(self, method: str, metadata: Metadata) -> Visit:
        return Visit(self, method, metadata)

    def begin(self, visit: Visit, principal: Principal) -> None:
        """A call runs from now on.

        Raises:
            RateError: so many of this user's do that it may not.
        """
        if not principal.owner and self._counts[principal.user] >= self.limits.open_calls:
            hint = "end some, or call again when some have ended"
            raise RateError(f"{self.limits.open_calls} of your calls run already", hint=hint)
        self.open.add(visit)
        self._counts[principal.user] += 1

    def end(self, visit: Visit, principal: Principal) -> None:
        """It runs no more."""
        if visit in self.open:
            self.open.remove(visit)
            self._counts[principal.user] -= 1
            if not self._counts[principal.user]:
                del self._counts[principal.user]

    def stranger(self, visit: Visit, error: TokenError) -> AnyPortalError:
        """What to say to somebody with a wrong token: why, or that there were too many of them."""
        visit.write(error)
        wait = self.strangers.take(host_of(visit.peer))
        if not wait:
            return error
        hint = "show the right token: it is let in all the same"
        return RateError("too many wrong tokens from this address", wait, where=METADATA_KEY, hint=hint)

    async def patrol(self) -> None:
        """Look after the calls that run, all of them with one look, until this is cancelled."""
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            try:
                self.look()
            except Exception:
                log.exception("the calls that run could not be looked at")

    def look(self) -> None:
        """End the calls of those who are no longer let in, and those of which nothing is taken."""
        found: dict[str, Principal | TokenError] = {}
        now = time.monotonic()
        for visit in list(self.open):
            token = token_of(visit.metadata)
            if token not in found:
                found[token] = self._known(visit.metadata)
            visit.look(found[token], now)
        if self.audit is not None:
            self.audit.settle()

    def _known(self, metadata: Metadata) -> Principal | TokenError:
        try:
            return self.authenticator.principal(metadata)
        except TokenError as error:
            return error

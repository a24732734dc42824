"""The audit log: who did what, from where, and what came of it. One JSON object a line.

What was done stands in ``audit.jsonl``, what was refused in a file of its own: whoever is refused, however often,
pushes nothing out of the first.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from anyportal_daemon.security.ledger import Ledger, stamp
from anyportal_daemon.security.rates import Rate
from anyportal_daemon.security.tally import Tally

FILE, REFUSED = "audit.jsonl", "audit-refused.jsonl"
ROTATE_BYTES = 16 * 1024 * 1024

_RATE = Rate(30, 0.5)
_TEXT = 200
_TOKEN = re.compile(r"apt_[\w-]{8,}|Bearer \S+", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """Something that was done, or refused.

    Args:
        user: empty where nobody knows who it was.
        target: the job or the blob.
        result: ``OK``, or the status and the reason.
    """

    user: str
    peer: str
    rpc: str
    target: str
    result: str


class AuditLog:
    """Takes entries, from when it is made until it is closed.

    Args:
        state: the state directory.
        rotate_bytes: a file that has reached this is put aside.
    """

    def __init__(self, state: Path, rotate_bytes: int = ROTATE_BYTES, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._done = Ledger(state / FILE, rotate_bytes, clock)
        self._refused = Ledger(state / REFUSED, rotate_bytes, clock)
        self._tally = Tally[Entry](lambda entry, count: self._refused.put(self._line(entry, count)), _RATE)

    def set_rate(self, rate: Rate) -> None:
        """From now on so many refusals of one source are written one by one; further ones as a number."""
        self._tally.set_rate(rate)

    def record(self, entry: Entry) -> None:
        """It was done. Never waits."""
        self._done.put(self._line(entry, 1))

    def refused(self, entry: Entry, source: str) -> None:
        """It was not. Never waits; from one thread alone.

        Args:
            source: whose refusals are counted together.
        """
        self._tally.note(source, entry)

    def settle(self) -> None:
        """Write how many refusals there were that were not written one by one, once a minute."""
        self._tally.settle()

    def close(self) -> None:
        """Write what waits, and end."""
        self._tally.settle(least=0)
        self._done.close()
        self._refused.close()

    def _line(self, entry: Entry, count: int) -> str:
        texts = {key: _clean(text) for key, text in asdict(entry).items()}
        numbers = {} if count == 1 else {"count": count}
        return json.dumps({"time": stamp(self._clock()), **texts, **numbers})


def _clean(text: str) -> str:
    """Short, and no token in it: what users say may hold one by mistake."""
    return _TOKEN.sub("[token]", text)[:_TEXT]

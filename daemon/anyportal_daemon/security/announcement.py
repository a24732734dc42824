"""``daemon.json``: where the daemon serves and the token to show there, readable by its user alone."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from anyportal_daemon.database import file_errors

FILE = "daemon.json"


@dataclass(frozen=True)
class Announcement:
    """What a client on this machine needs to call.

    Args:
        lan: the address at which other machines are served, with TLS; empty: they are not.
    """

    address: str
    token: str
    pid: int
    version: str
    lan: str = ""

    def write(self, state: Path) -> None:
        """Write aside, then rename: a client reads all of it or none."""
        aside = state / f"{FILE}.part"
        with file_errors(aside):
            aside.unlink(missing_ok=True)
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(self), file)
            aside.replace(state / FILE)

    @staticmethod
    def remove(state: Path) -> None:
        (state / FILE).unlink(missing_ok=True)


def new_token() -> str:
    return secrets.token_urlsafe(32)

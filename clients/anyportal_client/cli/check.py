"""What a check of `anyportal doctor` comes to."""

from __future__ import annotations

from anyportal_client.errors import ClientError
from anyportal_client.events import Checked

Result = tuple[Checked, type[ClientError] | None]
"""What is told, and the family of errors that the command ends with, where something is broken."""


def ok(name: str, message: str) -> Result:
    """It is as it should be."""
    return Checked(name, "ok", message), None


def warning(name: str, message: str, hint: str) -> Result:
    """It works, and somebody should look at it."""
    return Checked(name, "warning", message, hint), None


def broken(name: str, message: str, hint: str, kind: type[ClientError]) -> Result:
    """It does not work."""
    return Checked(name, "broken", message, hint), kind

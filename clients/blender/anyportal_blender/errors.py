"""What goes wrong on this side of the command, told as the command tells it: what, where, and what to do."""

from __future__ import annotations

from .kit import hostkit


class Refused(hostkit.CommandFailed):
    """A strip cannot be processed, or a result cannot be shown.

    Args:
        message: what is wrong.
        where: the strip or the file.
        hint: what to do about it.
    """

    def __init__(self, message: str, where: str = "", hint: str = "") -> None:
        super().__init__(message, code="REFUSED", where=where, hint=hint, exit_code=2)

"""What cannot be done, in words for a person."""

from __future__ import annotations


class Refused(Exception):
    """Something cannot be done.

    Args:
        message: what, and why.
        hint: what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message + (". " + hint if hint else ""))
        self.message = message
        self.hint = hint

"""Where long work looks whether it is still wanted: between two pieces of a file that is hashed, between two files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_check: ContextVar[Callable[[], None] | None] = ContextVar("checkpoint", default=None)


def checkpoint() -> None:
    """Raises whatever ends the work; nothing does where nobody has said so."""
    check = _check.get()
    if check is not None:
        check()


@contextmanager
def checked_by(check: Callable[[], None]) -> Iterator[None]:
    """Inside the block this is called at every checkpoint."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)

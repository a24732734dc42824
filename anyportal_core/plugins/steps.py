"""Counts the expensive steps of a shot: its progress, and where it can be stopped."""

from __future__ import annotations

from anyportal_core.roles import RoleContext


class Steps:
    """Called after every step, with whatever a loop tells of it; raises Cancelled when the user asked for it.

    Args:
        total: steps of the whole shot, about; all of them count alike.
    """

    def __init__(self, total: int, context: RoleContext) -> None:
        self._total, self._context = max(total, 1), context
        self._done = 0

    def __call__(self, _: object = None) -> None:
        self._done += 1
        self._context.checkpoint()
        self._context.progress(min(self._done / self._total, 1.0))

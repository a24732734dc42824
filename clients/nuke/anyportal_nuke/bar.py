"""A progress bar, held by the thread that works."""

from __future__ import annotations

from typing import Any

import nuke


class Bar:
    """Nuke's own, with a button to cancel. It is on the screen until the last reference to the task goes: this one."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._task: Any = None

    def __enter__(self) -> Bar:
        self._task = nuke.ProgressTask(self._title)
        return self

    def __exit__(self, *error: Any) -> None:
        del self._task

    def show(self, text: str, fraction: float) -> None:
        """Say what is going on, and how far it is, 0..1."""
        self._task.setMessage(text)
        self._task.setProgress(int(100 * fraction))

    def cancelled(self) -> bool:
        """Whether somebody pressed cancel."""
        return bool(self._task.isCancelled())

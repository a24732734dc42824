"""Who is next: for now the job that has been queued longest."""

from __future__ import annotations

import threading

from anyportal_daemon.jobs.journal import Journal


class Scheduler:
    """Hands queued jobs to workers. The journal is the queue, so a restart changes nothing."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._news = threading.Condition()

    def wake(self) -> None:
        """A job was queued, or the daemon stops."""
        with self._news:
            self._news.notify_all()

    def next(self, patience: float) -> str | None:
        """The next job's id; None when there is none after ``patience`` seconds."""
        with self._news:
            job = self._journal.next_queued()
            if job is None and self._news.wait(patience):
                job = self._journal.next_queued()
        return job

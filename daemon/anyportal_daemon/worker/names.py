"""Names for people: what a worker says, without where the daemon keeps its files."""

from __future__ import annotations

import re
from pathlib import Path

from anyportal_daemon.worker.messages import WorkerSetup

STATE = "the daemon's state directory"

_REST = r"(?:[/\\][\w.+-]*\w)*"
"""The rest of a path below a folder of the daemon's own, whose names are its own too."""


class PlainNames:
    """A job's files are called by role and file name (``matte/hero_matte.mp4``); the daemon's own by what they are."""

    def __init__(self, setup: WorkerSetup, job_id: str) -> None:
        def below(folder: Path, rest: str) -> re.Pattern[str]:
            return re.compile(re.escape(str(folder)) + rest)

        self._plain = (
            (below(setup.scratch / job_id, r"[/\\]"), ""),
            (below(setup.blobs, _REST), "the daemon's files"),
            (below(setup.stages, _REST), "the daemon's stage results"),
            (below(setup.scratch.parent, _REST), STATE),
        )

    def plain(self, text: str) -> str:
        for path, name in self._plain:
            text = path.sub(name, text)
        return text

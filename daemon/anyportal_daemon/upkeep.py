"""What is done to a daemon while it serves: other limits, and an end without haste."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from anyportal_daemon.config import Config
from anyportal_daemon.config_page import changed

log = logging.getLogger(__name__)

LOOK = 0.2
"""Seconds between two looks at whether everything that ran has ended."""


@dataclass
class Upkeep:
    """Of one daemon. Used on its event loop.

    Args:
        config: what is in force.
        takers: called with a new configuration, each takes from it what it can change as it runs.
        refuse: from now on no job is taken.
        rest: from now on none is begun; says whether none runs.
    """

    config: Config
    takers: Sequence[Callable[[Config], None]]
    refuse: Callable[[], None]
    rest: Callable[[], bool]

    def reload(self, config: Config) -> None:
        """Put another configuration in force, as far as that goes without a new start; the log says what changed."""
        keys = list(changed(self.config, config))
        for take in self.takers:
            take(config)
        self.config = config
        taken = [key for key, reloads in keys if reloads]
        later = [key for key, reloads in keys if not reloads]
        log.warning("the configuration was read again: %s", f"changed: {', '.join(taken)}" if taken else "as it was")
        if later:
            log.warning("these change when the daemon is started again: %s", ", ".join(later))

    async def drain(self) -> None:
        """Take no new jobs and begin none; returns when those that ran have ended. What waits stays in the queue."""
        log.warning("draining: no new jobs are taken, and the daemon ends when those that run are done")
        self.refuse()
        while not await asyncio.to_thread(self.rest):
            await asyncio.sleep(LOOK)

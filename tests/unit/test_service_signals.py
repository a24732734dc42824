"""Signals that come before the daemon serves are kept, not lost and not deadly."""

from __future__ import annotations

import asyncio
from pathlib import Path

from anyportal_daemon.config import Address, Config
from anyportal_daemon.jobs.scheduler import Rules
from anyportal_daemon.serving import _Hands
from anyportal_daemon.upkeep import Upkeep


async def test_what_was_asked_before_it_served_is_done_then(tmp_path: Path) -> None:
    before = Config(Address("127.0.0.1", 0), tmp_path)
    after = Config(Address("127.0.0.1", 0), tmp_path, jobs=Rules(queued=3))
    stop, taken, refused = asyncio.Event(), list[Config](), list[bool]()
    hands = _Hands(lambda: after, stop)
    hands.reload()
    hands.drain()
    await asyncio.sleep(0)
    assert not stop.is_set()
    hands.take(Upkeep(before, (taken.append,), lambda: refused.append(True), lambda: True))
    await asyncio.wait_for(stop.wait(), 10)
    assert (taken, refused) == ([after], [True])
    hands.close()


async def test_a_drain_waits_for_what_runs(tmp_path: Path) -> None:
    resting, stop = iter([False, False, True]), asyncio.Event()
    hands = _Hands(lambda: Config(Address("127.0.0.1", 0), tmp_path), stop)
    hands.take(Upkeep(Config(Address("127.0.0.1", 0), tmp_path), (), lambda: None, lambda: next(resting)))
    hands.drain()
    hands.drain()
    await asyncio.wait_for(stop.wait(), 10)
    assert next(resting, None) is None

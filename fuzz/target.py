"""What is fuzzed, and one slice of it in this process."""

from __future__ import annotations

import faulthandler
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

AT_ONCE = 100
"""Examples between two looks at the clock."""

PATIENCE = 60
"""Seconds for one example, after which it hangs and the process says where."""

LAST = "last"
"""The file with the example that is tried, for when the process does not survive it."""


@dataclass(frozen=True)
class Target:
    """Something that takes what others made.

    Args:
        name: of the target.
        values: what it is given.
        opened: given a folder, a context with what tries one value: it raises where the target did what it must not.
    """

    name: str
    values: SearchStrategy[Any]
    opened: Callable[[Path], AbstractContextManager[Callable[[Any], None]]]


@dataclass
class Slice:
    """What was tried."""

    examples: int = 0
    seconds: float = 0.0
    slowest_seconds: float = 0.0


def fuzz(target: Target, seconds: float, first_seed: int, folder: Path) -> Slice:
    """Try a target for some time; a finding leaves as the exception that it met, made as small as can be.

    Args:
        folder: where ``LAST`` is written.
    """
    done = Slice()
    with tempfile.TemporaryDirectory() as scratch, target.opened(Path(scratch)) as check:
        begun = time.monotonic()

        def one(value: Any) -> None:
            (folder / LAST).write_text(repr(value), "utf-8", errors="backslashreplace")
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            at = time.monotonic()
            try:
                check(value)
            finally:
                faulthandler.cancel_dump_traceback_later()
            done.examples += 1
            done.slowest_seconds = max(done.slowest_seconds, time.monotonic() - at)

        number = first_seed
        while not done.examples or time.monotonic() - begun < seconds:
            some = settings(
                max_examples=AT_ONCE,
                database=None,
                deadline=None,
                print_blob=False,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            )
            seed(number)(some(given(target.values)(one)))()
            number += 1
        done.seconds = time.monotonic() - begun
    return done

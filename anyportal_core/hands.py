"""Several things made at once, handed over in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2

Thing = TypeVar("Thing")
Made = TypeVar("Made")


def helper() -> int:
    """1 where pictures may be worked on in another thread besides the caller's, as OpenCV is set; else 0."""
    return int(cv2.getNumThreads() > 1)


def in_order(make: Callable[[Thing], Made], things: Iterable[Thing], hands: int) -> Generator[Made]:
    """What ``make`` makes of each thing, in order, made by so many threads while the caller is busy with those before.

    Things are taken in the caller's thread, one more than there are hands ahead of what is handed over: memory depends
    on the hands alone. An error of ``make`` is raised in the place of what it would have made, and one of the things
    themselves after what was made of those before. Where this is given up, it waits for what is being made, and no
    thread stays behind.

    Args:
        make: works on several things at once, and on each alike whatever it does with the others.
        hands: 1 makes one thing at a time, still while the caller is busy; 0 in the caller's own thread.
    """
    if not hands:
        yield from map(make, things)
        return
    at_work: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(hands, "hand") as pool:
        try:
            for begun in _begun(pool, make, things):
                at_work.append(begun)
                if len(at_work) > hands:
                    yield at_work.popleft().result()
            while at_work:
                yield at_work.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _begun(pool: ThreadPoolExecutor, make: Callable[[Thing], Made], things: Iterable[Thing]) -> Generator[Future[Made]]:
    """What is being made of each thing; where the things fail, their error is the last."""
    try:
        for thing in things:
            yield pool.submit(make, thing)
    except Exception as error:
        failed = Future[Made]()
        failed.set_exception(error)
        yield failed

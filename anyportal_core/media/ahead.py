"""Frames decoded while the ones before are worked on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

from anyportal_core.media.clip import Frame


def ahead(frames: Iterator[Frame]) -> Generator[Frame]:
    """The same frames, each read in a thread of its own while its predecessor is with the caller.

    Where it is given up, it waits for the frame that is being read.

    Args:
        frames: of a reader that nobody else uses.
    """
    with ThreadPoolExecutor(1, "reader") as hand:
        coming = hand.submit(next, frames, None)
        while (frame := coming.result()) is not None:
            coming = hand.submit(next, frames, None)
            yield frame

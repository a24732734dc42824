"""Frames that are decoded ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.media.ahead import ahead
from anyportal_core.media.clip import Frame


class Reader:
    """Gives numbered frames; fails at one."""

    def __init__(self, count: int, fails_at: int = -1) -> None:
        self._count, self._fails_at = count, fails_at
        self.read = [threading.Event() for _ in range(count)]
        self.at_work = threading.Event()
        self.let = threading.Event()
        self.let.set()

    def frames(self) -> Iterator[Frame]:
        for number in range(self._count):
            self.at_work.set()
            assert self.let.wait(60)
            if number == self._fails_at:
                raise MediaUnreadableError("damaged")
            self.read[number].set()
            yield Frame(number, np.zeros((1, 1, 3), np.float32))


def test_the_next_frame_is_read_while_one_is_worked_on() -> None:
    reader, seen = Reader(4), []
    for frame in ahead(reader.frames()):
        seen.append(frame.number)
        assert frame.number == 3 or reader.read[frame.number + 1].wait(60)
    assert seen == [0, 1, 2, 3]
    assert list(ahead(Reader(0).frames())) == []


def test_what_cannot_be_read_is_an_error_when_it_is_reached() -> None:
    coming = ahead(Reader(4, fails_at=2).frames())
    assert [next(coming).number, next(coming).number] == [0, 1]
    with pytest.raises(MediaUnreadableError, match="damaged"):
        next(coming)


def test_giving_up_waits_for_the_frame_at_work_and_leaves_no_thread() -> None:
    reader, threads = Reader(4), threading.active_count()
    frames = reader.frames()
    coming = ahead(frames)
    next(coming)
    assert reader.read[1].wait(60)
    next(coming)
    reader.let.clear()
    reader.at_work.clear()
    threading.Timer(0.05, reader.let.set).start()
    coming.close()
    frames.close()  # type: ignore[attr-defined]  # nobody is at work in it
    reader.let.set()
    assert threading.active_count() <= threads + 1  # the timer

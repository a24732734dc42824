"""A writer that is one frame behind."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from anyportal_core.errors import StorageError
from anyportal_core.frames import Image
from anyportal_core.media.behind import Behind
from anyportal_core.media.output import Written

PICTURE = np.zeros((2, 3, 3), np.float32)


class Slow:
    """Writes when it is let; fails at a frame."""

    def __init__(self, fails_at: int = -1) -> None:
        self.let = threading.Event()
        self.seen: list[tuple[int, set[str], str]] = []
        self.aborted_after: int | None = None
        self._fails_at = fails_at

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        assert self.let.wait(60)
        if number == self._fails_at:
            raise StorageError("the disk is full")
        self.seen.append((number, set(layers), threading.current_thread().name))
        return [Written(("comp",), Path(f"{number}.png"), number)]

    def close(self) -> list[Written]:
        return [Written(("comp",), Path("all.mp4"), None)]

    def abort(self) -> None:
        self.aborted_after = len(self.seen)


def test_a_frame_is_written_while_the_next_is_made_and_all_in_order() -> None:
    slow = Slow()
    writer = Behind(slow, {"comp"})
    assert writer.write(1, {"comp": PICTURE, "gain": PICTURE}) == []
    assert slow.seen == []  # it did not wait
    slow.let.set()
    assert [file.path.name for file in writer.write(2, {"comp": PICTURE})] == ["1.png"]
    assert [file.path.name for file in writer.close()] == ["2.png", "all.mp4"]
    assert [(number, layers) for number, layers, _ in slow.seen] == [(1, {"comp"}), (2, {"comp"})]
    assert threading.current_thread().name not in {name for _, _, name in slow.seen}


def test_what_goes_wrong_is_raised_with_the_next_frame_or_at_the_end() -> None:
    for last in ("write", "close"):
        slow = Slow(fails_at=1)
        slow.let.set()
        writer = Behind(slow, {"comp"})
        writer.write(1, {"comp": PICTURE})
        with pytest.raises(StorageError, match="full"):
            writer.write(2, {"comp": PICTURE}) if last == "write" else writer.close()
        writer.abort()
        assert slow.aborted_after == 0


def test_giving_up_waits_for_the_frame_at_work() -> None:
    slow = Slow()
    writer = Behind(slow, {"comp"})
    writer.write(1, {"comp": PICTURE})
    threading.Timer(0.05, slow.let.set).start()
    writer.abort()
    assert slow.aborted_after == 1

"""Pictures at work size are kept aside, and come back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anyportal_core.media.clip import open_clip
from anyportal_core.media.sequences import SequenceClip
from anyportal_core.media.spool import Spool
from anyportal_core.media.work import WorkFrames
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import write_images

PICTURES = np.random.default_rng(0).normal(0, 1, (5, 8, 12, 3)).astype(np.float32)


def test_what_was_kept_comes_back_bit_for_bit_in_any_order() -> None:
    spool = Spool((8, 12, 3))
    for index in (3, 0, 4):
        spool.keep(index, PICTURES[index])
    for index in (4, 0, 3):
        found = np.empty_like(PICTURES)
        assert spool.fill(index, found[1])
        assert found[1].tobytes() == PICTURES[index].tobytes()
    assert not spool.fill(1, found[1])
    spool.close()


def test_no_more_is_kept_than_there_is_room_for() -> None:
    spool = Spool((8, 12, 3), most=2 * PICTURES[0].nbytes + 1)
    for index, picture in enumerate(PICTURES):
        spool.keep(index, picture)
    assert [index for index in range(5) if spool.fill(index, np.empty_like(PICTURES[0]))] == [0, 1]
    spool.close()


def test_a_full_disk_only_means_that_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, place: int) -> None: ...

        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    spool = Spool((8, 12, 3))
    monkeypatch.setattr(spool, "_file", Full())
    spool.keep(0, PICTURES[0])
    assert not spool.fill(0, np.empty_like(PICTURES[0]))


def test_the_next_reader_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "plate.%04d.exr", np.abs(PICTURES), 1001, "half")
    with open_clip(MediaRef(tmp_path / "plate.%04d.exr")) as clip:
        numbers, spool = clip.info.numbers, Spool((4, 6, 3))
        first = WorkFrames(clip, numbers, (4, 6), spool).read(0, 5)
        monkeypatch.setattr(SequenceClip, "_read", None)
        again = WorkFrames(clip, numbers, (4, 6), spool)
        assert again.read(3, 5).tobytes() == first[3:].tobytes()
        assert again.read(0, 3).tobytes() == first[:3].tobytes()
        spool.close()

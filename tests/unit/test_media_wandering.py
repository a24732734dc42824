"""Pictures of a clip that is played at another rate, in a loop, or to and fro."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyportal_core.media import wandering
from anyportal_core.media.clip import Clip, open_clip
from anyportal_core.media.wandering import Wandering
from anyportal_core.shot import MediaRef
from anyportal_core.testing.clips import numbered_frames, read_number, write_images, write_movie
from anyportal_core.windows import reflect

SIZE = 32, 48


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    return open_clip(MediaRef(write_movie(path, numbered_frames(30), options={"bf": "2", "g": "30"})))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, movie: Clip) -> list[int]:
    """Where reading was begun anew."""
    begun: list[int] = []
    frames = type(movie).frames

    def counted(self: Clip, numbers: Sequence[int], *rest: object, **named: object) -> object:
        begun.append(numbers[0])
        return frames(self, numbers, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(type(movie), "frames", counted)
    return begun


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 29), max_size=8))
def test_read_in_any_order(movie: Clip, indices: list[int]) -> None:
    pictures = Wandering(movie, SIZE, lambda frame: frame.pixels)
    assert [read_number(pictures.read(index)) for index in indices] == indices


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_faster_clip_is_read_in_one_go(movie: Clip, opened: list[int], step: int) -> None:
    pictures = Wandering(movie, SIZE, lambda frame: frame.pixels)
    assert [read_number(pictures.read(index)) for index in range(0, 30, step)] == list(range(0, 30, step))
    assert opened == [0]


def test_to_and_fro_is_read_in_blocks(movie: Clip, opened: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandering, "_KEPT_VALUES", 10 * 3 * SIZE[0] * SIZE[1])
    pictures = Wandering(movie, SIZE, lambda frame: frame.pixels)
    played = [reflect(time, 30) for time in range(70)]
    assert [read_number(pictures.read(index)) for index in played] == played
    assert opened == [0, 19, 9, 0]


def test_files_in_between_are_not_read(tmp_path: Path) -> None:
    write_images(tmp_path / "a.%04d.png", numbered_frames(9))
    clip = open_clip(MediaRef(tmp_path))
    (tmp_path / "a.1003.png").write_bytes(b"not a picture")
    pictures = Wandering(clip, SIZE, lambda frame: frame.pixels)
    assert [read_number(pictures.read(index)) for index in (0, 4, 8, 7, 3)] == [0, 4, 8, 7, 3]

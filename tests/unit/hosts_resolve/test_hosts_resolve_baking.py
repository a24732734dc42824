"""What Resolve renders first. In quotation marks: rows of ../shared/hosts.md."""

from __future__ import annotations

import importlib
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.resolve import house
from tests.hosts.resolve.app import Resolve
from tests.hosts.resolve.objects import number_of
from tests.hosts.resolve.pool import MediaPoolItem
from tests.hosts.resolve.timeline import Timeline

house.importable()
client = importlib.import_module("anyportal_resolve")
baking = importlib.import_module("anyportal_resolve.baking")
choosing = importlib.import_module("anyportal_resolve.choosing")
connection = importlib.import_module("anyportal_resolve.connection")
movie = importlib.import_module("anyportal_resolve.movie")
record = importlib.import_module("anyportal_hostkit.record")

Refused = client.Refused


def seen(resolve: Resolve, scope: str = "timeline", mark: str = "Orange") -> list[Any]:
    found: list[Any] = choosing.look(connection.desk(resolve), scope, mark).clips
    return found


# "trimmed render": settings lie over hidden state: verify the file; solo the track and restore it


@pytest.fixture
def compound(resolve: Resolve, plate: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(baking, "_TICK", 0.0)
    pool, made = MediaPoolItem(plate), MediaPoolItem(kind="Compound")
    made.parts = [(pool, 0), (pool, 20)]
    resolve.clip(made, 0, 16)
    resolve.clip(pool, 30, 16, track=2)  # lies over it
    return seen(resolve)[0]


def bake(resolve: Resolve, clip: Any, folder: Path, cancelled: Any = lambda: False) -> str:
    path: str = baking.bake(connection.desk(resolve), clip, str(folder), lambda _: None, cancelled)
    return path


def state_of(resolve: Resolve) -> Any:
    project = resolve.project
    tracks = [track.enabled for track in resolve.timeline.tracks]
    deliver = (project.shape, project.mode, dict(project.hidden), dict(project.deliver), sorted(project.presets))
    return resolve.page, tracks, deliver, resolve.timeline.marks, project.jobs


def test_a_render_shows_the_clip_alone_and_has_its_frames(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    before = state_of(resolve)
    path = bake(resolve, compound, tmp_path)
    assert movie.read_movie(path) == (16, 24.0)
    baked = MediaPoolItem(path)
    shown = [number_of(baked.picture(frame)) for frame in range(16)]
    assert shown == [*range(100, 108), *range(120, 128)]
    assert state_of(resolve) == before


def test_a_render_shows_the_clip_s_timeline_whichever_is_open(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    desk, other = connection.desk(resolve), Timeline(resolve, "Cut 4")
    resolve.project.timelines.append(other)
    resolve.project.current = other
    baked = MediaPoolItem(baking.bake(desk, compound, str(tmp_path), lambda _: None, lambda: False))
    assert [number_of(baked.picture(frame)) for frame in (0, 15)] == [100, 127]
    assert (resolve.project.current, other.marks, desk.timeline.marks) == (other, {}, {})


def test_a_render_shows_the_plate_though_a_result_is_selected(
    resolve: Resolve, compound: Any, plate: str, tmp_path: Path
) -> None:
    (tmp_path / "v001").mkdir()
    record.write(str(tmp_path / "v001"), {"schema": 1})
    result = MediaPoolItem(str(shutil.copy(plate, tmp_path / "v001")))
    compound.item.AddTake(result, 30, 45)
    compound.item.SelectTakeByIndex(2)
    baked = MediaPoolItem(bake(resolve, compound, tmp_path / "plates"))
    assert [number_of(baked.picture(frame)) for frame in (0, 15)] == [100, 127]
    assert compound.item.selected == 2


@pytest.mark.parametrize(
    ("lie", "word"),
    [
        ("short", "has 15 frames instead of 16"),
        ("nothing", "wrote nothing"),
        ("error", "disk full"),
    ],
)
def test_a_render_that_is_not_what_was_asked_for_is_refused(
    resolve: Resolve, compound: Any, tmp_path: Path, lie: str, word: str
) -> None:
    before = state_of(resolve)
    resolve.project.lie = lie
    with pytest.raises(Refused, match=word):
        bake(resolve, compound, tmp_path)
    assert state_of(resolve) == before


def test_a_picture_that_a_hidden_setting_takes_away_is_missed(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    resolve.project.presets["AnyPortal"] = ({"picture": False}, {})  # somebody's, of sound alone
    with pytest.raises(Refused, match="has no picture"):
        bake(resolve, compound, tmp_path)


def test_without_a_preset_to_begin_with_nothing_is_rendered(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    del resolve.project.presets["H.264 Master"]
    with pytest.raises(Refused, match="none of the render presets"):
        bake(resolve, compound, tmp_path)


def test_a_cancelled_render_stops_and_everything_is_put_back(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    before = state_of(resolve)
    with pytest.raises(baking.BakeCancelled):
        bake(resolve, compound, tmp_path, lambda: True)
    assert state_of(resolve) == before and resolve.project.rendering is None


def test_somebody_s_own_render_is_not_disturbed(resolve: Resolve, compound: Any, tmp_path: Path) -> None:
    resolve.project.rendering = iter([1.0] * 99)
    with pytest.raises(Refused, match="rendering something else"):
        bake(resolve, compound, tmp_path)


def test_movies_are_read_and_others_are_not(plate: str, tmp_path: Path) -> None:
    assert movie.read_movie(plate) == (48, 24.0)
    ntsc = house.movie(tmp_path, "ntsc.mov", range(0, 10), Fraction(24000, 1001))
    assert movie.read_movie(ntsc) == (10, pytest.approx(23.976, abs=1e-3))
    whole = Path(plate).read_bytes()
    for name, content in {"cut": whole[: len(whole) // 2], "none": b"", "text": b"no movie at all" * 9}.items():
        (tmp_path / name).write_bytes(content)
        assert movie.read_movie(str(tmp_path / name)) is None
    assert movie.read_movie(str(tmp_path / "missing.mov")) is None

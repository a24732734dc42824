"""Which movies of a shot are shortened, what goes over the wire, and what is said where a movie stays whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from anyportal.v1 import media_pb2
from anyportal_client import Client, ShotRequest
from anyportal_client.events import Event, LogLine
from anyportal_client.shortening import shortened
from anyportal_client.shot import ReadyShot, make_ready
from anyportal_core.testing.clips import moving_scene, write_movie
from tests.unit.client_fakes import TOKEN, FakeDaemon

FRAMES = np.repeat(np.repeat(moving_scene(30, 32, 48).plate, 3, 1), 3, 2)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ANYPORTAL_CLIENT_CONFIG", str(tmp_path / "client.toml"))


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    for name, count in (("plate", 30), ("matte", 30), ("short", 7)):
        write_movie(folder / f"{name}.mov", FRAMES[:count], 25, "mjpeg", "yuvj420p", options={})
    write_movie(folder / "plate.avi", FRAMES, 25, "mpeg4", options={})
    return folder


def cut(folder: Path, media: Path, plate: str = "plate.mov", **asked: object) -> tuple[ReadyShot, list[str]]:
    request = ShotRequest(media / plate, "#336699", **asked)  # type: ignore[arg-type]
    said: list[str] = []
    return shortened(make_ready(request), folder, said.append), said


def test_plate_and_matte_are_cut_alike_with_handles(tmp_path: Path, media: Path) -> None:
    ready, said = cut(tmp_path, media, matte=media / "matte.mov", frames="10-12,14", handles=2)
    for clip in (ready.plate, ready.matte):
        assert clip is not None and clip.span is not None
        assert (clip.span.first, clip.span.count, clip.span.rate) == (8, 30, Fraction(25))
        assert clip.files[0].path.parent == tmp_path
        assert clip.files[0].path.stat().st_size < 0.5 * (media / "plate.mov").stat().st_size
    assert ready.plate.pattern == "plate.mov" and not said


def test_a_matte_of_another_length_is_sent_whole(tmp_path: Path, media: Path) -> None:
    """It goes by the range, or by nothing: the daemon has to see all of it."""
    ready, _ = cut(tmp_path, media, matte=media / "short.mov", frames="10-16")
    assert ready.plate.span is not None and ready.matte is not None and ready.matte.span is None


def test_without_a_range_nothing_is_cut(tmp_path: Path, media: Path) -> None:
    ready, said = cut(tmp_path, media)
    assert ready.plate.span is None and not said and not list(tmp_path.iterdir())


def test_a_movie_that_stays_whole_takes_its_matte_along(tmp_path: Path, media: Path) -> None:
    ready, said = cut(tmp_path, media, "plate.avi", matte=media / "matte.mov", frames="3-5")
    assert ready.plate.span is None and ready.matte is not None and ready.matte.span is None
    assert said == ["plate.avi is sent whole: a container of the kind avi is not cut"]


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    daemon = FakeDaemon()
    yield daemon
    daemon.stop()


def test_the_wire_says_which_part_of_which_whole(daemon: FakeDaemon, media: Path) -> None:
    with Client.connect(daemon.address, TOKEN) as client:
        job = client.submit(ShotRequest(media / "plate.mov", "#336699", frames="10-12"))
    file = daemon.jobs[job.name].shot.plate.file
    rate = media_pb2.Rational(numerator=25, denominator=1)
    assert file.span == media_pb2.MovieSpan(first_frame=10, frame_count=30, frame_rate=rate)
    assert file.filename == "plate.mov"
    sent = daemon.blobs[file.blob.sha256]
    assert len(sent) == file.blob.size_bytes == daemon.received_bytes < (media / "plate.mov").stat().st_size / 2
    with Client.connect(daemon.address, TOKEN) as client:
        client.submit(ShotRequest(media / "plate.mov", "#ff0000", frames="10-12"))
    assert daemon.received_bytes == len(sent), "the same part is the same blob"


def test_a_movie_that_is_sent_whole_is_told(daemon: FakeDaemon, media: Path) -> None:
    said: list[Event] = []
    with Client.connect(daemon.address, TOKEN) as client:
        client.submit(ShotRequest(media / "plate.avi", "#336699", frames="10-12"), said.append)
    assert [event.text for event in said if isinstance(event, LogLine)] == [
        "plate.avi is sent whole: a container of the kind avi is not cut"
    ]
    assert hashlib.sha256((media / "plate.avi").read_bytes()).hexdigest() in daemon.blobs

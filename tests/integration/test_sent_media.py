"""What a client sends of a shot: parts of movies, or paths of shared files, and what comes back is the same."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from anyportal.v1 import media_pb2
from anyportal_client import Client, ShotRequest, sending
from anyportal_client.discovery import Endpoint, read_daemon_file
from anyportal_client.errors import ClientError, MediaError
from anyportal_client.events import Event, Uploading
from anyportal_client.mappings import shared
from anyportal_client.shot import ReadyShot, make_ready
from anyportal_core.testing.clips import moving_scene, write_images, write_movie

COUNT = 40
X264 = {"crf": "12", "g": "8", "bf": "2"}


@dataclass
class Daemon:
    """A daemon with a mapping, and the folder that both sides reach."""

    endpoint: Endpoint
    state: Path
    footage: Path

    def client(self, **mappings: Path) -> Client:
        return Client.connect(self.endpoint.address, self.endpoint.token, mappings=mappings)

    def blobs(self) -> set[str]:
        return {path.parent.name + path.name for path in (self.state / "blobs").glob("??/*")}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("daemon")
    state, footage, config = folder / "state", folder / "volumes" / "footage", folder / "daemon.toml"
    footage.mkdir(parents=True)
    config.write_text(f'[mappings]\nfootage = "{footage}"\n')
    command = [sys.executable, "-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--state", str(state)]
    with subprocess.Popen([*command, "--config", str(config), "--stop-with-stdin"], stdin=subprocess.PIPE) as process:
        while (endpoint := read_daemon_file(state)) is None:
            assert process.poll() is None
            time.sleep(0.05)
        yield Daemon(endpoint, state, footage)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def movies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("movies")
    scene = moving_scene(COUNT, 64, 96)
    matte = np.repeat(scene.matte[..., None], 3, axis=-1)
    write_movie(folder / "plate.mov", scene.plate, Fraction(24000, 1001), options=X264, timecode="01:00:00:00")
    write_movie(folder / "matte.mp4", matte, Fraction(24000, 1001), options=X264)
    write_images(folder / "plate.%04d.png", scene.plate[:4])
    write_images(folder / "matte.%04d.png", scene.matte[:4, ..., None])
    return folder


def bytes_of(files: dict[str, Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in next(iter(files.values())).parent.iterdir()}


def whole(ready: ReadyShot, *rest: object) -> ReadyShot:
    return ready


@pytest.mark.parametrize(("delivery", "frames", "made_frames"), [("mp4", "18-21", "17-22"), ("exr", "27-29", "26-30")])
def test_a_job_over_a_part_gives_the_files_of_the_whole(
    daemon: Daemon,
    movies: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    delivery: str,
    frames: str,
    made_frames: str,
) -> None:
    request = ShotRequest(
        movies / "plate.mov", "#336699", movies / "matte.mp4", frames=frames, handles=1, format=delivery
    )
    sizes: list[int] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Uploading) and event.phase == "reading":
            sizes.append(event.total_bytes)

    with daemon.client() as client:
        part = client.submit(request, on_event)
        made = bytes_of(client.fetch(part.name, tmp_path / "part"))
        monkeypatch.setattr(sending, "shortened", whole)
        entire = client.submit(request, on_event)
        again = bytes_of(client.fetch(entire.name, tmp_path / "whole"))
        assert max(sizes[: len(sizes) // 2]) < 0.6 * sizes[-1], "a part was sent, and then the whole"
        assert made == again and made
        # The same plate: every stage but the finish was there already.
        assert set(client.job(part.name).stage_seconds) > {"matte", "background", "finish"}
        assert set(client.job(entire.name).stage_seconds) == {"finish"}
        assert client.job(part.name).frames == client.job(entire.name).frames == made_frames
        assert client.job(part.name).frame_rate == Fraction(24000, 1001)


@pytest.fixture
def mounted(daemon: Daemon, movies: Path, tmp_path: Path) -> Path:
    """The shared folder under another name, with footage in it."""
    here = tmp_path / "mnt"
    here.symlink_to(daemon.footage)
    (daemon.footage / "shot").mkdir(exist_ok=True)
    for path in movies.iterdir():
        (daemon.footage / "shot" / path.name).write_bytes(path.read_bytes())
    return here


def shared_request(folder: Path, name: str) -> ShotRequest:
    if name == "movie":
        return ShotRequest(folder / "plate.mov", "#336699", folder / "matte.mp4", frames="2-4", format="png")
    return ShotRequest(folder / "plate.%04d.png", "#336699", folder / "matte.%04d.png", frames="1002-1003")


@pytest.mark.parametrize("name", ["movie", "sequence"])
def test_of_shared_files_no_byte_is_sent(
    daemon: Daemon, movies: Path, mounted: Path, tmp_path: Path, name: str
) -> None:
    before, phases = daemon.blobs(), set[str]()

    def on_event(event: Event) -> None:
        if isinstance(event, Uploading):
            phases.add(event.phase)

    with daemon.client(footage=mounted) as client:
        assert client.info.mappings == ("footage",)
        job = client.submit(shared_request(mounted / "shot", name), on_event)
        given = bytes_of(client.fetch(job.name, tmp_path / "shared"))
        assert phases == {"reading"}
        sources = {hashlib.sha256(path.read_bytes()).hexdigest() for path in movies.iterdir()}
        assert not (daemon.blobs() - before) & sources
    with daemon.client() as client:
        sent = client.submit(shared_request(movies, name))
        assert bytes_of(client.fetch(sent.name, tmp_path / "sent")) == given
        assert set(client.job(job.name).stage_seconds) > {"matte", "background", "finish"}
        assert set(client.job(sent.name).stage_seconds) == {"finish"}, "it is the same plate"


def test_the_command_takes_mappings(daemon: Daemon, mounted: Path, tmp_path: Path) -> None:
    """On its command line, and from the configuration."""
    config = tmp_path / "client.toml"
    given = {"ANYPORTAL_DAEMON": daemon.endpoint.address, "ANYPORTAL_TOKEN": daemon.endpoint.token}
    environment = os.environ | given | {"ANYPORTAL_CLIENT_CONFIG": str(config)}
    fresh = write_images(mounted / "shot" / "fresh.%04d.png", moving_scene(3, 64, 96, seed=9).plate[1:])
    sources = {hashlib.sha256(path.read_bytes()).hexdigest() for path in fresh}
    plate, matte = (str(mounted / "shot" / f"{name}.%04d.png") for name in ("fresh", "matte"))
    command = [sys.executable, "-m", "anyportal_client.cli", "submit", plate, "--matte", matte, "--range", "1001-1002"]
    command += ["--backdrop", "#336699", "--json"]
    for number, mapping in enumerate((["--map", f"footage={mounted}"], [])):
        out = tmp_path / f"out{number}"
        done = subprocess.run([*command, "--out", str(out), *mapping], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        assert sorted(path.name for path in out.iterdir()) == ["fresh.1001.png", "fresh.1002.png"]
        assert '"sending"' not in done.stdout and not daemon.blobs() & sources
        config.write_text(f'[mappings]\nfootage = "{mounted}"\n')


def test_a_shared_file_that_changed_is_not_worked_on(daemon: Daemon, mounted: Path, tmp_path: Path) -> None:
    """Size and time of change may be as they were: the digest is what counts."""
    victim = daemon.footage / "shot" / "plate.1002.png"
    data, stamp = victim.read_bytes(), victim.stat().st_mtime - 60
    os.utime(victim, (stamp, stamp))

    def is_read(event: Event) -> bool:
        """Files are read side by side: not before the last byte of all of them is the victim's digest taken."""
        return isinstance(event, Uploading) and event.done_bytes == event.total_bytes

    def change(event: Event) -> None:
        if is_read(event):
            victim.write_bytes(bytes(reversed(data)))
            os.utime(victim, (stamp, stamp))

    request = shared_request(mounted / "shot", "sequence")
    with daemon.client(footage=mounted) as client:
        job = client.submit(request, change)
        with pytest.raises(MediaError, match="has changed since"):
            client.fetch(job.name, tmp_path / "out")

        def grow(event: Event) -> None:
            if is_read(event):
                victim.write_bytes(data + b"more")

        victim.write_bytes(data)
        with pytest.raises(MediaError, match="bytes here, not"):
            client.submit(request, grow)


def test_a_link_out_of_the_shared_folder_is_sent_as_bytes(movies: Path, mounted: Path, daemon: Daemon) -> None:
    """The daemon would refuse it: it looks at nothing outside."""
    (mounted / "link.mov").symlink_to(movies / "plate.mov")
    request = ShotRequest(mounted / "link.mov", "#336699", mounted / "shot" / "matte.mp4", frames="2-3")
    ready = shared(make_ready(request), {"footage": mounted})
    assert ready.plate.shared is None and ready.matte is not None and ready.matte.shared is not None
    assert list(ready.sent_paths()) == [mounted / "link.mov"]
    with daemon.client(footage=mounted) as client:
        assert client.submit(request).name


def test_a_mapping_that_is_another_folder_is_told(daemon: Daemon, movies: Path) -> None:
    with daemon.client(footage=movies) as client, pytest.raises(ClientError, match="there is no") as caught:
        client.submit(ShotRequest(movies / "plate.mov", "#336699"))
    assert "same folder on both sides" in caught.value.hint


def test_the_wire_names_no_more_than_is_needed(mounted: Path) -> None:
    """A shared sequence is listed by its needed frames, each with size and digest."""
    ready = shared(make_ready(shared_request(mounted / "shot", "sequence")), {"footage": mounted})
    blob = media_pb2.Blob(sha256="1" * 64, size_bytes=3)
    plate = ready.job(lambda path: blob).shot.plate.shared
    assert (plate.mapping, plate.path) == ("footage", "shot/plate.%04d.png")
    assert [(frame.number, frame.blob) for frame in plate.frames] == [(1002, blob), (1003, blob)]

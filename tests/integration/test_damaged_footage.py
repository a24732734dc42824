"""Footage that a daemon's disk has damaged: never worked on, and sent again by whoever has it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from anyportal_client import Client, ShotRequest
from anyportal_client.errors import StorageError
from anyportal_client.events import Event, LogLine, Uploading
from anyportal_core.testing.clips import moving_scene, write_images
from tests.integration.kill_house import KillHouse
from tests.integration.store_house import flip

COUNT = 4


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillHouse]:
    house = KillHouse(tmp_path_factory.mktemp("daemon") / "state", COUNT, (64, 96))
    yield house
    house.close()


@pytest.fixture
def client(house: KillHouse) -> Iterator[Client]:
    with Client.connect(state_dir=house.state, start=False) as client:
        yield client


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> ShotRequest:
    folder, scene = tmp_path_factory.mktemp("footage"), moving_scene(COUNT, 64, 96)
    write_images(folder / "plate.%04d.png", scene.plate)
    write_images(folder / "matte.%04d.png", scene.matte[..., None])
    return ShotRequest(folder / "plate.%04d.png", "#336699", folder / "matte.%04d.png")


def damage(house: KillHouse, request: ShotRequest, seed: int) -> list[Path]:
    """Change a bit of what the daemon has of a frame of the plate and of one of the matte; gives their sources."""
    sources = [path for clip in ("plate", "matte") for path in sorted(Path(request.plate).parent.glob(f"{clip}*"))[1:2]]
    for source in sources:
        name = hashlib.sha256(source.read_bytes()).hexdigest()
        flip(house.state / "blobs" / name[:2] / name[2:], random.Random(seed))
    return sources


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_who_waits_for_the_job_sends_it_again_and_the_job_goes_on(
    house: KillHouse, client: Client, request_: ShotRequest, tmp_path: Path, fresh_seed: int
) -> None:
    client.fetch(client.submit(request_).name, tmp_path / "undisturbed")
    sources = damage(house, request_, fresh_seed)
    events: list[Event] = []
    job = client.submit(replace(request_, seed=1), events.append)
    client.fetch(job.name, tmp_path / "made", events.append)
    assert bytes_of(tmp_path / "made") == bytes_of(tmp_path / "undisturbed")
    said = [event.text for event in events if isinstance(event, LogLine) and event.severity == "warning"]
    assert len(said) == 1 and "sent again" in said[0] and any(str(source) in said[0] for source in sources)
    sent = [event.total_bytes for event in events if isinstance(event, Uploading) and event.phase == "sending"]
    assert set(sent) == {sum(source.stat().st_size for source in sources)}, "no more than what was damaged"


def test_whoever_submits_the_shot_again_sends_it_again(
    house: KillHouse, client: Client, request_: ShotRequest, tmp_path: Path, fresh_seed: int
) -> None:
    client.fetch(client.submit(request_).name, tmp_path / "undisturbed")
    damage(house, request_, fresh_seed)
    job = client.submit(replace(request_, seed=2))
    with Client.connect(state_dir=house.state, start=False) as other:
        with pytest.raises(StorageError) as caught:
            other.fetch(job.name, tmp_path / "nothing")
        assert caught.value.code == "BLOB_CORRUPT" and caught.value.where.split("/")[0] in ("plate", "matte")
        other.fetch(other.submit(replace(request_, seed=2)).name, tmp_path / "made")
    assert bytes_of(tmp_path / "made") == bytes_of(tmp_path / "undisturbed")

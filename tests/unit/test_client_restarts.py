"""A client whose daemon goes away and comes back: elsewhere, with another token, or not at all."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from anyportal.v1 import jobs_pb2
from anyportal_client import AsyncClient, Client, ShotRequest, line, retry
from anyportal_client.channel import Connection
from anyportal_client.discovery import Endpoint, find_endpoint, read_daemon_file, renewed
from anyportal_client.errors import ClientError, DaemonError
from anyportal_client.events import DaemonAway, DaemonBack, Event, FileFetched, Progressed, ResultsReady, StateChanged
from anyportal_client.messages import DaemonInfo
from anyportal_client.retry import Backoff
from tests.unit.client_fakes import FakeDaemon, Refusal, progress, ready, state

INFO = DaemonInfo("", "", (), 0, 0, 0, {})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of a daemon on this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ANYPORTAL_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(line, "TELL_AFTER", 0.05)
    monkeypatch.setattr(retry, "LOOK_AGAIN", 0.02)
    for name in ("ANYPORTAL_DAEMON", "ANYPORTAL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    (tmp_path / "plate").mkdir()
    (tmp_path / "plate" / "plate.1001.exr").write_bytes(b"pixels")
    return tmp_path / "plate"


class House:
    """A daemon that can be killed and started again: elsewhere, with a new token and what it had on its disk."""

    def __init__(self, folder: Path, first: type[FakeDaemon] = FakeDaemon) -> None:
        self.folder = folder
        self.starts = 0
        self.now = first("token 0")
        self.announce()

    def announce(self, pid: int | None = None) -> None:
        announce(self.folder, self.now, pid or os.getpid())

    def kill(self) -> None:
        self.announce(dead_pid())  # what it had written stays, with the number of a process that is gone
        self.now.stop()

    def start(self) -> None:
        before, self.starts = self.now, self.starts + 1
        self.now = FakeDaemon(f"token {self.starts}")
        kept = ("blobs", "uploads", "jobs", "requests", "events", "script")
        vars(self.now).update({name: getattr(before, name) for name in kept})
        self.announce()

    def start_after_it_was_missed(self, told: list[Event]) -> None:
        while not any(isinstance(event, DaemonAway) for event in told):
            time.sleep(0.005)
        self.start()


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    found = House(folder)
    yield found
    found.now.stop()


def announce(folder: Path, daemon: FakeDaemon, pid: int) -> None:
    aside = folder / "daemon.json.part"
    said = {"address": daemon.address, "token": daemon.token, "pid": pid, "version": "0.1.0"}
    aside.write_text(json.dumps(said))
    aside.replace(folder / "daemon.json")


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def cut(times: int = 100) -> Refusal:
    """A call that nobody answers, as far as its caller can tell."""
    return Refusal(grpc.StatusCode.UNAVAILABLE, "", "cut", times=times)


def names(events: list[Event]) -> list[str]:
    return [event.event for event in events]


# where it is by now


def test_a_daemon_is_found_again_by_the_file_that_named_it(house: House) -> None:
    found = find_endpoint()
    assert found is not None and renewed(found) == found
    house.kill()
    assert renewed(found) is None, "the process that the file names is gone"
    house.start()
    again = renewed(found)
    assert again == replace(found, address=house.now.address, token="token 1")
    (house.folder / "daemon.json").unlink()
    assert renewed(found) is None, "it was stopped"
    (house.folder / "daemon.json").write_text("{")
    assert renewed(found) is None, "whoever waits may see it mended"


def test_a_token_that_a_user_was_given_stays(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_TOKEN", "mine")
    found = find_endpoint()
    assert found is not None
    house.kill()
    house.start()
    again = renewed(found)
    assert again is not None and (again.address, again.token) == (house.now.address, "mine")


def test_an_address_whose_token_was_taken_from_the_file_follows_it(house: House) -> None:
    named = find_endpoint(house.now.address.replace("127.0.0.1", "localhost"))
    assert named is not None and (named.token, named.pid) == ("token 0", None)
    house.kill()
    house.start()
    again = renewed(named)
    assert again is not None and (again.address, again.token) == (house.now.address, "token 1")


def test_an_address_with_a_token_that_was_given_asks_no_file(house: House) -> None:
    for named in (find_endpoint("box:1"), find_endpoint(house.now.address, "mine")):
        assert named is not None and named.file is None and renewed(named) is named


# calls and streams


@pytest.mark.parametrize("named", [False, True])
async def test_everything_goes_on_with_a_daemon_that_came_back_elsewhere(
    house: House, plate: Path, tmp_path: Path, named: bool
) -> None:
    """Its job, its events without a gap or a repeat, its files; whoever looks is told once."""
    house.now.script = [state("RUNNING"), progress("matte", 0.5), ready(house.now.result("a.mov", b"a"))]
    told: list[Event] = []

    def come_back(job: str) -> None:
        house.start_after_it_was_missed(told)
        house.now.tell(job, ready(house.now.result("b.mov", b"b", ("matte",))))
        house.now.tell(job, state("SUCCEEDED"))

    async with await AsyncClient.connect(house.now.address if named else None, on_event=told.append) as client:
        job = await client.submit(ShotRequest(plate, "#336699"))
        seen: list[int] = []

        def on_event(event: Event) -> None:
            if isinstance(event, (StateChanged, Progressed, ResultsReady)):
                seen.append(event.sequence)
            if seen[-1:] == [3] and not house.starts:
                house.kill()
                threading.Thread(target=come_back, args=(job.name,)).start()
            told.append(event)

        files = await client.fetch(job.name, tmp_path / "out", on_event)
        assert client.address == house.now.address
    assert seen == [1, 2, 3, 4, 5]
    assert {path.name: path.read_bytes() for path in files.values()} == {"a.mov": b"a", "b.mov": b"b"}
    assert sorted(event.path.name for event in told if isinstance(event, FileFetched)) == ["a.mov", "b.mov"]
    assert names(told).count("away") == 1
    (back,) = [event for event in told if isinstance(event, DaemonBack)]
    assert back.address == house.now.address and back.away_seconds > 0


class DiesBeforeItAnswers(FakeDaemon):
    """A job is made and written down, and its daemon is killed before anyone is told."""

    def CreateJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        job = super().CreateJob(request, context)
        if not request.validate_only:
            announce(Path(os.environ["ANYPORTAL_STATE"]), self, dead_pid())
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        return job


async def test_a_job_that_was_made_as_its_daemon_died_is_not_made_twice(folder: Path, plate: Path) -> None:
    house = House(folder, DiesBeforeItAnswers)
    told: list[Event] = []
    async with await AsyncClient.connect(on_event=told.append) as client:
        submitting = asyncio.create_task(client.submit(ShotRequest(plate, "#336699")))
        await asyncio.to_thread(house.start_after_it_was_missed, told)
        job = await submitting
    assert list(house.now.jobs) == [job.name] and house.now.calls.count("CreateJob") == 1
    house.now.stop()


async def test_calls_at_once_are_told_of_once_and_all_go_on(house: House) -> None:
    told: list[Event] = []
    async with await AsyncClient.connect(on_event=told.append) as client:
        for _ in range(2):
            told.clear()
            house.kill()
            calls = asyncio.gather(*(client.jobs() for _ in range(20)))
            await asyncio.to_thread(house.start_after_it_was_missed, told)
            assert await calls == [[]] * 20
            assert names(told) == ["away", "back"]


async def test_a_cut_is_no_news(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "TELL_AFTER", 2.0)
    told: list[Event] = []
    async with await AsyncClient.connect(on_event=told.append) as client:
        house.now.refuse("ListJobs", cut(times=2))
        assert await client.jobs() == [] and told == []


async def test_what_is_under_way_on_the_old_line_is_left_in_peace(house: House) -> None:
    """Two may be there for a moment: to hang up would cancel the tasks that listen to the first."""
    endpoint = find_endpoint()
    assert endpoint is not None
    connection, old = Connection(endpoint), house.now
    old.jobs["jobs/j1"] = jobs_pb2.Job(name="jobs/j1", state=jobs_pb2.Job.RUNNING)
    old.events["jobs/j1"] = []
    old.tell("jobs/j1", progress("matte", 0.1))
    heard: list[float] = []

    async def listen() -> None:
        async for event in connection.stream(connection.jobs.WatchJob, jobs_pb2.WatchJobRequest(name="jobs/j1")):
            heard.append(event.progress.fraction)

    listening = asyncio.create_task(listen())
    while not heard:
        await asyncio.sleep(0.005)
    house.start()
    assert await connection._line.renew() and connection.endpoint.address == house.now.address
    await connection.call(connection.jobs.ListJobs, jobs_pb2.ListJobsRequest())
    assert (old.calls.count("ListJobs"), house.now.calls.count("ListJobs")) == (0, 1)
    old.tell("jobs/j1", state("SUCCEEDED"))
    await listening
    assert len(heard) == 2
    await connection.close()
    old.stop()


async def test_a_daemon_that_listens_before_it_has_written_its_file_is_waited_for(house: House) -> None:
    """On the port of the one before, with a token that nobody can know yet."""
    async with await AsyncClient.connect() as client:
        house.now.token = "token 1"
        asked = asyncio.create_task(client.jobs())
        while "ListJobs" not in house.now.calls:
            await asyncio.sleep(0.005)
        house.announce()
        assert await asked == []


async def test_a_token_that_stays_wrong_is_told_and_one_of_a_user_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "TOKEN_PATIENCE", 0.2)
    async with await AsyncClient.connect() as client:
        house.now.token = "of somebody else"
        with pytest.raises(DaemonError) as caught:
            await client.jobs()
    assert caught.value.code == "TOKEN" and house.now.calls.count("ListJobs") > 1
    house.now.calls.clear()
    with pytest.raises(DaemonError) as refused:
        await AsyncClient.connect(token="mine")
    assert refused.value.code == "TOKEN" and house.now.calls == ["GetDaemon"]


async def test_nobody_knocks_at_the_door_of_a_daemon_that_is_gone(house: House) -> None:
    """Whoever has taken its port meanwhile would be shown a token."""
    endpoint = find_endpoint()
    assert endpoint is not None
    async with AsyncClient(Connection(endpoint, Backoff(patience=0.4)), INFO) as client:
        house.announce(dead_pid())
        house.now.refuse("GetJob", cut())
        with pytest.raises(DaemonError) as caught:
            await client.job("jobs/j1")
    assert caught.value.code == "UNREACHABLE" and house.now.calls == ["GetJob"]


# the end of patience


async def test_a_daemon_that_stays_away_leaves_a_job_that_goes_on(house: House, plate: Path, tmp_path: Path) -> None:
    house.now.script = [state("RUNNING")]
    async with await AsyncClient.connect(patience=0.3) as client:
        job = await client.submit(ShotRequest(plate, "#336699"))

        def on_event(event: Event) -> None:
            threading.Thread(target=house.kill).start()

        with pytest.raises(DaemonError) as caught:
            await client.fetch(job.name, tmp_path / "out", on_event)
    assert (caught.value.code, caught.value.job, caught.value.exit_code) == ("UNREACHABLE", job.name, 5)
    assert f"{job.name} goes on by itself" in caught.value.hint
    assert f"anyportal fetch {job.name} --out DIR" in caught.value.hint


async def test_patience_begins_with_the_failure_not_with_the_last_event(house: House, plate: Path) -> None:
    """A stage may have nothing to say for longer than anybody waits for a daemon."""
    house.now.script = [state("RUNNING")]
    async with await AsyncClient.connect(patience=1.0) as client:
        job = await client.submit(ShotRequest(plate, "#336699"))
        seen = []
        async for event in client.watch(job.name):
            seen.append(event.sequence)
            if len(seen) == 1:
                threading.Timer(1.2, restart_and_finish, (house, job.name)).start()
    assert seen == [1, 2]


def restart_and_finish(house: House, job: str) -> None:
    house.kill()
    house.start()
    house.now.tell(job, state("SUCCEEDED"))


async def test_to_cancel_while_the_daemon_is_away_says_what_becomes_of_the_job(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anyportal_client.aio.CANCEL_PATIENCE", 0.2)
    async with await AsyncClient.connect() as client:
        house.kill()
        with pytest.raises(DaemonError) as caught:
            await client.cancel("jobs/j1")
    assert "jobs/j1 is not cancelled" in caught.value.message and "anyportal cancel jobs/j1" in caught.value.hint


async def test_whoever_is_cancelled_while_a_job_is_made_does_not_wait_for_a_daemon_that_is_away(
    house: House, plate: Path
) -> None:
    house.now.refuse("CreateJob", cut())
    async with await AsyncClient.connect() as client:
        work = asyncio.create_task(client.submit(ShotRequest(plate, "#336699")))
        while "CreateJob" not in house.now.calls:
            await asyncio.sleep(0.005)
        house.kill()
        while not client._connection.away:
            await asyncio.sleep(0.005)
        began = time.monotonic()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert time.monotonic() - began < 5


def test_who_listens_to_nothing_finds_it_in_the_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    with Client.connect() as client:
        house.kill()
        later = threading.Timer(0.3, house.start)
        later.start()
        assert client.jobs() == []
        later.join()
    assert any("no answer from the daemon" in record.getMessage() for record in caplog.records)


async def test_a_daemon_that_ends_for_good_is_not_waited_for(house: House) -> None:
    def over() -> Endpoint:
        raise DaemonError("it has ended", hint="submit again")

    endpoint = read_daemon_file(house.folder)
    assert endpoint is not None
    connection = Connection(endpoint, renew=over)
    house.kill()
    with pytest.raises(ClientError, match="it has ended"):
        await connection.call(connection.jobs.ListJobs, jobs_pb2.ListJobsRequest())
    await connection.close()

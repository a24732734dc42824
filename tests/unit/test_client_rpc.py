"""Submit, watch and fetch against a daemon that can be told to misbehave."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from anyportal.v1 import jobs_pb2
from anyportal_client import AsyncClient, Client, ShotRequest
from anyportal_client.channel import Connection
from anyportal_client.discovery import Endpoint
from anyportal_client.errors import (
    Cancelled,
    DaemonError,
    JobError,
    MediaError,
    RecipeError,
    StorageError,
    UsageError,
)
from anyportal_client.events import (
    Done,
    Event,
    Failed,
    FileFetched,
    LogLine,
    Progressed,
    StateChanged,
    Submitted,
    Uploading,
)
from anyportal_client.messages import DaemonInfo
from anyportal_client.retry import Backoff
from tests.unit.client_fakes import TOKEN, CuttingProxy, FakeDaemon, Refusal, log, progress, ready, state


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ANYPORTAL_STATE", str(tmp_path / "state"))
    for name in ("ANYPORTAL_DAEMON", "ANYPORTAL_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    fake = FakeDaemon()
    yield fake
    fake.stop()


@pytest.fixture
def client(daemon: FakeDaemon) -> Iterator[Client]:
    with Client.connect(daemon.address, TOKEN) as client:
        yield client


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    return sequence(tmp_path / "plate", range(1001, 1011))


def sequence(folder: Path, numbers: range, size: int = 3000) -> Path:
    """Files that are called EXR; nobody here looks inside."""
    folder.mkdir()
    for number in numbers:
        (folder / f"plate.{number}.exr").write_bytes(random.Random(number).randbytes(size))
    return folder


def test_submit_uploads_only_what_is_missing_and_only_needed_frames(
    client: Client, daemon: FakeDaemon, plate: Path
) -> None:
    events: list[Event] = []
    request = ShotRequest(plate, "#336699", frames="1004-1005", handles=1, settings={"gain": {1001: 0.5}})
    job = client.submit(request, events.append)

    sent = daemon.jobs[job.name]
    assert [frame.number for frame in sent.shot.plate.sequence.frames] == [1003, 1004, 1005, 1006]
    assert sent.shot.plate.sequence.pattern == "plate.%04d.exr"
    assert (sent.shot.frames, sent.shot.handles) == ("1004-1005", 1)
    assert sent.recipe.settings["gain"]["1001"] == 0.5
    assert daemon.received_bytes == 4 * 3000
    assert isinstance(events[-1], Submitted)
    assert [event for event in events if isinstance(event, Uploading)][-1] == Uploading("sending", 12000, 12000)

    client.submit(ShotRequest(plate, "#336699", frames="1005-1007"))
    assert daemon.received_bytes == 5 * 3000  # 1007 alone was new


def test_a_job_that_would_be_refused_sends_no_bytes(client: Client, daemon: FakeDaemon, plate: Path) -> None:
    refusal = Refusal(
        grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_NAME", "there is no preset 'x'", {"hint": "draft"}, "recipe.preset"
    )
    daemon.refuse("CreateJob.validate", refusal)
    with pytest.raises(RecipeError) as caught:
        client.submit(ShotRequest(plate, "#336699", preset="x"))
    assert (caught.value.code, caught.value.where, caught.value.hint) == ("UNKNOWN_NAME", "recipe.preset", "draft")
    assert caught.value.exit_code == 4
    assert "WriteBlob" not in daemon.calls


def test_blobs_that_vanish_before_the_job_are_sent_again(client: Client, daemon: FakeDaemon, plate: Path) -> None:
    daemon.refuse("CreateJob", Refusal(grpc.StatusCode.FAILED_PRECONDITION, "BLOBS_MISSING"))
    assert client.submit(ShotRequest(plate, "#336699")).state == "queued"
    assert daemon.calls.count("FindMissingBlobs") == 2


class LosesAnAnswer(FakeDaemon):
    """The first job is made, and the connection goes away before anyone is told."""

    def CreateJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        job = super().CreateJob(request, context)
        if not request.validate_only and self.calls.count("CreateJob") == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer is lost")
        return job


def test_a_lost_answer_to_create_makes_no_second_job(plate: Path) -> None:
    daemon = LosesAnAnswer()
    with Client.connect(daemon.address, TOKEN) as client:
        job = client.submit(ShotRequest(plate, "#336699"))
    daemon.stop()
    assert daemon.calls.count("CreateJob") == 2 and list(daemon.jobs) == [job.name]


class AnswersLate(FakeDaemon):
    """A job is made at once, and the client hears of it when `told` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.made, self.told = threading.Event(), threading.Event()

    def CreateJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        job = super().CreateJob(request, context)
        if not request.validate_only:
            self.made.set()
            self.told.wait(10)
        return job


async def test_who_leaves_while_the_job_is_queued_leaves_none_behind(plate: Path) -> None:
    daemon = AnswersLate()
    async with await AsyncClient.connect(daemon.address, TOKEN) as client:
        submitting = asyncio.create_task(client.submit(ShotRequest(plate, "#336699")))
        assert await asyncio.to_thread(daemon.made.wait, 10)
        submitting.cancel()
        await asyncio.sleep(0.05)
        daemon.told.set()
        with pytest.raises(asyncio.CancelledError):
            await submitting
    daemon.stop()
    [job] = daemon.jobs.values()
    assert job.cancel_requested


def test_watch_goes_on_after_cuts_without_gap_or_repeat(client: Client, daemon: FakeDaemon, plate: Path) -> None:
    steps = [progress("matte", step / 20) for step in range(20)]
    daemon.script = [state("RUNNING"), *steps, log("mind the gap"), state("SUCCEEDED")]
    daemon.watch_cuts = 5
    job = client.submit(ShotRequest(plate, "#336699"))
    events = list(client.watch(job.name))
    assert [event.sequence for event in events] == list(range(1, 24))
    assert daemon.calls.count("WatchJob") >= 6
    assert isinstance(events[0], StateChanged) and isinstance(events[1], Progressed)
    assert events[-2] == LogLine(job.name, 22, "warning", "mind the gap")
    assert [event.sequence for event in client.watch(job.name, after=20)] == [21, 22, 23]


def test_fetch_gets_files_while_the_job_runs(client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path) -> None:
    first = daemon.result("shot_comp.0998.exr", b"a" * 99, ("comp", "matte"), 998)
    second = daemon.result("shot_comp.10000.exr", b"b" * 99, ("comp", "matte"), 10000)
    movie = daemon.result("shot_gain.mov", b"c" * 999, ("gain",))
    daemon.script = [state("RUNNING"), ready(first)]
    job = client.submit(ShotRequest(plate, "#336699"))
    order: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, FileFetched):
            order.append(event.path.name)
            if event.path.name == "shot_comp.0998.exr":  # the job ends only after this was fetched
                for step in (ready(second, movie), state("SUCCEEDED")):
                    daemon.tell(job.name, step)
        elif isinstance(event, Done):
            order.append("done")

    out = tmp_path / "out"
    files = client.fetch(job.name, out, on_event)
    assert order[0] == "shot_comp.0998.exr" and order[-1] == "done" and len(order) == 4
    assert files == {
        "comp": out / "shot_comp.%04d.exr",
        "matte": out / "shot_comp.%04d.exr",
        "gain": out / "shot_gain.mov",
    }
    assert sorted(path.name for path in out.iterdir()) == sorted(order[:3])
    assert (out / "shot_gain.mov").read_bytes() == b"c" * 999


def finished_job(daemon: FakeDaemon, client: Client, plate: Path, *files: jobs_pb2.ResultFile) -> str:
    daemon.script = [state("RUNNING"), ready(*files), state("SUCCEEDED")]
    job = client.submit(ShotRequest(plate, "#336699"))
    list(client.watch(job.name))
    return job.name


def test_existing_results_are_kept_if_identical_and_never_lost(
    client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path
) -> None:
    name = finished_job(daemon, client, plate, daemon.result("x.mov", b"new"))
    out = tmp_path / "out"
    client.fetch(name, out)
    before = (out / "x.mov").stat().st_mtime_ns
    daemon.calls.clear()
    client.fetch(name, out)
    assert "ReadBlob" not in daemon.calls and (out / "x.mov").stat().st_mtime_ns == before

    (out / "x.mov").write_bytes(b"old")
    with pytest.raises(UsageError) as caught:
        client.fetch(name, out)
    assert caught.value.code == "FILE_EXISTS" and (out / "x.mov").read_bytes() == b"old"
    client.fetch(name, out, overwrite=True)
    assert (out / "x.mov").read_bytes() == b"new"


def test_a_download_resumes_from_what_an_earlier_call_left(
    client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path
) -> None:
    data = random.Random(1).randbytes(300_000)
    name = finished_job(daemon, client, plate, daemon.result("x.mov", data))
    out = tmp_path / "out"
    out.mkdir()
    part = out / f"x.mov.{hashlib.sha256(data).hexdigest()[:8]}.part"
    part.write_bytes(data[:250_000])
    client.fetch(name, out)
    assert daemon.read_offsets == [250_000] and (out / "x.mov").read_bytes() == data and not part.exists()

    (out / "x.mov").unlink()
    part.write_bytes(b"?" * 250_000)  # what an earlier call left may be no good
    client.fetch(name, out)
    assert (out / "x.mov").read_bytes() == data and list(out.iterdir()) == [out / "x.mov"]


def test_a_full_disk_keeps_only_what_is_whole(
    client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [daemon.result(f"x.{number}.exr", random.Random(number).randbytes(300_000)) for number in range(9)]
    name = finished_job(daemon, client, plate, *files)
    written = 0

    def append(stream: Any, update: Any, chunks: list[bytes]) -> None:
        nonlocal written
        for chunk in chunks:
            written += len(chunk)
            if written > 1_000_000:
                stream.write(chunk[:100])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            stream.write(chunk)
            update(chunk)

    out = tmp_path / "out"
    with monkeypatch.context() as full:
        full.setattr("anyportal_client.transfers._append", append)
        with pytest.raises(StorageError, match="the disk is full") as caught:
            client.fetch(name, out)
    assert (caught.value.code, caught.value.exit_code) == ("DISK_FULL", 7)
    assert [path.name for path in out.iterdir() if path.stat().st_size != 300_000] == []
    client.fetch(name, out)
    assert len(list(out.iterdir())) == 9


def test_damaged_bytes_are_never_taken_for_a_result(
    client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path
) -> None:
    file = daemon.result("x.mov", b"good")
    name = finished_job(daemon, client, plate, file)
    daemon.blobs[file.blob.sha256] = b"evil"
    with pytest.raises(StorageError) as caught:
        client.fetch(name, tmp_path / "out")
    assert caught.value.code == "DIGEST"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("filename", ["../x.mov", "/etc/x", "a\\b.mov", "c:x", ".."])
def test_a_result_stays_in_its_folder(
    client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path, filename: str
) -> None:
    name = finished_job(daemon, client, plate, daemon.result(filename, b"x"))
    with pytest.raises(Exception, match="a name that is none"):
        client.fetch(name, tmp_path / "out")


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        ("MEDIA_UNREADABLE", MediaError, 3),
        ("UNSUPPORTED_BACKDROP", RecipeError, 4),
        ("WORKER_LOST", JobError, 6),
        ("SOMETHING_NEW", JobError, 6),
        ("DISK_FULL", StorageError, 7),
    ],
)
def test_a_failed_job_raises_by_its_code(
    client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path, code: str, kind: type, exit_code: int
) -> None:
    daemon.script = [state("RUNNING"), state("FAILED", code=code, message="it broke", where="frame 7", hint="mend it")]
    job = client.submit(ShotRequest(plate, "#336699"))
    with pytest.raises(kind) as caught:
        client.fetch(job.name, tmp_path / "out")
    error = caught.value
    assert (error.code, error.message, error.where, error.hint) == (code, "it broke", "frame 7", "mend it")
    assert error.exit_code == exit_code and error.job == job.name


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("plate/plate.1003.exr", "{plate}/plate.1003.exr"),
        ("plate/plate.%04d.exr", "{plate}/plate.%04d.exr"),
        ("mask/hero.png", "{masks}/hero.png"),
        ("matte/hero.png", "matte/hero.png"),  # none was sent
        ("recipe.settings.matte", "recipe.settings.matte"),
        ("plate", "plate"),
    ],
)
def test_a_failed_job_names_the_files_that_were_sent(
    client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path, where: str, shown: str
) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "hero.png").write_bytes(b"x")
    daemon.script = [state("RUNNING"), state("FAILED", code="MEDIA_UNREADABLE", message="is broken", where=where)]
    job = client.submit(ShotRequest(plate, "#336699", mask=tmp_path / "masks" / "hero.png"))
    with pytest.raises(MediaError) as caught:
        client.fetch(job.name, tmp_path / "out")
    assert caught.value.where == shown.format(plate=plate, masks=tmp_path / "masks")


def test_footage_that_is_damaged_again_and_again_is_sent_again_once(
    client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path
) -> None:
    where = "plate/plate.1003.exr"
    daemon.script = [state("RUNNING"), state("FAILED", code="BLOB_CORRUPT", message="was damaged", where=where)]
    job = client.submit(ShotRequest(plate, "#336699"))
    events: list[Event] = []
    for _ in range(2):
        with pytest.raises(StorageError) as caught:
            client.fetch(job.name, tmp_path / "out", events.append)
        assert (caught.value.code, caught.value.where) == ("BLOB_CORRUPT", str(plate / "plate.1003.exr"))
    assert daemon.calls.count("RetryJob") == 1
    [said] = [event for event in events if isinstance(event, LogLine)]
    assert said.severity == "warning" and str(plate / "plate.1003.exr") in said.text and "sent again" in said.text
    numbers = [event.sequence for event in events if isinstance(event, StateChanged)]
    assert numbers == sorted(set(numbers)), "no event is told twice"


def test_a_cancelled_job_raises_cancelled(client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path) -> None:
    job = client.submit(ShotRequest(plate, "#336699"))
    assert client.cancel(job.name).state == "cancelled"
    with pytest.raises(Cancelled):
        client.fetch(job.name, tmp_path / "out")


def test_a_job_that_was_tried_again_is_fetched_whole(
    client: Client, daemon: FakeDaemon, plate: Path, tmp_path: Path
) -> None:
    daemon.script = [state("RUNNING"), state("FAILED", code="WORKER_LOST", message="x"), state("QUEUED")]
    job = client.submit(ShotRequest(plate, "#336699"))
    while daemon.jobs[job.name].last_sequence < 3:
        time.sleep(0.01)
    daemon.tell(job.name, ready(daemon.result("x.mov", b"x")))
    daemon.tell(job.name, state("SUCCEEDED"))
    assert client.fetch(job.name, tmp_path / "out") == {"comp": tmp_path / "out" / "x.mov"}


def test_wrong_token_and_unknown_job(daemon: FakeDaemon, client: Client) -> None:
    with pytest.raises(DaemonError) as caught:
        Client.connect(daemon.address, "wrong")
    assert caught.value.code == "TOKEN" and caught.value.exit_code == 5
    assert "set ANYPORTAL_TOKEN" in caught.value.hint and "Bearer" not in caught.value.hint
    with pytest.raises(UsageError) as missing:
        client.job("jobs/none")
    assert missing.value.code == "JOB_NOT_FOUND" and missing.value.exit_code == 2


def test_nobody_there_is_told_soon() -> None:
    began = time.monotonic()
    with pytest.raises(DaemonError) as caught:
        Client.connect("127.0.0.1:9")
    assert caught.value.code == "UNREACHABLE" and "anyportal serve" in caught.value.hint
    assert time.monotonic() - began < 4


def test_something_else_on_the_port_is_no_daemon(tmp_path: Path) -> None:
    import http.server
    import threading

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(DaemonError):
            Client.connect(f"127.0.0.1:{server.server_port}")
        server.shutdown()


def test_a_daemon_that_starts_is_waited_for_as_long_as_it_asks(daemon: FakeDaemon) -> None:
    daemon.refuse("GetDaemon", Refusal(grpc.StatusCode.UNAVAILABLE, "STARTING", "not yet", delay=0.4, times=2))
    began = time.monotonic()
    Client.connect(daemon.address, TOKEN).close()
    assert 0.8 <= time.monotonic() - began < 4
    assert daemon.calls.count("GetDaemon") == 3


def test_jobs_are_listed_over_pages(client: Client, daemon: FakeDaemon) -> None:
    for number in range(1, 1203):
        daemon.jobs[f"jobs/j{number}"] = jobs_pb2.Job(name=f"jobs/j{number}", state=jobs_pb2.Job.QUEUED)
    found = client.jobs(limit=1100)
    assert [found[0].name, found[-1].name, len(found)] == ["jobs/j1202", "jobs/j103", 1100]
    with pytest.raises(UsageError, match="no state 'waiting'"):
        client.jobs(["waiting"])


def test_presets_are_plain_data(client: Client) -> None:
    (preset,) = client.presets()
    assert preset.roles == {"matte": {"plugin": "draft.person", "soft": 0.5}}


async def test_the_awaited_client_is_the_same(daemon: FakeDaemon, plate: Path, tmp_path: Path) -> None:
    daemon.script = [state("RUNNING"), ready(daemon.result("x.mov", b"x")), state("SUCCEEDED")]
    async with await AsyncClient.connect(daemon.address, TOKEN) as client:
        job = await client.submit(ShotRequest(plate, "#336699"))
        assert [event.sequence async for event in client.watch(job.name)] == [1, 2, 3]
        assert await client.fetch(job.name, tmp_path / "out") == {"comp": tmp_path / "out" / "x.mov"}


def test_a_file_that_changes_while_it_is_sent_is_told(client: Client, daemon: FakeDaemon, plate: Path) -> None:
    victim = plate / "plate.1003.exr"

    def change(event: Event) -> None:
        if isinstance(event, Uploading) and event.phase == "reading":
            victim.write_bytes(os.urandom(victim.stat().st_size))

    with pytest.raises(MediaError, match="changed while it was sent") as caught:
        client.submit(ShotRequest(plate, "#336699"), change)
    assert caught.value.where == str(victim)


@pytest.mark.parametrize("seed", range(4))
def test_transfers_survive_cuts_at_random_bytes(daemon: FakeDaemon, tmp_path: Path, seed: int) -> None:
    size = 3_000_000
    plate = sequence(tmp_path / "big", range(1, 4), size)
    results = [daemon.result(f"r.{n}.exr", random.Random(n + 100).randbytes(size), frame=n) for n in range(3)]
    daemon.script = [state("RUNNING"), ready(*results), state("SUCCEEDED")]
    proxy = CuttingProxy(daemon.port, seed, cuts=8, most_bytes=1_500_000)
    with Client.connect(proxy.address, TOKEN) as client:
        job = client.submit(ShotRequest(plate, "#336699"))
        files = client.fetch(job.name, tmp_path / "out")
    proxy.stop()
    assert proxy.made == 8
    for result in results:
        assert (tmp_path / "out" / result.filename).read_bytes() == daemon.blobs[result.blob.sha256]
    assert files == {"comp": tmp_path / "out" / "r.%d.exr"}
    sent = {hashlib.sha256(path.read_bytes()).hexdigest() for path in plate.iterdir()}
    assert sent <= set(daemon.blobs)
    # Nothing that was committed is sent again: the digests would not fit, and the daemon counts.
    assert daemon.received_bytes == 3 * size


def test_an_upload_that_was_cut_after_its_last_byte_is_ended(client: Client, daemon: FakeDaemon, plate: Path) -> None:
    """The bytes are committed, but the daemon never saw the end of the stream."""
    data = (plate / "plate.1002.exr").read_bytes()
    daemon.uploads[hashlib.sha256(data).hexdigest()] = bytearray(data)
    client.submit(ShotRequest(plate, "#336699"))
    assert daemon.blobs[hashlib.sha256(data).hexdigest()] == data


async def test_patience_has_an_end(daemon: FakeDaemon) -> None:
    connection = Connection(Endpoint(daemon.address, TOKEN), Backoff(patience=0.5))
    info = DaemonInfo("", "", (), 0, 0, 0, {})
    async with AsyncClient(connection, info) as client:
        daemon.stop()
        began = time.monotonic()
        with pytest.raises(DaemonError):
            await client.job("jobs/j1")
        assert time.monotonic() - began < 3


async def test_a_daemon_that_died_leaves_a_job_that_can_be_named(
    daemon: FakeDaemon, plate: Path, tmp_path: Path
) -> None:
    daemon.script = [state("RUNNING")]
    connection = Connection(Endpoint(daemon.address, TOKEN), Backoff(patience=0.3))
    async with AsyncClient(connection, DaemonInfo("", "", (), 0, 0, 0, {})) as client:
        job = await client.submit(ShotRequest(plate, "#336699"))

        def on_event(event: Event) -> None:
            if isinstance(event, StateChanged):
                threading.Thread(target=daemon.stop).start()

        with pytest.raises(DaemonError) as caught:
            await client.fetch(job.name, tmp_path / "out", on_event)
    said = Failed.of(caught.value).as_json()
    assert (said["code"], said["job"], said["where"]) == ("UNREACHABLE", job.name, daemon.address)
    assert f"anyportal fetch {job.name}" in said["hint"]


class KeepsItsFiles(FakeDaemon):
    """Goes away whenever somebody wants a file of a result."""

    def ReadBlob(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


async def test_a_download_that_was_given_up_names_its_job(plate: Path, tmp_path: Path) -> None:
    daemon = KeepsItsFiles()
    daemon.script = [state("RUNNING"), ready(daemon.result("x.mov", b"x")), state("SUCCEEDED")]
    connection = Connection(Endpoint(daemon.address, TOKEN), Backoff(patience=0.3))
    async with AsyncClient(connection, DaemonInfo("", "", (), 0, 0, 0, {})) as client:
        job = await client.submit(ShotRequest(plate, "#336699"))
        with pytest.raises(DaemonError) as caught:
            await client.fetch(job.name, tmp_path / "out")
    daemon.stop()
    assert caught.value.job == job.name and f"anyportal fetch {job.name}" in caught.value.hint


class FullDisk(FakeDaemon):
    """Takes one message, then has no space left."""

    def WriteBlob(self, requests: Any, context: grpc.ServicerContext) -> Any:
        next(requests)
        self._abort(context, Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL", "the disk is full"))


def test_a_refusal_in_the_middle_of_an_upload_is_told_as_it_is(tmp_path: Path) -> None:
    """gRPC forgets the daemon's answer when it comes while bytes are being sent."""
    daemon = FullDisk()
    with Client.connect(daemon.address, TOKEN) as client:
        for number in range(3):
            plate = sequence(tmp_path / f"plate{number}", range(number * 3, number * 3 + 3), 3_000_000)
            with pytest.raises(StorageError, match="the disk is full"):
                client.submit(ShotRequest(plate, "#336699"))
    daemon.stop()

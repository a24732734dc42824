"""A daemon in a process of its own, real gRPC, real shots: served, killed, stopped, started again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import jsonschema
import numpy as np
import psutil
import pytest

from anyportal.v1 import (
    blobs_pb2,
    blobs_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    media_pb2,
)
from anyportal.v1.jobs_pb2 import Job

WIDTH, HEIGHT = 96, 64
FIRST = 1001
SHORT, LONG = 8, 120
"""Frames; the long shot is one that something can happen to before it is done."""


class Daemon:
    """A daemon process and a channel to it."""

    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--json"]
        self.process = subprocess.Popen(
            [*command, "--state", str(state), "--stop-with-stdin"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.line = json.loads(self.process.stdout.readline())
        found = json.loads((state / "daemon.json").read_text())
        self.metadata = (("authorization", f"Bearer {found['token']}"),)
        self.channel = grpc.insecure_channel(found["address"])
        self.blobs: Any = blobs_pb2_grpc.BlobServiceStub(self.channel)
        self.jobs: Any = jobs_pb2_grpc.JobServiceStub(self.channel)
        self.catalog: Any = catalog_pb2_grpc.CatalogServiceStub(self.channel)

    def call(self, rpc: Any, request: Any) -> Any:
        """An rpc, tried again while the worker starts."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return rpc(request, metadata=self.metadata)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def worker(self) -> catalog_pb2.Worker:
        found: catalog_pb2.Daemon = self.call(self.catalog.GetDaemon, catalog_pb2.GetDaemonRequest())
        return found.workers[0]

    def upload(self, data: bytes) -> media_pb2.Blob:
        blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
        if self.call(self.blobs.FindMissingBlobs, blobs_pb2.FindMissingBlobsRequest(blobs=[blob])).missing:
            messages = [blobs_pb2.WriteBlobRequest(blob=blob, data=data)]
            assert self.blobs.WriteBlob(iter(messages), metadata=self.metadata).complete
        return blob

    def download(self, blob: media_pb2.Blob) -> bytes:
        request = blobs_pb2.ReadBlobRequest(blob=blob)
        return b"".join(part.data for part in self.blobs.ReadBlob(request, metadata=self.metadata))

    def submit(self, count: int, name: str = "hero", **recipe: Any) -> str:
        """A shot of a textured disc that wanders over a gradient, with its matte."""
        pictures = [picture(index % 10) for index in range(count)]
        job = Job(
            display_name=name,
            shot=jobs_pb2.Shot(
                plate=self._sequence("plate.%04d.png", [plate for plate, _ in pictures]),
                matte=self._sequence("matte.%04d.png", [matte for _, matte in pictures]),
            ),
            recipe=jobs_pb2.Recipe(backdrop=jobs_pb2.Backdrop(colour="#336699"), **recipe),
        )
        created: Job = self.call(self.jobs.CreateJob, jobs_pb2.CreateJobRequest(job=job))
        return created.name

    def _sequence(self, pattern: str, pictures: list[bytes]) -> media_pb2.ClipManifest:
        blobs = {data: self.upload(data) for data in set(pictures)}
        frames = [
            media_pb2.SequenceFrame(number=FIRST + index, blob=blobs[data]) for index, data in enumerate(pictures)
        ]
        return media_pb2.ClipManifest(sequence=media_pb2.FrameSequence(frames=frames, pattern=pattern))

    def job(self, name: str) -> Job:
        found: Job = self.call(self.jobs.GetJob, jobs_pb2.GetJobRequest(name=name))
        return found

    def watch(self, name: str, after: int = 0) -> Iterator[jobs_pb2.JobEvent]:
        """A job's events, without the messages between them that only tell what is expected of it now."""
        request = jobs_pb2.WatchJobRequest(name=name, after_sequence=after)
        messages = self.jobs.WatchJob(request, metadata=self.metadata, timeout=60)
        yield from (message for message in messages if message.WhichOneof("event"))

    def wait_for(self, name: str, reached: Callable[[jobs_pb2.JobEvent], bool]) -> None:
        assert any(reached(event) for event in self.watch(name)), self.job(name)

    def end(self, name: str) -> Job:
        for _ in self.watch(name):
            pass
        return self.job(name)

    def cancel(self, name: str) -> None:
        self.call(self.jobs.CancelJob, jobs_pb2.CancelJobRequest(name=name))

    def retry(self, name: str) -> None:
        self.call(self.jobs.RetryJob, jobs_pb2.RetryJobRequest(name=name))

    def stop(self) -> int:
        """End it politely."""
        self.process.terminate()
        return self.process.wait(20)

    def close(self) -> None:
        self.channel.close()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


@functools.cache
def picture(index: int) -> tuple[bytes, bytes]:
    """A frame and its matte as PNG."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    inside = (x - 30 - 2 * index) ** 2 + (y - 32) ** 2 < 18**2
    noise = np.random.default_rng(5).integers(0, 80, (HEIGHT, WIDTH, 3))
    ground = np.stack([x * 2, y * 3, 255 - x], axis=-1)
    plate = np.where(inside[..., None], noise + 120 + index, ground).astype(np.uint8)
    return tuple(cv2.imencode(".png", image)[1].tobytes() for image in (plate, inside.astype(np.uint8) * 255))  # type: ignore[return-value]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Daemon]]:
    """Starts a daemon on the test's state directory."""
    started: list[Daemon] = []

    def new() -> Daemon:
        started.append(Daemon(tmp_path / "state"))
        return started[-1]

    yield new
    for daemon in started:
        daemon.close()


def running(event: jobs_pb2.JobEvent) -> bool:
    """The job is at work, in the middle of something."""
    return event.HasField("progress")


def gone(pid: int) -> bool:
    """A process that is no more, within five seconds."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_shot_goes_in_and_comes_back(start: Callable[[], Daemon], tmp_path: Path) -> None:
    begun = time.monotonic()
    daemon = start()
    worker = daemon.worker()
    assert time.monotonic() - begun < 10, "about a second, on a machine that does nothing else"
    assert daemon.line["event"] == "serving" and daemon.line["pid"] == daemon.process.pid

    name = daemon.submit(SHORT)
    events = list(daemon.watch(name))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    states = [event.state.state for event in events if event.HasField("state")]
    assert states == [Job.QUEUED, Job.RUNNING, Job.SUCCEEDED], daemon.job(name)
    fractions = [event.progress.fraction for event in events if event.HasField("progress")]
    assert fractions == sorted(fractions) and fractions[-1] == 1

    job = daemon.job(name)
    assert job.frames_delivered == f"{FIRST}-{FIRST + SHORT - 1}"
    assert (job.frame_rate.numerator, job.frame_rate.denominator) == (24, 1)
    assert set(job.stage_seconds) == {"matte", "motion", "background", "harmonise", "refine", "finish"}
    assert [file.frame for file in job.results] == list(range(FIRST, FIRST + SHORT))
    told = [file for event in events for file in event.results.files]
    assert told == list(job.results), "every file was told of as it got ready"
    for file in job.results:
        data = daemon.download(file.blob)
        assert hashlib.sha256(data).hexdigest() == file.blob.sha256
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (HEIGHT, WIDTH, 3)
        corner = picture[-2, 2][::-1].astype(int)
        assert np.abs(corner - [0x33, 0x66, 0x99]).max() <= 2, "the new background is there"

    again = daemon.end(daemon.submit(SHORT))
    assert [file.blob for file in again.results] == [file.blob for file in job.results]
    assert set(again.stage_seconds) == {"finish"}, "all other stages were reused"

    assert not list((tmp_path / "state" / "scratch").iterdir()), "a job leaves no files of its own"
    children = psutil.Process(daemon.process.pid).children(recursive=True)
    assert worker.process_id in {child.pid for child in children}
    assert daemon.stop() == 0
    assert not (tmp_path / "state" / "daemon.json").exists()
    assert all(gone(child.pid) for child in children)
    if os.name == "posix":
        others = [path for path in (tmp_path / "state").rglob("*") if path.stat().st_mode & 0o077]
        assert not others, "nobody else on the machine can read any of it"


def test_a_killed_worker_costs_no_job(start: Callable[[], Daemon], tmp_path: Path) -> None:
    daemon = start()
    first, second = daemon.submit(LONG), daemon.submit(SHORT, seed=1)
    daemon.wait_for(first, running)
    worker = daemon.worker()
    assert (worker.state, worker.job) == (catalog_pb2.Worker.BUSY, first)
    os.kill(worker.process_id, signal.SIGKILL)
    events = list(daemon.watch(first))
    states = [event.state.state for event in events if event.HasField("state")]
    assert states == [Job.QUEUED, Job.RUNNING, Job.QUEUED, Job.RUNNING, Job.SUCCEEDED]
    assert any("SIGKILL" in event.log.text and "goes on" in event.log.text for event in events)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    done = daemon.job(first)
    assert (len(done.results), done.attempts, done.workers_lost) == (LONG, 2, 1)
    assert daemon.end(second).state == Job.SUCCEEDED
    assert daemon.worker().process_id != worker.process_id
    assert not list((tmp_path / "state").rglob("*.part")), "no half written file stays"


def test_cancel(start: Callable[[], Daemon]) -> None:
    daemon = start()
    first, second, third = daemon.submit(LONG), daemon.submit(SHORT), daemon.submit(SHORT, seed=1)
    daemon.cancel(second)
    assert daemon.end(second).state == Job.CANCELLED, "a queued job ends at once"
    daemon.wait_for(first, running)
    pid, begun = daemon.worker().process_id, time.monotonic()
    daemon.cancel(first)
    assert daemon.end(first).state == Job.CANCELLED
    assert time.monotonic() - begun < 5
    assert daemon.worker().process_id == pid, "the worker let go by itself"
    assert daemon.end(third).state == Job.SUCCEEDED


def test_a_stopped_daemon_keeps_its_jobs(start: Callable[[], Daemon]) -> None:
    daemon = start()
    first, second = daemon.submit(8 * LONG), daemon.submit(SHORT)
    daemon.wait_for(first, running)
    pid, begun = daemon.worker().process_id, time.monotonic()
    daemon.process.terminate()
    with pytest.raises(grpc.RpcError) as gone_away:
        daemon.end(first)
    assert gone_away.value.code() is grpc.StatusCode.UNAVAILABLE, "who watches comes again"
    assert daemon.process.wait(20) == 0
    assert time.monotonic() - begun < 10
    assert gone(pid)

    daemon = start()
    daemon.cancel(second)
    done = daemon.end(first)
    assert (done.state, done.attempts, done.workers_lost) == (Job.SUCCEEDED, 2, 0)
    assert any("the daemon was stopped" in event.log.text for event in daemon.watch(first))


def test_a_killed_daemon_takes_its_worker_along_and_comes_back(start: Callable[[], Daemon]) -> None:
    daemon = start()
    first, second = daemon.submit(LONG), daemon.submit(SHORT)
    daemon.wait_for(first, running)
    pid = daemon.worker().process_id
    daemon.process.kill()
    daemon.process.wait()
    assert gone(pid)

    daemon = start()
    done = daemon.end(first)
    assert (done.state, done.attempts, len(done.results)) == (Job.SUCCEEDED, 2, LONG)
    events = list(daemon.watch(first))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert daemon.end(second).state == Job.SUCCEEDED


def test_it_stops_with_its_input(start: Callable[[], Daemon]) -> None:
    daemon = start()
    pid = daemon.worker().process_id
    assert daemon.process.stdin
    daemon.process.stdin.close()
    assert daemon.process.wait(10) == 0
    assert gone(pid)


def serve(*arguments: str, as_json: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "anyportal_daemon", "serve", *arguments, *(["--json"] if as_json else [])]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_a_second_daemon_on_the_same_state_is_refused(start: Callable[[], Daemon], tmp_path: Path) -> None:
    daemon = start()
    done = serve("--state", str(tmp_path / "state"), "--listen", "127.0.0.1:0")
    assert done.returncode == 5
    event = json.loads(done.stdout)
    assert (event["event"], event["code"]) == ("error", "STATE_IN_USE")
    assert (tmp_path / "state" / "daemon.json").exists()
    daemon.worker()


def test_a_port_in_use_is_explained(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = serve("--state", str(tmp_path), "--listen", address, as_json=False)
    assert done.returncode == 5
    assert address in done.stderr and "--listen" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "daemon.json").exists()


def test_programs_can_read_what_serve_prints(start: Callable[[], Daemon], tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "clients/anyportal_client/cli/events.schema.json"
    schema = jsonschema.Draft202012Validator(json.loads(path.read_text("utf-8")))
    schema.validate(start().line)
    refused = json.loads(serve("--state", str(tmp_path / "state"), "--listen", "127.0.0.1:0").stdout)
    schema.validate(refused)
    assert (refused["event"], refused["code"], refused["exit_code"]) == ("error", "STATE_IN_USE", 5)


def test_other_machines_and_wrong_files_are_refused(tmp_path: Path) -> None:
    done = serve("--state", str(tmp_path), "--listen", "0.0.0.0:29571", as_json=False)
    assert done.returncode == 2
    assert "TLS" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "daemon.toml").write_text("lisen = 'x'")
    done = serve("--config", str(tmp_path / "daemon.toml"))
    assert (done.returncode, json.loads(done.stdout)["code"]) == (2, "CONFIG")

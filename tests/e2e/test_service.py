"""The daemon as a service: limits that change while it runs, a drain, a backup that another daemon goes on with."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from anyportal.v1 import blobs_pb2_grpc, catalog_pb2, catalog_pb2_grpc, jobs_pb2, jobs_pb2_grpc
from anyportal.v1.jobs_pb2 import Job
from tests.e2e.test_daemon import LONG, SHORT, Daemon

ENDLESS = 5 * LONG
"""Frames of a shot that is not done while commands start."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no such signals"),
]


class Service(Daemon):
    """A daemon with a file of its own, as a service manager starts it."""

    def __init__(self, state: Path, config: str = "", **environment: str) -> None:
        self.state, self.file, self.log = state, state.with_suffix(".toml"), state.with_suffix(".log")
        self.configure(config)
        command = [sys.executable, "-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--json"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--state", str(state), "--config", str(self.file)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | environment,
            )
        assert self.process.stdout
        self.line = json.loads(self.process.stdout.readline())
        found = json.loads((state / "daemon.json").read_text())
        self.metadata = (("authorization", f"Bearer {found['token']}"),)
        self.channel = grpc.insecure_channel(found["address"])
        self.blobs: Any = blobs_pb2_grpc.BlobServiceStub(self.channel)
        self.jobs: Any = jobs_pb2_grpc.JobServiceStub(self.channel)
        self.catalog: Any = catalog_pb2_grpc.CatalogServiceStub(self.channel)

    def configure(self, text: str) -> None:
        self.file.write_text(text, "utf-8")

    def reload(self, text: str) -> None:
        self.configure(text)
        self.process.send_signal(signal.SIGHUP)

    def until_logged(self, words: str) -> None:
        until(lambda: words in self.log.read_text("utf-8"))

    def begin(self, count: int = LONG) -> str:
        """A job that runs by now."""
        name = self.submit(count)
        self.wait_for(name, lambda event: event.HasField("progress"))
        return name

    def daemon(self) -> catalog_pb2.Daemon:
        found: catalog_pb2.Daemon = self.call(self.catalog.GetDaemon, catalog_pb2.GetDaemonRequest())
        return found

    def finish(self, name: str) -> dict[str, str]:
        """The digests of a job's files."""
        for _ in self.watch(name):
            pass
        job = self.job(name)
        assert job.state == Job.SUCCEEDED, job
        return {file.filename: hashlib.sha256(self.download(file.blob)).hexdigest() for file in job.results}

    def close(self) -> None:
        self.channel.close()
        self.process.terminate()
        self.process.wait(60)


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def anyportal(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "anyportal_client.cli", *arguments, "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def listed(service: Service) -> str:
    command = [sys.executable, "-m", "anyportal_client.cli", "jobs"]
    environment = os.environ | {"ANYPORTAL_STATE": str(service.state)}
    return subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment).stdout


def decoders(pid: int) -> set[str]:
    """The libraries that read pictures and movies, as far as a process has loaded them."""
    loaded = Path(f"/proc/{pid}/maps").read_text("utf-8")
    return {name for name in ("libavcodec", "libavformat", "OpenImageIO", "cv2", "libhdf5", "torch") if name in loaded}


def again(service: Service, name: str) -> Job:
    """Ask at once for the same as a job that is there."""
    asked = service.job(name)
    request = jobs_pb2.CreateJobRequest(job=Job(shot=asked.shot, recipe=asked.recipe))
    created: Job = service.jobs.CreateJob(request, metadata=service.metadata)
    return created


def refusal(service: Service, name: str) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        again(service, name)
    return f"{caught.value.code().name} {caught.value.details()} {caught.value.trailing_metadata()}"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path / "state", "[jobs]\nqueued = 1\n")
    yield service
    service.close()


def test_limits_change_while_jobs_run_and_a_wrong_file_changes_nothing(service: Service) -> None:
    running, waiting = service.begin(), service.submit(SHORT)
    seen: list[int] = []
    watching = threading.Thread(target=lambda: seen.extend(event.sequence for event in service.watch(running)))
    watching.start()
    assert "QUOTA" in refusal(service, running)

    service.reload("[jobs]\nqueued = 2\n")
    service.until_logged("changed: jobs.queued")
    service.submit(SHORT)
    assert "QUOTA" in refusal(service, running)

    service.reload("[jobs]\nqueud = 9\n")
    service.until_logged(f"{service.file}: jobs.queud: there is no key 'queud' (did you mean queued?")
    assert "QUOTA" in refusal(service, running)

    service.reload('models = "/elsewhere"\n[jobs]\nqueued = 2\n')
    service.until_logged("these change when the daemon is started again: models")
    for name in (running, waiting):
        service.finish(name)
        assert service.job(name).attempts == 1
    if sys.platform == "linux":
        assert not decoders(service.process.pid), "users' pictures are opened by the worker alone"
        assert decoders(service.worker().process_id)
    watching.join(60)
    assert seen == list(range(1, seen[-1] + 1)), "the connection was held"


def test_a_drain_ends_what_runs_and_keeps_what_waits(service: Service) -> None:
    running, waiting = service.begin(ENDLESS), service.submit(SHORT)
    done: list[subprocess.CompletedProcess[str]] = []
    draining = threading.Thread(target=lambda: done.append(anyportal("drain", "--state", str(service.state))))
    draining.start()
    until(lambda: service.daemon().draining)
    assert service.worker().state == catalog_pb2.Worker.DRAINING
    said = refusal(service, running)
    assert said.startswith("UNAVAILABLE the daemon takes no more jobs") and "DRAINING" in said
    assert "RetryInfo" in said
    assert service.job(waiting).state == Job.QUEUED
    assert "the daemon is draining" in listed(service)
    service.wait_for(running, lambda event: event.state.state == Job.SUCCEEDED)
    assert service.process.wait(60) == 0
    draining.join(60)
    assert json.loads(done[0].stdout) == {"schema": 1, "event": "drained", "finished": True}
    assert anyportal("drain", "--state", str(service.state)).returncode == 5, "there is none to drain"

    back = Service(service.state)
    try:
        assert back.job(running).state == Job.SUCCEEDED
        back.finish(waiting)
    finally:
        back.close()


def test_a_backup_of_a_running_daemon_goes_on_with_the_same_bytes(service: Service, tmp_path: Path) -> None:
    ended, running = service.submit(SHORT), service.begin(ENDLESS)
    unfetched = service.job(ended)
    copy = tmp_path / "copies" / "monday"
    made = anyportal("backup", str(copy), "--state", str(service.state))
    assert made.returncode == 0, made.stdout
    said = json.loads(made.stdout)
    assert said["blobs"] >= len(unfetched.results) and said["lacking"] == 0
    assert not (copy / "daemon.json").exists()
    assert anyportal("backup", str(copy), "--state", str(service.state)).returncode == 7, "it is there already"

    assert anyportal("drain", "--now", "--state", str(service.state)).returncode == 0
    assert service.process.wait(60) == 0
    files = []
    for state in (copy, service.state):
        other = Service(state)
        try:
            assert [other.download(file.blob) for file in other.job(ended).results]
            files.append(other.finish(running))
            begun = [event for event in other.watch(running) if event.state.state == Job.RUNNING]
            assert len(begun) == 2, "it went on"
        finally:
            other.close()
    assert files[0] == files[1] and len(files[0]) == ENDLESS


def test_the_service_manager_hears_when_it_serves_and_when_it_stops(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        service = Service(tmp_path / "state", NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert manager.recv(1000) == f"READY=1\nSTATUS=serves on {service.line['address']}".encode()
        healthy = anyportal("health", "--state", str(service.state))
        assert json.loads(healthy.stdout)["status"] == "SERVING"
        service.reload("")
        assert manager.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(1000) == b"READY=1"
        service.close()
        assert manager.recv(1000) == b"STOPPING=1"
    gone = anyportal("health", "--state", str(service.state))
    assert gone.returncode == 5 and "no daemon uses" in gone.stdout

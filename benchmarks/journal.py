"""A journal of many jobs: how long a page of ListJobs takes through the server, and how long the daemon to start.

    python -m benchmarks.journal [--jobs 10000] [--queued 500] [--pages 200] [--watchers 0]

Writes jobs of real size (a shot of 100 frames with a matte, its recipe in full, 20 events) into a state directory of
its own: `--queued` of them wait, the others have ended. Then starts the daemon as users do, stops its worker so that
the queue stays as it is, and asks for pages of 50 over the wire, and for small things beside. With watchers, so many
clients call WatchJob of queued jobs at once: pages are measured as they come and while they stay, and when each of them
was told its first. Prints and keeps one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import psutil

from anyportal.v1 import blobs_pb2, blobs_pb2_grpc, catalog_pb2, catalog_pb2_grpc, jobs_pb2, jobs_pb2_grpc, media_pb2
from anyportal.v1.jobs_pb2 import Job, JobEvent
from anyportal_core.catalogue import load_catalogue
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.plan import plan
from anyportal_daemon.storage.shared import SharedFolders

RESULTS = Path(__file__).parent / "results"
PAGE_LIMIT_MS, START_LIMIT_S = 20.0, 2.0
EVENTS = 20
USER = "local"


def sequence(name: str, frames: int) -> media_pb2.ClipManifest:
    """Frames that exist in no store: they are never read."""

    def blob(number: int) -> media_pb2.Blob:
        digest = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
        return media_pb2.Blob(sha256=digest, size_bytes=1_000_000)

    listed = [media_pb2.SequenceFrame(number=1001 + n, blob=blob(n)) for n in range(frames)]
    return media_pb2.ClipManifest(sequence=media_pb2.FrameSequence(pattern=f"{name}.%04d.exr", frames=listed))


def fill(path: Path, jobs: int, queued: int, frames: int, user: str = USER) -> None:
    """Write a journal of many jobs, the queued ones last. What it promises of power cuts is left out meanwhile."""
    journal, catalogue, folders = Journal(path), load_catalogue(), SharedFolders({})
    journal._database._writer.execute("PRAGMA synchronous = OFF")
    shot = jobs_pb2.Shot(plate=sequence("plate", frames), matte=sequence("matte", frames))
    recipe = jobs_pb2.Recipe(backdrop=jobs_pb2.Backdrop(colour="#336699"))
    checked = plan(Job(shot=shot, recipe=recipe), catalogue, folders)
    claims = [blob for _, blob in checked.blobs]
    for number in range(jobs):
        spec = Job(labels={"shot": f"sh{number:05}"})
        spec.MergeFrom(checked.job)
        job_id = journal.create(user, spec, claims, None).name.removeprefix("jobs/")
        if number < jobs - queued:
            journal.change(job_id, _lived)
    journal.close()


def _lived(job: Job) -> list[JobEvent]:
    """All that happens to a job at once."""
    job.state, job.stage_seconds["matte"], job.progress.fraction = Job.SUCCEEDED, 1.5, 1.0
    steps = [JobEvent(progress=jobs_pb2.Progress(stage="matte", fraction=n / EVENTS)) for n in range(EVENTS)]
    states = (Job.RUNNING, Job.SUCCEEDED)
    begun, ended = (JobEvent(state=jobs_pb2.StateChange(state=state)) for state in states)
    return [begun, *steps, ended]


class Served:
    """A daemon as users start it."""

    def __init__(self, state: Path) -> None:
        begun = time.monotonic()
        command = [sys.executable, "-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--state", str(state)]
        self.process = subprocess.Popen(
            [*command, "--json", "--stop-with-stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        said = json.loads(self.process.stdout.readline())
        self.seconds_to_serve = time.monotonic() - begun
        token = json.loads((state / "daemon.json").read_text("utf-8"))["token"]
        self.metadata = (("authorization", f"Bearer {token}"),)
        self.address = said["address"]
        self.channel = grpc.insecure_channel(self.address)
        self.jobs: Any = jobs_pb2_grpc.JobServiceStub(self.channel)
        self.catalog: Any = catalog_pb2_grpc.CatalogServiceStub(self.channel)
        self.blobs: Any = blobs_pb2_grpc.BlobServiceStub(self.channel)

    def seconds_to_be_ready(self, begun: float) -> float:
        """From ``begun`` until the worker has said what it can do."""
        while True:
            try:
                self.catalog.GetDaemon(catalog_pb2.GetDaemonRequest(), metadata=self.metadata)
                return time.monotonic() - begun
            except grpc.RpcError:
                time.sleep(0.01)

    def freeze(self) -> None:
        """Stop the worker: the queue stays as it is, for the minute until that is noticed."""
        found = self.catalog.GetDaemon(catalog_pb2.GetDaemonRequest(), metadata=self.metadata)
        psutil.Process(found.workers[0].process_id).suspend()

    @property
    def cpu_seconds(self) -> float:
        """Of the server's process: what a page costs, however busy the machine is with other things."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def pages(self, count: int) -> list[float]:
        """Milliseconds of pages through all jobs, again from the start at the end."""
        taken, token = [], ""
        while len(taken) < count:
            begun = time.perf_counter()
            page = self.jobs.ListJobs(jobs_pb2.ListJobsRequest(page_token=token), metadata=self.metadata)
            taken.append((time.perf_counter() - begun) * 1000)
            assert page.jobs
            token = page.next_page_token
        return taken

    def others(self, count: int) -> dict[str, list[float]]:
        """Milliseconds of rpcs that have nothing to do with the queue, and of a look at one job of it."""
        name = self.queued(1)[0]
        blob = media_pb2.Blob(sha256="0" * 64, size_bytes=1)
        calls = {
            "GetUpload": lambda: self.blobs.GetUpload(blobs_pb2.GetUploadRequest(blob=blob), metadata=self.metadata),
            "GetDaemon": lambda: self.catalog.GetDaemon(catalog_pb2.GetDaemonRequest(), metadata=self.metadata),
            "GetJob": lambda: self.jobs.GetJob(jobs_pb2.GetJobRequest(name=name), metadata=self.metadata),
        }
        taken: dict[str, list[float]] = {rpc: [] for rpc in calls}
        for _ in range(count):
            for rpc, call in calls.items():
                begun = time.perf_counter()
                call()
                taken[rpc].append((time.perf_counter() - begun) * 1000)
        return taken

    def queued(self, count: int) -> list[str]:
        """Names of jobs that wait."""
        found: list[str] = []
        request = jobs_pb2.ListJobsRequest(states=[Job.QUEUED], page_size=min(count, 1000))
        while len(found) < count:
            page = self.jobs.ListJobs(request, metadata=self.metadata)
            found += [job.name for job in page.jobs]
            request.page_token = page.next_page_token
        return found[:count]

    def close(self) -> None:
        self.channel.close()
        self.process.terminate()
        self.process.wait(30)


class Watchers:
    """Clients that watch a job each, on connections of their own, as from several machines."""

    def __init__(self, served: Served, count: int) -> None:
        self._served, self._begun = served, time.monotonic()
        own = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [grpc.insecure_channel(served.address, own) for _ in range(min(count, 4))]
        self._told: dict[str, float] = {}
        self._threads = [
            threading.Thread(target=self._watch, args=(number, name), daemon=True)
            for number, name in enumerate(served.queued(count) if count else [])
        ]
        for thread in self._threads:
            thread.start()

    def _watch(self, number: int, name: str) -> None:
        stub: Any = jobs_pb2_grpc.JobServiceStub(self._channels[number % len(self._channels)])
        try:
            for _ in stub.WatchJob(jobs_pb2.WatchJobRequest(name=name), metadata=self._served.metadata):
                self._told.setdefault(name, time.monotonic() - self._begun)
        except grpc.RpcError:
            pass  # closed

    def first_told(self) -> list[float]:
        """Seconds until each was told its first, or all that were in a minute."""
        deadline = time.monotonic() + 60
        while len(self._told) < len(self._threads) and time.monotonic() < deadline:
            time.sleep(0.05)
        return sorted(self._told.values())

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


def spread(taken: list[float]) -> dict[str, float]:
    """What is told of a list of times."""
    return {
        "median": round(statistics.median(taken), 2),
        "p95": round(sorted(taken)[int(0.95 * len(taken))], 2),
        "worst": round(max(taken), 2),
    }


def measure(jobs: int, queued: int, pages: int, frames: int, watchers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        fill(state / "journal.db", jobs, queued, frames)
        size = (state / "journal.db").stat().st_size
        begun = time.monotonic()
        served = Served(state)
        try:
            ready = served.seconds_to_be_ready(begun)
            served.freeze()
            served.pages(5)
            crowd = Watchers(served, watchers)
            onset = served.pages(max(pages // 10, 1))
            told = crowd.first_told()
            before = served.cpu_seconds
            taken = served.pages(pages)
            busy = served.cpu_seconds - before
            others = served.others(pages)
            crowd.close()
        finally:
            served.close()
    return {
        "jobs": jobs,
        "queued": queued,
        "watchers": watchers,
        "frames_of_each": frames,
        "journal_bytes": size,
        "start_seconds": round(served.seconds_to_serve, 3),
        "ready_seconds": round(ready, 3),
        "page_of": 50,
        "pages": pages,
        "page_ms": spread(taken) | {"server_cpu": round(busy / pages * 1000, 2)},
        "page_ms_as_the_watchers_come": spread(onset) if watchers else None,
        "others_ms": {rpc: spread(times) for rpc, times in others.items()},
        "watchers_told": len(told),
        "first_told_seconds": spread(told) if told else None,
        "goals": {"page_ms": PAGE_LIMIT_MS, "start_seconds": START_LIMIT_S},
        "machine": {"python": platform.python_version(), "cpus": os.cpu_count(), "system": platform.platform()},
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--queued", type=int, default=500)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--watchers", type=int, default=0, help="clients that watch a job each meanwhile")
    asked = parser.parse_args()
    found = measure(asked.jobs, asked.queued, asked.pages, asked.frames, asked.watchers)
    text = json.dumps(found, indent=2)
    RESULTS.mkdir(exist_ok=True)
    kept = f"journal_{asked.jobs}" + (f"_watched_{asked.watchers}" if asked.watchers else "")
    (RESULTS / f"{kept}.json").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()

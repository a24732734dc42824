"""A journal of many jobs: how long a page of ListJobs takes through the server, and how long the daemon to start.

    python -m benchmarks.journal [--jobs 10000] [--queued 500] [--pages 200]

Writes jobs of real size (a shot of 100 frames with a matte, its recipe in full, 20 events) into a state directory of
its own: `--queued` of them wait, the others have ended. Then starts the daemon as users do, stops its worker so that
the queue stays as it is, and asks for pages of 50 over the wire. Prints and keeps one JSON object.
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
import time
from pathlib import Path
from typing import Any

import grpc
import psutil

from anyportal.v1 import catalog_pb2, catalog_pb2_grpc, jobs_pb2, jobs_pb2_grpc, media_pb2
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
        self.channel = grpc.insecure_channel(said["address"])
        self.jobs: Any = jobs_pb2_grpc.JobServiceStub(self.channel)
        self.catalog: Any = catalog_pb2_grpc.CatalogServiceStub(self.channel)

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

    def close(self) -> None:
        self.channel.close()
        self.process.terminate()
        self.process.wait(30)


def measure(jobs: int, queued: int, pages: int, frames: int) -> dict[str, Any]:
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
            before = served.cpu_seconds
            taken = served.pages(pages)
            busy = served.cpu_seconds - before
        finally:
            served.close()
    return {
        "jobs": jobs,
        "queued": queued,
        "frames_of_each": frames,
        "journal_bytes": size,
        "start_seconds": round(served.seconds_to_serve, 3),
        "ready_seconds": round(ready, 3),
        "page_of": 50,
        "pages": pages,
        "page_ms": {
            "median": round(statistics.median(taken), 2),
            "p95": round(sorted(taken)[int(0.95 * len(taken))], 2),
            "worst": round(max(taken), 2),
            "server_cpu": round(busy / pages * 1000, 2),
        },
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
    asked = parser.parse_args()
    found = measure(asked.jobs, asked.queued, asked.pages, asked.frames)
    text = json.dumps(found, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"journal_{asked.jobs}.json").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()

"""A daemon in a process of its own, for killing: it, its worker, or the machine under it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import psutil

from anyportal.v1 import blobs_pb2, blobs_pb2_grpc, catalog_pb2, catalog_pb2_grpc, jobs_pb2, jobs_pb2_grpc, media_pb2
from anyportal.v1.jobs_pb2 import Job
from anyportal_core.frames import Image
from anyportal_core.testing.drawn import drawn_person

FINAL = (Job.SUCCEEDED, Job.FAILED, Job.CANCELLED)
STAGES = ("matte", "motion", "background", "harmonise", "refine", "finish")
FIRST = 1001
Digests = dict[str, str]
"""SHA-256 of a job's files by their names."""


class KillHouse:
    """A daemon on a state directory, started again after each of its deaths.

    Args:
        frames: of every shot: a person before a still that moves with the camera; all stages of draft run.
        size: height and width.
        find: the person is found, which takes longest and in runs of frames; else a matte is given.
        budget: bytes that its store may come to.
    """

    def __init__(
        self, state: Path, frames: int, size: tuple[int, int], find: bool = False, budget: int | None = None
    ) -> None:
        self.state, self._shot, self._budget = state, _shot(frames, size, find), budget
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--json"]
        if self._budget is not None:
            config = self.state.with_suffix(".toml")
            config.write_text(f"budget = {self._budget}\n")
            command += ["--config", str(config)]
        self.process = subprocess.Popen(
            [*command, "--state", str(self.state)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()
        found = json.loads((self.state / "daemon.json").read_text())
        self._metadata = (("authorization", f"Bearer {found['token']}"),)
        self._channel = grpc.insecure_channel(found["address"])
        self._blobs: Any = blobs_pb2_grpc.BlobServiceStub(self._channel)
        self._jobs: Any = jobs_pb2_grpc.JobServiceStub(self._channel)
        self._catalog: Any = catalog_pb2_grpc.CatalogServiceStub(self._channel)

    # What a client does.

    def submit(self, seed: int, delivery: jobs_pb2.Delivery | None = None, request: str = "", **settings: float) -> str:
        """A job that shares no stage result with jobs of other seeds.

        With the same settings it has the same pixels, too: draft draws nothing.

        Args:
            delivery: by default the comp as PNG.
            request: its own name for the request, where the same job is submitted more than once.
        """
        job = Job()
        job.CopyFrom(self._shot.job)
        job.recipe.seed = seed
        if delivery is not None:
            job.delivery.CopyFrom(delivery)
        job.recipe.settings.update(settings)
        for _, data in self._shot.blobs:
            self.send(data)
        asked = jobs_pb2.CreateJobRequest(job=job, request_id=request or f"seed {seed}")
        created: Job = self._call(self._jobs.CreateJob, asked)
        return created.name

    def delete(self, name: str) -> None:
        self._call(self._jobs.DeleteJob, jobs_pb2.DeleteJobRequest(name=name))

    def send(self, data: bytes) -> media_pb2.Blob:
        """Upload what the daemon lacks, at once."""
        blob = _blob(data)
        if self.missing([blob]):
            parts = [blobs_pb2.WriteBlobRequest(blob=blob, data=data)]
            assert self._blobs.WriteBlob(iter(parts), metadata=self._metadata).complete
        return blob

    def missing(self, blobs: list[media_pb2.Blob]) -> list[media_pb2.Blob]:
        asked = blobs_pb2.FindMissingBlobsRequest(blobs=blobs)
        return list(self._call(self._blobs.FindMissingBlobs, asked).missing)

    def job(self, name: str) -> Job:
        found: Job = self._call(self._jobs.GetJob, jobs_pb2.GetJobRequest(name=name))
        return found

    def watch(self, name: str, after: int = 0) -> Iterator[jobs_pb2.JobEvent]:
        """A job's events, without the messages between them that only tell what is expected of it now."""
        request = jobs_pb2.WatchJobRequest(name=name, after_sequence=after)
        messages = self._jobs.WatchJob(request, metadata=self._metadata, timeout=300)
        yield from (message for message in messages if message.WhichOneof("event"))

    def finish(self, name: str) -> Job:
        for _ in self.watch(name):
            pass
        return self.job(name)

    def retry(self, name: str) -> None:
        self._call(self._jobs.RetryJob, jobs_pb2.RetryJobRequest(name=name))

    def explain(self, name: str) -> dict[str, jobs_pb2.StageExplanation]:
        """By stage."""
        said: jobs_pb2.Explanation = self._call(self._jobs.ExplainJob, jobs_pb2.ExplainJobRequest(name=name))
        return {stage.stage: stage for stage in said.stages}

    def digests(self, job: Job) -> Digests:
        """Of the bytes as they come out of the daemon."""
        found = {}
        for file in job.results:
            parts = self._blobs.ReadBlob(blobs_pb2.ReadBlobRequest(blob=file.blob), metadata=self._metadata)
            found[file.filename] = hashlib.sha256(b"".join(part.data for part in parts)).hexdigest()
        return found

    def _call(self, rpc: Any, request: Any) -> Any:
        deadline = time.monotonic() + 60
        while True:
            try:
                return rpc(request, metadata=self._metadata)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    # What goes wrong.

    def kill_worker(self) -> None:
        found: catalog_pb2.Daemon = self._call(self._catalog.GetDaemon, catalog_pb2.GetDaemonRequest())
        os.kill(found.workers[0].process_id, signal.SIGKILL)

    def kill_daemon(self) -> None:
        """And start it again."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self._channel.close()
        self.process.kill()
        self.process.wait()
        psutil.wait_procs([child for child in children if child.is_running() and not _is_zombie(child)], 20)
        self._close_pipe()
        self._start()

    def cut_power(self, copy: Path) -> None:
        """Copy the state as it is at one moment, while nothing may write to it."""
        daemon = psutil.Process(self.process.pid)
        everyone = [daemon, *daemon.children(recursive=True)]
        for process in everyone:
            process.suspend()
        try:
            shutil.copytree(self.state, copy)
        finally:
            for process in everyone:
                process.resume()

    def close(self) -> None:
        self._channel.close()
        self.process.terminate()
        self.process.wait(30)
        self._close_pipe()

    def _close_pipe(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()


class _Shot:
    def __init__(self, job: Job, blobs: list[tuple[media_pb2.Blob, bytes]]) -> None:
        self.job, self.blobs = job, blobs


@functools.cache
def _shot(count: int, size: tuple[int, int], find: bool) -> _Shot:
    scene = drawn_person(count=count, height=size[0], width=size[1])
    plate = [_picture(frame[..., ::-1]) for frame in scene.plate]
    matte = [] if find else [_picture(frame) for frame in scene.matte]
    job = Job(display_name="hero", shot=jobs_pb2.Shot(plate=_sequence("plate.%04d.png", plate)))
    if matte:
        job.shot.matte.CopyFrom(_sequence("matte.%04d.png", matte))
    job.recipe.backdrop.media.file.CopyFrom(media_pb2.MediaFile(blob=plate[0][0], filename="place.png"))
    job.recipe.settings.update({"matte": {"plugin": "draft.person" if find else "draft.supplied"}})
    return _Shot(job, plate + matte)


def _picture(image: Image) -> tuple[media_pb2.Blob, bytes]:
    data = cv2.imencode(".png", np.rint(image * 255).astype(np.uint8))[1].tobytes()
    return _blob(data), data


def _blob(data: bytes) -> media_pb2.Blob:
    return media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def _sequence(pattern: str, pictures: list[tuple[media_pb2.Blob, bytes]]) -> media_pb2.ClipManifest:
    frames = [media_pb2.SequenceFrame(number=FIRST + index, blob=blob) for index, (blob, _) in enumerate(pictures)]
    return media_pb2.ClipManifest(sequence=media_pb2.FrameSequence(frames=frames, pattern=pattern))


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def half_written(state: Path) -> list[Path]:
    """Blobs that are not what they are called, and files that were never finished."""
    wrong = [path for path in (state / "blobs").glob("??/*") if _digest(path) != path.parent.name + path.name]
    return wrong + list((state / "blobs").rglob("*.part")) + list((state / "stages").rglob("*.part"))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stage_at(event: jobs_pb2.JobEvent) -> str:
    return event.progress.stage if event.HasField("progress") else ""

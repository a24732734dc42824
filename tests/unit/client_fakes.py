"""A daemon that behaves by the protos and can be told to misbehave, and a TCP proxy that cuts connections."""

from __future__ import annotations

import contextlib
import hashlib
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from anyportal.v1 import (
    blobs_pb2,
    blobs_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
    media_pb2,
)

TOKEN = "a-token"
CHUNK = 64 << 10


@dataclass
class Refusal:
    """An error that the daemon is told to answer with, so many times."""

    status: grpc.StatusCode
    reason: str
    message: str = "refused"
    metadata: dict[str, str] = field(default_factory=dict)
    field: str = ""
    delay: float | None = None
    times: int = 1


class FakeDaemon(
    blobs_pb2_grpc.BlobServiceServicer, jobs_pb2_grpc.JobServiceServicer, catalog_pb2_grpc.CatalogServiceServicer
):
    """Serves in this process. A job does what `script` says: events, with files out of `results`."""

    def __init__(self, token: str = TOKEN, credentials: grpc.ServerCredentials | None = None) -> None:
        self.token = token
        self.blobs: dict[str, bytes] = {}
        self.uploads: dict[str, bytearray] = {}
        self.received_bytes = 0
        self.read_offsets: list[int] = []
        self.calls: list[str] = []
        self.refusals: dict[str, list[Refusal]] = {}
        self.jobs: dict[str, jobs_pb2.Job] = {}
        self.requests: dict[str, str] = {}
        self.events: dict[str, list[jobs_pb2.JobEvent]] = {}
        self.script: list[jobs_pb2.JobEvent] = []
        self.watch_cuts = 0
        self.lock = threading.RLock()
        self.server = grpc.server(ThreadPoolExecutor(24))
        blobs_pb2_grpc.add_BlobServiceServicer_to_server(self, self.server)
        jobs_pb2_grpc.add_JobServiceServicer_to_server(self, self.server)
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(self, self.server)
        here = "127.0.0.1:0"
        self.port = (
            self.server.add_secure_port(here, credentials) if credentials else self.server.add_insecure_port(here)
        )
        self.address = f"127.0.0.1:{self.port}"
        self.server.start()

    def stop(self) -> None:
        self.server.stop(0).wait()

    def refuse(self, method: str, refusal: Refusal) -> None:
        self.refusals.setdefault(method, []).append(refusal)

    def result(
        self, filename: str, data: bytes, layers: tuple[str, ...] = ("comp",), frame: int | None = None
    ) -> jobs_pb2.ResultFile:
        """A file that a job can name among its results."""
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs[sha256] = data
        file = jobs_pb2.ResultFile(
            blob=media_pb2.Blob(sha256=sha256, size_bytes=len(data)), filename=filename, layers=layers
        )
        if frame is not None:
            file.frame = frame
        return file

    # the gate

    def _enter(self, method: str, context: grpc.ServicerContext) -> None:
        self.calls.append(method)
        if ("authorization", f"Bearer {self.token}") not in context.invocation_metadata():
            hint = {"hint": "send 'authorization: Bearer TOKEN'"}
            self._abort(context, Refusal(grpc.StatusCode.UNAUTHENTICATED, "TOKEN", "no token, or a wrong one", hint))
        with self.lock:
            pending = self.refusals.get(method, [])
            refusal = pending[0] if pending else None
            if refusal is not None:
                refusal.times -= 1
                if refusal.times <= 0:
                    pending.pop(0)
        if refusal is not None:
            self._abort(context, refusal)

    def _abort(self, context: grpc.ServicerContext, refusal: Refusal) -> NoReturn:
        details: list[Any] = [
            error_details_pb2.ErrorInfo(reason=refusal.reason, domain="anyportal", metadata=refusal.metadata)
        ]
        if refusal.field:
            violation = error_details_pb2.BadRequest.FieldViolation(field=refusal.field)
            details.append(error_details_pb2.BadRequest(field_violations=[violation]))
        if refusal.delay is not None:
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(int(refusal.delay * 1000))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        packed = [any_pb2.Any() for _ in details]
        for holder, detail in zip(packed, details, strict=True):
            holder.Pack(detail)
        status = status_pb2.Status(code=refusal.status.value[0], message=refusal.message, details=packed)
        context.abort_with_status(rpc_status.to_status(status))
        raise AssertionError

    # blobs

    def FindMissingBlobs(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("FindMissingBlobs", context)
        missing = [blob for blob in request.blobs if blob.sha256 not in self.blobs]
        return blobs_pb2.FindMissingBlobsResponse(missing=missing)

    def GetUpload(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("GetUpload", context)
        return self._upload(request.blob)

    def _upload(self, blob: media_pb2.Blob) -> blobs_pb2.Upload:
        complete = blob.sha256 in self.blobs
        committed = blob.size_bytes if complete else len(self.uploads.get(blob.sha256, b""))
        return blobs_pb2.Upload(blob=blob, committed_bytes=committed, complete=complete)

    def WriteBlob(self, requests: Any, context: grpc.ServicerContext) -> Any:
        self._enter("WriteBlob", context)
        first = next(requests, None)
        if first is None:  # cut before anything came, or sent empty: the daemon cannot tell
            self._abort(context, Refusal(grpc.StatusCode.INVALID_ARGUMENT, "BLOB", "the first message names no blob"))
        blob, key = first.blob, first.blob.sha256
        with self.lock:
            partial = self.uploads.setdefault(key, bytearray())
        if first.offset != self._upload(blob).committed_bytes:
            self._abort(context, Refusal(grpc.StatusCode.FAILED_PRECONDITION, "OFFSET"))
        partial.extend(first.data)
        self.received_bytes += len(first.data)
        with contextlib.suppress(grpc.RpcError):
            for request in requests:
                partial.extend(request.data)
                self.received_bytes += len(request.data)
        if len(partial) == blob.size_bytes:
            if hashlib.sha256(partial).hexdigest() != key:
                del self.uploads[key]
                self._abort(context, Refusal(grpc.StatusCode.DATA_LOSS, "DIGEST"))
            self.blobs[key] = bytes(partial)
        return self._upload(blob)

    def ReadBlob(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self._enter("ReadBlob", context)
        self.read_offsets.append(request.offset)
        data = self.blobs.get(request.blob.sha256)
        if data is None:
            self._abort(context, Refusal(grpc.StatusCode.NOT_FOUND, "BLOB_NOT_FOUND", "there is no such blob"))
        for start in range(request.offset, len(data), CHUNK):
            yield blobs_pb2.ReadBlobResponse(data=data[start : start + CHUNK])

    # jobs

    def CreateJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("CreateJob.validate" if request.validate_only else "CreateJob", context)
        job = jobs_pb2.Job()
        job.CopyFrom(request.job)
        job.recipe_digest = "5" * 64
        if request.validate_only:
            return job
        with self.lock:
            if request.request_id in self.requests:
                return self.jobs[self.requests[request.request_id]]
            job.name = f"jobs/j{len(self.jobs) + 1}"
            job.state = jobs_pb2.Job.QUEUED
            self.jobs[job.name] = job
            self.requests[request.request_id] = job.name
            self.events[job.name] = []
        threading.Thread(target=self._play, args=(job,), daemon=True).start()
        return job

    def _play(self, job: jobs_pb2.Job) -> None:
        for event in list(self.script):
            self.tell(job.name, event)

    def tell(self, name: str, event: jobs_pb2.JobEvent) -> None:
        """Something happens to a job."""
        with self.lock:
            job, events = self.jobs[name], self.events[name]
            numbered = jobs_pb2.JobEvent()
            numbered.CopyFrom(event)
            numbered.sequence = len(events) + 1
            if event.WhichOneof("event") == "state":
                job.state = event.state.state
                if event.state.HasField("error"):
                    job.error.CopyFrom(event.state.error)
            if event.WhichOneof("event") == "results":
                job.results.extend(event.results.files)
            job.last_sequence = numbered.sequence
            events.append(numbered)

    def GetJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("GetJob", context)
        return self._job(request.name, context)

    def _job(self, name: str, context: grpc.ServicerContext) -> jobs_pb2.Job:
        if name not in self.jobs:
            self._abort(
                context, Refusal(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", "there is no such job", {"where": name})
            )
        return self.jobs[name]

    def ListJobs(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("ListJobs", context)
        names = sorted(self.jobs, key=lambda name: -int(name[6:]))
        start = int(request.page_token or 0)
        page = [self.jobs[name] for name in names[start : start + request.page_size]]
        more = start + request.page_size < len(names)
        return jobs_pb2.ListJobsResponse(jobs=page, next_page_token=str(start + request.page_size) if more else "")

    def WatchJob(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self._enter("WatchJob", context)
        job = self._job(request.name, context)
        after, sent = request.after_sequence, 0
        while context.is_active():
            with self.lock:
                fresh = self.events[request.name][after:]
                ended = job.state in (jobs_pb2.Job.SUCCEEDED, jobs_pb2.Job.FAILED, jobs_pb2.Job.CANCELLED)
            for event in fresh:
                yield event
                after, sent = event.sequence, sent + 1
                if self.watch_cuts and sent == 2:
                    self.watch_cuts -= 1
                    context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
            if ended and not fresh:
                return
            time.sleep(0.005)

    def CancelJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("CancelJob", context)
        job = self._job(request.name, context)
        if job.state in (jobs_pb2.Job.QUEUED, jobs_pb2.Job.RUNNING):
            job.cancel_requested = True
            self.tell(request.name, state("CANCELLED"))
        return job

    def RetryJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The job is queued again, and the script begins anew."""
        self._enter("RetryJob", context)
        job = self._job(request.name, context)
        self.tell(job.name, state("QUEUED"))
        threading.Thread(target=self._play, args=(job,), daemon=True).start()
        return job

    # catalogue

    def GetDaemon(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("GetDaemon", context)
        return catalog_pb2.Daemon(version="0.1.0", platform="fake", free_disk_bytes=1 << 40)

    def ListPresets(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._enter("ListPresets", context)
        preset = catalog_pb2.Preset(name="draft", summary="Quick.", backdrops=["still", "clip", "colour"])
        preset.roles.update({"matte": {"plugin": "draft.person", "soft": 0.5}})
        return catalog_pb2.ListPresetsResponse(presets=[preset])


def state(word: str, **error: str) -> jobs_pb2.JobEvent:
    """A new state, with the error where it failed."""
    event = jobs_pb2.JobEvent()
    event.state.state = jobs_pb2.Job.State.Value(word)
    if error:
        event.state.error.CopyFrom(jobs_pb2.JobError(**error))
    return event


def progress(stage: str, fraction: float) -> jobs_pb2.JobEvent:
    """A step of a job."""
    return jobs_pb2.JobEvent(progress=jobs_pb2.Progress(stage=stage, stage_fraction=fraction, fraction=fraction))


def ready(*files: jobs_pb2.ResultFile) -> jobs_pb2.JobEvent:
    """Files of the result."""
    return jobs_pb2.JobEvent(results=jobs_pb2.ResultsReady(files=files))


def log(text: str) -> jobs_pb2.JobEvent:
    """A warning."""
    return jobs_pb2.JobEvent(log=jobs_pb2.LogLine(severity=jobs_pb2.LogLine.WARNING, text=text))


class CuttingProxy:
    """Passes TCP on to a port, and cuts connections after a random number of bytes, so many times.

    Just before each cut `at_cut` is called; `passed` counts bytes, both ways.
    """

    def __init__(
        self, port: int, seed: int, cuts: int, most_bytes: int, at_cut: Callable[[], None] = lambda: None
    ) -> None:
        self._at_cut = at_cut
        self.passed = 0
        self._target = port
        self._random = random.Random(seed)
        self._cuts = cuts
        self._most = most_bytes
        self.made = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        left: float = float("inf")
        if self.made < self._cuts:
            left = self._random.randrange(1, self._most)
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            peers = {client: server, server: client}
            while True:
                for source in select.select(list(peers), [], [])[0]:
                    try:
                        data = source.recv(int(min(65536, max(left, 1))))
                        peers[source].sendall(data)
                    except OSError:
                        return
                    left -= len(data)
                    self.passed += len(data)
                    if not data:
                        return
                    if left <= 0:
                        self._at_cut()
                        self.made += 1
                        return

"""A daemon's inner part for tests: supervisors, workers, journal and store, without a server."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal.v1.jobs_pb2 import Job
from anyportal_core.catalogue import load_catalogue
from anyportal_daemon.jobs.book import JobBook
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.plan import plan
from anyportal_daemon.jobs.scheduler import Rules, Scheduler
from anyportal_daemon.storage.ballast import Ballast
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.worker import child
from anyportal_daemon.worker.limits import Limits
from anyportal_daemon.worker.messages import WorkerSetup
from anyportal_daemon.worker.process import ChildMain
from anyportal_daemon.worker.run import Patience
from anyportal_daemon.worker.workers import Workers

HASTY = Patience(start=20, cancel=0.5, stop=0.5, tick=0.05, silence=1)


class House:
    """A supervisor with a real child, journal and store, without a server.

    Args:
        devices: one child on each; none: the first child finds them.
    """

    def __init__(
        self,
        state: Path,
        main: ChildMain = child.main,
        limits: Limits | None = None,
        patience: Patience = HASTY,
        devices: Sequence[str] = ("cpu",),
        rules: Rules | None = None,
    ) -> None:
        self.user = "ann"
        """Whose jobs are submitted."""
        self.journal = Journal(state / "journal.db")
        self.store = DiskBlobStore(state)
        self.folders = SharedFolders({"footage": state / "footage"})
        self.scheduler = Scheduler(self.journal, rules)
        self.book = JobBook(self.journal, self.store, lambda job_id: None, self.scheduler.wake, Ballast(state))
        limits = replace(limits or Limits(), devices=tuple(devices))
        setup = WorkerSetup(self.store.files.root, state / "stages", state / "scratch", os.getpid(), limits=limits)
        self.workers = Workers(self.book, self.journal, self.scheduler, self.folders, main, setup, patience)
        self.supervisor = self.workers.supervisors[0]
        self.footage = state / "footage"
        self.workers.start()

    def submit(self, count: int, **clip: Any) -> str:
        """A shot of plain frames with a matte; its plate may be given: ``shared``, ``file`` or ``sequence``."""
        plate = media_pb2.ClipManifest(**clip or {"sequence": self.sequence("plate.%04d.png", "plate", count)})
        matte = media_pb2.ClipManifest(sequence=self.sequence("matte.%04d.png", "matte", count))
        return self.queue(jobs_pb2.Shot(plate=plate, matte=matte), jobs_pb2.Backdrop(colour="#336699"))

    def submit_with_motion(self, count: int) -> str:
        """The same in front of a still, which follows the plate's camera: every stage of the draft preset runs."""
        blob = self.sequence("plate.%04d.png", "plate", 1).frames[0].blob
        still = media_pb2.ClipManifest(file=media_pb2.MediaFile(blob=blob, filename="still.png"))
        plate = media_pb2.ClipManifest(sequence=self.sequence("plate.%04d.png", "plate", count))
        matte = media_pb2.ClipManifest(sequence=self.sequence("matte.%04d.png", "matte", count))
        return self.queue(jobs_pb2.Shot(plate=plate, matte=matte), jobs_pb2.Backdrop(media=still))

    def queue(self, shot: jobs_pb2.Shot, backdrop: jobs_pb2.Backdrop) -> str:
        checked = plan(Job(shot=shot, recipe=jobs_pb2.Recipe(backdrop=backdrop)), load_catalogue(), self.folders)
        return self.book.create(self.user, checked, None).name.removeprefix("jobs/")

    def sequence(self, pattern: str, what: str, count: int) -> media_pb2.FrameSequence:
        """Uploaded frames ``0`` to ``count - 1`` of a plate or a matte."""
        data = frame(what)
        blob = BlobId(hashlib.sha256(data).hexdigest(), len(data))
        if self.store.missing(self.user, [blob]):
            upload = self.store.receive(self.user, blob, 0)
            upload.write(data)
            assert upload.finish()
            upload.close()
        wire = media_pb2.Blob(sha256=blob.sha256, size_bytes=blob.size)
        frames = [media_pb2.SequenceFrame(number=number, blob=wire) for number in range(count)]
        return media_pb2.FrameSequence(frames=frames, pattern=pattern)

    def until(self, reached: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, "it did not come to pass"
            time.sleep(0.02)

    def state(self, job_id: str) -> Job.State.ValueType:
        return self.journal.status(job_id).state

    def close(self) -> None:
        self.workers.stop()
        self.journal.close()
        self.store.close()


def frame(name: str) -> bytes:
    image = np.random.default_rng(3).integers(0, 255, (64, 96, 3), np.uint8)
    if name == "matte":
        image[:] = 0
        image[16:48, 32:64] = 255
    return cv2.imencode(".png", image)[1].tobytes()

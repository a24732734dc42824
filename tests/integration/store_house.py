"""A daemon's inner part with its keeper, for damaging what it keeps and for filling its disk."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal.v1.jobs_pb2 import Job
from anyportal_core.catalogue import load_catalogue
from anyportal_daemon.jobs.claims import StoreNeeds
from anyportal_daemon.jobs.journal import ENDED
from anyportal_daemon.jobs.plan import plan
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.keeper import Keeper
from anyportal_daemon.storage.shelves import StageShelf
from anyportal_daemon.storage.verification import Damage, Verifier
from tests.unit.daemon_house import House

FRAMES = 6
Digests = dict[str, str]
"""SHA-256 of a job's files by their names."""


class StoreHouse(House):
    """Renders one shot, again and again: a noisy plate of a few frames with a matte for each."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.root = state
        self.shelves = (*self.store.shelves, StageShelf(state / "stages"))
        needs = StoreNeeds(self.journal.claims, self.book.settled, self.store)
        self.keeper = Keeper(state, self.shelves, needs, grace=0)
        self.book._keeper = self.keeper

    def send(self, data: bytes) -> BlobId:
        """Upload what the store lacks, as a client does: from where it was cut."""
        blob = BlobId(hashlib.sha256(data).hexdigest(), len(data))
        if self.store.missing("ann", [blob]):
            upload = self.store.receive("ann", blob, self.store.committed("ann", blob))
            try:
                upload.write(data[upload.committed :])
                assert upload.finish()
            finally:
                upload.close()
        return blob

    def render(self, seed: int) -> str:
        """A job that shares no stage result with those of other seeds, and has the same pixels: draft draws nothing."""
        clips = {}
        for role in ("plate", "matte"):
            blobs = [self.send(data) for data in footage()[role]]
            wire = [media_pb2.Blob(sha256=blob.sha256, size_bytes=blob.size) for blob in blobs]
            frames = [media_pb2.SequenceFrame(number=number, blob=blob) for number, blob in enumerate(wire)]
            sequence = media_pb2.FrameSequence(frames=frames, pattern=f"{role}.%04d.png")
            clips[role] = media_pb2.ClipManifest(sequence=sequence)
        recipe = jobs_pb2.Recipe(backdrop=jobs_pb2.Backdrop(colour="#336699"), seed=seed)
        checked = plan(Job(shot=jobs_pb2.Shot(**clips), recipe=recipe), load_catalogue(), self.folders)
        return self.book.create("ann", checked, None).name.removeprefix("jobs/")

    def ended(self, job_id: str, seconds: float = 60) -> Job:
        """A job once it has ended."""
        self.until(lambda: self.state(job_id) in ENDED, seconds)
        return self.journal.job("ann", job_id)

    def digests(self, job: Job) -> Digests:
        """Of the bytes as the store gives them."""
        found = {}
        for file in job.results:
            blob = BlobId(file.blob.sha256, file.blob.size_bytes)
            with self.store.open("ann", blob) as data:
                found[file.filename] = hashlib.sha256(data.read()).hexdigest()
            self.store.fetched("ann", blob)
        return found

    def warnings(self, job_id: str) -> list[str]:
        """What a job's events warn of."""
        events, _ = self.journal.events("ann", job_id, 0, 1000)
        return [event.log.text for event in events if event.log.severity == jobs_pb2.LogLine.WARNING]

    def idle(self) -> None:
        """The worker has let go of everything."""
        self.until(lambda: self.supervisor.status.state == "ready")

    def verify(self) -> list[Damage]:
        """What verifying finds, and removes."""
        steps = Verifier(self.store, self.shelves, self.journal.claims.jobs).verify()
        return [each for step in steps for each in step.damage]

    def things(self) -> list[Path]:
        """Every file with bytes of somebody: blobs and stage results."""
        files = [self.store.files.path(name) for name in self.store.files.names()]
        return sorted([*files, *(self.root / "stages").glob("*.h5")])

    def check_databases(self) -> None:
        for name in ("journal.db", "blobs.db"):
            db = sqlite3.connect(self.root / name)
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            db.close()


@functools.cache
def footage() -> dict[str, list[bytes]]:
    """The frames of the plate and of its matte, as PNG files."""
    rng, frames = np.random.default_rng(5), {"plate": [], "matte": []}  # type: ignore[var-annotated]
    for number in range(FRAMES):
        matte = np.zeros((64, 96, 3), np.uint8)
        matte[16:48, 20 + number : 60 + number] = 255
        for role, image in (("plate", rng.integers(0, 255, (64, 96, 3), np.uint8)), ("matte", matte)):
            frames[role].append(cv2.imencode(".png", image)[1].tobytes())
    return frames


def flip(path: Path, rng: random.Random) -> None:
    """Change one bit of a file as a disk does: nothing but the byte says so."""
    stat = path.stat()
    path.chmod(0o600)
    with path.open("r+b") as file:
        position = rng.randrange(stat.st_size)
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1 << rng.randrange(8)]))
    path.chmod(stat.st_mode & 0o777)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A file system of that size at ``folder``; False where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = sys.platform == "linux" and os.geteuid() == 0
    mounted = mounted and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> None:
    """Take all room of a disk but ``leave`` bytes."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        try:
            while file.write(bytes(65536)):
                pass
        except OSError:
            pass
    os.truncate(filler, max(filler.stat().st_size - leave, 0))

"""What a running job reports: told to the daemon, a few times a second at most."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction

from anyportal_core.errors import Cancelled, ShotError
from anyportal_core.frames import FrameSet
from anyportal_core.media.writers import Written
from anyportal_core.record import Extent, StageRecord
from anyportal_daemon.storage.files import BlobFiles
from anyportal_daemon.worker.messages import FilesMade, MadeFile, Opened, Progressed, Recorded, Report, Said, StageDone

QUIET = 0.2
"""Seconds between two progress reports of one stage: a shot of many frames must not swell the journal."""


KEEPING = 8
"""Finished files that may wait for the store before the renderer does."""


CHECKS_REST = 10
"""Times as long as it took to see that no shared file has changed, until that is looked at again."""


class PipeObserver:
    """See ``anyportal_core.pipeline.Observer``. A context: all files are in the store when it is left.

    Files go into the store from a thread of their own, since hashing and the disk would hold up the next frame.

    Args:
        most: frames that the job may analyse.
        unchanged: called before files are told of; raises where what they were made from has changed since.
    """

    def __init__(
        self,
        send: Callable[[Report], None],
        blobs: BlobFiles,
        cancel: threading.Event,
        most: int = 2**31,
        unchanged: Callable[[], None] = lambda: None,
    ) -> None:
        self._send, self._blobs, self._cancel, self._most, self._unchanged = send, blobs, cancel, most, unchanged
        self._untold: list[MadeFile] = []
        self._next_check = 0.0
        self._told, self._next_report = Progressed("", 0, 0), 0.0
        self._keeper = ThreadPoolExecutor(1, "keeper")
        self._keeping: deque[Future[None]] = deque()

    def __enter__(self) -> PipeObserver:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._keeper.shutdown()
        self._collect(0)
        if kind is not Cancelled:
            self._tell()

    def started(self, frames: FrameSet, rate: Fraction) -> None:
        self._send(Opened(str(frames), (rate.numerator, rate.denominator)))

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None:
        now, report = time.monotonic(), Progressed(stage, stage_fraction, fraction)
        if stage != self._told.stage or now >= self._next_report or (stage_fraction >= 1 and report != self._told):
            self._told, self._next_report = report, now + QUIET
            self._send(report)

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        self._send(StageDone(stage, seconds, reused))

    def opened(self, extent: Extent) -> None:
        """Raises ShotError where the shot is too long."""
        if extent.frames > self._most:
            raise ShotError(
                f"{extent.frames} frames from the first to the last: {self._most} are allowed",
                where="shot.frames",
                hint="give fewer at once, or raise worker.frames in the daemon's configuration",
            )
        self._send(Recorded(extent))

    def record(self, record: StageRecord) -> None:
        self._send(Recorded(record))

    def files(self, written: Sequence[Written]) -> None:
        if written:
            self._keeping.append(self._keeper.submit(self._keep, tuple(written)))
            self._collect(KEEPING)

    def log(self, text: str, warning: bool = False) -> None:
        self._send(Said(text, warning))

    def checkpoint(self) -> None:
        if self._cancel.is_set():
            raise Cancelled("the job was cancelled")

    def _collect(self, leave: int) -> None:
        """Wait for files to be kept until no more than ``leave`` are not; raises what kept them from it."""
        while len(self._keeping) > leave:
            self._keeping.popleft().result()

    def _keep(self, written: Sequence[Written]) -> None:
        self._untold += [self._made(file) for file in written]
        if time.monotonic() >= self._next_check:
            self._tell()

    def _tell(self) -> None:
        """Tell of finished files: at once as a rule, later where looking at a long sequence's files takes a while."""
        begun = time.monotonic()
        self._unchanged()
        now = time.monotonic()
        self._next_check = now + CHECKS_REST * (now - begun)
        if self._untold:
            self._send(FilesMade(tuple(self._untold)))
            self._untold = []

    def _made(self, file: Written) -> MadeFile:
        blob = self._blobs.keep(file.path)
        return MadeFile(blob.sha256, blob.size, file.path.name, tuple(file.layers), file.number)

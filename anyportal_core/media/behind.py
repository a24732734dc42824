"""A writer at work on one frame while the next is made."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from anyportal_core.frames import Image
from anyportal_core.media.output import Writer, Written


class Behind:
    """Writes with another writer in a thread of its own, one frame behind: encoders are slow, and let others run.

    Of a frame that waits, only the layers that are written are kept. What goes wrong is raised with the next frame.

    Args:
        needed: the names of those layers.
    """

    def __init__(self, writer: Writer, needed: Collection[str]) -> None:
        self._writer, self._needed = writer, frozenset(needed)
        self._hand = ThreadPoolExecutor(1, "writer")
        self._at_work: Future[list[Written]] | None = None

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        written = self._finished()
        kept = {name: image for name, image in layers.items() if name in self._needed}
        self._at_work = self._hand.submit(self._writer.write, number, kept)
        return written

    def close(self) -> list[Written]:
        written = self._finished()
        self._hand.shutdown()
        return [*written, *self._writer.close()]

    def abort(self) -> None:
        self._hand.shutdown(cancel_futures=True)
        self._writer.abort()

    def _finished(self) -> list[Written]:
        """Wait for the frame that is being written; gives its files."""
        at_work, self._at_work = self._at_work, None
        return at_work.result() if at_work else []

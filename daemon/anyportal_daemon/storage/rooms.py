"""Room in the store that is promised to uploads before their bytes have come."""

from __future__ import annotations

from collections.abc import Callable

from anyportal_daemon.storage.blobs import Upload


class Room:
    """So many bytes, less what has come of them. Closed, it is room for others again.

    Args:
        closed: called once with the room, when it is let go of.
    """

    def __init__(self, size: int, closed: Callable[[Room], None] = lambda room: None) -> None:
        self.left = size
        self._closed: Callable[[Room], None] | None = closed

    def filled(self, size: int) -> None:
        """So many bytes of it are in the store now."""
        self.left = max(self.left - size, 0)

    def close(self) -> None:
        if self._closed is not None:
            closed, self._closed = self._closed, None
            closed(self)


class RoomedUpload:
    """An upload and the room it was promised, let go of together. See ``blobs.Upload``."""

    def __init__(self, upload: Upload, room: Room) -> None:
        self._upload, self._room = upload, room

    @property
    def committed(self) -> int:
        return self._upload.committed

    def write(self, data: bytes) -> None:
        self._upload.write(data)
        self._room.filled(len(data))

    def finish(self) -> bool:
        return self._upload.finish()

    def close(self) -> None:
        try:
            self._upload.close()
        finally:
            self._room.close()

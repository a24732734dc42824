"""The frames of a movie by number, decoded in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from anyportal_core.errors import MediaUnreadableError
from anyportal_core.media.movie_file import open_file
from anyportal_core.media.movie_index import Key, MovieIndex, packets_from
from anyportal_core.media.movie_length import truncated

# Decoding on is cheaper than seeking for targets nearer than this many frames.
_WORTH_SEEKING = 12


class Decoder:
    """One pass through a movie, forwards, skipping ahead by seeking where that pays.

    A frame has the same pixels however it is reached. Decoding goes on from a packet before which nothing is needed;
    where the file's index does not lead to that packet, or the packet not to the frame, all is decoded from the start.
    """

    def __init__(self, path: Path, stream_index: int, index: MovieIndex) -> None:
        self._path, self._stream_index, self._index = path, stream_index, index
        self._skips = index.seekable
        self._start()

    def _start(self) -> None:
        self._container = open_file(self._path)
        stream = self._container.streams[self._stream_index]
        assert isinstance(stream, VideoStream)
        stream.thread_type = "AUTO"
        self._stream = stream
        self._frames: Iterator[VideoFrame] = self._container.decode(stream)
        self._next = 0
        self._skipped = False

    def close(self) -> None:
        self._container.close()

    def frame(self, number: int) -> VideoFrame:
        """Decode up to a frame; numbers must ascend from call to call."""
        self._skip_to(number)
        try:
            return self._reached(number)
        except MediaUnreadableError:
            if not self._skipped:
                raise
        self._skips = False
        self.close()
        self._start()
        return self._reached(number)

    def _reached(self, number: int) -> VideoFrame:
        while (frame := self._following()) is not None:
            place = self._place(frame)
            if place == number:
                self._next = place + 1
                return frame
            if place > number:
                raise MediaUnreadableError(
                    f"frame {number} cannot be decoded", where=str(self._path), hint="copy or export the file again"
                )
            self._next = max(self._next, place + 1)
        raise truncated(self._path, self._next, len(self._index.times))

    def _place(self, frame: VideoFrame) -> int:
        """The number of a decoded frame; -1 for one that the index does not know."""
        if not self._index.seekable:
            return self._next
        times = self._index.times
        place = int(np.searchsorted(times, frame.pts)) if frame.pts is not None else len(times)
        return place if place < len(times) and times[place] == frame.pts else -1

    def _skip_to(self, number: int) -> None:
        if not self._skips or number < self._next + _WORTH_SEEKING:
            return
        key = self._index.key_before(number)
        shown = int(np.searchsorted(self._index.times, key.time)) if key else 0
        if key and shown > self._next:
            self._frames = self._from(key)
            self._next, self._skipped = shown, True

    def _from(self, key: Key) -> Iterator[VideoFrame]:
        for packet in packets_from(self._container, self._stream, self._index, key):
            yield from packet.decode()

    def _following(self) -> VideoFrame | None:
        try:
            return next(self._frames, None)
        except av.FFmpegError as error:
            raise MediaUnreadableError(
                f"decoding stops at frame {self._next} of {len(self._index.times)} ({error.strerror})",
                where=str(self._path),
                hint="copy or export the file again",
            ) from error

"""Stage results on disk: named arrays with time as the first axis, in one HDF5 file.

HDF5 keeps frames as chunks of their own, so a window can be read without the rest. A run reads back what it has
just stored, so that an undisturbed run and a resumed one see the same quantised values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from anyportal_core.cache import StageCache
from anyportal_core.errors import AnyPortalError, storage_error
from anyportal_core.roles import Array, Chunk, Stored
from anyportal_core.stages import notes
from anyportal_core.stages.notes import Note

_UNIT = 65535.0
_STORAGE: dict[str, type[np.generic]] = {"alpha": np.uint16, "relit": np.float16, "frames": np.float16}
"""What is stored smaller than it is computed. ``alpha`` is 0..1 as 16-bit integers: 0 and 1 stay exact."""

_FEW = 64
"""Numbers of a frame that are not worth packing."""

_NOTES = "notes"
"""An attribute of the file; of a stage that said nothing there is none."""


def write_result(
    path: Path, chunks: Iterator[Chunk], count: int, progress: Callable[[float], None], said: Sequence[Note] = ()
) -> None:
    """Store ``chunks`` as they come; their lengths must add up to ``count``.

    Args:
        said: what is to be said of the result; looked at when all chunks have come.

    Raises:
        AnyPortalError: a plug-in yielded too few or too many frames.
        DiskFullError, StorageError: the disk refused.
    """
    with _opened(path) as raw:
        disk = _Disk(raw, path)
        with h5py.File(disk, "w", libver="latest") as file:
            done = _write_chunks(file, chunks, count, progress, disk)
            if said:
                file.attrs[_NOTES] = notes.written(said)
        disk.check()
    if done != count:
        raise AnyPortalError(f"a plug-in yielded {done} of {count} frames")


def _opened(path: Path) -> FileIO:
    try:
        return path.open("w+b", buffering=0)
    except OSError as error:
        raise storage_error(error, path) from error


def _write_chunks(
    file: h5py.File, chunks: Iterator[Chunk], count: int, progress: Callable[[float], None], disk: _Disk
) -> int:
    """Store all chunks; gives the number of frames in them."""
    done = 0
    for chunk in _yielded(chunks):
        length = _length(chunk)
        if done + length > count:
            raise AnyPortalError(f"a plug-in yielded more than {count} frames")
        for name, values in chunk.items():
            dataset = file[name] if done else _create(file, name, values, count)
            dataset[done : done + length] = _pack(name, values)
        disk.check()
        done += length
        progress(done / count)
    return done


def _yielded(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks. A file of its own that a plug-in cannot read is no trouble of the disk that results go to."""
    try:
        yield from chunks
    except OSError as error:
        raise AnyPortalError(
            f"a plug-in cannot use a file that it needs: {error.strerror or error}",
            where=str(error.filename or ""),
            hint="see the daemon's log; report it if the file is there",
        ) from error


class _Disk:
    """The file that HDF5 writes to.

    HDF5 takes the process down when a write fails, so it never hears of one: the error waits here, and what it
    writes after that is thrown away.
    """

    def __init__(self, raw: FileIO, path: Path) -> None:
        self._raw, self._path = raw, path
        self._error: OSError | None = None

    def check(self) -> None:
        """Raise what the disk said, if it said anything."""
        if self._error is not None:
            raise storage_error(self._error, self._path) from self._error

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def read(self, size: int) -> bytes:
        """By this h5py knows a file; it reads with ``readinto``."""
        return self._raw.read(size) or b""

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer: HDF5 asks for what it has written, and what did not get there reads as zeros."""
        done = 0
        while done < len(buffer) and (read := self._raw.readinto(buffer[done:])):
            done += read
        buffer[done:] = bytes(len(buffer) - done)
        return len(buffer)

    def write(self, data: memoryview) -> int:
        done = 0
        try:
            while self._error is None and done < len(data):
                done += self._raw.write(data[done:]) or 0
        except OSError as error:
            self._error = error
        return len(data)

    def truncate(self, size: int) -> int:
        try:
            if self._error is None:
                self._raw.truncate(size)
        except OSError as error:
            self._error = error
        return size

    def flush(self) -> None:
        """Nothing waits: the file is written to without a buffer."""


def _length(chunk: Chunk) -> int:
    lengths = {len(values) for values in chunk.values()}
    if len(lengths) != 1:
        raise AnyPortalError(f"a plug-in yielded arrays of different lengths: {sorted(lengths)}")
    return lengths.pop()


def _create(file: h5py.File, name: str, values: Array, count: int) -> h5py.Dataset:
    shape = values.shape[1:]
    dtype = _STORAGE.get(name, values.dtype)
    # Time stamps in the file would make equal results differ.
    packed = {"compression": "lzf", "shuffle": True} if math.prod(shape) > _FEW else {}
    return file.create_dataset(name, (count, *shape), dtype, chunks=(1, *shape), track_times=False, **packed)


def _pack(name: str, values: Array) -> Array:
    if name == "alpha":
        unit: Array = np.rint(np.clip(np.asarray(values, np.float32), 0, 1) * np.float32(_UNIT)).astype(np.uint16)
        return unit
    return values


class DamagedResultError(AnyPortalError):
    """A stored stage result that cannot be read: it is computed anew, so nobody has to hear of it."""

    code = "DAMAGED_RESULT"


class Result:
    """A stored stage result, read by run of frames.

    Raises (on construction):
        DamagedResultError: the file is cut short or is no stage result.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise DamagedResultError(f"a stage result cannot be read: {error}", where=path.name) from error
        self.size_bytes = path.stat().st_size
        self.names = frozenset(self._file)
        self._arrays = {name: self._file[name] for name in self.names}  # to look one up takes as long as to read it
        self._whole: dict[str, Array] = {}
        self.count = len(self._arrays[min(self.names)])
        self.notes: Sequence[Note] = notes.read(self._file.attrs.get(_NOTES, "[]"))
        """What was said when it was made."""

    def read(self, name: str, start: int, stop: int) -> Array:
        """Frames ``start <= i < stop`` of one array, as it was yielded (alpha: float32 0..1)."""
        values = self._read(name, start, stop)
        if name == "alpha":
            return np.asarray(values, np.float32) / np.float32(_UNIT)
        return values.astype(np.float32) if values.dtype == np.float16 else values

    def frame(self, index: int) -> Stored:
        """All arrays of one frame, without their time axis."""
        return {name: self.read(name, index, index + 1)[0] for name in self.names}

    def _read(self, name: str, start: int, stop: int) -> NDArray[np.generic]:
        """As they lie in the file; where a frame has a few numbers, they are read for all frames at once."""
        array = self._arrays[name]
        if math.prod(array.shape[1:]) > _FEW:
            return np.asarray(array[start:stop])
        if name not in self._whole:
            self._whole[name] = array[:]
        return np.array(self._whole[name][start:stop])

    def close(self) -> None:
        self._file.close()


def kept(cache: StageCache, key: str, damaged: Callable[[], None] = lambda: None) -> Result | None:
    """The result kept under a key, if there is one and it can be read; else ``damaged`` is called and it is dropped."""
    path = cache.find(key, damaged)
    if path is None:
        return None
    try:
        return Result(path)
    except DamagedResultError:
        cache.drop(key)
        damaged()
        return None

"""What media files have, found out once: looked at by their headers, remembered by path, size and time of change."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.timing import Extent
from anyportal_client.patterns import counter_of

_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_SETTLED_SECONDS = 2.0
_MOST_ROWS = 100_000
_AT_ONCE = 8
_VERSION = 1
"""Raise it when a probe finds out something else about the same file."""


class MediaProblem(Exception):
    """A clip's media cannot be used; the text says why, for the plan and the report."""


def cache_folder() -> Path:
    """Where the client keeps what it found out."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("anyportal", appauthor=False))


class Probes:
    """What files have. One object for one plan: within it no file is looked at twice, whatever becomes of it meanwhile.

    A cache on disk that cannot be used costs time, never an error. Many processes may use it at once.

    Args:
        folder: of the cache; None keeps nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / "probes.sqlite" if folder else None
        self._known: dict[str, tuple[int, int, Extent]] | None = None
        self._seen: dict[tuple[str, bool], Extent | MediaProblem] = {}
        self._fresh: dict[str, tuple[int, int, Extent]] = {}

    def movie(self, path: Path) -> Extent:
        """What a movie (or a single still) has.

        Raises:
            MediaProblem: it is not there or not readable.
        """
        return self._found(path, False)

    def sequence(self, pattern: Path) -> Extent:
        """What lies on disk for a printf pattern; holes in it are left to whoever reads the frames.

        Raises:
            MediaProblem: there is no such file.
        """
        return self._found(pattern, True)

    def look_ahead(self, media: Iterable[tuple[Path, bool]]) -> None:
        """Look at many at once, movies and sequences (True): a network's answers take their time."""
        self._load()
        with ThreadPoolExecutor(_AT_ONCE) as readers:
            list(readers.map(lambda each: self._try(*each), dict.fromkeys(media)))

    def keep(self) -> None:
        """Write down what was found out."""
        fresh, self._fresh = self._fresh, {}
        if not fresh:
            return
        rows = [(name, size, changed, json.dumps(vars(extent))) for name, (size, changed, extent) in fresh.items()]
        with suppress(sqlite3.Error, OSError), self._database() as database:
            database.executemany("INSERT OR REPLACE INTO probes VALUES (?, ?, ?, ?)", rows)
            database.execute("DELETE FROM probes WHERE rowid <= (SELECT max(rowid) FROM probes) - ?", (_MOST_ROWS,))
            database.commit()

    def _found(self, path: Path, sequence: bool) -> Extent:
        found = self._try(path, sequence)
        if isinstance(found, MediaProblem):
            raise found
        return found

    def _try(self, path: Path, sequence: bool) -> Extent | MediaProblem:
        key = str(path), sequence
        if key not in self._seen:
            try:
                self._seen[key] = self._remembered(path, sequence)
            except MediaProblem as problem:
                self._seen[key] = problem
            except (OSError, ValueError) as error:  # a name too long or with a NUL, a folder of somebody else
                self._seen[key] = MediaProblem(f"{path} cannot be read ({getattr(error, 'strerror', '') or error})")
        return self._seen[key]

    def _remembered(self, path: Path, sequence: bool) -> Extent:
        """The extent by the cache; a sequence has changed when its folder has."""
        place = path.parent if sequence else path
        probe: Callable[[Path], Extent] = probe_sequence if sequence else probe_movie
        if self._file is None or not place.exists():
            return probe(path)
        status = place.stat()
        name = _key(path)
        size, changed, extent = self._load().get(name, (-1, -1, None))
        now = (0 if sequence else status.st_size), status.st_mtime_ns
        if extent is not None and (size, changed) == now:
            return extent
        extent = probe(path)
        if time.time() - status.st_mtime > _SETTLED_SECONDS:  # else it may change without its time telling
            self._fresh[name] = (*now, extent)
        return extent

    def _load(self) -> dict[str, tuple[int, int, Extent]]:
        """All that the cache knows, read in one go: a thousand single questions take longer."""
        if self._known is None:
            self._known = {}
            try:
                with self._database() as database:
                    for name, size, changed, text in database.execute("SELECT * FROM probes"):
                        with suppress(ValueError, TypeError):  # a row of another version, or damaged
                            self._known[name] = size, changed, Extent(**json.loads(text))
            except (sqlite3.Error, OSError) as error:
                self._begin_anew(error)
        return self._known

    def _begin_anew(self, error: Exception) -> None:
        if type(error) is sqlite3.DatabaseError and self._file is not None:  # no database, or a damaged one
            with suppress(OSError):
                self._file.unlink(missing_ok=True)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        if self._file is None:
            raise OSError("there is no cache")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._file, timeout=5)) as database:
            if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                database.execute("DROP TABLE IF EXISTS probes")
                database.execute(f"PRAGMA user_version = {_VERSION}")
            database.execute(
                "CREATE TABLE IF NOT EXISTS probes (path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, extent TEXT)"
            )
            yield database


def _key(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()  # SQLite takes no other


def probe_movie(path: Path) -> Extent:
    """What a movie (or a single still) has, by its headers.

    Raises:
        MediaProblem: it is not there or not readable.
    """
    import av

    if not path.is_file():
        raise MediaProblem(f"{path} is not there")
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate or 24
            count = stream.frames or round(_seconds(stream) * rate) or _packets(container, stream)
            return Extent(0, _timecode(container, float(rate)), count, float(rate))
    except (av.FFmpegError, IndexError) as error:
        raise MediaProblem(f"{path} cannot be read as video ({error})") from error


def probe_sequence(pattern: Path) -> Extent:
    """What lies on disk for a printf pattern.

    Raises:
        MediaProblem: there is no such file.
    """
    counter = counter_of(pattern.name)
    if counter is None:
        raise MediaProblem(f"{pattern} has no place for a number")
    before, after = re.escape(pattern.name[: counter.start()]), re.escape(pattern.name[counter.end() :])
    frame = re.compile(rf"{before}(\d{{{counter[1] or 1},}}){after}")
    names = pattern.parent.iterdir() if pattern.parent.is_dir() else ()
    numbers = [int(found[1]) for name in names if (found := frame.fullmatch(name.name))]
    if not numbers:
        raise MediaProblem(f"{pattern} is not there")
    first, last = min(numbers), max(numbers)
    return Extent(first, first, last - first + 1, 0)


def _seconds(stream: Any) -> Fraction:
    """How long a stream lasts by its own word: sound beside it may last longer. 0 where it does not say."""
    if stream.duration:
        return Fraction(stream.duration * stream.time_base)
    found = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))  # Matroska and WebM, with the time before it starts
    if found is None:
        return Fraction(0)
    hours, minutes, seconds = found.groups()
    start = (stream.start_time or 0) * (stream.time_base or 0)
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds) - max(Fraction(0), start)


def _packets(container: Any, stream: Any) -> int:
    """The number of frames, counted. Reads the whole file."""
    return max(1, sum(1 for packet in container.demux(stream) if packet.size and not packet.is_discard))


def _timecode(container: Any, rate: float) -> float:
    """The start timecode of a movie in frames; 0 where it has none."""
    tags = [container.metadata, *(stream.metadata for stream in container.streams)]
    text = next((tag["timecode"] for tag in tags if "timecode" in tag), None)
    if text is None:
        return 0
    nominal = otio.opentime.RationalTime.nearest_valid_timecode_rate(rate)
    try:
        return float(otio.opentime.from_timecode(text, nominal).value)
    except ValueError:
        return 0

"""The results of a job into a folder, while the job runs or after it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from anyportal.v1 import media_pb2
from anyportal_client.channel import Connection
from anyportal_client.errors import InternalError, UsageError
from anyportal_client.events import FileFetched, OnEvent
from anyportal_client.hashing import hash_file
from anyportal_client.messages import ResultFile
from anyportal_client.storage import local_disk
from anyportal_client.tasks import Crew
from anyportal_client.transfers import aside_of, download

AT_ONCE = 4


class Fetcher:
    """Brings files of one job's result into a folder, each once.

    A file that is there already with the same content is kept; one with another content is an error, unless
    `overwrite`.
    """

    def __init__(self, connection: Connection, job: str, folder: Path, overwrite: bool, on_event: OnEvent) -> None:
        self._connection = connection
        self._job = job
        self._folder = folder
        self._overwrite = overwrite
        self._on_event = on_event
        self._seen: dict[str, str] = {}

    def add(self, crew: Crew, files: Iterable[ResultFile]) -> None:
        """Have the crew fetch those files that were not seen before."""
        for file in files:
            _check_name(file.filename)
            # A job that was tried again may give other bytes under the same name: ours to replace.
            replaces = self._seen.get(file.filename) not in (None, file.sha256)
            if self._seen.get(file.filename) != file.sha256:
                self._seen[file.filename] = file.sha256
                crew.add(partial(self._fetch, file, self._overwrite or replaces))

    def drop_parts(self) -> None:
        """Take away what is not whole: on a full disk it would only keep the disk full."""
        for filename, sha256 in self._seen.items():
            with contextlib.suppress(OSError):
                aside_of(self._folder / filename, sha256).unlink()

    async def _fetch(self, file: ResultFile, overwrite: bool) -> None:
        path = self._folder / file.filename
        with local_disk(path):
            there = await asyncio.to_thread(_same, path, file) if path.exists() else None
        if there is False and not overwrite:
            raise UsageError(
                "a different file of this name is there already",
                code="FILE_EXISTS",
                where=str(path),
                hint=f"add --overwrite, or: anyportal fetch {self._job} --out ANOTHER_FOLDER",
                job=self._job,
            )
        if not there:
            blob = media_pb2.Blob(sha256=file.sha256, size_bytes=file.size_bytes)
            await download(self._connection, blob, path, job=self._job)
        self._on_event(FileFetched(self._job, path, file.layers, file.frame, file.size_bytes))


def _same(path: Path, file: ResultFile) -> bool:
    return path.stat().st_size == file.size_bytes and hash_file(path) == file.sha256


def _check_name(filename: str) -> None:
    """A daemon must not write outside the folder it was given."""
    if filename in ("", ".", "..") or re.search(r"[/\\:\0]", filename):
        raise InternalError("the daemon gave a result a name that is none", where=filename)


def layer_paths(folder: Path, files: Iterable[ResultFile]) -> dict[str, Path]:
    """Layer to path; a sequence as one printf pattern."""
    names: dict[str, str] = {}
    for file in files:
        name = file.filename if file.frame is None else _pattern(file.filename, file.frame)
        for layer in file.layers:
            names[layer] = min(names.get(layer, name), name, key=_width)
    return {layer: folder / name for layer, name in names.items()}


_NUMBER = re.compile(r"-?\d+(?=\.[^.]+$)")
_WIDTH = re.compile(r"%0(\d+)d")


def _pattern(filename: str, frame: int) -> str:
    found = _NUMBER.search(filename)
    if found is None or int(found[0]) != frame:
        return filename
    counter = f"%0{len(found[0])}d" if len(found[0]) > 1 else "%d"
    return filename[: found.start()].replace("%", "%%") + counter + filename[found.end() :]


def _width(pattern: str) -> int:
    """Frames 9999 and 10000 differ in width: the narrower counter names both."""
    found = _WIDTH.search(pattern)
    return int(found[1]) if found else 0

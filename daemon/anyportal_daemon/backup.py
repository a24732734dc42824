"""A copy of the state that a daemon can go on with, made while another one uses it: ``anyportal backup``.

What is in it belongs together: the databases are copied one after the other, and then the bytes that the copied jobs
need. Where a job was deleted meanwhile, so that bytes of it are gone, all of that is done again.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

from anyportal_core.errors import StorageError
from anyportal_daemon.database import file_errors, sqlite_errors
from anyportal_daemon.jobs.claims import StoreNeeds
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.security.announcement import FILE
from anyportal_daemon.state import StateDirectory
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.files import BlobFiles, link_or_copy
from anyportal_daemon.storage.shelf import SEALED

ATTEMPTS = 5
MANIFEST = "backup.json"

_LATER = ("blobs.db",)
"""Copied after the journal: what a job names was there before the job."""

_BYTES = ("blobs", "stages")
_PASSING = (*_BYTES, "uploads", "scratch", "ballast", "daemon.lock", FILE, f"{FILE}.part", MANIFEST)
"""What is copied in its own way, or means nothing to another daemon. An upload that has begun begins again."""


@dataclass(frozen=True)
class Backup:
    """What was copied.

    Args:
        lacking: blobs that live jobs need and the store has not: their jobs would fail in it, too.
    """

    blobs: int
    blob_bytes: int
    stages: int
    lacking: int


def backup(state: Path, target: Path) -> Backup:
    """Copy a state directory into a new folder; it is there as a whole or not at all.

    Blobs become hard links where both are on one file system: they cost no room, and a disk that fails takes both.

    Raises:
        StorageError: there is no state to copy, the folder is not new or inside of the state, or the disk refused.
    """
    if not (state / "journal.db").is_file():
        raise StorageError("there is no state to copy", where=str(state), hint="name its directory with --state")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StorageError("it is not empty", where=str(target), hint="give a new folder: nothing is overwritten")
    if target.resolve().is_relative_to(state.resolve()):
        hint = "give a folder elsewhere: the next backup would copy it, too"
        raise StorageError("it is inside of what is to be copied", where=str(target), hint=hint)
    with file_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        with file_errors(target):
            made = _whole_copy(state, aside / "copy")
            if target.exists():
                target.rmdir()
            (aside / "copy").rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return made


def _whole_copy(state: Path, target: Path) -> Backup:
    """Copy until nothing was deleted meanwhile; what is lacking each time was lost before."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700)
        made = _copy(state, target)
        if not made.lacking:
            break
    return made


def _copy(state: Path, target: Path) -> Backup:
    names = sorted((path.name for path in state.glob("*.db")), key=lambda name: (name in _LATER, name))
    for name in names:
        _copy_database(state / name, target / name)
    for path in state.iterdir():
        if path.name not in _PASSING and not path.name.endswith((".db", ".db-wal", ".db-shm")):
            _copy_other(path, target / path.name)
    made = _copy_bytes(state, target)
    said = {"version": version("anyportal"), "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    (target / MANIFEST).write_text(json.dumps(said | asdict(made), indent=1), "utf-8")
    return made


def _copy_database(source: Path, target: Path) -> None:
    """As it is at one moment, whoever writes to it."""
    with (
        sqlite_errors(source),
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as db,
        closing(sqlite3.connect(target)) as copy,
    ):
        db.backup(copy)
    target.chmod(0o600)


def _copy_other(source: Path, target: Path) -> None:
    """Keys, certificates, logs: small, and whoever writes to them replaces or appends."""
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        shutil.copy2(source, target)


def _copy_bytes(state: Path, target: Path) -> Backup:
    """The blobs that copied jobs need, and what is kept of their stages."""
    with closing(Journal(target / "journal.db")) as journal, closing(DiskBlobStore(target)) as store:
        claims = journal.claims
        needed, live = sorted(StoreNeeds(claims, nullcontext, store).all_blobs()), claims.live()
        stages = claims.stages_of_live()
    sizes = [_link_blob(BlobFiles(state / "blobs"), BlobFiles(target / "blobs"), sha256) for sha256 in needed]
    lacking = live & {sha256 for sha256, size in zip(needed, sizes, strict=True) if size is None}
    there = [size for size in sizes if size is not None]
    kept = _link_stages(StateDirectory(state).stages, target / "stages", stages)
    return Backup(len(there), sum(there), kept, len(lacking))


def _link_blob(source: BlobFiles, target: BlobFiles, sha256: str) -> int | None:
    """Its size; None where it is gone."""
    path = target.path(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        link_or_copy(source.path(sha256), path)
    except FileNotFoundError:
        return None
    return path.stat().st_size


def _link_stages(source: Path, target: Path, keys: Iterable[str]) -> int:
    """What is finished of these stages, by key: whole results and parts of them."""
    target.mkdir(exist_ok=True)
    wanted, count = set(keys), 0
    for path in source.glob(f"*{SEALED}"):
        if path.name.removesuffix(SEALED).split("-")[0] in wanted:
            try:
                link_or_copy(path, target / path.name)
                count += 1
            except FileNotFoundError:  # evicted this moment: it is computed again
                continue
    return count

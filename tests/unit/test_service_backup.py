"""What a backup holds, and what it does when the state moves on under it."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from anyportal.v1.jobs_pb2 import Job
from anyportal_core.errors import StorageError
from anyportal_daemon import backup as backing
from anyportal_daemon.backup import backup
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.records import moved
from anyportal_daemon.security.accounts import Accounts
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.disk import DiskBlobStore


class State:
    """A state directory in use."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.journal, self.store, self.users = Journal(root / "journal.db"), DiskBlobStore(root), Accounts(root)

    def send(self, data: bytes) -> BlobId:
        blob = BlobId(hashlib.sha256(data).hexdigest(), len(data))
        upload = self.store.receive("ann", blob, 0)
        upload.write(data)
        assert upload.finish()
        upload.close()
        return blob

    def queue(self, *blobs: BlobId) -> str:
        return self.journal.create("ann", Job(), blobs, None).name.removeprefix("jobs/")

    def cancel(self, job: str) -> None:
        self.journal.change(job, lambda status: [moved(status, Job.CANCELLED)])

    def close(self) -> None:
        for each in (self.journal, self.store, self.users):
            each.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / "state")
    yield state
    state.close()


def test_what_live_jobs_need_is_in_it_with_keys_and_users_and_nothing_else(state: State, tmp_path: Path) -> None:
    needed, over = state.send(b"needed"), state.send(b"over")
    state.queue(needed)
    state.cancel(state.queue(over))
    (state.root / "tls").mkdir()
    (state.root / "tls" / "ca.key").write_text("key")
    for name in ("daemon.json", "ballast", "daemon.lock"):
        (state.root / name).write_text("x")
    (state.root / "uploads" / "half.part").write_text("x")
    target = tmp_path / "deep" / "copy"
    made = backup(state.root, target)
    assert (made.blobs, made.blob_bytes, made.lacking) == (1, 6, 0)
    assert {path.name for path in target.iterdir()} == {
        *("journal.db", "blobs.db", "users.db", "blobs", "stages", "uploads", "tls", "backup.json")
    }
    assert not any((target / "uploads").iterdir())
    assert (target / "tls" / "ca.key").read_text() == "key"
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert json.loads((target / "backup.json").read_text())["blobs"] == 1
    store = DiskBlobStore(target)
    with store.open("ann", needed) as file:
        assert file.read() == b"needed"
    assert store.missing("ann", [needed, over]) == [over]
    store.close()


def test_a_job_that_is_deleted_under_it_is_in_none_of_it(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = state.send(b"kept"), state.send(b"gone")
    state.queue(kept)
    doomed = state.queue(gone)
    copy_bytes, copies = backing._copy_bytes, []

    def meanwhile(source: Path, target: Path) -> backing.Backup:
        if not copies:
            state.cancel(doomed)
            state.store.release("ann", state.journal.delete("ann", doomed, lambda job: None))
        copies.append(target)
        return copy_bytes(source, target)

    monkeypatch.setattr(backing, "_copy_bytes", meanwhile)
    made = backup(state.root, tmp_path / "copy")
    assert (len(copies), made.blobs, made.lacking) == (2, 1, 0)
    journal = Journal(tmp_path / "copy" / "journal.db")
    assert len(journal.in_state(Job.QUEUED)) == 1
    journal.close()


def test_what_the_store_itself_has_lost_is_counted(state: State, tmp_path: Path) -> None:
    lost = state.send(b"lost")
    state.queue(lost)
    state.store.damaged(lost)
    assert backup(state.root, tmp_path / "copy").lacking == 1


def test_it_goes_nowhere_else_and_comes_from_a_state(state: State, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").touch()
    with pytest.raises(StorageError, match="not empty"):
        backup(state.root, full)
    with pytest.raises(StorageError, match="no state"):
        backup(tmp_path / "elsewhere", tmp_path / "copy")
    assert not (tmp_path / "copy").exists() and [path.name for path in full.iterdir()] == ["thesis.txt"]


def test_a_disk_that_refuses_leaves_no_half_of_it(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    state.queue(state.send(b"x"))
    monkeypatch.setattr(backing, "link_or_copy", refuse)
    with pytest.raises(StorageError):
        backup(state.root, tmp_path / "copy")
    assert not list(tmp_path.glob("copy*"))


def test_what_lies_beside_it_stays(state: State, tmp_path: Path) -> None:
    beside = tmp_path / "copy.part"
    beside.mkdir()
    (beside / "thesis.txt").write_text("x")
    backup(state.root, tmp_path / "copy")
    assert (beside / "thesis.txt").read_text() == "x"
    assert {path.name for path in tmp_path.iterdir()} == {"state", "copy", "copy.part"}


@pytest.mark.parametrize("where", [".", "backups/monday", "../state/monday"])
def test_it_does_not_go_into_the_state_itself(state: State, where: str) -> None:
    before = sorted(state.root.rglob("*"))
    with pytest.raises(StorageError, match=r"inside of|not empty"):
        backup(state.root, state.root / where)
    assert sorted(state.root.rglob("*")) == before


@pytest.mark.parametrize("ends_well", [True, False])
def test_of_two_at_once_the_first_to_end_is_the_backup(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends_well: bool
) -> None:
    """And what becomes of the other takes nothing from it."""
    state.queue(state.send(b"needed"))
    copy_bytes, target = backing._copy_bytes, tmp_path / "copy"

    def broken(source: Path, aside: Path) -> backing.Backup:
        raise StorageError("the disk broke")

    def meanwhile(source: Path, aside: Path) -> backing.Backup:
        monkeypatch.setattr(backing, "_copy_bytes", copy_bytes if ends_well else broken)
        with nullcontext() if ends_well else pytest.raises(StorageError, match="broke"):
            backup(state.root, target)
        return copy_bytes(source, aside)

    monkeypatch.setattr(backing, "_copy_bytes", meanwhile)
    with pytest.raises(StorageError) if ends_well else nullcontext():
        backup(state.root, target)
    assert json.loads((target / "backup.json").read_text())["blobs"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {"state", "copy"}

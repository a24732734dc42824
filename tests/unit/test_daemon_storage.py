"""What only the store on disk can do: survive a restart, damage and a full disk; take in and lay out files."""

from __future__ import annotations

import errno
import hashlib
import io
import stat
from pathlib import Path
from typing import Any

import pytest

from anyportal_core.errors import DiskFullError, MediaNotFoundError, ShotError, UnknownNameError
from anyportal_daemon.database import Database
from anyportal_daemon.errors import BlobCorruptError, BlobsMissingError
from anyportal_daemon.storage import files as files_module
from anyportal_daemon.storage import possessions as possessions_module
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.files import BlobFiles
from anyportal_daemon.storage.shared import SharedFolders
from anyportal_daemon.storage.shelf import Total


def name(data: bytes) -> BlobId:
    return BlobId(hashlib.sha256(data).hexdigest(), len(data))


def put(store: DiskBlobStore, data: bytes) -> BlobId:
    upload = store.receive("ann", name(data), 0)
    upload.write(data)
    upload.finish()
    upload.close()
    return name(data)


def test_uploads_and_blobs_survive_a_restart(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path)
    whole, half = put(store, b"whole"), name(b"half of it")
    upload = store.receive("ann", half, 0)
    upload.write(b"half")
    store.close()  # as a killed daemon would: the upload is open

    store = DiskBlobStore(tmp_path)
    assert store.missing("ann", [whole, half]) == [half]
    assert store.committed("ann", half) == 4
    upload = store.receive("ann", half, 4)
    upload.write(b" of it")
    assert upload.finish()
    upload.close()
    assert not list((tmp_path / "uploads").rglob("*.part"))
    store.close()


def test_damaged_bytes_are_never_served(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path)
    blob = put(store, b"0123456789")
    path = store.files.path(blob.sha256)
    path.chmod(0o600)
    path.write_bytes(b"0123")
    with pytest.raises(BlobCorruptError):
        store.open("ann", blob)
    assert store.missing("ann", [blob]) == [blob]
    put(store, b"0123456789")  # an upload heals it
    with store.open("ann", blob) as file:
        assert file.read() == b"0123456789"
    store.close()


def test_a_sweep_deletes_what_a_killed_worker_left(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path)
    result = tmp_path / "comp.png"
    result.write_bytes(b"made, and never told of")
    orphan, owned = store.files.keep(result), put(store, b"owned")
    store.sweep()
    assert not store.files.holds(orphan) and store.files.holds(owned)
    store.close()


class FullDisk(io.FileIO):
    """Takes ``room`` bytes and no more."""

    room = 5

    def write(self, data: Any) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = super().write(bytes(data[: self.room]))
        self.room -= count
        return count


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    store, blob = DiskBlobStore(tmp_path), name(b"0123456789")
    upload = store.receive("ann", blob, 0)
    upload._file = FullDisk(upload._file.name, "ab")
    with pytest.raises(DiskFullError):
        upload.write(b"0123456789")
    upload.close()
    assert store.committed("ann", blob) == 5
    upload = store.receive("ann", blob, 5)
    upload.write(b"56789")
    assert upload.finish()
    upload.close()
    store.close()


def test_a_blob_in_the_store_is_read_only_and_kept_once(tmp_path: Path) -> None:
    files = BlobFiles(tmp_path / "blobs")
    result = tmp_path / "result.png"
    result.write_bytes(b"pixels")
    blob = files.keep(result)
    assert blob == name(b"pixels")
    path = files.path(blob.sha256)
    assert path.read_bytes() == b"pixels"
    assert not path.stat().st_mode & stat.S_IWUSR
    assert files.keep(result) == blob
    assert [p for p in files.root.rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
def test_inputs_are_laid_out_under_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "this file system has no links")

    if not links:
        monkeypatch.setattr(files_module.os, "link", refuse)
    files = BlobFiles(tmp_path / "blobs")
    source = tmp_path / "plate.exr"
    source.write_bytes(b"pixels")
    blob = files.keep(source)
    files.link(blob.sha256, tmp_path / "job" / "plate.1001.exr")
    assert (tmp_path / "job" / "plate.1001.exr").read_bytes() == b"pixels"
    assert (tmp_path / "job" / "plate.1001.exr").samefile(files.path(blob.sha256)) == links


@pytest.fixture
def folders(tmp_path: Path) -> SharedFolders:
    root = tmp_path / "footage"
    (root / "shot").mkdir(parents=True)
    for number in (1001, 1002, 1010):
        (root / "shot" / f"plate.{number}.exr").write_bytes(b"x")
    (root / "movie.mp4").write_bytes(b"x")
    (root / "folder").mkdir()
    (root / "folder" / "still.png").write_bytes(b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(b"x")
    (root / "link.mp4").symlink_to(outside / "secret.mp4")
    (root / "away").symlink_to(outside)
    (root / "shot" / "trap.1001.exr").symlink_to(outside / "secret.mp4")
    return SharedFolders({"footage": root.resolve()})


def test_shared_media_are_found_below_their_root(folders: SharedFolders) -> None:
    path, found = folders.find("footage", "movie.mp4", "plate")
    assert found == {"movie.mp4": path}
    for notation in ("plate.%04d.exr", "plate.####.exr", "plate.@@@@.exr"):
        path, found = folders.find("footage", f"shot/{notation}", "plate")
        assert path.name == notation
        assert list(found) == ["plate.1001.exr", "plate.1002.exr", "plate.1010.exr"]
    path, found = folders.find("footage", "folder", "plate")
    assert list(found) == ["still.png"]


def test_a_link_is_resolved_once_and_that_is_looked_at(folders: SharedFolders, tmp_path: Path) -> None:
    """It may lead elsewhere a moment later; what it is called stays what the user wrote."""
    root = tmp_path.resolve() / "footage"
    (root / "hero.mp4").symlink_to(root / "movie.mp4")
    assert folders.find("footage", "hero.mp4", "plate") == (root / "hero.mp4", {"hero.mp4": root / "movie.mp4"})


@pytest.mark.parametrize(
    "path",
    [
        "../outside/secret.mp4",
        "/etc/passwd",
        "link.mp4",
        "away/secret.mp4",
        "away",
        "shot/trap.%04d.exr",
        "a\\b",
        "C:x",
        "a\0b",
        "",
    ],
)
def test_nothing_outside_a_root_is_reached(folders: SharedFolders, path: str) -> None:
    with pytest.raises(ShotError):
        folders.find("footage", path, "plate")


def test_what_is_not_shared_is_named(folders: SharedFolders) -> None:
    with pytest.raises(MediaNotFoundError):
        folders.find("footage", "shot/other.%04d.exr", "plate")
    with pytest.raises(UnknownNameError) as caught:
        folders.find("fotage", "movie.mp4", "shot.plate.shared")
    assert "footage" in caught.value.hint
    assert caught.value.where == "shot.plate.shared.mapping"


def test_fetches_survive_a_restart_and_are_not_written_one_by_one(tmp_path: Path) -> None:
    store = DiskBlobStore(tmp_path)
    blob, other = put(store, b"result"), put(store, b"other")
    store.grant("ann", [blob, other])
    database = store._possessions._database._writer
    before = database.total_changes
    store.fetched("ann", blob)
    assert database.total_changes == before
    assert store.unfetched(blob.sha256) == set()
    store.close()
    store = DiskBlobStore(tmp_path)
    assert (store.unfetched(blob.sha256), store.unfetched(other.sha256)) == (set(), {"ann"})
    store.close()


def test_a_store_of_an_older_version_keeps_what_it_has(tmp_path: Path) -> None:
    """Nobody noted then what was fetched, so all of it counts as not fetched."""
    old = Database(tmp_path / "blobs.db", possessions_module._MIGRATIONS[:1])
    with old.writing() as db:
        db.execute("INSERT INTO possessions VALUES ('ann', ?, 3)", ("a" * 64,))
    old.close()
    store = DiskBlobStore(tmp_path)
    assert store.unfetched("a" * 64) == {"ann"}
    assert store.holdings("ann")["blob"] == Total(1, 3)
    store.close()


@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
def test_a_job_never_reads_damaged_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "this file system has no links")

    if not links:
        monkeypatch.setattr(files_module.os, "link", refuse)
    files = BlobFiles(tmp_path / "blobs")
    source = tmp_path / "plate.exr"
    source.write_bytes(b"pixels")
    blob = files.keep(source)
    files.path(blob.sha256).chmod(0o600)
    files.path(blob.sha256).write_bytes(b"pixelz")
    with pytest.raises(BlobCorruptError) as caught:
        files.link(blob.sha256, tmp_path / "plate" / "plate.1001.exr")
    assert caught.value.where == "plate/plate.1001.exr"
    assert not files.holds(blob), "it is asked for again"
    with pytest.raises(BlobsMissingError):
        files.link(blob.sha256, tmp_path / "plate" / "plate.1002.exr")


def test_a_result_that_is_made_again_heals_damage(tmp_path: Path) -> None:
    files = BlobFiles(tmp_path / "blobs")
    for attempt in ("first", "again"):
        result = tmp_path / attempt
        result.write_bytes(b"pixels")
        blob = files.keep(result)
        path = files.path(blob.sha256)
        assert path.read_bytes() == b"pixels"
        path.unlink()
        path.write_bytes(b"pixelz")
    assert [p for p in files.root.rglob("*") if p.is_file()] == [path]

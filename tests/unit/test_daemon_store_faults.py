"""A disk that refuses at any step of what the store does: nothing is half there, and doing it again succeeds."""

from __future__ import annotations

import errno
import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from anyportal_core.cache import DirectoryCache
from anyportal_core.errors import DiskFullError
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.shelves import StageShelf

_STEPS = {"open", "os.rename", "os.link", "os.mkdir", "os.truncate", "os.chmod", "os.utime"}
"""What Python tells of before it does it, and what may need room on a disk."""


class FullDisk:
    """Refuses at the ``nth`` step below a folder, and at every one after it."""

    def __init__(self) -> None:
        self._folder, self._left, self.refused = "", -1, False
        sys.addaudithook(self._hear)  # cannot be taken away again, so there is one for all tests

    @contextmanager
    def full_at(self, folder: Path, step: int) -> Iterator[None]:
        self._folder, self._left, self.refused = str(folder), step, False
        try:
            yield
        finally:
            self._folder = ""

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._folder or event not in _STEPS or self._folder not in str(arguments[0]):
            return
        if event == "open" and not (isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")):
            return
        self._left -= 1
        if self._left < 0:
            self.refused = True
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(scope="session")
def disk() -> FullDisk:
    return FullDisk()


class Acts:
    """What is done with a store: sent in parts, made by a worker, given, fetched, computed."""

    def __init__(self, root: Path, seed: int) -> None:
        rng = random.Random(seed)
        self.root, self.store = root, DiskBlobStore(root)
        self.cache = DirectoryCache(root / "stages")
        self.sent, self.made, self.computed = (rng.randbytes(rng.randrange(1, 3000)) for _ in range(3))
        self.result = root.parent / f"{root.name}.png"
        self.result.write_bytes(self.made)

    def all(self) -> None:
        """Everything that is not done yet."""
        self._send()
        blob = self.store.files.keep(self.result)
        self.store.grant("ann", [blob])
        if self.cache.find("key") is None:
            with self.cache.writing("key") as path:
                path.write_bytes(self.computed)

    def _send(self) -> None:
        blob = name(self.sent)
        while self.store.missing("ann", [blob]):
            upload = self.store.receive("ann", blob, self.store.committed("ann", blob))
            try:
                upload.write(self.sent[upload.committed : upload.committed + 1000])
                upload.finish()
            finally:
                upload.close()

    def check(self, whole: bool) -> None:
        """What is said to be there is there, to the last byte; with ``whole`` all of it."""
        wanted = {name(self.sent): self.sent, name(self.made): self.made}
        for blob in set(wanted) - set(self.store.missing("ann", wanted)):
            with self.store.open("ann", blob) as file:
                assert file.read() == wanted.pop(blob)
        assert not (whole and wanted)
        for shelf in (*self.store.shelves, StageShelf(self.root / "stages")):
            assert all(verified(shelf.verify(item)) for item in shelf.items())
        found = self.cache.find("key")
        assert found is not None or not whole
        if found is not None:
            assert found.read_bytes().startswith(self.computed)
        assert not list((self.root / "stages").glob("*.part"))


def name(data: bytes) -> BlobId:
    return BlobId(hashlib.sha256(data).hexdigest(), len(data))


def verified(steps: Any) -> bool:
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return bool(end.value)


def interrupted(disk: FullDisk, acts: Acts, step: int) -> bool:
    """Do everything on a disk that is full from a step on; says whether it came to that."""
    try:
        with disk.full_at(acts.root, step):
            acts.all()
    except DiskFullError:
        assert disk.refused
    return disk.refused


@pytest.mark.parametrize("again", [False, True], ids=["the daemon goes on", "the daemon starts again"])
def test_every_step_may_find_the_disk_full(tmp_path: Path, disk: FullDisk, again: bool, fresh_seed: int) -> None:
    step, refused = 0, True
    while refused:
        acts = Acts(tmp_path / str(step), fresh_seed + step)
        refused = interrupted(disk, acts, step)
        acts.check(whole=not refused)
        if again:
            acts.store.close()
            acts = Acts(tmp_path / str(step), fresh_seed + step)
            acts.store.sweep()
        acts.all()
        acts.check(whole=True)
        acts.store.close()
        step += 1
    assert step > 10, "every file that is opened, renamed or linked is a step"


def test_a_database_that_finds_the_disk_full_leaves_bytes_that_nobody_has_and_no_more(tmp_path: Path) -> None:
    acts = Acts(tmp_path / "state", 0)
    writer = acts.store._possessions._database._writer
    writer.execute("CREATE TRIGGER full BEFORE INSERT ON possessions BEGIN SELECT raise(abort, 'full'); END")
    with pytest.raises(Exception, match="full"):
        acts.all()
    assert acts.store.missing("ann", [name(acts.sent)]) == [name(acts.sent)]
    acts.check(whole=False)
    writer.execute("DROP TRIGGER full")
    acts.all()
    acts.check(whole=True)
    acts.store.close()

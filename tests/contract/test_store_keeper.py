"""The budget's laws, on the store on disk and the one in memory alike: what is needed stays, the rest goes by age."""

from __future__ import annotations

import hashlib
import os
import random
from collections import namedtuple
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anyportal_core.errors import DiskFullError
from anyportal_daemon.storage import keeper as keeper_module
from anyportal_daemon.storage.blobs import BlobId, BlobStore
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.keeper import Keeper
from anyportal_daemon.storage.memory import MemoryBlobStore
from anyportal_daemon.storage.rooms import RoomedUpload
from anyportal_daemon.storage.shelf import Item, Shelf, Total
from anyportal_daemon.storage.shelves import StageShelf
from anyportal_daemon.storage.verification import Damage, Verifier

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
Disk = namedtuple("Disk", "total used free")


class Wants:
    """Needs that a test decides on."""

    def __init__(self) -> None:
        self.blobs: set[str] = set()
        self.alive: set[str] = set()
        self.since: int | None = None
        self.asked = 0

    def settled(self) -> AbstractContextManager[None]:
        return nullcontext()

    def blob(self, sha256: str) -> bool:
        self.asked += 1
        return sha256 in self.blobs

    def live(self, sha256: str) -> bool:
        return sha256 in self.alive

    def all_blobs(self) -> set[str]:
        return self.blobs

    def stages_since(self) -> int | None:
        return self.since


class Kept:
    """A store and its stage results, with a keeper whose clock and disk a test sets."""

    def __init__(self, store: BlobStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.stages, self.wants = store, folder / "stages", Wants()
        self.stages.mkdir(parents=True)
        self.shelves: tuple[Shelf, ...] = (*store.shelves, StageShelf(self.stages))
        self.disk = Disk(1 << 40, 0, 1 << 39)
        self.root = folder
        monkeypatch.setattr(keeper_module.shutil, "disk_usage", lambda path: self.disk)
        monkeypatch.setattr(keeper_module, "RECOUNT", 0.0)

    def keeper(self, budget: int | None, grace: float = 0) -> Keeper:
        return Keeper(self.root, self.shelves, self.wants, budget, grace, lambda: NOW)

    def put(self, data: bytes, age: float, user: str = "ann") -> BlobId:
        """A blob that was used ``age`` seconds ago."""
        blob = BlobId(hashlib.sha256(data).hexdigest(), len(data))
        upload = self.store.receive(user, blob, 0)
        upload.write(data)
        assert upload.finish()
        upload.close()
        self.use(blob.sha256, age)
        return blob

    def begin(self, data: bytes, age: float) -> BlobId:
        """An upload of which ``data`` has come."""
        blob = BlobId(hashlib.sha256(data).hexdigest(), len(data) + 1)
        upload = self.store.receive("ann", blob, 0)
        upload.write(data)
        upload.close()
        self.use(blob.sha256, age)
        return blob

    def use(self, name: str, age: float) -> None:
        used = NOW - int(age * SECOND)
        if isinstance(self.store, MemoryBlobStore):
            for key in [key for key in self.store._used if name in key]:
                self.store._used[key] = used
        else:
            assert isinstance(self.store, DiskBlobStore)
            for path in (self.store.files.path(name), *self.root.rglob(f"{name}*.part")):
                if path.exists():
                    os.utime(path, ns=(used, used))

    def stage(self, name: str, size: int, age: float) -> Path:
        path = self.stages / name
        path.write_bytes(bytes(size))
        os.utime(path, ns=(NOW - int(age * SECOND),) * 2)
        return path

    def names(self) -> set[str]:
        return {item.name for shelf in self.shelves for item in shelf.items()}

    def has(self, blob: BlobId) -> bool:
        return any(blob.sha256 in name for name in self.names())


@pytest.fixture(params=["disk", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    store = DiskBlobStore(tmp_path) if request.param == "disk" else MemoryBlobStore()
    yield Kept(store, tmp_path, monkeypatch)
    if isinstance(store, DiskBlobStore):
        store.close()


def test_within_the_budget_nothing_goes(kept: Kept) -> None:
    blob, stage = kept.put(bytes(60), 1000), kept.stage("a.h5", 40, 2000)
    keeper = kept.keeper(100)
    keeper.need()
    keeper.trim()
    assert kept.has(blob) and stage.exists()
    assert keeper.used() == 100


def test_what_was_not_used_for_longest_goes_first_of_whatever_kind(kept: Kept) -> None:
    oldest = kept.stage("oldest.h5", 10, 500)
    old, half = kept.put(b"o" * 10, 400), kept.begin(b"h" * 10, 300)
    newer, newest = kept.stage("newer.h5", 10, 200), kept.put(b"n" * 10, 100)
    sizes = []
    for budget in (45, 35, 25, 15, 5):
        kept.keeper(budget).trim()
        sizes.append([oldest.exists(), kept.has(old), kept.has(half), newer.exists(), kept.has(newest)])
    assert sizes == [[False] * gone + [True] * (5 - gone) for gone in range(1, 6)]


def test_what_is_needed_stays_however_old(kept: Kept) -> None:
    needed, idle = kept.put(b"needed", 10_000), kept.put(b"idle", 10)
    kept.wants.blobs.add(needed.sha256)
    keeper = kept.keeper(1)
    keeper.trim()
    assert kept.has(needed) and not kept.has(idle)
    assert keeper.prunable() == 0 and keeper.prune(recent=True) == Total()


def test_stage_results_that_a_job_has_come_across_stay(kept: Kept) -> None:
    before, during = kept.stage("before.h5", 10, 101), kept.stage("during.h5", 10, 99)
    kept.wants.since = NOW - 100 * SECOND
    kept.keeper(1).trim()
    assert not before.exists() and during.exists()
    kept.wants.since = None
    kept.keeper(1).trim()
    assert not during.exists()


def test_what_was_used_just_now_stays_for_a_while(kept: Kept) -> None:
    new, old = kept.put(b"new", 9), kept.put(b"old", 11)
    keeper = kept.keeper(1, grace=10)
    assert keeper.prunable() == 3
    keeper.trim()
    assert kept.has(new) and not kept.has(old)
    assert keeper.prune() == Total()
    assert keeper.prune(recent=True) == Total(1, 3)
    assert not kept.has(new)


def test_an_upload_that_is_written_stays(kept: Kept) -> None:
    blob = BlobId(hashlib.sha256(b"0123").hexdigest(), 8)
    upload = kept.store.receive("ann", blob, 0)
    upload.write(b"0123")
    kept.use(blob.sha256, 1000)
    kept.keeper(1).trim()
    assert kept.has(blob)
    upload.close()
    kept.keeper(1).trim()
    assert not kept.has(blob)


def test_room_is_made_for_new_work(kept: Kept) -> None:
    old, new = kept.put(b"o" * 50, 200), kept.put(b"n" * 40, 100)
    kept.keeper(100).need(20)
    assert not kept.has(old) and kept.has(new)


def test_new_work_is_refused_where_what_is_needed_leaves_no_room(kept: Kept) -> None:
    needed = kept.put(b"n" * 90, 100)
    kept.wants.blobs.add(needed.sha256)
    keeper = kept.keeper(100)
    keeper.need(10)
    with pytest.raises(DiskFullError, match="store is full"):
        keeper.need(11)
    assert kept.has(needed)
    kept.wants.blobs.clear()
    keeper.need(11)
    assert not kept.has(needed)


def test_what_could_never_fit_evicts_nothing(kept: Kept) -> None:
    blob = kept.put(b"kept", 100)
    with pytest.raises(DiskFullError):
        kept.keeper(100).need(101)
    assert kept.has(blob)


def test_the_store_is_not_counted_for_every_upload(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what was asked for counts meanwhile, until the next count sees what has come of it."""
    monkeypatch.setattr(keeper_module, "RECOUNT", 1000.0)
    counts = []
    monkeypatch.setattr(Keeper, "used", lambda self: len(counts.append(1) or counts))
    keeper = kept.keeper(100)
    for _ in range(99):
        keeper.need(1)
    assert len(counts) == 1
    keeper.need(1)
    assert len(counts) == 2


def test_a_disk_that_others_fill_takes_from_the_store(kept: Kept) -> None:
    old, new = kept.put(b"o" * 50, 200), kept.put(b"n" * 50, 100)
    keeper = kept.keeper(1000)
    kept.disk = Disk(2000, 1890, 110)  # a twentieth is 100
    keeper.trim()
    assert kept.has(old) and kept.has(new)
    kept.disk = Disk(2000, 1930, 70)
    keeper.trim()
    assert not kept.has(old) and kept.has(new)
    keeper.need()  # it is the disk that refuses when it is full, not the budget


def test_room_is_made_for_what_has_come_since_the_last_count_too(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "RECOUNT", 1000.0)
    for age in range(1, 10):
        kept.put(bytes([age]) * 10, age)
    keeper = kept.keeper(100)
    keeper.need()
    kept.stage("new.h5", 60, 0)
    keeper.need(30)
    assert keeper.used() <= 70


def test_what_an_open_upload_has_announced_is_its_own(kept: Kept) -> None:
    """However often the store is counted meanwhile, and however much of it has come."""
    keeper, blob = kept.keeper(100), BlobId(hashlib.sha256(bytes(60)).hexdigest(), 60)
    room = keeper.reserve(blob.size)
    upload = RoomedUpload(kept.store.receive("ann", blob, 0), room)
    for part in (0, 20, 40):
        upload.write(bytes(part))
        keeper.trim()
        with pytest.raises(DiskFullError):
            keeper.reserve(41)
        keeper.reserve(40).close()
    assert room.left == 0 and upload.finish()
    upload.close()
    assert keeper.used() == 60
    keeper.reserve(40)


def test_an_upload_that_ends_early_leaves_its_room_to_others(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "RECOUNT", 1000.0)
    keeper = kept.keeper(100)
    room = keeper.reserve(90)
    room.close()
    room.close()
    keeper.reserve(90)
    with pytest.raises(DiskFullError):
        keeper.reserve(11)


def test_a_disk_has_to_have_room_for_all_that_was_promised(kept: Kept) -> None:
    old = kept.put(b"o" * 50, 200)
    keeper = kept.keeper(1000)
    kept.disk = Disk(2000, 1800, 200)  # a twentieth is 100
    keeper.reserve(60)
    assert kept.has(old)
    keeper.reserve(60)
    assert not kept.has(old)


def test_half_of_the_disk_is_the_budget_unless_somebody_says(kept: Kept) -> None:
    assert kept.keeper(None).budget == 1 << 39
    assert kept.keeper(7).budget == 7


def test_what_could_be_pruned_is_told_without_a_question_about_each_blob(kept: Kept) -> None:
    for age in range(1, 11):
        kept.wants.blobs.add(kept.put(bytes([age]) * 10, age).sha256)
    kept.put(b"idle", 3)
    assert kept.keeper(1000).prunable() == 4
    assert kept.wants.asked == 0


def test_pruning_stops_at_what_may_be_kept(kept: Kept) -> None:
    for age in range(1, 11):
        kept.put(bytes([age]) * 10, age)
    keeper = kept.keeper(1000)
    assert keeper.prunable() == 100
    assert keeper.prune(keep=35) == Total(7, 70)
    assert keeper.prune(keep=35) == Total()
    assert keeper.prune() == Total(3, 30)
    assert keeper.used() == 0


THINGS = st.tuples(st.integers(0, 50), st.integers(0, 40), st.booleans(), st.booleans())
"""Bytes, seconds since its use, whether it is needed, whether it is a stage result."""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(things=st.lists(THINGS, max_size=12), budget=st.integers(1, 300), since=st.integers(0, 40))
def test_the_law_of_eviction(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    things: list[tuple[int, int, bool, bool]],
    budget: int,
    since: int,
) -> None:
    """Nothing needed goes; nothing goes before what is older and could go; and it stops once there is room."""
    kept = Kept(MemoryBlobStore(), tmp_path_factory.mktemp("law"), monkeypatch)
    kept.wants.since = NOW - since * SECOND
    all_of_them: list[tuple[str, int, int, bool]] = []  # name, size, age, may go
    for number, (size, age, needed, is_stage) in enumerate(things):
        if is_stage:
            name = kept.stage(f"{number}.h5", size, age).name
            free = age > since
        else:
            name = kept.put(number.to_bytes(2, "big") + bytes(size), age).sha256
            size, free = size + 2, not needed
            if needed:
                kept.wants.blobs.add(name)
        all_of_them.append((name, size, age, free and age > 0))
    kept.keeper(budget).trim()
    left, whole = kept.names(), sum(size for _, size, _, _ in all_of_them)
    gone = [thing for thing in all_of_them if thing[0] not in left]
    assert all(free for _, _, _, free in gone)
    youngest_gone = min((age for _, _, age, _ in gone), default=41)
    assert all(name not in left for name, _, age, free in all_of_them if free and age > youngest_gone)
    rest = whole - sum(size for _, size, _, _ in gone)
    assert rest <= budget or not any(free for name, _, _, free in all_of_them if name in left)
    if gone:
        last = [size for _, size, age, _ in gone if age == youngest_gone]
        assert rest + max(last) > min(budget, whole) * keeper_module.LOW - 1, "no more went than had to"
    else:
        assert whole <= budget or not any(free for _, _, _, free in all_of_them)


def flipped(data: bytes, rng: random.Random) -> bytes:
    """The same with one bit changed."""
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def damage(kept: Kept, blob: BlobId, data: bytes | None) -> None:
    if isinstance(kept.store, MemoryBlobStore):
        kept.store._bytes.pop(blob)
        if data is not None:
            kept.store._bytes[blob] = data
        return
    assert isinstance(kept.store, DiskBlobStore)
    path = kept.store.files.path(blob.sha256)
    path.unlink()
    if data is not None:
        path.write_bytes(data)


def found(kept: Kept) -> list[Damage]:
    """What verifying finds; its progress must be whole."""
    steps = list(Verifier(kept.store, kept.shelves, lambda sha256: ["job"]).verify())
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total
    return [each for step in steps for each in step.damage]


def test_verifying_finds_any_flipped_bit_and_removes_what_has_it(kept: Kept, fresh_seed: int) -> None:
    from anyportal_core.cache import DirectoryCache

    rng, cache = random.Random(fresh_seed), DirectoryCache(kept.stages)
    contents = [rng.randbytes(rng.randrange(1, 5000)) for _ in range(8)]
    blobs = [kept.put(data, 100) for data in contents]
    kept.store.grant("bob", blobs[:4])
    for number in range(4):
        with cache.writing(f"stage{number}") as path:
            path.write_bytes(rng.randbytes(1000))
    assert found(kept) == []
    made, sent, gone, stage = blobs[1], blobs[6], blobs[7], kept.stages / "stage2.h5"
    for blob, data in ((made, contents[1]), (sent, contents[6])):
        damage(kept, blob, flipped(data, rng))
    damage(kept, gone, None)
    stage.write_bytes(flipped(stage.read_bytes(), rng))
    reports = {report.name: report for report in found(kept)}
    assert reports == {
        made.sha256: Damage("blob", made.sha256, made.size, False, "run", ("job",)),
        sent.sha256: Damage("blob", sent.sha256, sent.size, False, "sent", ("job",)),
        gone.sha256: Damage("blob", gone.sha256, gone.size, True, "sent", ("job",)),
        "stage2.h5": Damage("stage", "stage2.h5", stage_size(), False, "computed"),
    }
    assert found(kept) == [], "it is told of once"
    assert kept.store.missing("ann", blobs) == [made, sent, gone]
    assert cache.find("stage2") is None
    assert all(cache.find(f"stage{number}") for number in (0, 1, 3))


def stage_size() -> int:
    return 1000 + len(b"\nanyportal-sha256 ") + 64 + 1


def test_an_item_is_what_it_was_listed_as(kept: Kept) -> None:
    """Whatever is used between being listed and being evicted stays."""
    path = kept.stage("used.h5", 10, 100)
    (item,) = kept.shelves[-1].items()
    assert item == Item("used.h5", 10, NOW - 100 * SECOND)
    os.utime(path)
    assert not kept.shelves[-1].evict(item) and path.exists()

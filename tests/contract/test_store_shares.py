"""Each user's part of the store, on disk and in memory alike: nobody fills all of it or pushes others out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyportal_core.errors import DiskFullError
from anyportal_daemon.security.users import OWNER
from anyportal_daemon.storage import keeper as keeper_module
from anyportal_daemon.storage import shares as shares_module
from anyportal_daemon.storage.blobs import BlobId
from anyportal_daemon.storage.disk import DiskBlobStore
from anyportal_daemon.storage.keeper import Keeper
from anyportal_daemon.storage.memory import MemoryBlobStore
from anyportal_daemon.storage.rooms import RoomedUpload
from anyportal_daemon.storage.shares import Shares
from tests.contract.test_store_keeper import NOW, Kept


class Shared(Kept):
    """A store that several users share, each of whom may have half of it."""

    def keeper(self, budget: int | None, grace: float = 0) -> Keeper:
        shares = Shares(self.store, 0.5)
        self.given_up: list[str] = []
        return Keeper(self.root, self.shelves, self.wants, budget, grace, lambda: NOW, shares, self.given_up.extend)

    def make(self, data: bytes, age: float, user: str = "ann", fetched: bool = False) -> BlobId:
        """A result of a user's job."""
        blob = self.put(data, age, "worker")
        self.store.grant(user, [blob])
        self.store.release("worker", [blob])
        self.use(blob.sha256, age)
        if fetched:
            self.store.fetched(user, blob)
        else:
            self.wants.blobs.add(blob.sha256)
        return blob


@pytest.fixture(params=["disk", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    monkeypatch.setattr(shares_module, "RECOUNT", 0.0)
    store = DiskBlobStore(tmp_path) if request.param == "disk" else MemoryBlobStore()
    yield Shared(store, tmp_path, monkeypatch)
    if isinstance(store, DiskBlobStore):
        store.close()


def test_nobody_gets_more_than_their_part_and_is_told_how_much_that_is(kept: Shared) -> None:
    keeper = kept.keeper(100 << 30)
    for _ in range(4):
        keeper.reserve(10 << 30, "ann")
    with pytest.raises(DiskFullError) as caught:
        keeper.reserve(11 << 30, "ann")
    said = f"{caught.value.message} {caught.value.hint}"
    for figure in ("you have 40.00 GiB of at most 50.00 GiB", "50% of 100.00 GiB", "11.00 GiB more", "delete jobs"):
        assert figure in said
    keeper.reserve(10 << 30, "ann")
    keeper.reserve(50 << 30, "bob")


def test_who_has_all_that_they_may_makes_no_jobs_either(kept: Shared) -> None:
    made = kept.put(b"r" * 51, 100, "ann")
    kept.wants.blobs.add(made.sha256)  # a result that was not fetched
    keeper = kept.keeper(100)
    with pytest.raises(DiskFullError, match="your part"):
        keeper.need(user="ann")
    keeper.need()  # a job that waits is begun
    keeper.need(user="bob")
    kept.wants.blobs.clear()
    keeper.need(user="ann")
    assert not kept.has(made), "it was fetched, and makes room"


def test_what_a_user_needs_no_more_makes_room_for_what_they_bring(kept: Shared) -> None:
    old, new, theirs = kept.put(b"o" * 25, 300, "ann"), kept.put(b"n" * 20, 200, "ann"), kept.put(b"b" * 5, 900, "bob")
    keeper = kept.keeper(100)
    keeper.reserve(20, "ann")
    assert not kept.has(old) and kept.has(new) and kept.has(theirs)


def test_what_others_have_too_is_not_taken_for_it(kept: Shared) -> None:
    both = kept.put(b"x" * 45, 300, "ann")
    kept.store.grant("bob", [both])
    kept.use(both.sha256, 300)
    with pytest.raises(DiskFullError):
        kept.keeper(100).reserve(20, "ann")
    assert kept.has(both)


def test_what_could_never_fit_a_part_evicts_nothing(kept: Shared) -> None:
    old = kept.put(b"o" * 25, 300, "ann")
    with pytest.raises(DiskFullError):
        kept.keeper(100).reserve(51, "ann")
    assert kept.has(old)


def test_uploads_that_have_begun_count(kept: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come of them, and what has not; also before anything is counted anew."""
    monkeypatch.setattr(shares_module, "RECOUNT", 1000.0)
    keeper, blob = kept.keeper(100), BlobId(hashlib.sha256(bytes(40)).hexdigest(), 40)
    upload = RoomedUpload(kept.store.receive("ann", blob, 0), keeper.reserve(40, "ann"))
    for _ in range(2):
        upload.write(bytes(20))
        with pytest.raises(DiskFullError):
            keeper.reserve(11, "ann")
        keeper.reserve(10, "ann").close()
    assert upload.finish()
    upload.close()
    with pytest.raises(DiskFullError):
        keeper.reserve(11, "ann")


def test_a_user_is_not_counted_for_every_upload(kept: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares_module, "RECOUNT", 1000.0)
    asked: list[str] = []
    holdings = kept.store.holdings
    monkeypatch.setattr(kept.store, "holdings", lambda user: asked.append(user) or holdings(user))
    keeper = kept.keeper(100)
    for _ in range(50):
        keeper.reserve(1, "ann")
    assert asked == ["ann"]
    with pytest.raises(DiskFullError):
        keeper.reserve(1, "ann")


def test_who_is_refused_and_asks_again_has_nobody_wait(kept: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """To look for what could go is to look at everything."""
    looks: list[str] = []
    possessed = kept.store.possessed
    monkeypatch.setattr(kept.store, "possessed", lambda: looks.append("") or possessed())
    monkeypatch.setattr(shares_module, "RECOUNT", 1000.0)
    made = kept.put(b"r" * 45, 100, "ann")
    kept.wants.blobs.add(made.sha256)
    keeper = kept.keeper(100)
    for _ in range(5):
        with pytest.raises(DiskFullError):
            keeper.reserve(10, "ann")
    assert len(looks) == 1
    kept.store.release("ann", [made])
    keeper.reserve(10, "ann")  # what is deleted counts at once


def test_the_owner_of_the_daemon_may_have_all_of_it(kept: Shared) -> None:
    kept.keeper(100).reserve(100, OWNER)


def test_who_has_more_than_their_part_gives_up_first(kept: Shared) -> None:
    """However long ago the others used theirs; and no more than down to that part."""
    greedy = [kept.put(bytes([number]) * 20, 10 - number, "ann") for number in range(4)]
    modest, stage = kept.put(b"b" * 20, 900, "bob"), kept.stage("old.h5", 20, 500)
    keeper = kept.keeper(100)
    keeper.trim()  # 120 of 100, down to 90
    assert kept.has(modest) and stage.exists() and [kept.has(each) for each in greedy] == [False, False, True, True]
    kept.wants.blobs.update(each.sha256 for each in greedy)
    keeper.need(25)  # now everybody is within theirs, so that age decides
    assert not kept.has(modest) and stage.exists() and [kept.has(each) for each in greedy[2:]] == [True, True]


def test_what_others_have_too_does_not_go_first(kept: Shared) -> None:
    both, own, other = kept.put(b"x" * 30, 9, "ann"), kept.put(b"y" * 50, 8, "ann"), kept.put(b"z" * 10, 99, "bob")
    kept.store.grant("bob", [both])
    kept.use(both.sha256, 500)
    kept.keeper(85).trim()
    assert kept.has(both) and not kept.has(own) and kept.has(other)


def test_alone_in_the_store_age_decides_as_ever(kept: Shared) -> None:
    stage, blob = kept.stage("old.h5", 50, 500), kept.put(b"o" * 60, 10, "ann")
    kept.keeper(100).trim()
    assert not stage.exists() and kept.has(blob)


def test_begun_uploads_of_who_has_too_much_go_first_too(kept: Shared) -> None:
    half, blob = kept.begin(b"h" * 30, 50), kept.put(b"a" * 30, 40, "ann")
    other = kept.put(b"z" * 50, 99, "bob")
    kept.keeper(100).trim()
    assert not kept.has(half) and kept.has(blob) and kept.has(other)


def test_another_part_holds_at_once(kept: Shared) -> None:
    keeper = kept.keeper(100)
    with pytest.raises(DiskFullError):
        keeper.reserve(60, "ann")
    keeper.limit(100, 0.6)
    keeper.reserve(60, "ann")


def test_the_keepers_grace_holds_for_ones_own_too(kept: Shared) -> None:
    """A client that was told that its footage is there is about to create a job from it."""
    new = kept.put(b"n" * 45, 5, "ann")
    with pytest.raises(DiskFullError):
        kept.keeper(100, keeper_module.GRACE).reserve(20, "ann")
    assert kept.has(new)


def test_fetched_results_make_room_for_their_user_however_new_they_are(kept: Shared) -> None:
    """Whoever fetches what is made goes on making more; footage that was just sent is another matter."""
    new, sent = kept.make(b"r" * 30, 1, fetched=True), kept.put(b"s" * 21, 1, "ann")
    kept.keeper(100, keeper_module.GRACE).need(user="ann")
    assert not kept.has(new) and kept.has(sent)


def test_results_above_a_part_make_room_for_others_where_nothing_else_does(kept: Shared) -> None:
    """The oldest first, no more than is needed, and their jobs are to say so."""
    made = [kept.make(bytes([number]) * 20, 100 - number) for number in range(4)]
    idle = kept.put(b"i" * 15, 5, "bob")
    keeper = kept.keeper(100)
    keeper.reserve(15, "bob")
    assert not kept.has(idle) and all(map(kept.has, made)) and kept.given_up == [], "nobody needed that one"
    keeper.reserve(15, "bob")
    assert [kept.has(each) for each in made] == [False, True, True, True]
    assert kept.given_up == [made[0].sha256]


def test_results_make_room_down_to_their_users_part_and_no_further(kept: Shared) -> None:
    made = [kept.make(bytes([number]) * 20, 100 - number) for number in range(5)]
    keeper = kept.keeper(100)
    for _ in range(2):
        with pytest.raises(DiskFullError):
            keeper.reserve(61, "bob")
        with pytest.raises(DiskFullError):
            keeper.need(user="ann")
    keeper.reserve(50, "bob")
    with pytest.raises(DiskFullError):
        keeper.reserve(11, "carl")
    assert [kept.has(each) for each in made] == [False, False, False, True, True]


def test_what_a_job_needs_or_others_share_makes_no_room(kept: Shared) -> None:
    live, both, own = (kept.make(bytes([number]) * 30, 9 - number) for number in range(3))
    kept.wants.alive.add(live.sha256)
    kept.store.grant("bob", [both])
    kept.use(both.sha256, 8)
    kept.keeper(100).reserve(19, "bob")
    assert kept.has(live) and kept.has(both) and not kept.has(own)


def test_what_the_owner_has_made_makes_room_for_nobody(kept: Shared) -> None:
    made = kept.make(b"o" * 90, 9, OWNER)
    with pytest.raises(DiskFullError):
        kept.keeper(100).reserve(20, "bob")
    assert made.sha256 not in kept.given_up and not kept.store.missing(OWNER, [made])


def test_a_full_store_takes_no_more_results_of_who_has_more_than_their_part(kept: Shared) -> None:
    keeper = kept.keeper(100)
    kept.wants.alive.update(kept.make(bytes([number]) * 30, 9).sha256 for number in range(3))
    keeper.came(90, "ann")  # there is room, so nobody minds
    kept.wants.alive.add(kept.make(b"b" * 20, 9, "bob").sha256)
    keeper.came(20, "bob")  # it is not his fault
    with pytest.raises(DiskFullError, match="your part"):
        keeper.came(1, "ann")


def test_results_of_one_push_out_those_of_who_has_more_than_their_part(kept: Shared) -> None:
    surplus = kept.make(b"a" * 90, 9)
    keeper = kept.keeper(100)
    kept.wants.alive.add(kept.make(b"b" * 20, 9, "bob").sha256)
    keeper.came(20, "bob")
    assert not kept.has(surplus) and kept.given_up == [surplus.sha256]

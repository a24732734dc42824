"""Shared disks on both sides: which path stands for a file, and that nothing but the file meant is read."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from anyportal.v1 import media_pb2
from anyportal_client.clips import find_clip
from anyportal_client.errors import UsageError
from anyportal_client.mappings import read_mappings, shared
from anyportal_client.request import ShotRequest
from anyportal_client.shot import make_ready
from anyportal_core.cache import DirectoryCache
from anyportal_core.errors import (
    AnyPortalError,
    Cancelled,
    MediaChangedError,
    MediaNotFoundError,
    MediaUnreadableError,
    ShotError,
    UnknownNameError,
)
from anyportal_daemon.errors import BlobError
from anyportal_daemon.jobs.clips import check_clip, digest_of, kind_of, shared_files, title_of
from anyportal_daemon.storage import shared as storage_shared
from anyportal_daemon.storage.files import hash_stream
from anyportal_daemon.storage.pinned import PinnedFolder
from anyportal_daemon.storage.shared import SharedFolders, digest_files
from anyportal_daemon.worker import borrowed
from anyportal_daemon.worker.borrowed import Loan, LoanedCache, SharedFiles

BLOB = media_pb2.Blob(sha256="a" * 64, size_bytes=5)

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="folders are held open on Linux alone")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "footage"
    (root / "shot").mkdir(parents=True)
    for number in (1001, 1002, 1003):
        (root / "shot" / f"plate.{number}.png").write_bytes(b"12345")
    (root / "still.png").write_bytes(b"12345")
    (tmp_path / "outside.png").write_bytes(b"12345")
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    (root / "inner.png").symlink_to(root / "still.png")
    return root


@pytest.fixture
def loan() -> Iterator[Loan]:
    with Loan(SharedFiles(), threading.Event()) as loan:
        yield loan


# the daemon's side


def test_a_file_is_found_by_its_mapping_links_resolved(root: Path) -> None:
    folders = SharedFolders({"footage": root.resolve()})
    assert folders.file("footage", "inner.png", 5, "plate") == (root / "still.png").resolve()
    assert folders.names() == ["footage"]


@pytest.mark.parametrize(
    ("mapping", "path", "size", "kind"),
    [
        ("footage", "link.png", 5, ShotError),
        ("footage", "../outside.png", 5, ShotError),
        ("footage", "/etc/passwd", 5, ShotError),
        ("footage", "none.png", 5, MediaNotFoundError),
        ("footage", "shot", 5, MediaNotFoundError),
        ("footage", "still.png", 6, MediaUnreadableError),
        ("other", "still.png", 5, UnknownNameError),
        ("footage", "x" * 300, 5, ShotError),
        ("footage", "x/" * 3000, 5, ShotError),
    ],
)
def test_what_is_not_the_file_meant_is_refused(
    root: Path, mapping: str, path: str, size: int, kind: type[AnyPortalError]
) -> None:
    with pytest.raises(kind):
        SharedFolders({"footage": root.resolve()}).file(mapping, path, size, "plate")


def frames(*numbers: int) -> list[media_pb2.SequenceFrame]:
    return [media_pb2.SequenceFrame(number=number, blob=BLOB) for number in numbers]


def test_shared_media_are_known_as_what_was_sent() -> None:
    listed = media_pb2.SharedMedia(mapping="m", path="a/plate.%04d.exr", frames=frames(7, 1001))
    assert [path for _, path, _ in shared_files(listed, "plate")] == ["a/plate.0007.exr", "a/plate.1001.exr"]
    sent = media_pb2.ClipManifest(sequence=media_pb2.FrameSequence(pattern="plate.%04d.exr", frames=frames(7, 1001)))
    clip = media_pb2.ClipManifest(shared=listed)
    check_clip(clip, "plate")
    assert (digest_of(clip), title_of(clip), kind_of(clip)) == (digest_of(sent), "plate", "clip")
    still = media_pb2.ClipManifest(shared=media_pb2.SharedMedia(mapping="m", path="a/b#1.png", blob=BLOB))
    check_clip(still, "backdrop")
    assert (digest_of(still), kind_of(still)) == (BLOB.sha256, "still")


ODD: list[tuple[media_pb2.ClipManifest, type[AnyPortalError], str]] = [
    (
        media_pb2.ClipManifest(file=media_pb2.MediaFile(blob=BLOB, filename="a.mov"), colour_space="x" * 201),
        ShotError,
        "colour_space",
    ),
    (media_pb2.ClipManifest(shared=media_pb2.SharedMedia(path="a.png", frames=frames(1))), ShotError, "shared.path"),
    (
        media_pb2.ClipManifest(shared=media_pb2.SharedMedia(path="a.%d.png", frames=frames(2, 1))),
        ShotError,
        "shared.frames[1]",
    ),
    (
        media_pb2.ClipManifest(shared=media_pb2.SharedMedia(path="a.png", blob=media_pb2.Blob(sha256="x"))),
        BlobError,
        "shared.blob",
    ),
    *(
        (media_pb2.ClipManifest(file=media_pb2.MediaFile(blob=BLOB, filename="a.mov", span=span)), ShotError, field)
        for span, field in (
            (media_pb2.MovieSpan(first_frame=-1, frame_count=5), "file.span.first_frame"),
            (media_pb2.MovieSpan(first_frame=5, frame_count=5), "file.span.first_frame"),
            (media_pb2.MovieSpan(first_frame=1, frame_count=5), "file.span.frame_rate"),
            (
                media_pb2.MovieSpan(
                    frame_count=5, frame_rate=media_pb2.Rational(numerator=24, denominator=1), timecode="0" * 99
                ),
                "file.span.timecode",
            ),
        )
    ),
]


@pytest.mark.parametrize(("clip", "kind", "field"), ODD, ids=[field for *_, field in ODD])
def test_odd_manifests_are_refused_by_field(
    clip: media_pb2.ClipManifest, kind: type[AnyPortalError], field: str
) -> None:
    with pytest.raises(kind) as caught:
        check_clip(clip, "shot.plate")
    assert caught.value.where == f"shot.plate.{field}"


def test_a_shared_file_is_read_once_while_it_stays_the_same(root: Path, tmp_path: Path) -> None:
    """That it is not read again shows where nothing stops: reading would be cancelled."""
    files, source, cancel = SharedFiles(), root / "still.png", threading.Event()
    sha256 = hashlib.sha256(b"12345").hexdigest()
    with Loan(files, cancel) as loan:
        loan.lay(source, sha256, tmp_path / "job" / "one.png")
        assert (tmp_path / "job" / "one.png").samefile(source), "no byte is copied"
    cancel.set()
    with Loan(files, cancel) as loan:
        loan.lay(source, sha256, tmp_path / "job" / "two.png")
    cancel.clear()
    write_unseen(source)
    with Loan(files, cancel) as loan, pytest.raises(MediaChangedError, match="has changed since"):
        loan.lay(source, sha256, tmp_path / "job" / "three.png")
    assert sorted(path.name for path in (tmp_path / "job").iterdir()) == ["one.png", "two.png"]


def write_unseen(path: Path) -> None:
    """Other bytes of the same size, and the time of the last writing set back."""
    times = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def replace(path: Path) -> None:
    """Another file in its place."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)


def away_and_back(path: Path) -> None:
    """Another file in its place for a while."""
    aside = path.with_name("aside")
    path.rename(aside)
    path.write_bytes(b"54321")
    aside.replace(path)


@pytest.mark.parametrize("change", [write_unseen, replace, away_and_back, Path.unlink])
@pytest.mark.parametrize("named", [True, False])
def test_what_is_made_while_a_shared_file_changes_is_not_kept(
    root: Path, tmp_path: Path, loan: Loan, change: Callable[[Path], None], named: bool
) -> None:
    cache, source = LoanedCache(DirectoryCache(tmp_path / "stages"), loan), root / "still.png"
    loan.lay(source, hashlib.sha256(b"12345").hexdigest() if named else "", tmp_path / "job" / "plate" / "one.png")
    with cache.writing("before") as path:
        path.write_bytes(b"good")
    with pytest.raises(MediaChangedError) as caught, cache.writing("during") as path:
        change(source)
        path.write_bytes(b"bad")
    assert caught.value.where == "plate/one.png"
    assert cache.find("before") is not None and cache.find("during") is None
    assert [file.name for file in (tmp_path / "stages").iterdir()] == ["before.h5"]


def test_a_file_that_is_being_written_is_not_taken(
    root: Path, tmp_path: Path, loan: Loan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor waited for: it may go on for hours."""
    monkeypatch.setattr(borrowed, "SETTLED", 0.4)  # as long as a busy machine may leave a thread alone
    source, done = root / "still.png", threading.Event()

    def write() -> None:
        with source.open("ab", buffering=0) as file:
            while not done.is_set():
                file.write(b"6")

    writing = threading.Thread(target=write)
    writing.start()
    try:
        with pytest.raises(MediaChangedError):
            loan.lay(source, "", tmp_path / "job" / "one.png")
    finally:
        done.set()
        writing.join()


def test_what_has_become_a_link_is_not_followed(root: Path, tmp_path: Path, loan: Loan) -> None:
    source = root / "still.png"
    source.unlink()
    source.symlink_to(tmp_path / "outside.png")
    with pytest.raises(MediaChangedError):
        loan.lay(source, "", tmp_path / "job" / "one.png")


@on_linux
@pytest.mark.parametrize("above", ["footage/shot", "footage"])
def test_folders_that_change_places_lead_nowhere_else(root: Path, tmp_path: Path, loan: Loan, above: str) -> None:
    """For a while, as the file is opened, which nothing about the file tells."""
    folder = tmp_path / above
    evil = tmp_path / "evil" / (root / "shot").relative_to(folder)
    evil.mkdir(parents=True)
    (tmp_path / "outside.png").write_bytes(b"other")
    (evil / "plate.1001.png").symlink_to(tmp_path / "outside.png")
    laid = tmp_path / "job" / "plate" / "plate.1001.png"
    loan.lay(root / "shot" / "plate.1001.png", "", laid)
    folder.rename(tmp_path / "aside")
    (tmp_path / "evil").rename(folder)
    read = laid.read_bytes()
    folder.rename(tmp_path / "evil")
    (tmp_path / "aside").rename(folder)
    assert read == b"12345"
    loan.check()


@on_linux
@pytest.mark.parametrize("way", ["file", "folder"])
def test_a_link_laid_after_links_were_looked_for_is_not_followed(root: Path, tmp_path: Path, way: str) -> None:
    (tmp_path / "elsewhere").symlink_to(root / "shot")
    with pytest.raises(OSError):
        if way == "folder":
            PinnedFolder(tmp_path / "elsewhere")
        else:
            PinnedFolder(root).open("inner.png")


@on_linux
@pytest.mark.parametrize("swap", ["file", "folder"])
def test_what_is_hashed_is_what_was_found(root: Path, tmp_path: Path, swap: str) -> None:
    """Between the two a link out has taken the place of a file, or of the folder above it."""
    _, files = SharedFolders({"footage": root}).find("footage", "shot/plate.1001.png", "backdrop")
    assert digest_files(files, "backdrop") == hashlib.sha256(b"12345").hexdigest()
    if swap == "file":
        files["plate.1001.png"].unlink()
        files["plate.1001.png"].symlink_to(tmp_path / "outside.png")
    else:
        (root / "shot").rename(tmp_path / "aside")
        (root / "shot").symlink_to(tmp_path / "aside")
    with pytest.raises(MediaUnreadableError) as caught:
        digest_files(files, "backdrop")
    assert caught.value.where == "backdrop"


def test_what_is_written_to_while_it_is_hashed_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(file: BinaryIO) -> str:
        write_unseen(root / "still.png")
        return hash_stream(file)

    monkeypatch.setattr(storage_shared, "hash_stream", slowly)
    time.sleep(0.02)  # so that the time of the change is another
    with pytest.raises(MediaChangedError):
        digest_files({"still.png": root / "still.png"}, "backdrop")


@on_linux
def test_a_sequence_holds_one_folder_open_and_a_pipe_nobody_up(root: Path, tmp_path: Path) -> None:
    before = held_open()
    with Loan(SharedFiles(), threading.Event()) as loan:
        for path in (root / "shot").iterdir():
            loan.lay(path, "", tmp_path / "job" / path.name)
        assert held_open() == before + 1
        os.mkfifo(root / "shot" / "pipe.png")
        with pytest.raises(MediaUnreadableError, match="no plain file"):
            loan.lay(root / "shot" / "pipe.png", "", tmp_path / "job" / "pipe.png")
    assert held_open() == before


def held_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_reading_a_shared_file_can_be_cancelled(root: Path, tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with Loan(SharedFiles(), cancel) as loan, pytest.raises(Cancelled):
        loan.lay(root / "still.png", "a" * 64, tmp_path / "x.png")


# the client's side


def placed(path: Path, folders: dict[str, Path]) -> tuple[str, str] | None:
    return shared(make_ready(ShotRequest(path, "#336699")), folders).plate.shared


def test_paths_are_those_of_the_mapping(root: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "mnt"
    mounted.symlink_to(root)
    folders = {"footage": mounted}
    assert placed(mounted / "still.png", folders) == ("footage", "still.png")
    assert placed(root / "shot" / "plate.%04d.png", folders) == ("footage", "shot/plate.%04d.png")
    assert placed(mounted / "shot" / "plate.1002.png", folders) == ("footage", "shot/plate.%04d.png")
    assert placed(mounted / "inner.png", folders) == ("footage", "inner.png")
    assert placed(mounted / "shot", folders | {"near": root / "shot"}) == ("near", "plate.%04d.png")
    assert placed(mounted / "link.png", folders) is None
    assert placed(tmp_path / "outside.png", folders) is None
    assert placed(mounted / "still.png", {}) is None


@pytest.mark.parametrize("name", ["a:b.png", "50%.1001.png", "caf\udce9.png"])
def test_names_that_a_path_cannot_say_are_sent_as_bytes(root: Path, name: str) -> None:
    path = root / name
    try:
        path.write_bytes(b"12345")
    except OSError:
        pytest.skip("this disk has no such names")
    assert find_clip(path, "plate").files[0].path == path
    assert placed(path, {"footage": root}) is None


def test_mappings_come_from_the_configuration_and_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "client.toml"
    monkeypatch.setenv("ANYPORTAL_CLIENT_CONFIG", str(file))
    assert read_mappings() == {}
    file.write_text('[mappings]\nfootage = "/mnt/nas"\nplates = "/mnt/plates"\n')
    assert read_mappings(["plates=/elsewhere"]) == {"footage": Path("/mnt/nas"), "plates": Path("/elsewhere")}


@pytest.mark.parametrize("text", ["[mappings", "mappings = 5", "[mappings]\nfootage = 5"])
def test_a_configuration_that_makes_no_sense_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    file = tmp_path / "client.toml"
    file.write_text(text)
    monkeypatch.setenv("ANYPORTAL_CLIENT_CONFIG", str(file))
    with pytest.raises(UsageError) as caught:
        read_mappings()
    assert caught.value.where == str(file)


@pytest.mark.parametrize("pair", ["footage", "=/mnt", "footage="])
def test_half_a_mapping_is_told(pair: str, no_configuration: Callable[[], None]) -> None:
    with pytest.raises(UsageError):
        read_mappings([pair])


@pytest.fixture
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_CLIENT_CONFIG", str(tmp_path / "none.toml"))

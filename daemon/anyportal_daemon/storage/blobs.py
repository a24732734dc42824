"""The port of the blob store: bytes named by their SHA-256, each belonging to the users who have shown them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from anyportal_daemon.errors import BlobError
from anyportal_daemon.storage.shares import Possession
from anyportal_daemon.storage.shelf import Kind, Shelf, Total

_DIGEST = re.compile(r"[0-9a-f]{64}")
CHUNK = 256 * 1024
"""Bytes of one message, and of one step when files are hashed."""

SILENT = 10.0
"""Seconds without a byte after which another call may take an upload over: a connection may go without a word."""

BEGUN = 256
"""Uploads that a user may have begun and not ended: of files that hold next to nothing a disk takes only so many."""

AGAIN = "upload it, or run its job, again"
"""What to do about bytes that are damaged."""


@dataclass(frozen=True)
class BlobId:
    """Bytes, named by what they are.

    Raises:
        BlobError: no SHA-256 of 64 lower-case hexadecimal digits, or a negative size.
    """

    sha256: str
    size: int

    def __post_init__(self) -> None:
        if not _DIGEST.fullmatch(self.sha256):
            raise BlobError(f"'{self.sha256[:80]}' is no SHA-256", hint="write 64 lower-case hexadecimal digits")
        if self.size < 0:
            raise BlobError(f"a blob cannot have {self.size} bytes")


class Upload(Protocol):
    """One user's upload of one blob, open for writing. Safe to close from another thread while it writes."""

    @property
    def committed(self) -> int:
        """Bytes that are stored; the next ones go here."""
        ...

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            BlobError: more bytes than announced; none of them is kept.
            DiskFullError: what fitted is kept.
        """
        ...

    def finish(self) -> bool:
        """Check the digest, where all bytes are there, and give the blob to the user. False while some are missing.

        Raises:
            DigestError: other bytes than announced; the upload starts again at 0.
        """
        ...

    def close(self) -> None:
        """Let go; what is committed stays."""
        ...


class BlobStore(Protocol):
    """Possession is per user: a blob is missing for a user until that user has uploaded it whole or been given it.

    ``shelves`` are the blobs and the partial uploads as what they are to a budget: things of a size that were used
    at some time. To name a blob as there, to read it and to give it to somebody counts as a use.
    ``silent`` are the seconds without a byte after which an upload may be taken over, ``begun`` the uploads that a user
    may have begun: for a further one that is written to least lately goes, of those that are not open.
    """

    silent: float
    begun: int

    @property
    def shelves(self) -> Sequence[Shelf]: ...

    def missing(self, user: str, blobs: Iterable[BlobId]) -> list[BlobId]:
        """Those the user does not have, each once, in the order given."""
        ...

    def committed(self, user: str, blob: BlobId) -> int:
        """How far the user's upload has come; the blob's size when the user has it."""
        ...

    def receive(self, user: str, blob: BlobId, offset: int) -> Upload:
        """Open the user's upload at ``offset``. One that is open still and has fallen silent is closed.

        Of an upload that nothing is written to nothing stays.

        Raises:
            UploadOffsetError: not the committed size; ``facts["committed_bytes"]`` says it.
            UploadBusyError: it is open already, and not silent.
        """
        ...

    def open(self, user: str, blob: BlobId) -> BinaryIO:
        """The blob's bytes.

        Raises:
            BlobNotFoundError: there is none, or no longer, or the user does not have it.
            BlobCorruptError: the stored bytes have another size.
        """
        ...

    def grant(self, user: str, blobs: Sequence[BlobId]) -> None:
        """Give stored blobs to a user: a job of theirs made them.

        Raises:
            StorageError: the bytes are not in the store.
        """
        ...

    def fetched(self, user: str, blob: BlobId) -> None:
        """The user has read a blob to its end."""
        ...

    def unfetched(self, sha256: str) -> set[str]:
        """The users who were given it and have not read it to its end since."""
        ...

    def all_unfetched(self) -> Mapping[str, Collection[str]]:
        """By user, the digests of all that they were given and have not read to its end since."""
        ...

    def maker(self, sha256: str) -> str | None:
        """A user to whom it was given, because a job of theirs has made it; None: no job has."""
        ...

    def holdings(self, user: str) -> Mapping[Kind, Total]:
        """What a user has."""
        ...

    def possessed(self) -> Iterable[Possession]:
        """All blobs and uploads that somebody has, by their names on the shelves; once for each who has them."""
        ...

    def release(self, user: str, blobs: Iterable[BlobId]) -> None:
        """Take blobs from a user.

        Bytes that nobody has any more are deleted, once nobody is ``holding`` who was then, or has seen them since.
        """
        ...

    def holding(self) -> AbstractContextManager[None]:
        """While this is open no bytes are deleted: a worker counts on those it has seen to be there."""
        ...

    def damaged(self, blob: BlobId) -> None:
        """Bytes turned out to be others than they are called: the blob is missing for everybody who had it."""
        ...

    def sweep(self) -> None:
        """Delete bytes that belong to nobody, as a killed worker leaves them, but for those that ``holding`` keeps."""
        ...

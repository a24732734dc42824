"""What a call can end with other than a result. Every error says what happened, where, and what to do about it.

ClientError
├── UsageError         2   the call itself cannot be carried out as it was put
├── MediaError         3   footage that cannot be used, here or by the daemon
├── RecipeError        4   a preset, plug-in, setting, layer or format
├── DaemonError        5   the daemon is not there, is not ready, or does not speak to us
├── JobError           6   the job failed for another reason
├── StorageError       7   a disk is full or refuses, here or at the daemon
├── MissingExtraError  8   a package that is not installed
├── BatchError         9   some shots of a batch failed
├── InternalError      1   a bug
└── Cancelled        130   somebody asked for the end

The number is `exit_code`, what the command `anyportal` ends with. `code` is a word for programs; docs/errors.md
lists them all. Which code belongs to which class is said once, in KINDS below.
"""

from __future__ import annotations

from typing import ClassVar


class ClientError(Exception):
    """Base of all errors that are meant for a person to read.

    Args:
        message: what happened, one sentence.
        code: the word for programs; each class has a usual one.
        where: the file, field or address it happened at.
        hint: what to do about it.
        job: the job it belongs to, `jobs/{id}`.
    """

    exit_code: ClassVar[int] = 1
    usual_code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, code: str = "", where: str = "", hint: str = "", job: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.usual_code
        self.where = where
        self.hint = hint
        self.job = job

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.code, self.where, self.hint, self.job)


def _rebuild(kind: type[ClientError], message: str, code: str, where: str, hint: str, job: str) -> ClientError:
    return kind(message, code=code, where=where, hint=hint, job=job)


class InternalError(ClientError):
    pass


class UsageError(ClientError):
    exit_code = 2
    usual_code = "USAGE"


class MediaError(ClientError):
    exit_code = 3
    usual_code = "INPUT"


class RecipeError(ClientError):
    exit_code = 4
    usual_code = "RECIPE"


class DaemonError(ClientError):
    exit_code = 5
    usual_code = "UNREACHABLE"


class JobError(ClientError):
    exit_code = 6
    usual_code = "JOB_FAILED"


class StorageError(ClientError):
    exit_code = 7
    usual_code = "STORAGE"


class MissingExtraError(ClientError):
    exit_code = 8
    usual_code = "MISSING_EXTRA"


class BatchError(ClientError):
    exit_code = 9
    usual_code = "BATCH"


class Cancelled(ClientError):
    exit_code = 130
    usual_code = "CANCELLED"


_CODES: dict[type[ClientError], str] = {
    InternalError: "INTERNAL",
    UsageError: "USAGE FILE_EXISTS HOST_NOT_FOUND JOB_NOT_FOUND JOB_STATE PAGE_TOKEN REQUEST_ID CONFIG ADDRESS START "
    "UNSAFE CERTIFICATE USER",
    MediaError: "INPUT MEDIA_NOT_FOUND MEDIA_UNREADABLE MEDIA_CHANGED MISSING_FRAMES FRAME_RANGE SIZE_MISMATCH "
    "LENGTH_MISMATCH NON_FINITE_PIXELS NO_FOREGROUND SHOT",
    RecipeError: "RECIPE UNKNOWN_NAME UNSUPPORTED_BACKDROP",
    DaemonError: "UNREACHABLE TOKEN SCOPE RATE SILENT MESSAGE STARTING STOPPING DRAINING TIMEOUT INCOMPATIBLE "
    "START_FAILED UPLOAD_BUSY QUOTA NOT_SECURE UNTRUSTED CA_CHANGED",
    JobError: "JOB_FAILED WORKER WORKER_LOST DAEMON_STOPPED GPU_TOO_SMALL NON_FINITE_LATENTS "
    "OUT_OF_GPU_MEMORY MEMORY_LIMIT TIME_LIMIT",
    StorageError: "STORAGE DISK_FULL DIGEST BLOB_CORRUPT BLOB_NOT_FOUND BLOBS_MISSING",
    MissingExtraError: "MISSING_EXTRA MODEL MODEL_NOT_FOUND CHECKPOINT",
    BatchError: "BATCH",
    Cancelled: "CANCELLED",
}
KINDS: dict[str, type[ClientError]] = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
"""The class of each code."""


def error_of(
    code: str,
    message: str,
    *,
    where: str = "",
    hint: str = "",
    job: str = "",
    otherwise: type[ClientError] = InternalError,
) -> ClientError:
    """The error that a code stands for; `otherwise` for a code that this client does not know."""
    kind = KINDS.get(code, otherwise)
    return kind(message, code=code, where=where, hint=hint, job=job)

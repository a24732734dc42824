"""The error family. Every error says what happened, where, and what to do about it.

AnyPortalError
├── InputError                  what the user gave cannot be used
│   ├── MediaNotFoundError      MEDIA_NOT_FOUND      no such file or sequence
│   ├── MediaUnreadableError    MEDIA_UNREADABLE     empty, truncated, not media, unknown codec
│   ├── MediaChangedError       MEDIA_CHANGED        a file changed while it was used
│   ├── MissingFramesError      MISSING_FRAMES       a sequence has holes inside the range
│   ├── FrameRangeError         FRAME_RANGE          a range outside the clip, empty or malformed
│   ├── SizeMismatchError       SIZE_MISMATCH        frames or a matte of another size
│   ├── LengthMismatchError     LENGTH_MISMATCH      a matte of another length
│   ├── NonFinitePixelsError    NON_FINITE_PIXELS    NaN or infinity in a plate
│   ├── NoForegroundError       NO_FOREGROUND        nobody found, or an empty matte
│   └── ShotError               SHOT                 anything else about a shot that cannot work
├── RecipeError                 RECIPE               a setting of the wrong kind or out of its range
│   ├── UnknownNameError        UNKNOWN_NAME         no such preset, plug-in, setting, layer or format
│   └── UnsupportedBackdropError UNSUPPORTED_BACKDROP this preset cannot make that backdrop
├── StorageError                STORAGE              the disk refused
│   └── DiskFullError           DISK_FULL
├── ModelError                  MODEL                a model that cannot be used as it is
│   ├── ModelNotFoundError      MODEL_NOT_FOUND      its files are not where they were looked for
│   ├── CheckpointError         CHECKPOINT           unreadable weights, or of another network
│   ├── NonFiniteLatentsError   NON_FINITE_LATENTS   a model ran out of its numbers' range
│   ├── GpuTooSmallError        GPU_TOO_SMALL        a model that does not fit the GPU's memory
│   └── OutOfGpuMemoryError     OUT_OF_GPU_MEMORY    the GPU's memory was full while a model ran
├── MissingExtraError           MISSING_EXTRA        a package of an extra is not installed
└── Cancelled                   CANCELLED            the user asked for it
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import ClassVar

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}


class AnyPortalError(Exception):
    """Base of all errors that are meant for a person to read.

    Args:
        message: what happened, one sentence.
        where: the file, field or frame it happened at; ``field`` paths use dots (``recipe.settings.matte``).
        hint: what to do about it.
    """

    code: ClassVar[str] = "ANYPORTAL"

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross the worker's pipe: keep the keyword arguments.
        return _rebuild, (type(self), self.message, self.where, self.hint)


def _rebuild(kind: type[AnyPortalError], message: str, where: str, hint: str) -> AnyPortalError:
    return kind(message, where=where, hint=hint)


class InputError(AnyPortalError):
    code = "INPUT"


class MediaNotFoundError(InputError):
    code = "MEDIA_NOT_FOUND"


class MediaUnreadableError(InputError):
    code = "MEDIA_UNREADABLE"


class MediaChangedError(InputError):
    code = "MEDIA_CHANGED"


class MissingFramesError(InputError):
    code = "MISSING_FRAMES"


class FrameRangeError(InputError):
    code = "FRAME_RANGE"


class SizeMismatchError(InputError):
    code = "SIZE_MISMATCH"


class LengthMismatchError(InputError):
    code = "LENGTH_MISMATCH"


class NonFinitePixelsError(InputError):
    code = "NON_FINITE_PIXELS"


class NoForegroundError(InputError):
    code = "NO_FOREGROUND"


class ShotError(InputError):
    code = "SHOT"


class RecipeError(AnyPortalError):
    code = "RECIPE"


class UnknownNameError(RecipeError):
    code = "UNKNOWN_NAME"


class UnsupportedBackdropError(RecipeError):
    code = "UNSUPPORTED_BACKDROP"


class StorageError(AnyPortalError):
    code = "STORAGE"


class DiskFullError(StorageError):
    code = "DISK_FULL"


class ModelError(AnyPortalError):
    code = "MODEL"


class ModelNotFoundError(ModelError):
    code = "MODEL_NOT_FOUND"


class CheckpointError(ModelError):
    code = "CHECKPOINT"


class NonFiniteLatentsError(ModelError):
    code = "NON_FINITE_LATENTS"


class GpuTooSmallError(ModelError):
    code = "GPU_TOO_SMALL"


class OutOfGpuMemoryError(ModelError):
    code = "OUT_OF_GPU_MEMORY"


class MissingExtraError(AnyPortalError):
    code = "MISSING_EXTRA"


class Cancelled(AnyPortalError):
    code = "CANCELLED"


def unknown_name(kind: str, name: str, known: Iterable[str], *, where: str = "") -> UnknownNameError:
    """An error for a name that nobody knows, with the nearest known ones as the hint."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    all_known = f"known: {', '.join(known)}"
    hint = f"did you mean {' or '.join(near)}?" if near else all_known
    if near and len(known) <= 8:
        hint = f"{hint} {all_known}"
    return UnknownNameError(f"there is no {kind} '{name}'", where=where, hint=hint)


def storage_error(error: Exception, path: object) -> StorageError:
    """The right error for a disk that refused: an OSError, or a library's that carries ``errno`` as it does."""
    number, said = getattr(error, "errno", None), getattr(error, "strerror", None)
    if number in _FULL:
        hint = "free some space or choose another folder, then run it again"
        return DiskFullError("the disk is full", where=str(path), hint=hint)
    return StorageError(
        f"cannot be written ({said or error})", where=str(path), hint="check the folder and its permissions"
    )

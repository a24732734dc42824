"""What all writers share: names of results, files that appear only when finished, errors of the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av

from anyportal_core.errors import StorageError, storage_error
from anyportal_core.frames import Image

MOVIES = ("mp4", "h265", "prores", "prores4444", "dnxhr")
"""Formats that hold a whole shot in one file."""

_SUFFIXES = {
    "mp4": ".mp4",
    "h265": ".mp4",
    "prores": ".mov",
    "prores4444": ".mov",
    "dnxhr": ".mov",
    "png": ".png",
    "tiff": ".tif",
    "exr": ".exr",
}


@dataclass(frozen=True)
class Written:
    """A finished file: the layers in it, and its frame number where it is one of a sequence."""

    layers: tuple[str, ...]
    path: Path
    number: int | None


class Writer(Protocol):
    """Takes the frames of a shot in ascending order; ``close`` or ``abort`` ends it."""

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        """Take one frame and say which files are finished by it.

        Args:
            layers: at least those asked for: ``(H, W, 3)`` in the plate's encoding; ``matte`` ``(H, W)`` 0..1;
                ``gain`` ``(H, W, 3)`` linear.

        Raises:
            DiskFullError, StorageError: the file could not be written.
        """
        ...

    def close(self) -> list[Written]:
        """Finish what is still open and say which files that finished."""
        ...

    def abort(self) -> None:
        """Remove what is not finished."""
        ...


def result_name(stem: str, layer: str, form: str, number: int | None = None) -> str:
    """The file name of a layer.

    The comp has the bare stem, other layers add their name; sequences carry the plate's frame number in four
    digits or more: ``shot.mp4``, ``shot_matte.mov``, ``shot_foreground.1001.png``. An EXR holds all layers and
    is named as a comp: ``shot.1001.exr``.
    """
    name = stem if layer == "comp" or form == "exr" else f"{stem}_{layer}"
    return f"{name}{_SUFFIXES[form]}" if number is None else f"{name}.{number:04d}{_SUFFIXES[form]}"


def refuse_overwriting(folder: Path, names: Iterable[str], inputs: Iterable[Path]) -> None:
    """Raise where a result would take the place of something that the shot is made from."""
    folder = folder.resolve()
    taken = {path.name for path in inputs if path.parent.resolve() == folder}
    found = next((name for name in names if name in taken), None)
    if found is not None:
        raise StorageError(
            "the result would overwrite what it is made from",
            where=str(folder / found),
            hint="choose another folder or name",
        )


def part_of(path: Path) -> Path:
    """Where a file grows until it is finished."""
    return path.with_name(path.name + ".part")


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file; it appears complete or not at all."""
    part = part_of(path)
    with storage_errors(path):
        try:
            part.write_bytes(content)
            part.replace(path)
        except BaseException:
            remove(part)
            raise


def remove(part: Path) -> None:
    with suppress(OSError):
        part.unlink()


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the disk says into errors that name the file."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        raise storage_error(error, path) from error

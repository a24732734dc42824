"""Results on disk: the delivered layers as movies, PNG sequences or layered EXR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from anyportal_core.errors import unknown_name
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.exr import ExrWriter, Windows
from anyportal_core.media.movie_out import MovieWriter
from anyportal_core.media.output import Writer, Written, result_name, storage_errors
from anyportal_core.media.png import PngWriter

__all__ = ["Writer", "Written", "open_writer", "result_name"]

_FORMATS = ("mp4", "prores", "png", "exr")


def open_writer(
    format: str,
    folder: Path,
    stem: str,
    layers: Sequence[str],
    info: ClipInfo,
    rate: Fraction,
    header: Mapping[str, str],
    windows: Windows | None = None,
) -> Writer:
    """A writer of one shot's layers. Files appear only when they are finished.

    Args:
        format: ``mp4``, ``prores``, ``png`` or ``exr`` (``auto`` is resolved by the caller).
        folder: made where it is not there.
        stem: begins every file's name, see ``result_name``.
        info: of the plate: size, encoding, windows, timecode and date of the results.
        rate: frames a second of movies.
        header: attributes for EXR headers.
        windows: display and data window of each frame of the plate, for EXR; as ``info`` says where left out.

    Raises:
        UnknownNameError: no such format.
        StorageError: the folder cannot be made.
    """
    if format not in _FORMATS:
        raise unknown_name("format", format, _FORMATS, where="delivery.format")
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if format == "exr":
        return ExrWriter(folder, stem, layers, info, rate, header, windows)
    if format == "png":
        return PngWriter(folder, stem, layers, info)
    return MovieWriter(format, folder, stem, layers, info, rate)

"""Results on disk: the delivered layers as movies, PNG or TIFF sequences, or layered EXR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from anyportal_core.errors import unknown_name
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.exr import ExrWriter, Windows
from anyportal_core.media.movie_formats import MOVIE_FORMATS, check_size
from anyportal_core.media.movie_out import MovieWriter
from anyportal_core.media.output import Writer, Written, result_name, storage_errors
from anyportal_core.media.png import PngWriter
from anyportal_core.media.sound import Sound
from anyportal_core.media.tiff import TiffWriter

__all__ = ["Writer", "Written", "check_size", "open_writer", "result_name"]

_FORMATS = (*MOVIE_FORMATS, "png", "tiff", "exr")


def open_writer(
    format: str,
    folder: Path,
    stem: str,
    layers: Sequence[str],
    info: ClipInfo,
    rate: Fraction,
    header: Mapping[str, str],
    windows: Windows | None = None,
    sound: Sound | None = None,
    wanted: Encoding | None = None,
) -> Writer:
    """A writer of one shot's layers. Files appear only when they are finished.

    Args:
        format: of ``anyportal_core.delivery.FORMATS`` (``auto`` is resolved by the caller).
        folder: made where it is not there.
        stem: begins every file's name, see ``result_name``.
        info: of the plate: size, encoding, windows, timecode and date of the results.
        rate: frames a second of movies.
        header: attributes for EXR headers.
        windows: display and data window of each frame of the plate, for EXR; as ``info`` says where left out.
        sound: to go with the first layer's movie.
        wanted: what movies, PNG and TIFF are to be in, in place of the plate's own encoding.

    Raises:
        UnknownNameError: no such format.
        ShotError: the format cannot hold pictures of the plate's size.
        StorageError: the folder cannot be made.
    """
    if format not in _FORMATS:
        raise unknown_name("format", format, _FORMATS, where="delivery.format")
    check_size(format, info.width, info.height)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if format == "exr":
        return ExrWriter(folder, stem, layers, info, rate, header, windows)
    if format == "png":
        return PngWriter(folder, stem, layers, info, wanted)
    if format == "tiff":
        return TiffWriter(folder, stem, layers, info, wanted)
    return MovieWriter(format, folder, stem, layers, info, rate, sound, wanted)

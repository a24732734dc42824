"""Results on disk: the delivered layers as movies, PNG or TIFF sequences, or layered EXR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from anyportal_core.errors import unknown_name
from anyportal_core.media.behind import Behind
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.cropped import CroppedWriter, without_overscan
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.exr import ExrWriter, Headers, Windows
from anyportal_core.media.movie_formats import MOVIE_FORMATS, check_size
from anyportal_core.media.movie_out import MovieWriter
from anyportal_core.media.output import Writer, Written, result_name, storage_errors
from anyportal_core.media.png import PngWriter
from anyportal_core.media.shown import require_integers
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
    headers: Headers | None = None,
    compression: str = "zip",
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
        wanted: what results are to be in, in place of the plate's own encoding (of EXR: of its light).
        headers: what the file of each frame of the plate says about the shot, for EXR.
        compression: of EXR.

    Raises:
        UnknownNameError: no such format.
        ShotError: the format cannot hold pictures of the plate's size, or the light that is wanted.
        StorageError: the folder cannot be made.
    """
    if format not in _FORMATS:
        raise unknown_name("format", format, _FORMATS, where="delivery.format")
    shown = info if format == "exr" else without_overscan(info)
    check_size(format, shown.width, shown.height)
    if format != "exr":
        require_integers(wanted)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if format == "exr":
        return ExrWriter(folder, stem, layers, info, rate, header, windows, headers, compression, wanted)
    writer: Writer
    if format == "png":
        writer = PngWriter(folder, stem, layers, shown, wanted)
    elif format == "tiff":
        writer = TiffWriter(folder, stem, layers, shown, wanted)
    else:
        writer = Behind(MovieWriter(format, folder, stem, layers, shown, rate, sound, wanted), {*layers, "matte"})
    return CroppedWriter(writer, info) if any(info.margins) else writer

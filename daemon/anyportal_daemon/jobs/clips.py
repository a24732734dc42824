"""Clip manifests: checked, and asked what they name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from anyportal.v1 import media_pb2
from anyportal_core.errors import ShotError
from anyportal_core.frames import LARGEST_NUMBER
from anyportal_core.registry import BackdropKind
from anyportal_daemon.errors import BlobError
from anyportal_daemon.jobs.texts import check_printable
from anyportal_daemon.storage.blobs import BlobId

MAX_FRAMES = 100_000
MAX_RATE = 1000
_LARGEST_TERM = 2**31 - 1
"""What media files hold of a rate's terms."""
_MAX_TIMECODE = 32
_MAX_COLOUR_SPACE = 200
MAX_TITLE = 200
"""Bytes of what results are named by: layer, frame number and ending are added to it."""
_PATTERN = re.compile(r"[^%]*%(0\d\d?)?d[^%]*")
_BAD_NAME = re.compile(r'[/\\:*?"<>|]')
_STILLS = frozenset(
    [".bmp", ".cin", ".dpx", ".exr", ".hdr", ".jpeg", ".jpg", ".png", ".sgi", ".tga", ".tif", ".tiff", ".webp"]
)


def check_clip(clip: media_pb2.ClipManifest, field: str) -> None:
    """Check what a manifest says, as far as that goes without its bytes.

    Raises:
        ShotError, BlobError: ``where`` is the path of the field at fault.
    """
    content = clip.WhichOneof("content")
    if content == "file":
        check_filename(clip.file.filename, f"{field}.file.filename")
        blob_id(clip.file.blob, f"{field}.file.blob")
        if clip.file.HasField("span"):
            _check_span(clip.file.span, f"{field}.file.span")
    elif content == "shared":
        _check_shared(clip.shared, f"{field}.shared")
    elif content == "sequence":
        _check_sequence(clip.sequence, f"{field}.sequence")
    elif content is None:
        raise ShotError("names no media", where=field, hint="give a file, a sequence or a shared path")
    if len(clip.colour_space) > _MAX_COLOUR_SPACE:
        hint = f"give a name of at most {_MAX_COLOUR_SPACE} characters"
        raise ShotError(
            f"'{clip.colour_space[:80]}' is no colour space's name", where=f"{field}.colour_space", hint=hint
        )
    check_printable(clip.colour_space, f"{field}.colour_space")
    if clip.HasField("frame_rate"):
        _check_rate(clip.frame_rate, f"{field}.frame_rate")


def _check_rate(rate: media_pb2.Rational, field: str) -> None:
    up, down = rate.numerator, rate.denominator
    if not (0 < up <= _LARGEST_TERM and 0 < down <= _LARGEST_TERM and up <= MAX_RATE * down):
        hint = f"give more than 0 and at most {MAX_RATE} frames a second, in terms of 32 bits"
        raise ShotError(f"{up}/{down} is no frame rate", where=field, hint=hint)


def check_filename(name: str, field: str, most: int = 255) -> None:
    """A name for one file in a folder: never a path.

    Raises:
        ShotError: empty, longer than ``most`` bytes, or with a character that names a folder or a device somewhere.
    """
    if not name or name in (".", "..") or len(name.encode()) > most:
        raise ShotError(f"'{name[:80]}' is no file name", where=field, hint=f"give a name of 1 to {most} bytes")
    check_printable(name, field)
    if _BAD_NAME.search(name):
        raise ShotError(
            f"'{name}' is no plain file name", where=field, hint='leave out / \\ : * ? " < > | and control characters'
        )


def _check_span(span: media_pb2.MovieSpan, field: str) -> None:
    if not 0 <= span.first_frame < span.frame_count <= _LARGEST_TERM:
        raise ShotError(
            f"frame {span.first_frame} is none of {span.frame_count}",
            where=f"{field}.first_frame",
            hint="give the first frame's number and the number of frames of the whole movie",
        )
    _check_rate(span.frame_rate, f"{field}.frame_rate")
    check_printable(span.timecode, f"{field}.timecode")
    if len(span.timecode) > _MAX_TIMECODE:
        raise ShotError("this is no timecode", where=f"{field}.timecode", hint="write HH:MM:SS:FF, or nothing")


def _check_shared(shared: media_pb2.SharedMedia, field: str) -> None:
    """What is said of the content of shared files; the path itself is the business of `SharedFolders`."""
    check_printable(shared.path, f"{field}.path")
    check_printable(shared.mapping, f"{field}.mapping")
    if shared.frames:
        _check_pattern(PurePosixPath(shared.path).name, f"{field}.path")
        _check_frames(shared.frames, f"{field}.frames")
    elif shared.HasField("blob"):
        check_filename(PurePosixPath(shared.path).name, f"{field}.path")
        blob_id(shared.blob, f"{field}.blob")


def _check_sequence(sequence: media_pb2.FrameSequence, field: str) -> None:
    _check_pattern(sequence.pattern, f"{field}.pattern")
    _check_frames(sequence.frames, f"{field}.frames")


def _check_pattern(pattern: str, field: str) -> None:
    check_filename(pattern, field)
    if not _PATTERN.fullmatch(pattern):
        raise ShotError(f"'{pattern}' has no place for one number", where=field, hint="write it as plate.%04d.exr")


def _check_frames(frames: Sequence[media_pb2.SequenceFrame], field: str) -> None:
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise ShotError(f"a sequence of {len(frames)} frames", where=field, hint=f"give 1 to {MAX_FRAMES}")
    previous = None
    for index, frame in enumerate(frames):
        if previous is not None and frame.number <= previous:
            raise ShotError(
                f"frame {frame.number} comes after {previous}",
                where=f"{field}[{index}]",
                hint="list every frame once, in ascending order",
            )
        if abs(frame.number) > LARGEST_NUMBER:
            raise ShotError(f"no frame can have the number {frame.number}", where=f"{field}[{index}].number")
        previous = frame.number
        blob_id(frame.blob, f"{field}[{index}].blob")


def blob_id(blob: media_pb2.Blob, field: str) -> BlobId:
    """What a field names. Raises BlobError where it is no digest and size."""
    try:
        return BlobId(blob.sha256, blob.size_bytes)
    except BlobError as error:
        raise BlobError(error.message, where=field, hint=error.hint) from None


def blobs_of(clip: media_pb2.ClipManifest, field: str) -> Iterator[tuple[str, BlobId]]:
    """The blobs a checked manifest names, each with the path of its field."""
    if clip.HasField("file"):
        yield f"{field}.file.blob", BlobId(clip.file.blob.sha256, clip.file.blob.size_bytes)
    for index, frame in enumerate(clip.sequence.frames):
        yield f"{field}.sequence.frames[{index}].blob", BlobId(frame.blob.sha256, frame.blob.size_bytes)


def names_content(shared: media_pb2.SharedMedia) -> bool:
    """Whether shared media say what their files hold."""
    return bool(shared.frames) or shared.HasField("blob")


def shared_files(shared: media_pb2.SharedMedia, field: str) -> Iterator[tuple[str, str, BlobId]]:
    """The files that shared media name with their content: the path of the field, of the file, and what it holds."""
    if shared.HasField("blob") and not shared.frames:
        yield f"{field}.blob", shared.path, BlobId(shared.blob.sha256, shared.blob.size_bytes)
    path = PurePosixPath(shared.path)
    for index, frame in enumerate(shared.frames):
        file = path.with_name(path.name % frame.number)
        yield f"{field}.frames[{index}].blob", str(file), BlobId(frame.blob.sha256, frame.blob.size_bytes)


def filename_of(clip: media_pb2.ClipManifest) -> str:
    """What a clip is called: a file name, or the pattern of a sequence."""
    if clip.HasField("shared"):
        return PurePosixPath(clip.shared.path).name
    return clip.file.filename or clip.sequence.pattern


def title_of(clip: media_pb2.ClipManifest) -> str:
    """A clip's name without its number and ending: ``plate`` for ``plate.%04d.exr``."""
    stem = PurePosixPath(filename_of(clip)).stem
    title = re.split(r"[._-]?(?:%\d*d|#+|@+)", stem)[0] or "shot"
    return title.encode()[:MAX_TITLE].decode(errors="ignore")


def kind_of(clip: media_pb2.ClipManifest) -> BackdropKind:
    """Whether a backdrop is a still or a clip: one file with an image's ending is a still."""
    name = filename_of(clip)
    numbered = clip.HasField("sequence") or (
        clip.HasField("shared") and not clip.shared.HasField("blob") and re.search(r"%\d*d|#|@", name)
    )
    return "still" if not numbered and PurePosixPath(name).suffix.lower() in _STILLS else "clip"


def digest_of(clip: media_pb2.ClipManifest) -> str:
    """What identifies a clip's content: the file's own digest, or one over a sequence's numbers and digests.

    Not of shared media whose manifest names no content.
    """
    if clip.HasField("file"):
        return clip.file.blob.sha256
    if clip.shared.HasField("blob") and not clip.shared.frames:
        return clip.shared.blob.sha256
    frames = clip.shared.frames or clip.sequence.frames
    lines = "".join(f"{frame.number} {frame.blob.sha256}\n" for frame in frames)
    return hashlib.sha256(lines.encode()).hexdigest()

"""Media on this machine: what a path means, which files it stands for, and what goes over the wire."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from anyportal.v1 import media_pb2
from anyportal_client.errors import MediaError
from anyportal_client.patterns import has_counter
from anyportal_client.request import IMAGE_ENDINGS, MOVIE_ENDINGS, FrameNumbers, sendable_name
from anyportal_client.spans import Span

_FRAME = re.compile(r"(?P<before>.+\.)(?P<number>\d+)(?P<after>\.\w+)")
_NAMED = 6
"""How many clips of a folder a message names."""


@dataclass(frozen=True)
class LocalFile:
    """A file of a clip; `number` is its frame where it is one of a sequence."""

    path: Path
    number: int | None = None


@dataclass(frozen=True)
class Clip:
    """A movie, a still or a sequence that lies on this machine.

    Args:
        path: as the user wrote it, for messages.
        files: one, or the frames of a sequence in ascending order.
        pattern: what the files are called, as it can be sent; printf style for a sequence. No folders.
        count: frames, where that is known.
        span: the file is a part of the movie; its place in the whole.
        shared: where the daemon finds the files itself: a mapping's name, and the path below its root.
    """

    path: Path
    kind: Literal["movie", "still", "sequence"]
    files: tuple[LocalFile, ...]
    pattern: str
    count: int | None = None
    span: Span | None = None
    shared: tuple[str, str] | None = None

    @property
    def numbers(self) -> list[int]:
        """The frame numbers of a sequence."""
        return [file.number for file in self.files if file.number is not None]

    @property
    def title(self) -> str:
        """The name without counter and ending: what the results are named after where nothing else is said."""
        return re.split(r"[._-]?%\d*d", Path(self.pattern).stem)[0] or "shot"

    def only(self, wanted: Iterable[int]) -> Clip:
        """The same sequence with those frames alone."""
        keep = set(wanted)
        files = tuple(file for file in self.files if file.number in keep)
        return replace(self, files=files, count=len(files))

    def manifest(
        self,
        blob: Callable[[Path], media_pb2.Blob],
        frame_rate: Fraction | None = None,
        colour_space: str = "",
    ) -> media_pb2.ClipManifest:
        """How the clip is described to the daemon; `blob` gives the digest and size of a file."""
        manifest = media_pb2.ClipManifest(colour_space=colour_space)
        if frame_rate is not None:
            manifest.frame_rate.CopyFrom(_rational(frame_rate))
        if self.shared is not None:
            manifest.shared.mapping, manifest.shared.path = self.shared
        if self.kind == "sequence":
            frames = (media_pb2.SequenceFrame(number=file.number or 0, blob=blob(file.path)) for file in self.files)
            if self.shared is not None:
                manifest.shared.frames.extend(frames)
                return manifest
            manifest.sequence.pattern = self.pattern
            manifest.sequence.frames.extend(frames)
            return manifest
        whole = blob(self.files[0].path)
        if self.shared is not None:
            manifest.shared.blob.CopyFrom(whole)
            return manifest
        manifest.file.filename = self.pattern
        manifest.file.blob.CopyFrom(whole)
        if self.span is not None:
            manifest.file.span.CopyFrom(_span(self.span))
        return manifest


def _span(span: Span) -> media_pb2.MovieSpan:
    return media_pb2.MovieSpan(
        first_frame=span.first, frame_count=span.count, frame_rate=_rational(span.rate), timecode=span.timecode
    )


def _rational(rate: Fraction) -> media_pb2.Rational:
    return media_pb2.Rational(numerator=rate.numerator, denominator=rate.denominator)


def find_clip(path: Path, what: str, filled: bool = False) -> Clip:
    """Find the files that a path stands for; those of a sequence unread, since not all may be needed.

    Args:
        path: a movie, a still, a folder with one sequence, or a sequence in printf or fileseq notation.
        what: what it is to the user: plate, matte, ...
        filled: something stands in for frames that a pattern names and nobody finds.

    Raises:
        MediaError: MEDIA_NOT_FOUND or MEDIA_UNREADABLE; MISSING_FRAMES.
    """
    if path.is_dir():
        clip = _in_folder(path, what)
    elif path.exists():
        clip = _single(path)
    elif has_counter(path.name):
        clip = _by_pattern(path, what, filled)
    else:
        raise _not_found(path, what)
    if clip.kind != "sequence":
        check_files(clip, what)
    return replace(clip, count=_probe(clip.files[0].path, what)) if clip.kind == "movie" else clip


def check_files(clip: Clip, what: str) -> None:
    """Make sure that each file of a clip can be read.

    Raises:
        MediaError: MEDIA_NOT_FOUND or MEDIA_UNREADABLE.
    """
    for file in clip.files:
        _check_readable(file.path, what)


def as_numbered(clip: Clip) -> Clip:
    """A still called `plate.1001.exr` as that frame of its sequence, so that its result is frame 1001 too.

    Any other clip as it is: `plate.jpg`, and `IMG_1001.jpg`, are frame 0.
    """
    found = _FRAME.fullmatch(clip.path.name) if clip.kind == "still" else None
    if found is None or int(found["number"]) >= 2**31:
        return clip
    counter = f"%0{len(found['number'])}d" if len(found["number"]) > 1 else "%d"
    pattern = sendable_name(found["before"].replace("%", "_") + counter + found["after"])
    return replace(clip, kind="sequence", files=(LocalFile(clip.path, int(found["number"])),), pattern=pattern)


def _single(path: Path) -> Clip:
    kind: Literal["movie", "still"] = "still" if path.suffix.lower() in IMAGE_ENDINGS else "movie"
    return Clip(path, kind, (LocalFile(path),), sendable_name(path.name), count=1 if kind == "still" else None)


def _by_pattern(path: Path, what: str, filled: bool) -> Clip:
    from fileseq.constants import PAD_STYLE_HASH1, PAD_STYLE_HASH4
    from fileseq.exceptions import FileSeqException
    from fileseq.filesequence import FileSequence

    # '####' means four digits to everybody but fileseq, for which one '#' already is four.
    style = PAD_STYLE_HASH1 if "##" in path.name else PAD_STYLE_HASH4
    try:
        asked = FileSequence(path.name, pad_style=style)
    except FileSeqException as error:
        raise _not_found(path, what) from error
    # Not fileseq's own search: to it `[`, `?` and `*` in names of folders and files are wildcards.
    one = re.compile(rf"{re.escape(asked.basename())}-?\d+{re.escape(asked.extension())}")
    names = [name for name in _names_in(path.parent) if one.fullmatch(name)]
    found = list(FileSequence.yield_sequences_in_list(names, using=asked, pad_style=style))
    if len(found) != 1:
        raise _not_found(path, what)
    found[0].setDirname(str(path.parent))
    clip = _sequence(path, found[0])
    frames = asked.frameSet()
    return _narrowed(clip, [int(number) for number in frames], what, filled) if frames else clip


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _narrowed(clip: Clip, wanted: list[int], what: str, filled: bool) -> Clip:
    missing = sorted(set(wanted) - set(clip.numbers))
    if missing and not filled:
        raise MediaError(
            f"the {what} lacks frame{'s' if len(missing) > 1 else ''} {FrameNumbers.of(missing)}",
            code="MISSING_FRAMES",
            where=str(clip.path),
            hint=f"there are {FrameNumbers.of(clip.numbers)}",
        )
    return clip.only(wanted)


def _in_folder(path: Path, what: str) -> Clip:
    from fileseq.filesequence import FileSequence

    found: dict[str, Clip | None] = {}
    for each in FileSequence.findSequencesOnDisk(str(path)):
        ending = each.extension().lower()
        if ending in IMAGE_ENDINGS and each.frameSet():
            clip = _sequence(path, each)
            found[clip.pattern] = clip
        elif ending in IMAGE_ENDINGS | MOVIE_ENDINGS:
            found |= {Path(file).name: None for file in each}
    only = next(iter(found.values())) if len(found) == 1 else None
    if only is not None:
        return only
    if not found:
        raise MediaError(
            f"the {what} is a folder without an image sequence",
            code="MEDIA_NOT_FOUND",
            where=str(path),
            hint="name a movie, or frames such as plate.1001.exr",
        )
    names = sorted(found)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    raise MediaError(
        f"the {what} is a folder and has to hold exactly one sequence, but holds {', '.join(names[:_NAMED])}{more}",
        code="MEDIA_UNREADABLE",
        where=str(path),
        hint=f"name what is meant: {path / names[0]}",
    )


def _sequence(path: Path, sequence: object) -> Clip:
    from fileseq.filesequence import FileSequence

    assert isinstance(sequence, FileSequence)
    numbers = sorted(int(number) for number in sequence.frameSet() or ())
    files = tuple(LocalFile(Path(sequence.frame(number)), number) for number in numbers)
    counter = f"%0{sequence.zfill()}d" if sequence.zfill() > 1 else "%d"
    # A sign of percent in the name would be read as a counter.
    pattern = f"{sequence.basename()}".replace("%", "_") + counter + sequence.extension()
    return Clip(path, "sequence", files, sendable_name(pattern), count=len(files))


def _check_readable(path: Path, what: str) -> None:
    try:
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except FileNotFoundError:
        raise _not_found(path, what) from None
    except OSError as error:
        raise MediaError(
            f"the {what} cannot be read: {error.strerror}", code="MEDIA_UNREADABLE", where=str(path)
        ) from error
    if empty:
        raise MediaError(f"the {what} is empty", code="MEDIA_UNREADABLE", where=str(path), hint="copy the file again")


def _probe(path: Path, what: str) -> int | None:
    """The number of frames of a movie, where its header says so; refuses what is no movie before it is sent."""
    import av

    try:
        with av.open(str(path)) as container:
            streams = container.streams.video
            if not streams:
                raise MediaError(f"the {what} has no picture", code="MEDIA_UNREADABLE", where=str(path))
            return streams[0].frames or None
    except (av.FFmpegError, OSError) as error:
        raise MediaError(
            f"the {what} is no movie that can be read: {getattr(error, 'strerror', error)}",
            code="MEDIA_UNREADABLE",
            where=str(path),
            hint="open it in a player; copy it again if it is cut short",
        ) from error


def _not_found(path: Path, what: str) -> MediaError:
    hint = "check the spelling"
    if path.parent.is_dir():
        import difflib

        near = difflib.get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
        hint = f"did you mean {near[0]}?" if near else "the folder is there, the file is not"
    elif str(path.parent) != ".":
        hint = f"there is no folder {path.parent}"
    return MediaError(f"there is no such {what}", code="MEDIA_NOT_FOUND", where=str(path), hint=hint)

"""Timelines of every format that OpenTimelineIO's adapters read, and what those adapters leave to the caller.

The rate of an EDL, which the file does not say; the media inside an .otioz; the retimes of an FCPXML, which its adapter
passes over; texts that are not UTF-8.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.errors import MediaError
from anyportal_client.otio.adapters import read_file, read_text
from anyportal_client.otio.edl import read_edl
from anyportal_client.otio.fcp7 import take_over_metadata
from anyportal_client.otio.fcpx import read_fcpx
from anyportal_client.otio.schemas import read_newer
from anyportal_client.storage import local_disk

_TOO_NEW = "unsupported schema version"
_TIMECODE = re.compile(r"\b(\d\d:\d\d:\d\d)([:;.,])(\d\d)\b")
_DROPPED = re.compile(r"^\s*FCM:\s*DROP", re.MULTILINE | re.IGNORECASE)
_KEPT = re.compile(r"^\s*FCM:\s*NON", re.MULTILINE | re.IGNORECASE)
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


@dataclass(frozen=True)
class Cut:
    """A timeline that was read.

    Args:
        root: whatever OTIO made of it: a timeline, a collection, a clip.
        base: the folder where its relative paths start.
        notes: what somebody should know of how it was read.
        guessed: the rate that an EDL was read at for want of another.
    """

    root: Any
    base: Path
    notes: tuple[str, ...] = ()
    guessed: float | None = None


@contextmanager
def opened(path: Path, rate: float | None = None, unpack: Path | None = None) -> Iterator[Cut]:
    """Read a timeline; what it brings along is there until the end of the block.

    Args:
        path: its format is told by its ending.
        rate: of an EDL; guessed where it is not given.
        unpack: the folder where the media of an .otioz go, and stay; None for one that is taken away again.

    Raises:
        MediaError: it is not there, or cannot be read.
    """
    if path.suffix.lower() != ".otioz":
        yield read_cut(path, rate)
        return
    if unpack is not None:
        folder = unpack / f"{path.stem}_media"
        _unpacked(path, folder)
        yield Cut(read_timeline(path), folder)
        return
    with tempfile.TemporaryDirectory(prefix="anyportal_") as aside:
        _unpacked(path, Path(aside) / "bundle")
        yield Cut(read_timeline(path), Path(aside) / "bundle")


def read_cut(path: Path, rate: float | None = None) -> Cut:
    """A timeline of any format that brings no packed media along.

    Raises:
        MediaError: it is not there, or cannot be read.
    """
    ending = path.suffix.lower()
    base = path.absolute() if ending == ".otiod" else path.absolute().parent
    if ending == ".edl":
        return _edl(path, base, rate)
    if ending == ".fcpxmld":
        return _fcpx(path / "Info.fcpxml", base)
    if ending == ".fcpxml" or (ending == ".xml" and _is_fcpx(path)):
        return _fcpx(path, base)
    if ending == ".otio":
        return _otio(path, base)
    root = read_timeline(path)
    if ending == ".xml":
        take_over_metadata(root)
    return Cut(root, base)


def read_timeline(path: Path) -> Any:
    """Whatever OpenTimelineIO makes of a file; the adapter is found by its ending.

    Raises:
        MediaError: it cannot be read.
    """
    _check_there(path)
    try:
        found = read_file(path)
    except UnicodeDecodeError:
        found = _parsed(path, _text(path))
    except Exception as error:  # adapters let through whatever their parsers raise
        raise _unreadable(path, str(error) or type(error).__name__) from error
    return _checked(path, found)


def _otio(path: Path, base: Path) -> Cut:
    """An ``.otio``, also one of a newer version, where what is new in it does not matter."""
    try:
        return Cut(read_timeline(path), base)
    except MediaError as error:
        if _TOO_NEW not in error.message:
            raise
    try:
        root, note = read_newer(_text(path))
    except Exception as error:  # as above
        raise _unreadable(path, str(error) or type(error).__name__) from error
    return Cut(_checked(path, root), base, (note,) if note else ())


def _check_there(path: Path) -> None:
    if not path.exists():
        raise MediaError("there is no such timeline", code="MEDIA_NOT_FOUND", where=str(path), hint="check the path")


def _parsed(path: Path, text: str) -> Any:
    try:
        return read_text(text, otio.adapters.from_filepath(str(path)).name)
    except Exception as error:  # as above
        raise _unreadable(path, str(error) or type(error).__name__) from error


def _checked(path: Path, found: Any) -> Any:
    if not hasattr(found, "find_clips") and not isinstance(found, otio.schema.Clip):
        raise _unreadable(path, f"there is no timeline in it but a {type(found).__name__}")
    return found


def _text(path: Path) -> str:
    """A text file in whatever encoding: by its first bytes, as UTF-8, or as Windows writes Western letters."""
    data = path.read_bytes()
    known = next((name for bom, name in _BOMS.items() if data.startswith(bom)), "utf-8")
    try:
        return data.decode(known)
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _unreadable(path: Path, why: str) -> MediaError:
    return MediaError(
        f"the timeline cannot be read: {why}",
        code="MEDIA_UNREADABLE",
        where=str(path),
        hint="export it again, as .otio if the host can",
    )


def _is_fcpx(path: Path) -> bool:
    """Whether an XML is Final Cut Pro's of today, whatever its name says."""
    try:
        with path.open("rb") as stream:
            return b"<fcpxml" in stream.read(1000)
    except OSError:
        return False


def _fcpx(path: Path, base: Path) -> Cut:
    _check_there(path)
    try:
        root, notes = read_fcpx(path)
    except Exception as error:  # as above
        raise _unreadable(path, str(error) or type(error).__name__) from error
    return Cut(_checked(path, root), base, notes)


def _edl(path: Path, base: Path, rate: float | None) -> Cut:
    _check_there(path)
    try:
        text = _with_drop_frames(_text(path))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    taken = otio.opentime.RationalTime.nearest_valid_timecode_rate(rate) if rate else _guessed_rate(text)
    if rate and (highest := _highest_frame(text)) >= round(taken):
        raise _unreadable(path, f"its timecodes have a frame {highest}, which {taken:g} frames a second have not")
    guess = () if rate else (f"an EDL does not say its rate: it is read at {taken:g}; say another with --rate",)
    try:
        root, notes = read_edl(text, taken)
    except Exception as error:  # as above
        raise _unreadable(path, str(error) or type(error).__name__) from error
    return Cut(_checked(path, root), base, (*guess, *notes), None if rate else taken)


def _guessed_rate(text: str) -> float:
    """The lowest usual rate that has all frames which the EDL's timecodes name; 24 or 25 cannot be told from below."""
    highest = _highest_frame(text)
    if any(sign == ";" for _, sign, _ in _TIMECODE.findall(text)):  # only 29.97 and its double drop frames
        return 30000 / 1001 if highest < 30 else 60000 / 1001
    return next((rate for rate in (24.0, 25.0, 30.0, 50.0) if highest < rate), 60.0)


def _highest_frame(text: str) -> int:
    return max((int(frame) for _, _, frame in _TIMECODE.findall(text)), default=0)


def _with_drop_frames(text: str) -> str:
    """The EDL with each drop-frame timecode written as one, where it says so once for all at its head."""
    if not _DROPPED.search(text) or _KEPT.search(text):
        return text
    return _TIMECODE.sub(r"\1;\3", text)


def _unpacked(bundle: Path, folder: Path) -> None:
    """The media of an .otioz in a folder, unless this very file was unpacked there before."""
    _check_there(bundle)
    status = bundle.stat()
    stamp = {"size": status.st_size, "changed": status.st_mtime_ns}
    mark = folder / ".unpacked.json"
    try:
        if json.loads(mark.read_text("utf-8")) == stamp:
            return
    except (OSError, ValueError):
        pass
    with local_disk(folder):
        shutil.rmtree(folder / "media", ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(bundle) as packed:
                packed.extractall(folder, [name for name in packed.namelist() if name.startswith("media/")])
        except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
            raise _unreadable(bundle, str(error)) from error
        mark.write_text(json.dumps(stamp), "utf-8")

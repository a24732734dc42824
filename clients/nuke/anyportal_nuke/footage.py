"""An untouched Read: its files, its range, and where they show in time."""

from __future__ import annotations

import os
import re
from typing import Any, List, NamedTuple, Optional, Tuple

from anyportal_hostkit import paths

import nuke
from anyportal_nuke.refused import Refused
from anyportal_nuke.undo import full_size

MOVIES = frozenset(
    (".mov", ".mp4", ".m4v", ".mkv", ".avi", ".mxf", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".ogv", ".wmv")
)
IMAGES = frozenset(
    (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".exr", ".dpx", ".cin", ".hdr", ".bmp", ".tga", ".webp", ".jp2")
)
_SHIFTED = re.compile(r"\s*frame\s*(?:([+-])\s*(\d+))?\s*")
_WHOLE = re.compile(r"\s*-?\d+\s*")
_VIEW = re.compile(r"%[vV]")
_STAND_INS = {"nearest frame": "hold", "black": "black"}  # a checkerboard is an error that one can look at
_UNTOUCHED = ("Dot", "NoOp", "PostageStamp", "Write")

Footage = NamedTuple(
    "Footage",
    [("read", nuke.Node), ("path", str), ("first", int), ("last", int), ("shift", int), ("kind", str)],
)
"""A Read's files.

`first` and `last` are the files' own numbers, a movie's counted from 0 as `anyportal` does (Nuke counts them from 1).
A file's number plus `shift` is the frame where the script shows it. `kind` is sequence, movie or still.
"""


def read_of(node: nuke.Node) -> Optional[nuke.Node]:
    """The Read that a node shows as it is: through what changes no pixel, and through what is disabled.

    Raises:
        Refused: that Read itself is disabled, and so shows nothing.
    """
    seen = 0
    at: Optional[nuke.Node] = node
    while at is not None and seen < 1000:
        if at.Class() == "Read":
            if _on(at, "disable"):
                raise Refused("{} is disabled: it shows nothing.".format(at.name()), "Enable it, or take another node.")
            return at
        if not (_on(at, "disable") or at.Class() in _UNTOUCHED) or _on(at, "reading"):
            return None
        at, seen = at.input(0), seen + 1
    return None


def footage_of(read: nuke.Node, missing: str = "error") -> Tuple[Optional[Footage], str]:
    """A Read's files, or why they cannot be sent as they are.

    Args:
        missing: what stands in for files that a sequence lacks: error, hold or black.

    Raises:
        Refused: they are not there.
    """
    path = paths.printf(_path(read))
    ending = os.path.splitext(path)[1].lower()
    if _VIEW.search(path):
        return None, "its file has a name for each view"
    if ending not in MOVIES | IMAGES:
        return None, "anyportal does not read files ending in '{}'".format(ending)
    first, last = int(read["first"].value()), int(read["last"].value())
    shift = _shift(read, first)
    if shift is None:
        return None, "its frame expression cannot be undone"
    kind = "movie" if ending in MOVIES else "sequence" if paths.has_counter(path) else "still"
    if kind == "movie":
        first, last, shift = first - 1, last - 1, shift + 1
    found = Footage(read, path, first, last, shift, kind)
    if missing == "error" or kind != "sequence" or not paths.present(path):
        _check_there(found)
    return found, ""


def missing_of(node: nuke.Node) -> str:
    """What a node's Read shows for files that are not there, as `--missing` has it."""
    read = read_of(node)
    return _STAND_INS.get(str(read["on_error"].value()), "error") if read is not None else "error"


def frames_of(footage: Footage) -> List[int]:
    """The frames of the script where a Read's files show."""
    return list(range(footage.first + footage.shift, footage.last + footage.shift + 1))


def _on(node: nuke.Node, name: str) -> bool:
    knob = node.knob(name)
    return knob is not None and bool(knob.value())


def _path(read: nuke.Node) -> str:
    """A Read's path with its expressions worked out, from the project's directory where it is a relative one."""
    with full_size():  # in proxy mode the name is that of the proxy's files
        path = nuke.filename(read) or ""
    if not path:
        raise Refused("{} names no file.".format(read.name()), "Choose one in its file knob.")
    if not os.path.isabs(path) and not re.match(r"[a-zA-Z]:|[\\/]{2}", path):
        project: Any = nuke.root().knob("project_directory")
        folder = str(project.evaluate() or "") if project is not None else ""
        path = os.path.join(folder, path) if folder else os.path.abspath(path)
    return str(paths.forward(path))


def _shift(read: nuke.Node, first: int) -> Optional[int]:
    """How much later than its number a file shows; None where no number says it."""
    mode, text = str(read["frame_mode"].value()), str(read["frame"].value())
    if not text.strip():
        return 0
    if mode == "expression":
        found = _SHIFTED.fullmatch(text)
        if not found:
            return None
        # frame+499 shows file 500 at frame 1: earlier, not later.
        return -int((found.group(1) or "+") + (found.group(2) or "0"))
    if not _WHOLE.fullmatch(text):
        return None
    return int(text) - first if mode == "start at" else int(text)


def _check_there(footage: Footage) -> None:
    ends = (footage.first, footage.last) if footage.kind == "sequence" else (0,)
    for number in ends:
        path = paths.file_of(footage.path, number) if footage.kind == "sequence" else footage.path
        if not os.path.isfile(path):
            raise Refused(
                "{}: {} is not there.".format(footage.read.name(), path),
                "Is the disk mounted? Otherwise choose the file again, or set the Read's range to what there is.",
            )

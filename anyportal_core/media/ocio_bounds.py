"""What a colour configuration that somebody sent may ask of this machine: before it is opened, and once it is."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import PyOpenColorIO as ocio

from anyportal_core.errors import MediaUnreadableError

MOST_TEXT = 4 << 20
"""Bytes of a configuration's text; the largest that studios publish have a fifth of it."""

MOST_ENTRIES = 10_000
MOST_UNPACKED = 2 << 30
"""Files of an archive, and bytes that all of them come to."""

MOST_STEPS = 20_000
MOST_DEPTH = 64
"""Single transforms that one space comes to with all that it refers to, and how far one such reference leads."""

_HEAD = 1 << 16
_PROGRAM, _CALLS = b"<ProcessList", (b"<Reference", b"<!DOCTYPE", b"<!ENTITY", b"\0")
_LABEL = r"(?<!\w){}(?=[^\s\[\]{{}},])([^\s\[\]{{}},?:%@`]*)"
_ANCHOR, _ALIAS = re.compile(_LABEL.format("&")), re.compile(_LABEL.format(r"\*"))


def check_before_opening(config: Path) -> None:
    """Raise where reading a configuration could take the machine's memory, or hours.

    Raises:
        MediaUnreadableError: its text is too long or repeats itself by YAML's aliases, or its archive is too large.
    """
    try:
        if config.suffix.lower() != ".ocioz":
            with config.open("rb") as file:
                _check_text(file.read(MOST_TEXT + 1), config)
            return
        with zipfile.ZipFile(config) as archive:
            _check_archive(archive, config)
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise _refused("cannot be read", config, "make it anew with ocioarchive") from error


def check_references(config: Any, where: Path) -> None:
    """Raise where what spaces, looks and views refer to comes to more steps than anybody could have meant.

    Ten spaces of ten references each to the one before are a text of two kilobytes and ten billion steps.

    Args:
        config: as the library has it.

    Raises:
        MediaUnreadableError: it does, refers to itself, or does so by variables of the machine.
    """
    weights = _Weights(config, where)
    try:
        for kind, name in nodes(config):
            weights.of(kind, name)
    except RecursionError:
        raise _refused("nests groups too deeply", where, "have it refer to fewer others") from None


def _check_archive(archive: zipfile.ZipFile, config: Path) -> None:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES or sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise _refused(f"is larger than {MOST_ENTRIES} files or {MOST_UNPACKED >> 30} GiB", config, "leave out tables")
    names = Counter(entry.filename.lower() for entry in entries)
    if any(count > 1 for count in names.values()):  # two readers may each take another one
        raise _refused("holds two files of one name", config, "make it anew with ocioarchive")
    for entry in entries:
        with archive.open(entry) as file:
            if PurePosixPath(entry.filename.replace("\\", "/")).suffix.lower() == ".ocio":
                _check_text(file.read(MOST_TEXT + 1), config)
            elif _PROGRAM in (head := file.read(_HEAD)):
                _check_program(head + file.read(), config)


def _check_program(data: bytes, config: Path) -> None:
    """A list of processes in XML may call other files, or itself."""
    if any(call in data for call in _CALLS):
        raise _refused("has a table that refers to other files", config, "write those into it")


def _check_text(data: bytes, config: Path) -> None:
    if len(data) > MOST_TEXT:
        raise _refused(
            f"has more than {MOST_TEXT >> 20} MiB of text", config, "move its tables to files, in an archive"
        )
    if b"\0" in data or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _refused("is no text in UTF-8", config, "save it as UTF-8")
    text = data.decode(errors="replace")
    # An alias needs its name twice. Where that is no YAML but part of a description it is refused, too: what counts
    # is that no two readers of YAML can differ on it.
    repeated = set(_ANCHOR.findall(text)) & set(_ALIAS.findall(text))
    if repeated:
        raise _refused(
            f"repeats parts of itself (*{min(repeated)[:40]})", config, "write out what YAML aliases stand for"
        )


def _refused(what: str, config: Path, hint: str) -> MediaUnreadableError:
    return MediaUnreadableError(f"the colour configuration {what}", where=config.name, hint=hint)


def nodes(config: Any) -> Iterator[tuple[str, str]]:
    """Kind and name of all that transforms can refer to."""
    every = ocio.SEARCH_REFERENCE_SPACE_ALL, ocio.COLORSPACE_ALL
    yield from (("space", name) for name in config.getColorSpaceNames(*every))
    yield from (("named", name) for name in config.getNamedTransformNames(ocio.NAMEDTRANSFORM_ALL))
    yield from (("look", name) for name in config.getLookNames())
    yield from (("view", name) for name in config.getViewTransformNames())


class _Weights:
    """Steps that each space, look and view comes to, counted once each."""

    def __init__(self, config: Any, where: Path) -> None:
        self._config, self._where = config, where
        self._known: dict[tuple[str, str], tuple[int, int]] = {}
        """The steps, and over how many references the longest way leads."""
        self._under_way: dict[tuple[str, str], int] = {}
        """With the longest way found so far, the outermost first."""

    def of(self, kind: str, name: str) -> int:
        node = (kind, name)
        if node not in self._known:
            if node in self._under_way or len(self._under_way) >= MOST_DEPTH:
                raise self._tangled(name)
            self._under_way[node] = 0
            weight = sum(self._of_transform(transform) for transform in transforms_of(self._config, kind, name))
            if kind == "look":
                weight += self._of_name(self._config.getLook(name).getProcessSpace())
            self._known[node] = weight, self._under_way.pop(node) + 1
        weight, depth = self._known[node]
        if weight > MOST_STEPS or depth > MOST_DEPTH:
            raise self._tangled(name)
        if self._under_way:
            outer = next(reversed(self._under_way))
            self._under_way[outer] = max(self._under_way[outer], depth)
        return weight

    def _tangled(self, name: str) -> MediaUnreadableError:
        what = f"has '{name[:80]}' refer to itself, or come to more than {MOST_STEPS} steps"
        return _refused(what, self._where, "have it refer to fewer others")

    def _of_transform(self, transform: Any) -> int:
        if isinstance(transform, ocio.GroupTransform):
            return 1 + sum(map(self._of_transform, transform))
        return 1 + sum(map(self._of_name, _spaces(transform))) + sum(map(self._of_name, self._views(transform)))

    def _of_name(self, name: str) -> int:
        """What a reference comes to: to a space by any of its names, a look, or any other."""
        if "$" in name or "%" in name:
            raise _refused(f"names '{name[:80]}', which depends on the machine", self._where, "write the name itself")
        config, weight = self._config, 0
        if (space := config.getColorSpace(name)) is not None:
            weight += self.of("space", space.getName())
        if (named := config.getNamedTransform(name)) is not None:
            weight += self.of("named", named.getName())
        if (look := config.getLook(name)) is not None:
            weight += self.of("look", look.getName())
        if config.getViewTransform(name) is not None:
            weight += self.of("view", name)
        return weight

    def _views(self, transform: Any) -> Iterator[str]:
        """All that the views of a display transform's display may use: which one is its context's to say."""
        if isinstance(transform, ocio.DisplayViewTransform):
            display, view = transform.getDisplay(), transform.getView()
            yield self._config.getDisplayViewTransformName(display, view)
            yield self._config.getDisplayViewColorSpaceName(display, view)
            yield from _looks(self._config.getDisplayViewLooks(display, view))
            yield from (display, view)


def _spaces(transform: Any) -> Iterator[str]:
    """What a transform refers to by name."""
    if isinstance(transform, ocio.ColorSpaceTransform | ocio.LookTransform):
        yield from (transform.getSrc(), transform.getDst())
    if isinstance(transform, ocio.LookTransform):
        yield from _looks(transform.getLooks())
    if isinstance(transform, ocio.DisplayViewTransform):
        yield transform.getSrc()


def _looks(text: str) -> Iterator[str]:
    return (part.strip().lstrip("+-").strip() for part in re.split("[,:|]", text) if part.strip())


def transforms_of(config: Any, kind: str, name: str) -> Iterator[Any]:
    """The transforms of a space, look, view or named transform, both ways."""
    if kind == "look":
        look = config.getLook(name)
        found = [look.getTransform(), look.getInverseTransform()]
    elif kind == "space":
        space = config.getColorSpace(name)
        ways = ocio.COLORSPACE_DIR_TO_REFERENCE, ocio.COLORSPACE_DIR_FROM_REFERENCE
        found = [space.getTransform(way) for way in ways]
    elif kind == "view":
        view = config.getViewTransform(name)
        both = ocio.VIEWTRANSFORM_DIR_TO_REFERENCE, ocio.VIEWTRANSFORM_DIR_FROM_REFERENCE
        found = [view.getTransform(way) for way in both]
    else:
        named = config.getNamedTransform(name)
        found = [named.getTransform(way) for way in (ocio.TRANSFORM_DIR_FORWARD, ocio.TRANSFORM_DIR_INVERSE)]
    return (transform for transform in found if transform is not None)

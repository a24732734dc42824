"""The OpenColorIO configuration of a request: which one it is, and what goes over the wire."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal_client.errors import MediaError
from anyportal_client.request import ShotRequest, sendable_name

_VARIABLE = "OCIO"
_BUILT_IN = "ocio://"
_SEARCHED = re.compile(r"^search_path:[ \t]*(?P<text>.*)$|^[ \t]+- (?P<item>.+)$", re.MULTILINE)
_TABLES = re.compile(r"^search_path:.*(?:\n[ \t]+- .+)*", re.MULTILINE)
_SAME_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class ColourConfig:
    """A configuration: the name of a built-in one, or a file to send; neither: the daemon's default."""

    name: str = ""
    file: Path | None = None

    def paths(self) -> Iterator[Path]:
        """The file to send, if there is one."""
        if self.file is not None:
            yield self.file

    def message(self, blob: Callable[[Path], media_pb2.Blob]) -> jobs_pb2.ColourConfig | None:
        """How it is named to the daemon; `blob` gives the digest and size of a file."""
        if self.file is not None:
            named = sendable_name(self.file.name)
            return jobs_pb2.ColourConfig(file=media_pb2.MediaFile(filename=named, blob=blob(self.file)))
        return jobs_pb2.ColourConfig(name=self.name) if self.name else None


def find_colours(request: ShotRequest) -> ColourConfig:
    """The configuration of a request. One with files beside it is packed as an archive first.

    Raises:
        MediaError: it is not there, or cannot be read.
    """
    asked = str(request.colour_config) or (os.environ.get(_VARIABLE, "") if request.names_colours else "")
    if not asked or asked.startswith(_BUILT_IN):
        return ColourConfig(asked.removeprefix(_BUILT_IN))
    path = Path(asked)
    if path.suffix.lower() not in (".ocio", ".ocioz"):
        if path.exists() or len(path.parts) > 1:
            hint = "give a .ocio or .ocioz file, or the name of a built-in configuration"
            raise MediaError("this is no OpenColorIO configuration", code="COLOUR_CONFIG", where=asked, hint=hint)
        return ColourConfig(asked)
    try:
        return ColourConfig(file=path if path.suffix.lower() == ".ocioz" and path.read_bytes()[:1] else _packed(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise MediaError(
            f"the colour configuration cannot be read: {reason}",
            code="COLOUR_CONFIG",
            where=asked,
            hint=f"check the path, or unset ${_VARIABLE}",
        ) from error


def _packed(config: Path) -> Path:
    """A configuration with the tables that it looks for, as OpenColorIO archives them; itself where there are none.

    The same files make the same bytes, so that they are sent once.
    """
    text = config.read_text("utf-8")
    tables = sorted(set(_tables(config.parent, text)))
    if not tables:
        return config
    stamp = hashlib.sha256(text.encode())
    for path in tables:
        status = path.stat()
        stamp.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    folder = user_cache_path("anyportal", appauthor=False) / "colour"
    packed = folder / f"{config.stem}-{stamp.hexdigest()[:16]}.ocioz"
    if not packed.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _pack(packed, config, tables)
    return packed


def _pack(packed: Path, config: Path, tables: list[Path]) -> None:
    with tempfile.NamedTemporaryFile(dir=packed.parent, delete=False) as file:
        try:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for path, name in [(config, "config.ocio"), *((t, str(t.relative_to(config.parent))) for t in tables)]:
                    entry = zipfile.ZipInfo(name.replace(os.sep, "/"), _SAME_DATE)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(entry, path.read_bytes())
            Path(file.name).replace(packed)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _tables(folder: Path, text: str) -> Iterator[Path]:
    """The files in the folders that a configuration searches, as far as they lie below its own."""
    found = _TABLES.search(text)
    for match in _SEARCHED.finditer(found[0]) if found else ():
        for name in re.split("[:,]", (match["text"] or match["item"] or "").strip("\"'[] ")):
            where = (folder / name.strip()).resolve()
            if name.strip() and where != folder.resolve() and where.is_relative_to(folder.resolve()):
                yield from (folder / path.relative_to(folder.resolve()) for path in where.rglob("*") if path.is_file())

"""What a page asks for, checked: what is told to the script is complete, and of the kinds that it expects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from anyportal_client.cli.options import read_settings
from anyportal_client.errors import UsageError
from anyportal_client.request import is_utf8
from anyportal_client.window.events import Wished
from anyportal_client.window.session import Refusal

SCOPES = ("current", "marked", "timeline")
PLACEMENTS = ("take", "track")
FORMATS = ("auto", "mp4", "h265", "prores", "prores4444", "dnxhr", "png", "tiff", "exr")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LONGEST = 4000
_LONGEST_NAME = 300
"""Of a host, with its port."""


def read_wish(table: Mapping[str, Any], choosable: set[str]) -> Wished:
    """A wish as the script is told it.

    Args:
        choosable: ids of the clips that can be processed.

    Raises:
        Refusal: something is missing or of the wrong kind; its field says what.
    """
    action = table.get("action")
    if action == "look":
        return Wished(
            "look", {"scope": _one_of(table, "scope", SCOPES), "mark": _text(table, "mark", 40), **_how(table)}
        )
    if action == "daemon":
        return Wished("daemon", {"daemon": _text(table, "daemon", _LONGEST_NAME)})
    if action == "cancel":
        return Wished("cancel", {})
    if action == "go":
        return Wished("go", _read_go(table, choosable))
    raise Refusal(400, "this window knows no such wish", field="action")


def _read_go(table: Mapping[str, Any], choosable: set[str]) -> dict[str, Any]:
    clips = table.get("clips")
    if not isinstance(clips, list) or not clips:
        raise Refusal(400, "no clip is chosen", "tick at least one clip", "clips")
    if not all(isinstance(clip, str) and clip in choosable for clip in clips):
        raise Refusal(409, "the clips have changed", "look again, then choose", "clips")
    return {
        "clips": clips,
        "backdrop": _backdrop(table),
        **_matte(table),
        "preset": _text(table, "preset", 200),
        "subject": _text(table, "subject"),
        "seed": _whole(table, "seed", 2**63 - 1),
        "settings": _settings(table),
        "format": _one_of(table, "format", FORMATS),
        "daemon": _text(table, "daemon", _LONGEST_NAME),
        **_how(table),
    }


def _how(table: Mapping[str, Any]) -> dict[str, Any]:
    """What decides which frames of a clip are needed."""
    return {"handles": _whole(table, "handles", 1000), "placement": _one_of(table, "placement", PLACEMENTS)}


def _backdrop(table: Mapping[str, Any]) -> str:
    kind = _one_of(table, "backdrop_kind", ("file", "colour", "words"))
    text = _text(table, "backdrop")
    if not text:
        raise Refusal(400, "there is no backdrop", "give a picture, a clip, a colour or words", "backdrop")
    if kind == "file":
        return _file(text, "backdrop")
    if kind == "colour" and not _COLOUR.fullmatch(text):
        raise Refusal(400, f"'{text}' is no colour", "write #rrggbb", "backdrop")
    if kind == "words" and _is_there(Path(text)):
        raise Refusal(400, "these words are the name of a file", "choose 'Picture or clip' if it is meant", "backdrop")
    return text


def _matte(table: Mapping[str, Any]) -> dict[str, str]:
    """A clip of mattes, or a mask of the clip's first frame."""
    kind = _one_of(table, "matte_kind", ("found", "alpha", "file", "mask"))
    path = _file(_text(table, "matte"), "matte") if kind in ("file", "mask") else ""
    return {"matte": "alpha" if kind == "alpha" else path * (kind == "file"), "mask": path * (kind == "mask")}


def _file(text: str, field: str) -> str:
    """A path that is there. One with a counter stands for files that only the command looks for."""
    path = Path(text.strip().strip('"'))
    try:
        path = path.expanduser()
    except RuntimeError as error:
        raise Refusal(400, f"{path.parts[0]} is nobody's folder", "begin with / or a drive", field) from error
    if not path.is_absolute():
        raise Refusal(400, "a full path is needed", "begin with / or a drive", field)
    if not re.search(r"%0?\d*d|#", path.name) and not _is_there(path):
        raise Refusal(400, f"there is no file {path}", "check the path; this machine must see it", field)
    return str(path)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # longer than a name may be, or behind a door that is closed
        return False


def _settings(table: Mapping[str, Any]) -> dict[str, object]:
    lines = [line.strip() for line in _text(table, "settings").splitlines()]
    try:
        return read_settings(filter(None, lines))
    except UsageError as error:
        raise Refusal(400, error.message, "write KEY=VALUE, one a line", "settings") from error
    except RecursionError as error:
        raise Refusal(400, "this is nested too deeply", "write KEY=VALUE, one a line", "settings") from error


def _text(table: Mapping[str, Any], name: str, longest: int = _LONGEST) -> str:
    return str(_checked(table.get(name, ""), name, lambda value: _is_text(value, longest))).strip()


def _is_text(value: Any, longest: int) -> bool:
    """Whether it can be said on a command line."""
    return isinstance(value, str) and len(value) <= longest and is_utf8(value) and "\0" not in value


def _whole(table: Mapping[str, Any], name: str, largest: int) -> int:
    number: int = _checked(table.get(name, 0), name, lambda value: type(value) is int and 0 <= value <= largest)
    return number


def _one_of(table: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    return str(_checked(table.get(name), name, lambda value: value in known))


def _checked(value: Any, name: str, fits: Callable[[Any], bool]) -> Any:
    if not fits(value):
        raise Refusal(400, f"this is no {name.replace('_', ' ')}", field=name)
    return value

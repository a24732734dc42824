"""What is asked of a clip: the metadata that carry it, checked, with the origin of every value.

A request is a table under ``anyportal`` in metadata. The nearer to the clip it stands, the more it counts: the command
line, then the timeline, the tracks and nested sequences around the clip, their markers, the clip, its own markers (what
an editor sets last, by hand).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, MutableMapping, MutableSequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from anyportal_client.patterns import has_counter
from anyportal_client.request import OWN_ALPHA, looks_like_a_path, split_layers

METADATA = "anyportal"
VERSION_KEY = re.compile(r"anyportal_v(\d+)")
"""The keys of media references that hold results."""


class RequestProblem(Exception):
    """A request that cannot be read; the text says why, for the plan and the report."""


@dataclass(frozen=True)
class Request:
    """What is to be done to a clip; the fields mean what they mean to ``anyportal submit``.

    Args:
        range: frames to process in the plate's own numbers, instead of what the clip shows.
        handles: record frames to process on both sides beyond that.
    """

    backdrop: str
    matte: str = ""
    mask: str = ""
    mask_frame: int | None = None
    clean_plate: str = ""
    garbage: str = ""
    holdout: str = ""
    preset: str = "draft"
    subject: str = ""
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    range: str = ""
    handles: int = 0
    layers: tuple[str, ...] = ("comp",)
    format: str = "auto"
    compression: str = "zip"
    colour_space: str = ""
    backdrop_colour_space: str = ""
    out_colour_space: str = ""
    colour_config: str = ""
    missing: str = "error"


_KINDS: dict[str, Any] = {
    "mask_frame": int,
    "seed": int,
    "handles": int,
    "settings": dict,
    "layers": (list, tuple, str),
}
_PATHS = ("backdrop", "matte", "mask", "clean_plate", "garbage", "holdout")


Source = tuple[str, Mapping[str, Any]]
"""The name of where a request was found, and what it says."""


def carried(clip: Any) -> list[Source]:
    """The requests on a clip, weakest first.

    Raises:
        RequestProblem: there is something under ``anyportal``, but no table.
    """
    return [*on_item(clip, "clip"), *(found for marker in clip.markers for found in on_marker(marker))]


def on_item(item: Any, what: str) -> list[Source]:
    """The request in the metadata of a clip, track, sequence or timeline: one, or none."""
    return [(what, _table(item.metadata, what))] if METADATA in item.metadata else []


def on_marker(marker: Any) -> list[Source]:
    """The request in the metadata of a marker: one, or none."""
    return on_item(marker, f"marker {marker.name}".strip())


def read_request(sources: Iterable[tuple[str, Mapping[str, Any]]], base: Path) -> tuple[Request, dict[str, str]]:
    """Lay requests over each other, the last one on top.

    Args:
        sources: origin and values of each request, weakest first.
        base: the folder that relative paths start from.

    Returns:
        The request, and for every value that was given its origin (``settings.x`` for settings).

    Raises:
        RequestProblem: a value nobody knows, or of the wrong kind, or no backdrop at all.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, given in sources:
        for key, value in given.items():
            value = _checked(key, value, origin, base)
            if key == "settings":
                values["settings"] = {**values.get("settings", {}), **value}
                origins.update({f"settings.{name}": origin for name in value})
            else:
                values[key] = value
                origins[key] = origin
    if not values.get("backdrop"):
        raise RequestProblem("the request names no backdrop: add one, or give --backdrop")
    if values.get("mask_frame") is not None and not values.get("mask"):
        raise RequestProblem("the request names a mask_frame, but no mask")
    return Request(**values), origins


def plain(value: Any) -> Any:
    """OTIO's own containers as dicts and lists."""
    if isinstance(value, MutableMapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, MutableSequence):
        return [plain(item) for item in value]
    return value


def _table(metadata: Any, origin: str) -> Mapping[str, Any]:
    found = plain(metadata[METADATA])
    if not isinstance(found, dict):
        raise RequestProblem(f"'{METADATA}' in the metadata of the {origin} is {found!r}; it must be a table")
    return found


def _checked(key: str, value: Any, origin: str, base: Path) -> Any:
    known = [field.name for field in fields(Request)]
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        raise RequestProblem(f"the request of the {origin} has an unknown '{key}' ({hint})")
    kind = _KINDS.get(key, str)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RequestProblem(f"'{key}' in the request of the {origin} is {value!r}")
    if key == "handles" and value < 0:
        raise RequestProblem(f"the request of the {origin} asks for {value} handles")
    if key == "layers":
        layers = split_layers(value) if isinstance(value, str) else tuple(value)
        if not layers:
            raise RequestProblem(f"the request of the {origin} asks for no layer")
        return layers
    return _resolved(key, value, base) if key in _PATHS else value


def _resolved(key: str, value: str, base: Path) -> str:
    """A path made absolute; a backdrop that is no path (a colour, a description) and the matte `alpha` as they are."""
    path = base / value
    there = os.path.exists(path)  # noqa: PTH110  (Path.exists raises for a text longer than a name may be)
    word = (key == "backdrop" and not looks_like_a_path(value)) or (key == "matte" and value == OWN_ALPHA)
    if not value or (word and not there):
        return value
    if not (there or (has_counter(path.name) and path.parent.is_dir())):
        raise RequestProblem(f"the {key} {path} is not there")
    return str(path)

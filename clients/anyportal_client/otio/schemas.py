"""Timelines of a newer OpenTimelineIO: what is newer in them is named, and read as far as it matters here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import opentimelineio as otio

from anyportal_client.otio.adapters import read_text

_KEY = "OTIO_SCHEMA"
_HARMLESS = {"Marker"}
"""Kinds whose newer versions change nothing about which frames of which media are shown."""


class TooNew(Exception):
    """A timeline with parts that nobody here knows; the text names them."""


def read_newer(text: str) -> tuple[Any, str]:
    """The timeline of a text that has parts of newer versions, and what somebody should know of them.

    Raises:
        TooNew: they are of a kind that matters.
        Exception: whatever the parsers make of it.
    """
    data = json.loads(text)
    known = otio.core.type_version_map()
    newer: dict[str, int] = {}
    for part in _parts(data):
        kind, _, version = str(part[_KEY]).rpartition(".")
        if kind in known and version.isdecimal() and int(version) > known[kind]:
            newer[kind] = max(int(version), newer.get(kind, 0))
            part[_KEY] = f"{kind}.{known[kind]}"
            colour = part.get("color")
            if isinstance(colour, dict):  # it was a name alone
                part["color"] = str(colour.get("name") or "")
    named = ", ".join(f"{kind}.{version}" for kind, version in sorted(newer.items()))
    if not newer.keys() <= _HARMLESS:
        raise TooNew(f"it is written by a newer OpenTimelineIO than this one can read: it has {named}")
    note = f"the timeline is of a newer OpenTimelineIO: what is new in its {named} is passed over"
    return read_text(json.dumps(data), "otio_json"), note if newer else ""


def _parts(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, dict):
        if _KEY in data:
            yield data
        for value in data.values():
            yield from _parts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _parts(value)

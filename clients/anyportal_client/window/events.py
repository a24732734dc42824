"""What the window tells the script that opened it, one JSON line each (docs/events.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from anyportal_client.events import Event

Action = Literal["look", "daemon", "go", "cancel"]


@dataclass(frozen=True)
class WindowOpened(Event):
    """The page is served. `url` carries the token that opens it, once."""

    event = "window"
    host: str
    address: str
    url: str


@dataclass(frozen=True)
class Wished(Event):
    """What the person at the page wishes; the fields of `request` depend on `action`."""

    event = "wish"
    action: Action
    request: Mapping[str, Any]


@dataclass(frozen=True)
class WindowClosed(Event):
    """Nobody looks any more. The last event."""

    event = "window_closed"
    reason: Literal["page closed", "nobody came", "told to"]

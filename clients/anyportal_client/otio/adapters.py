"""OpenTimelineIO's adapters, kept quiet: some print what they come across, where others expect one event a line."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import opentimelineio as otio


def read_file(path: Path, adapter: str | None = None, **arguments: Any) -> Any:
    """Whatever an adapter makes of a file; it is found by the file's ending where none is named.

    Raises:
        Exception: whatever its parser lets through.
    """
    with _quiet():
        return otio.adapters.read_from_file(str(path), adapter_name=adapter, **arguments)


def read_text(text: str, adapter: str, **arguments: Any) -> Any:
    """Whatever an adapter makes of a text.

    Raises:
        Exception: whatever its parser lets through.
    """
    with _quiet():
        return otio.adapters.read_from_string(text, adapter, **arguments)


def write_file(timeline: Any, path: Path, adapter: str, **arguments: Any) -> None:
    """Have an adapter write a timeline.

    Raises:
        Exception: whatever it lets through.
    """
    with _quiet():
        otio.adapters.write_to_file(timeline, str(path), adapter_name=adapter, **arguments)


@contextmanager
def _quiet() -> Iterator[None]:
    with redirect_stdout(io.StringIO()):
        yield

"""Node edits: one undo step for what a person asked for, none for what merely keeps up with a job."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

import nuke


@contextlib.contextmanager
def one_step(title: str) -> Iterator[None]:
    """Everything inside is undone together."""
    undo = nuke.Undo()
    undo.begin(title)
    try:
        yield
    finally:
        undo.end()


@contextlib.contextmanager
def unrecorded() -> Iterator[None]:
    """Nothing inside can be undone, nor stands in the way of undoing what a person did."""
    undo = nuke.Undo()
    undo.disable()
    try:
        yield
    finally:
        undo.enable()


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """As `unrecorded`, for what leaves the script as it was: it is no more modified than before."""
    modified = nuke.modified()
    try:
        with unrecorded():
            yield
    finally:
        nuke.modified(modified)


@contextlib.contextmanager
def proxy_mode(wanted: bool) -> Iterator[None]:
    """Proxy mode as it is wanted, and then as it was; the script is no more modified than before."""
    knob: Any = nuke.root().knob("proxy")
    before = bool(knob.value()) if knob is not None else wanted
    if before == wanted:
        yield
        return
    with unseen():
        knob.setValue(wanted)
    try:
        yield
    finally:
        with unseen():
            knob.setValue(before)


def full_size() -> Any:
    """Without proxy mode: files, boxes and formats are those of the full size."""
    return proxy_mode(False)

"""Node edits: one undo step for what a person asked for, none for what merely keeps up with a job."""

from __future__ import annotations

import contextlib
from typing import Iterator

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

"""Which frames: what was asked for, else the Write's limit, else the footage's, else the project's."""

from __future__ import annotations

from typing import List, NamedTuple, Optional

from anyportal_hostkit import frames

import nuke
from anyportal_nuke.footage import Footage, frames_of
from anyportal_nuke.refused import Refused

Range = NamedTuple("Range", [("frames", List[int]), ("whole", List[int]), ("origin", str)])
"""The frames to deliver, all that could be, and where that comes from; in the script's numbers."""


def choose(node: nuke.Node, footage: Optional[Footage], override: str = "") -> Range:
    """The frames of a node.

    Args:
        footage: where the node shows an untouched Read, its files.
        override: what a person wrote: `1005,1009-1010`; empty for all.

    Raises:
        Refused: it names no frames, or some that the footage has not.
    """
    limit = _limit(node)
    root = nuke.root()
    if limit:
        whole, origin = limit, "the limit of {}".format(node.name())
    elif footage is not None:
        whole, origin = frames_of(footage), "the range of {}".format(footage.read.name())
    else:
        first, last = (int(root[name].value()) for name in ("first_frame", "last_frame"))
        whole, origin = list(range(first, last + 1)), "the project's range"
    if not override.strip():
        return Range(whole, whole, origin)
    chosen = _parsed(override)
    if footage is not None:
        _check_inside(chosen, footage)
    return Range(chosen, sorted(set(whole) | set(chosen)), "as asked for")


def around(chosen: List[int], context: int, whole: List[int]) -> List[int]:
    """Everything from the first to the last frame with its context, as far as there is any."""
    first = max(min(chosen) - context, min(whole))
    last = min(max(chosen) + context, max(whole))
    return list(range(first, last + 1))


def _limit(node: nuke.Node) -> List[int]:
    if node.Class() != "Write" or not node["use_limit"].value():
        return []
    return list(range(int(node["first"].value()), int(node["last"].value()) + 1))


def _parsed(text: str) -> List[int]:
    try:
        found = frames.parse(text)
    except frames.BadFrames as error:
        raise Refused(str(error)) from None
    if not found:
        raise Refused("'{}' names no frames.".format(text), "Write 1001-1100 or 1005,1009-1010.")
    return list(found)


def _check_inside(chosen: List[int], footage: Footage) -> None:
    there = frames_of(footage)
    outside = sorted(set(chosen) - set(there))
    if outside and footage.kind != "still":
        raise Refused(
            "{} has no frame {}.".format(footage.read.name(), frames.text_of(outside)),
            "It shows {}-{}: ask for frames among these, or change its range.".format(there[0], there[-1]),
        )

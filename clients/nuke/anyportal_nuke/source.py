"""Whether a node's files are sent as they are or the node is rendered, why, and in which colours."""

from __future__ import annotations

from typing import NamedTuple, Optional

import nuke
from anyportal_nuke import colour, upstream
from anyportal_nuke.footage import Footage, footage_of, frames_of, read_of
from anyportal_nuke.refused import Refused

Look = NamedTuple("Look", [("space", colour.Space), ("raw", bool), ("entry", str)])
"""The plate's space as it is sent, and how the result's Read takes it: as it is, or by an entry of its colour knob."""

Source = NamedTuple("Source", [("footage", Optional[Footage]), ("look", Look), ("reason", str)])
"""The files that are sent, or why the node is rendered instead."""

Wanted = NamedTuple("Wanted", [("space", str), ("divided", bool), ("proxy", bool)])
"""What decides: a space that a person states, whether colours are divided by the matte first, proxy mode."""


def source_of(node: nuke.Node, wanted: Wanted) -> Source:
    """What is sent of a node.

    Raises:
        Refused: it has to be rendered in a working space that the command does not know; or its media are gone.
    """
    read = read_of(node)
    if read is None:
        return _rendered(node, wanted, "it is no untouched Read")
    footage, reason = footage_of(read)
    if footage is None:
        return _rendered(node, wanted, reason)
    space = colour.named(wanted.space) if wanted.space else colour.known(colour.of_read(read), read["colorspace"])
    if space is None:
        return _rendered(node, wanted, "anyportal does not know its colour space '{}'".format(colour.of_read(read)))
    look = _look(read, space)
    reason = _reason(footage, space, wanted)
    if look is None or reason:
        return _rendered(node, wanted, reason or "this script has no name for its result's linear light")
    return Source(footage, look, "")


def _reason(footage: Footage, space: colour.Space, wanted: Wanted) -> str:
    """Why a Read's files are not sent though they could be read; empty where they are."""
    read = footage.read
    if wanted.proxy:
        return "proxy mode was chosen"
    if wanted.divided:
        return "its colours are divided by the matte first"
    if read["premultiplied"].value() and not (space.linear or read["raw"].value()):
        return "Nuke divides its colours by its alpha before it converts them"
    frames = frames_of(footage) if footage.kind == "sequence" else [nuke.frame()]
    box, whole = upstream.box_of(read, frames), upstream.format_of(read)
    return "it has pixels outside its format, which are kept" if box[:4] != whole[:4] else ""


def _look(read: nuke.Node, space: colour.Space) -> Optional[Look]:
    """How files go as they are; None where the result's light would have no name in this script."""
    if read["raw"].value():
        return Look(space, True, "")
    if space.linear:
        return Look(space, False, colour.aliases(colour.of_read(read))[0])
    entry = colour.linear_entry(space, read["colorspace"])
    return Look(space, False, entry) if entry else None


def _rendered(node: nuke.Node, wanted: Wanted, reason: str) -> Source:
    """Rendered files are in the working space."""
    space = colour.named(wanted.space) if wanted.space else colour.known_working()
    if space is None:
        identity = colour.identity()
        raise Refused(
            "{} has to be rendered, since {}; but anyportal does not know the working space '{}' of {}.".format(
                node.name(), reason, identity["working_space"], identity["config"] or "this script"
            ),
            "Known are {}. Choose such a working space; or convert with an OCIOColorSpace and say which space that is; "
            "or send a Read in one of them.".format(colour.names()),
        )
    return Source(None, Look(space, True, ""), reason)

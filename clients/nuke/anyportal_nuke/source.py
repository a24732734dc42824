"""Whether a node's files are sent as they are or the node is rendered, why, and in which colours."""

from __future__ import annotations

from typing import NamedTuple, Optional

import nuke
from anyportal_nuke import colour, configuration, spaces, upstream
from anyportal_nuke.colour import Look
from anyportal_nuke.footage import Footage, footage_of, frames_of, read_of
from anyportal_nuke.refused import Refused

Source = NamedTuple("Source", [("footage", Optional[Footage]), ("look", Look), ("reason", str)])
"""The files that are sent, or why the node is rendered instead."""

Wanted = NamedTuple(
    "Wanted",
    [("space", str), ("config", str), ("divided", bool), ("apart", bool), ("proxy", bool), ("missing", str)],
)
"""What decides: a space and a configuration that a person states, whether colours are divided by the matte first,
whether the matte is rendered apart from the plate, proxy mode, and what stands in for missing frames."""


def source_of(node: nuke.Node, wanted: Wanted) -> Source:
    """What is sent of a node.

    Raises:
        Refused: it has to be rendered in a working space that the command does not know; or its media are gone.
    """
    read = read_of(node)
    if read is None:
        return rendered(node, wanted, "it is no untouched Read")
    footage, reason = footage_of(read, wanted.missing)
    if footage is None:
        return rendered(node, wanted, reason)
    name = wanted.space or colour.of_read(read)
    look = colour.sent_as_it_is(read, wanted.space, configuration.to_send(wanted.config))
    if look is None and colour.known(name, read["colorspace"]) is None:
        return rendered(node, wanted, "anyportal does not know its colour space '{}'".format(name))
    reason = _reason(footage, look, wanted)
    if look is None or reason:
        return rendered(node, wanted, reason or "this script has no name for its result's linear light")
    return Source(footage, look, "")


def rendered(node: nuke.Node, wanted: Wanted, reason: str) -> Source:
    """What is sent of a node that is rendered: files in the working space.

    Raises:
        Refused: the command does not know that.
    """
    look = colour.sent_rendered(wanted.space, configuration.to_send(wanted.config))
    if look is None:
        identity = configuration.identity()
        raise Refused(
            "{} has to be rendered, since {}; but anyportal does not know the working space '{}' of {}.".format(
                node.name(), reason, identity["working_space"], identity["config"] or "this script"
            ),
            "Known are {}. Choose such a working space; or convert with an OCIOColorSpace and say which space that is; "
            "or send a Read in one of them.".format(spaces.names()),
        )
    return Source(None, look, reason)


def _reason(footage: Footage, look: Optional[Look], wanted: Wanted) -> str:
    """Why a Read's files are not sent though they could be read; empty where they are."""
    read = footage.read
    if wanted.proxy:
        return "proxy mode was chosen"
    if wanted.divided:
        return "its colours are divided by the matte first"
    converted = look is not None and not (look.space.linear or look.raw)
    if read["premultiplied"].value() and converted:
        return "Nuke divides its colours by its alpha before it converts them"
    return "it has pixels outside its format, as its matte has" if wanted.apart and _has_overscan(footage) else ""


def _has_overscan(footage: Footage) -> bool:
    frames = frames_of(footage) if footage.kind == "sequence" else [nuke.frame()]
    return upstream.box_of(footage.read, frames)[:4] != upstream.format_of(footage.read)[:4]

"""Where the foreground's matte comes from: nowhere, an alpha, another node, a channel, or a file.

As a text: nothing (the preset finds it), `alpha`, `node:NAME` (its alpha), `node:NAME:LAYER.CHANNEL`,
`channel:LAYER.CHANNEL` of the plate, or a path.
"""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

import nuke
from anyportal_nuke.asked import COLOURS
from anyportal_nuke.refused import Refused

ALPHA = "rgba.alpha"

Matte = NamedTuple(
    "Matte", [("kind", str), ("node", Optional[nuke.Node]), ("channel", str), ("path", str), ("colours", str)]
)
"""`kind` is none, alpha (the plate's own), channel (of some node, to be rendered), or file."""


def read_matte(text: str, plate: nuke.Node, find: Callable[[str], nuke.Node], colours: str) -> Matte:
    """Understand what a person wrote.

    Args:
        plate: the node that is processed.
        find: gives the node of a name, or refuses.
        colours: how the plate's colours stand to the matte: photographed, premultiplied or straight.

    Raises:
        Refused: no such channel; an alpha without a word on premultiplication, which is never guessed.
    """
    text = text.strip()
    _check_colours(text, colours)
    if not text:
        return Matte("none", None, "", "", colours)
    if text == "alpha":
        return Matte("alpha", plate, _checked(plate, ALPHA), "", colours)
    if text.startswith("channel:"):
        return Matte("channel", plate, _checked(plate, text.partition(":")[2].strip()), "", colours)
    if text.startswith("node:"):
        name, _, channel = text.partition(":")[2].partition(":")
        node = find(name.strip())
        return Matte("channel", node, _checked(node, channel.strip() or ALPHA), "", colours)
    return Matte("file", None, "", text, colours)


def _check_colours(text: str, colours: str) -> None:
    if colours and colours not in COLOURS:
        raise Refused("'{}' says nothing about the colours.".format(colours), "Write one of: " + ", ".join(COLOURS))
    if text == "alpha" and not colours:
        raise Refused(
            "The matte is the plate's own alpha: how do its colours stand to it?",
            "Say photographed (the whole picture is there, the alpha only marks the foreground), premultiplied "
            "(colours are multiplied by the alpha) or straight (cut out, not multiplied).",
        )
    if colours == "premultiplied" and text != "alpha" and not text.startswith(("channel:", "node:")):
        raise Refused(
            "Premultiplied colours cannot be divided by {}.".format(
                "the matte in {}".format(text) if text else "a matte that is yet to be found"
            ),
            "Say what they were multiplied by: the plate's alpha, one of its channels, or a Read of the matte's files, "
            "selected together with the plate. Or say photographed or straight, if they are.",
        )


def _checked(node: nuke.Node, channel: str) -> str:
    """A channel that a node has, under its full name.

    Raises:
        Refused: it has none of that name.
    """
    there = node.channels()
    if channel == "alpha":
        channel = ALPHA
    if channel not in there:
        alike = [each for each in there if each.lower() == channel.lower() or each.startswith(channel + ".")]
        if len(alike) != 1:
            raise Refused(
                "{} has no channel {}.".format(node.name(), channel or "(none was named)"),
                "It has: {}.".format(", ".join(there) or "none"),
            )
        channel = alike[0]
    if channel.partition(".")[0].isdigit():
        raise Refused(
            "{}: a layer that is a mere number cannot be written.".format(channel),
            "Copy it into another layer first, such as with a Shuffle.",
        )
    return channel

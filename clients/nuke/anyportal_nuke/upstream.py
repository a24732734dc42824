"""Anything but an untouched Read is rendered to EXR first: half float, the working space as it is, nothing cropped.

One frame at a time, each in one call of the main thread: between two frames the host can be used and the job can be
cancelled, and no node of ours is ever in the script when somebody saves it.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, List, NamedTuple

import nuke
from anyportal_nuke.matte import Matte
from anyportal_nuke.refused import Refused
from anyportal_nuke.undo import proxy_mode, unseen

Frame = NamedTuple("Frame", [("x", int), ("y", int), ("right", int), ("top", int), ("aspect", float)])
"""A rectangle in Nuke's coordinates, from the format's lower left corner."""

Picture = NamedTuple(
    "Picture",
    [("node", nuke.Node), ("box", Frame), ("matte", Matte), ("alone", bool), ("view", str), ("proxy", bool)],
)
"""What is rendered: a node within a box, which is larger than its format where there is overscan. The matte comes along
as the alpha channel; or `alone`, as the only one. At the size of proxy mode, or at full size."""

_FARTHEST = 2  # a bounding box of more than so many formats is a generator's endless one: no overscan
_LOOKS = 9  # frames at which the bounding box is looked at; a look goes to the frame, but renders nothing


class Cancelled(Exception):
    """The person pressed cancel in Nuke's own progress bar."""


class RenderFailed(Exception):
    """Nuke could not render a frame; the text says which and why."""


def format_of(node: nuke.Node) -> Frame:
    """The full format of a node, proxy mode or not."""
    made = node.format()
    return Frame(0, 0, int(made.width()), int(made.height()), float(made.pixelAspect()))


def box_of(node: nuke.Node, frames: List[int]) -> Frame:
    """The format together with what lies outside of it, at the first frame, the last, and some between.

    One box for the whole shot: results have one size.
    """
    whole = format_of(node)
    before = nuke.frame()
    found = whole
    try:
        for number in sorted({frames[at * (len(frames) - 1) // (_LOOKS - 1)] for at in range(_LOOKS)}):
            if number != nuke.frame():
                nuke.frame(number)
            with contextlib.suppress(RuntimeError):  # a frame that cannot be rendered is told of when it is
                found = _joined(found, node.bbox(), whole)
    finally:
        if nuke.frame() != before:
            nuke.frame(before)
    return found


def render(picture: Picture, frame: int, path: str) -> None:
    """Render one frame to a file; in the main thread.

    Raises:
        RenderFailed: Nuke's own error, with the frame.
        Cancelled: somebody pressed cancel.
    """
    node = picture.node
    made: List[nuke.Node] = []
    with proxy_mode(picture.proxy), unseen(), node.parent() or nuke.root():
        try:
            write = _chain(picture, path, made)
            _execute(picture, write, frame)
        finally:
            for each in reversed(made):
                nuke.delete(each)
    if not os.path.isfile(path):
        raise RenderFailed(
            "Nuke rendered frame {} of {}, but wrote no {}.\nDoes the licence allow rendering?".format(
                frame, node.name(), path
            )
        )


def _execute(picture: Picture, write: nuke.Node, frame: int) -> None:
    view = picture.view or nuke.views()[0]
    try:
        nuke.execute(write, frame, frame, 1, views=[view], continueOnError=False)
    except RuntimeError as error:  # both failure and cancel
        if "cancel" in str(error).lower():
            raise Cancelled("cancelled while rendering frame {}".format(frame)) from None
        name = picture.node.name()
        raise RenderFailed("Frame {} of {} could not be rendered.\n{}".format(frame, name, error)) from error


def _chain(picture: Picture, path: str, made: List[nuke.Node]) -> nuke.Node:
    """The nodes from the plate to the file; each is put down in `made` as soon as it is there."""
    at, box, channels = picture.node, picture.box, "rgb"
    if picture.matte.kind in ("alpha", "channel"):
        at, channels = _with_matte(picture, made), "alpha" if picture.alone else "rgba"
    fitted = nuke.nodes.Crop(inputs=[at])
    made.append(fitted)
    # A constant format of the box's size, with its lower left corner as the origin; pixels outside are black.
    fitted["box"].setValue([box.x, box.y, box.right, box.top])
    fitted["reformat"].setValue(True)
    fitted["crop"].setValue(True)
    write = nuke.nodes.Write(inputs=[fitted])
    made.append(write)
    write["file"].setValue(path)
    write["proxy"].setValue(path)  # what is written in proxy mode
    write["file_type"].setValue("exr")  # the knobs below are there only now
    write["channels"].setValue(channels)
    write["datatype"].setValue("16 bit half")
    write["autocrop"].setValue(False)
    write["metadata"].setValue("all metadata")
    write["raw"].setValue(True)
    return write


def _with_matte(picture: Picture, made: List[nuke.Node]) -> nuke.Node:
    """The plate with the matte as its alpha; colours that were multiplied by it divided again."""
    copy = nuke.nodes.Copy(inputs=[picture.node, picture.matte.node])
    made.append(copy)
    copy["from0"].setValue(picture.matte.channel)
    copy["to0"].setValue("rgba.alpha")
    if picture.alone or picture.matte.colours != "premultiplied":
        return copy
    straight = nuke.nodes.Unpremult(inputs=[copy])
    made.append(straight)
    return straight


def _joined(box: Frame, info: Any, whole: Frame) -> Frame:
    left, bottom = int(info.x()), int(info.y())
    right, top = left + int(info.w()), bottom + int(info.h())
    endless = right - left > _FARTHEST * whole.right or top - bottom > _FARTHEST * whole.top
    if right <= left or top <= bottom or endless:
        return box
    return Frame(min(box.x, left), min(box.y, bottom), max(box.right, right), max(box.top, top), box.aspect)


def check_upstream(node: nuke.Node) -> None:
    """Raises:
    Refused: something above the node has an error.
    """
    if node.treeHasError() if hasattr(node, "treeHasError") else node.hasError():
        raise Refused(
            "{}, or something above it, has an error.".format(node.name()),
            "Mend what Nuke marks as ERROR in the node graph, then try again.",
        )

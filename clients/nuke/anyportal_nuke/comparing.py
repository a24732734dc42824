"""The version before, beside the one that is shown."""

from __future__ import annotations

import os
import re
from typing import Any, Dict

import anyportal_hostkit as hostkit

import nuke
from anyportal_nuke import tab
from anyportal_nuke.refused import Refused
from anyportal_nuke.undo import one_step

_VERSION = re.compile(r"[._-]?[vV]\d+")  # shot_comp_v012.nk
_TAKEN_OVER = ("frame_mode", "raw", "colorspace", "on_error", "before", "after")


def beside(node: nuke.Node) -> nuke.Node:
    """Make a Read of the version before and a Switch between both, and put them into the viewer; the Switch.

    Raises:
        Refused: there is no version before.
    """
    folder = hostkit.record.previous(tab.folder(node), _of_this_script)
    record = hostkit.record.read(folder) if folder else None
    if folder is None or record is None:
        alone = "There is no version before {} of this script.".format(tab.read(node, "version") or "the first")
        raise Refused(alone, "Rerun it first: that makes the next one.")
    parent = node.parent() or nuke.root()
    with one_step("AnyPortal: compare"), parent:
        before = _read(node, os.path.basename(folder), record)
        switch = nuke.nodes.Switch(inputs=[node, before])
        switch["label"].setValue("0: {}\n1: {}".format(tab.read(node, "version"), os.path.basename(folder)))
        switch.setXYpos(node.xpos(), node.ypos() + 160)
    if nuke.GUI:  # keys 1 and 2 of the viewer go between them, its wipe shows both
        nuke.connectViewer(0, node)
        nuke.connectViewer(1, before)
    return switch


def _of_this_script(record: Dict[str, Any]) -> bool:
    """Whether a version was made in this script, or in another version of it: scripts in one folder share theirs."""
    made_in = str(record.get("host", {}).get("script") or "")
    here, there = (os.path.split(hostkit.paths.forward(path)) for path in (str(nuke.root().name()), made_in))
    # A folder that is not there is this one under the name of another machine.
    same_folder = here[0] == there[0] or not os.path.isdir(there[0])
    return not made_in or (same_folder and _VERSION.sub("", here[1]) == _VERSION.sub("", there[1]))


def _read(node: nuke.Node, version: str, record: Dict[str, Any]) -> nuke.Node:
    """A version's files as the node shows its own."""
    made = nuke.nodes.Read()
    path = hostkit.paths.forward(str(record["files"]["comp"]))
    numbers = hostkit.frames.parse(str(record["frames"]))
    first, last = numbers[0], numbers[-1]
    if hostkit.has_counter(str(node["file"].value())):
        start = str(node["frame"].value())
        moved = int(start) - int(node["first"].value()) if start else 0
    else:  # a still, shown wherever the plate is
        path, moved, start = hostkit.file_of(path, first), 0, ""
        first, last = int(node["first"].value()), int(node["last"].value())
    made["file"].fromUserText("{} {}-{}".format(path, first, last))  # type: ignore[attr-defined]
    for name, value in (("first", first), ("last", last), ("origfirst", first), ("origlast", last)):
        made[name].setValue(value)
    for name in _TAKEN_OVER:
        made[name].setValue(node[name].value())
    made["frame"].setValue(str(first + moved) if start else "")
    made["label"].setValue("AnyPortal {}".format(version))
    made.setXYpos(node.xpos() + 110, node.ypos() + 80)
    return made

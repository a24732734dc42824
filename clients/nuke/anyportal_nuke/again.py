"""Whether a result can be made again: its nodes, and the frames it keeps, are for pictures of one size."""

from __future__ import annotations

from typing import Any, Dict

import nuke
from anyportal_nuke import tab
from anyportal_nuke.plan import Plan, size
from anyportal_nuke.refused import Refused
from anyportal_nuke.upstream import Frame

_ANEW = "Replace the background of {} anew: that makes nodes of their own."


def place_of(plan: Plan) -> Dict[str, Any]:
    """What a result's nodes are for, as its tab keeps it."""
    return {"proxy": plan.proxy, "box": list(plan.box[:4]), "whole": list(plan.whole[:4])}


def fit(plan: Plan, node: nuke.Node) -> None:
    """Have a plan make pictures that fit a result's nodes, and the frames that are kept.

    Raises:
        Refused: it cannot, with what to do instead.
    """
    before = tab.read_place(node)
    if not before:
        return
    part = len(plan.range.frames) < len(plan.range.whole)
    _check_proxy(plan, node, bool(before["proxy"]), part)
    box, whole = ([int(value) for value in before[name]] for name in ("box", "whole"))
    if whole != list(plan.whole[:4]):
        if part or before["proxy"] or plan.overscan or box != whole:
            told = "{} is {}x{} now, {} was made of {}x{}."
            sizes = (*size(plan.whole), tab.read(node, "version"), whole[2], whole[3])
            raise Refused(told.format(plan.node.name(), *sizes), _ANEW.format(plan.node.name()))
    elif box != list(plan.box[:4]):
        if not plan.rendered:
            told = "{} has nothing outside its format any more, which {} has."
            raise Refused(told.format(plan.node.name(), tab.read(node, "version")), _ANEW.format(plan.node.name()))
        plan.box = Frame(box[0], box[1], box[2], box[3], plan.box.aspect)


def _check_proxy(plan: Plan, node: nuke.Node, before: bool, part: bool) -> None:
    if plan.proxy and not before:
        told = "{} is of full size, and so are the nodes below it.".format(node.name())
        raise Refused(told, _ANEW.format(plan.node.name()))
    if part and plan.proxy != before:
        raise Refused(
            "{} is a proxy: its frames and full ones are of two sizes.".format(tab.read(node, "version")),
            "Rerun all frames at full size, or these as a proxy.",
        )

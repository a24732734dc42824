"""Whether a result can be made again: its nodes, and the frames it keeps, are for pictures of one size."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import anyportal_hostkit as hostkit

import nuke
from anyportal_nuke import tab
from anyportal_nuke.plan import Plan, size
from anyportal_nuke.refused import Refused
from anyportal_nuke.upstream import Frame

_ANEW = "Replace the background of {} anew: that makes nodes of their own."


def place_of(plan: Plan) -> Dict[str, Any]:
    """What a result's nodes are for, as its tab keeps it."""
    return {"proxy": plan.proxy, "box": list(plan.box[:4]), "whole": list(plan.whole[:4])}


def analysed(node: nuke.Node) -> List[int]:
    """The numbers of the files that a result was worked out with, its handles too; none where nobody knows."""
    wish = _wish_of(node)
    try:
        found = hostkit.frames.parse(str(wish.get("within") or wish.get("range") or ""))
    except hostkit.frames.BadFrames:
        return []
    more = 0 if wish.get("within") else int(wish.get("handles") or 0)
    return list(range(found[0] - more, found[-1] + more + 1)) if found else []


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
    _check_colours(plan, node, part)
    box, whole = ([int(value) for value in before[name]] for name in ("box", "whole"))
    if whole != list(plan.whole[:4]):
        if part or before["proxy"] or plan.overscan or box != whole:
            told = "{} is {}x{} now, {} was made of {}x{}."
            sizes = (*size(plan.whole), tab.read(node, "version"), whole[2], whole[3])
            raise Refused(told.format(plan.node.name(), *sizes), _ANEW.format(plan.node.name()))
    elif box != list(plan.box[:4]):
        place = Frame(box[0], box[1], box[2], box[3], plan.box.aspect)
        if not plan.rendered:  # its files bring their overscan, which the result's nodes would move once more
            plan.render_instead(place, "the result's nodes are for rendered overscan")
        plan.box = place


def _check_proxy(plan: Plan, node: nuke.Node, before: bool, part: bool) -> None:
    if plan.proxy and not before:
        told = "{} is of full size, and so are the nodes below it.".format(node.name())
        raise Refused(told, _ANEW.format(plan.node.name()))
    if part and plan.proxy != before:
        raise Refused(
            "{} is a proxy: its frames and full ones are of two sizes.".format(tab.read(node, "version")),
            "Rerun all frames at full size, or these as a proxy.",
        )


def _check_colours(plan: Plan, node: nuke.Node, part: bool) -> None:
    """Frames that are kept have to be in the space of those that are made."""
    before, now = _wish_of(node), plan.wish()
    if part and "colour_space" in before and _results_in(before) != _results_in(now):
        told = "The frames of {} are in {}, and new ones would be in {}."
        spaces = (" of ".join(filter(None, _results_in(wish))) for wish in (before, now))
        raise Refused(told.format(tab.read(node, "version"), *spaces), "Rerun all frames: the colours changed.")


def _results_in(wish: Dict[str, Any]) -> Tuple[str, str]:
    """The space that tells what results are in, and the configuration that explains it."""
    return wish.get("out_colour_space") or wish["colour_space"], wish.get("colour_config") or ""


def _wish_of(node: nuke.Node) -> Dict[str, Any]:
    return dict((hostkit.record.read(tab.folder(node)) or {}).get("wish", {}))

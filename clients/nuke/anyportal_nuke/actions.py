"""What a person can do: the menu, and the buttons of a result. All of it begins in the main thread."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Iterator, List, Optional

import anyportal_hostkit as hostkit

import nuke
from anyportal_nuke import again, checkup, comparing, fetching, flow, panel, ranges, tab
from anyportal_nuke.asked import remembered
from anyportal_nuke.footage import footage_of, read_of
from anyportal_nuke.job import running, said
from anyportal_nuke.plan import Plan, results_folder
from anyportal_nuke.refused import Refused

_TOLD = (Refused, hostkit.CommandNotFound, hostkit.CommandFailed, hostkit.BadWish, OSError)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What cannot be done is said in a message."""
    try:
        yield
    except _TOLD as error:
        nuke.message(said(error))


def replace_background() -> None:
    """The menu entry: what is selected, a panel, and off it goes in the background."""
    with _told():
        nodes = _selected()
        plate = panel.choose_plate(nodes)
        if plate is None:
            return
        others = [node for node in nodes if node is not plate]
        second = plate.input(1)
        if second is not None and not others:
            others = [second]
        asked = panel.ask(
            "AnyPortal: replace the background of {}".format(plate.name()),
            _begin_with(others),
            plate,
            others,
            _frames_of(plate),
            results_folder(),
        )
        if asked is not None:
            plan = Plan(plate, asked, flow.find_in([*others, plate]))
            flow.work_in_background(flow.begin(plan))


def rerun(node: nuke.Node) -> None:
    """Ask again, beginning with what was asked for, and give the node its next version."""
    with _told():
        asked, plate, find = asked_again(node)
        answers = panel.ask("AnyPortal: rerun", asked, plate, [], _frames_of(plate), results_folder())
        if answers is not None:
            flow.work_in_background(flow.begin_again(Plan(plate, answers, find, again.analysed(node)), node))


def on_selected(action: Callable[[Any], None]) -> Callable[[], None]:
    """An action for the menu: on the result that is selected."""

    def act() -> None:
        results = [node for node in _some_selected() if tab.has(node)]
        action(results[0] if results else None)

    return act


def asked_again(node: nuke.Node) -> Any:
    """What a result's node was asked for, its plate, and the way to find nodes.

    Raises:
        Refused: it is no result, its job still runs, or its plate is gone.
    """
    _check_result(node)
    if running(node) is not None:
        raise Refused("{} is being made.".format(tab.read(node, "version")), "Wait for it, or cancel it first.")
    find = flow.find_in(_some_selected())
    asked = tab.read_asked(node)
    if not asked:
        raise Refused("{} does not say what was asked for.".format(node.name()), "Replace the background anew.")
    return asked, find(tab.read(node, "plate")), find


def compare(node: nuke.Node) -> None:
    """The version before beside this one: a Switch between them, and both in the viewer."""
    with _told():
        _check_result(node)
        comparing.beside(node)


def show_job(node: nuke.Node) -> None:
    """What the daemon knows of a result's job. Where nobody waits for it any more, its results can be brought."""
    with _told():
        _check_result(node)
        text = fetching.told(node)
        if not fetching.waits(node):
            nuke.message(text)
        elif nuke.ask(text + "\n\nNobody waits for this job any more. Bring its results?"):
            fetching.fetch_in_background(node)


def doctor(node: Optional[nuke.Node] = None) -> None:
    """What is missing, and how to mend it."""
    nuke.message(hostkit.doctor.text_of(checkup.checks()))


def cancel(node: nuke.Node) -> None:
    """End a result's job: the one of this session, or, by its name, one that another began."""
    with _told():
        _check_result(node)
        job = running(node)
        if job is not None:
            job.cancel()
            return
        name = tab.read(node, "job")
        if not name:
            raise Refused("{} has no job.".format(node.name()), "It was not queued, or failed before it was.")
        hostkit.ask(["cancel", name, *fetching.daemon_of(node)])
        nuke.message("{} is cancelled.".format(name))


def _begin_with(others: List[nuke.Node]) -> Dict[str, Any]:
    """What was asked for last; but another shot's matte is no matte of this one."""
    asked = remembered()
    matte = str(asked["matte"])
    if matte.startswith("node:") and matte not in ["node:{}".format(node.fullName()) for node in others]:
        asked["matte"] = ""
    return asked


def _selected() -> List[nuke.Node]:
    nodes = _some_selected()
    if not nodes:
        raise Refused("Nothing is selected.", "Select the plate: a Read, or any node whose picture shall be used.")
    if len(nodes) > 2:
        raise Refused(
            "{} nodes are selected.".format(len(nodes)), "Select the plate, and the node of its matte if there is one."
        )
    return nodes


def _some_selected() -> List[nuke.Node]:
    """Not nuke.selectedNode(), which raises where nothing is selected."""
    return [node for node in nuke.selectedNodes() if node.Class() not in ("Viewer", "BackdropNode", "StickyNote")]


def _check_result(node: Optional[nuke.Node]) -> None:
    if node is None or not tab.has(node):
        raise Refused("This is no result of AnyPortal.", "Select the Read called AnyPortal_...")


def _frames_of(plate: nuke.Node) -> str:
    """The whole range, for the panel."""
    read = read_of(plate)
    footage = footage_of(read, "hold")[0] if read is not None else None  # what fills gaps is yet to be asked
    return str(hostkit.frames.text_of(ranges.choose(plate, footage).frames))

"""From a plan to a job at work: behind a progress bar where there is a window, else waited for."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import anyportal_hostkit as hostkit

import nuke
from anyportal_nuke import again, result, tab
from anyportal_nuke.bar import Bar
from anyportal_nuke.job import Job, pattern_of, said
from anyportal_nuke.plan import Plan
from anyportal_nuke.refused import Refused
from anyportal_nuke.threads import later
from anyportal_nuke.undo import one_step


def find_in(nodes: List[nuke.Node]) -> Callable[[str], nuke.Node]:
    """Nodes by name: those that are selected first, since Nuke Indie shows a script no more than ten others."""
    selected = {name: node for node in nodes for name in (node.name(), node.fullName())}

    def find(name: str) -> nuke.Node:
        # A button's names are looked up inside its node's group; a plate's is told from the root.
        found = selected.get(name) or nuke.toNode(name) or nuke.toNode("root." + name)
        if found is None:
            indie = " Nuke Indie shows scripts ten nodes only: select it as well." if nuke.env.get("indie") else ""
            raise Refused("There is no node {}.".format(name), "Check the name." + indie)
        return found

    return find


def begin(plan: Plan) -> Job:
    """A job for a plan, its nodes made; in the main thread."""
    hostkit.find_command()
    version, pattern = _next(plan)
    nuke.tprint("AnyPortal: {}".format(plan.told()))
    return Job(plan, result.create(plan, version, pattern, plan.wanted))


def begin_again(plan: Plan, read: nuke.Node) -> Job:
    """A job that gives a result's node its next version; in the main thread. What hangs on the node stays on it.

    Raises:
        Refused: what hangs on it, or frames that are kept, are for pictures of another size.
    """
    hostkit.find_command()
    again.fit(plan, read)
    shown = result.Result(read)
    shown.save()
    before = tab.folder(read)
    version, pattern = _next(plan)
    nuke.tprint("AnyPortal: {}".format(plan.told()))
    with one_step("AnyPortal: rerun"):
        result.note(shown, plan)
        shown.show(plan, version, pattern, plan.wanted)
        shown.status("starting")
    return Job(plan, shown, before)


def work_in_background(job: Job) -> threading.Thread:
    """Have a thread do a job, behind a progress bar. A failure is told on the node and in the error console."""
    worker = threading.Thread(target=_behind_a_bar, args=(job,), name="AnyPortal")
    worker.daemon = True
    worker.start()
    return worker


def wait_for(job: Job, say: Optional[Callable[[str], None]] = None) -> Dict[str, Any]:
    """Do a job and wait, without a window.

    Args:
        say: told what is going on, a line at a time.

    Raises:
        hostkit.Cancelled, hostkit.CommandFailed, upstream.RenderFailed, OSError: why there is no result.
    """
    meter = _Meter(say or _print)
    return job.run(meter.show, lambda: False)


def _behind_a_bar(job: Job) -> None:
    try:
        with Bar("AnyPortal: {}".format(job.plan.name)) as bar:
            job.run(bar.show, bar.cancelled)
    except hostkit.Cancelled:
        pass
    except Exception as error:
        # No panel: a modal one that another thread asks for freezes Nuke. The node says it as well.
        later(nuke.error, "AnyPortal: {}".format(said(error)))


def _next(plan: Plan) -> Tuple[str, str]:
    """What the next version and its files will most likely be called; it is taken when the job begins."""
    newest = hostkit.versions.names(plan.folder())[:1]
    version = "v{:03d}".format((hostkit.versions.number_of(newest[0]) if newest else 0) + 1)
    return version, pattern_of(plan, "{}/{}".format(plan.folder(), version), version)


class _Meter(object):
    """Lines on a terminal: each new thing, and how far it is every few seconds."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._text = ""
        self._next = 0.0

    def show(self, text: str, fraction: float) -> None:
        now = time.monotonic()
        if text == self._text and now < self._next:
            return
        self._text, self._next = text, now + 5
        self._say("{:3d} % {}".format(int(100 * fraction), text))


def _print(text: str) -> None:
    sys.stdout.write("AnyPortal: {}\n".format(text))
    sys.stdout.flush()

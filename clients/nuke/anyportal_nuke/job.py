"""One job from the plan to the files: render what must be rendered, run the command, keep the nodes up to date.

With a window it runs in a thread of its own; without one, in the main thread. Nodes are touched in the main thread.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from typing import Any, Callable, Dict, List, Optional

import anyportal_hostkit as hostkit

import nuke
from anyportal_nuke import configuration, plates, result, tab, upstream
from anyportal_nuke.kept import Kept
from anyportal_nuke.plan import Plan
from anyportal_nuke.plates import Show
from anyportal_nuke.refused import Refused
from anyportal_nuke.threads import in_main, later

_running: List[Job] = []
_EVERY = 2.0  # seconds between two looks of the Read at the disk


class Job(object):
    """A plan at work.

    Args:
        plan: what to do.
        shown: the result's nodes.
        before: where a result is made again: the version's folder that the node showed, whose frames are kept where
            only some are made again.
    """

    def __init__(self, plan: Plan, shown: result.Result, before: str = "") -> None:
        self.plan = plan
        self.shown = shown
        self.before = before
        self.folder = ""
        self.version = ""
        self.job = ""
        self._stop = threading.Event()
        self._arrived: List[int] = []
        self._kept = Kept("", "")
        self._looked = 0.0
        _running.append(self)

    def cancel(self) -> None:
        """Ask for the end, from any thread."""
        self._stop.set()

    def run(self, show: Show, cancelled: Callable[[], bool]) -> Dict[str, Any]:
        """Do it all, and wait for the end.

        Args:
            show: told how far it is, in this thread.
            cancelled: asked several times a second, in this thread.

        Raises:
            hostkit.Cancelled, hostkit.CommandFailed, upstream.RenderFailed, OSError: why there is no result.
        """

        def stopped() -> bool:
            return self._stop.is_set() or bool(cancelled())

        rendered, made = "", plates.missing(self.plan.folder())
        try:
            self._status("starting")
            wish = self.plan.wish()
            if self.plan.renders()[0]:
                rendered = plates.rendered(self.plan, wish, show, stopped)
            done = self._submitted(wish, show, stopped)
            self._finish(done)
            return done
        except (hostkit.Cancelled, upstream.Cancelled):
            self._end("cancelled")
            raise hostkit.Cancelled("cancelled") from None
        except Exception as error:
            self._end(said(error), failed=True)
            raise
        finally:
            _running.remove(self)
            if rendered:
                shutil.rmtree(rendered, ignore_errors=True)
            plates.drop_if_empty(made)

    # What the command does

    def _submitted(self, wish: Dict[str, Any], show: Show, stopped: Callable[[], bool]) -> Dict[str, Any]:
        plan = self.plan
        wish["name"] = plan.name + "_{version}"
        old = self._old()
        work = hostkit.Work(plan.folder(), wish, host=dict(in_main(self._host), before=old))
        self.folder, self.version = work.folder, work.version
        self._keep_frames(old)
        self._update(self._show_version)

        def on_event(event: Dict[str, Any]) -> None:
            self._on_event(event, show)

        return dict(work.follow(on_event, stopped))

    def _on_event(self, event: Dict[str, Any], show: Show) -> None:
        name = event["event"]
        if name == "upload":
            what = "sending footage" if event["phase"] == "sending" else "reading footage"
            show(what, event["done_bytes"] / float(max(1, event["total_bytes"])))
        elif name == "submitted":
            self.job = event["job"]
            self._update(lambda: self._write(job=event["job"], digest=event["recipe_digest"]))
            self._status("queued")
        elif name == "progress":
            show(event["stage"], event["fraction"])
        elif name == "state" and event["state"] == "running":
            self._status("running")
        elif name == "log" and event["severity"] == "warning":
            later(nuke.warning, "AnyPortal: {}".format(event["text"]))
        elif name == "file":
            self._on_file(event)

    def _on_file(self, event: Dict[str, Any]) -> None:
        """A frame more. One that was only computed for its neighbours' sake goes again."""
        number = event["frame"]
        if not self.plan.still and number not in self.plan.wanted:
            os.unlink(event["path"])
            self._kept.add(number)
            return
        self._arrived.append(number)
        if time.monotonic() - self._looked > _EVERY:
            self._looked = time.monotonic()
            self._status("running: {} of {} frames".format(len(self._arrived), len(self.plan.range.frames)), True)

    # The version's files

    @property
    def pattern(self) -> str:
        """Where the result's files are, and will be."""
        return pattern_of(self.plan, self.folder, self.version)

    def _old(self) -> str:
        """The files of the version before, where only some are made again."""
        record = hostkit.record.read(self.before) if self.before else None
        if record is None or len(self.plan.range.frames) == len(self.plan.range.whole):
            return ""
        return str(record.get("files", {}).get("comp", ""))

    def _keep_frames(self, old: str) -> None:
        """Frames that are not made again are the new version's, too.

        Neighbours that the command computes for their sake wait until theirs have come and gone.
        """
        self._kept = Kept(old, self.pattern)
        near = self.plan.context
        self._kept.add_all({wanted + off for wanted in self.plan.wanted for off in range(-near, near + 1)})

    def _all(self) -> List[int]:
        return sorted(set(self.plan.wanted) | set(self._kept.numbers))

    def _finish(self, done: Dict[str, Any]) -> None:
        """All is there: the record says which frames, the node shows them."""
        if not self.plan.still:
            self._kept.note(self.folder, self.plan.wanted)
        comp = str(done["files"]["comp"])
        if self.plan.still:  # named by the number in the plate's own name, if there is one
            comp = hostkit.file_of(comp, hostkit.frames.parse(done["frames"])[0])
        self._update(lambda: self._show_version(comp))
        self._update(lambda: self._write(digest=done["recipe_digest"]))
        self._status("done", reload=True)

    def _end(self, text: str, failed: bool = False) -> None:
        """No result. What arrived stays; where nothing did, no version is used up and the node shows what it did."""
        if self._arrived:
            return self._status("{}\n{} frames arrived".format(text, len(self._arrived)), True, failed)
        if self.folder:
            self._kept.drop()
            hostkit.record.remove(self.folder)
            hostkit.free_version_folder(self.folder)
        in_main(self._take_back, text, failed)

    # The nodes; in the main thread

    def _take_back(self, text: str, failed: bool) -> None:
        if not self.shown.alive:
            return
        if self.before:
            result.keep_up(self.shown, self.shown.restore)
        else:
            self._update(lambda: self._write(version=""))  # there is none
        if self.before or failed:
            result.keep_up(self.shown, lambda: self.shown.status(text, failed))
        else:
            result.remove(self.shown)

    def _show_version(self, comp: str = "") -> None:
        self.shown.show(self.plan, self.version, comp or self.pattern, self._all())

    def _write(self, **values: Any) -> None:
        tab.write(self.shown.read, **values)

    def _update(self, change: Callable[[], None]) -> None:
        in_main(result.keep_up, self.shown, change)

    def _status(self, text: str, reload: bool = False, failed: bool = False) -> None:
        def change() -> None:
            self.shown.status(text, failed)
            if reload:
                self.shown.reload()

        self._update(change)

    def _host(self) -> Dict[str, Any]:
        """What the record keeps of this host."""
        plan = self.plan
        return {
            "name": "nuke",
            "version": str(nuke.NUKE_VERSION_STRING),
            "script": str(nuke.root().name()),
            "node": plan.node.fullName(),
            "asked": plan.asked,
            "colour": configuration.identity(),
            "proxy": plan.proxy,
            "rendered": plan.reason,
            "shift": plan.shift,
        }


def pattern_of(plan: Plan, folder: str, version: str) -> str:
    """The files of a version, as the command will name them."""
    return str(hostkit.paths.forward(os.path.join(folder, "{}_{}.%04d.exr".format(plan.name, version))))


def said(error: BaseException) -> str:
    """An exception for a person: what, where, what to do."""
    if isinstance(error, (Refused, upstream.RenderFailed)):
        return str(error)
    return str(hostkit.report.text_of(error))


def running(node: nuke.Node) -> Optional[Job]:
    """The job of this session that fills a result's node."""
    return next((job for job in _running if job.shown.alive and job.shown.read == node), None)

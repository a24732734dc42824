"""One shot on its way: rendered if need be, sent, watched, and put into the timeline. Nothing here waits for long."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Any

import bpy
from anyportal_hostkit import report, versions
from anyportal_hostkit.work import Fetch, Work

from . import compat, preferences, results
from .errors import Refused
from .kit import hostkit
from .rendering import Rendering
from .shot import Shot

_PAUSE = 0.1


class Call:
    """A shot being processed. Call `step` from the main thread until it gives true, then `finish`.

    Attributes:
        phase: what happens now, in words.
        fraction: of the phase, 0 to 1; of the whole job once it runs.
        notes: what a person should know.

    Args:
        shot: what to do.
    """

    def __init__(self, shot: Shot) -> None:
        self.shot = shot
        self.phase, self.fraction = "starting", 0.0
        self.notes: list[str] = []
        self._cancelled = False
        self._work: Any = None
        self._rendering: Rendering | None = None
        self._error: Exception | None = None
        if self._is_to_render:
            self.notes.append(f"{shot.strip} is rendered by Blender first: {shot.why}")

    @property
    def _is_to_render(self) -> bool:
        return bool(self.shot.why and self.shot.strip and not self.shot.lost)

    @property
    def job(self) -> str:
        """The job's name; empty until it is queued."""
        return str(self._work.job) if self._work is not None else ""

    def cancel(self) -> None:
        """Ask for the end; it comes with one of the next steps."""
        self._cancelled = True
        self.phase = "cancelling"
        if self._work is not None:
            self._work.cancel()

    def step(self, wait: float = 0.0) -> bool:
        """Go on for a moment; gives whether it is over.

        Args:
            wait: seconds to wait at most where nothing happens.
        """
        try:
            return self._step(wait)
        except Exception as error:  # told by `finish`: this is called by a timer, which would only print it
            self._error = error
            return True

    def run(self) -> Any:
        """Go on until the end and finish; for scripts, and Blender without a window."""
        try:
            while not self.step(_PAUSE):
                pass
        except BaseException:  # Ctrl-C: the job is cancelled as well
            self.leave()
            raise
        return self.finish()

    def finish(self) -> Any:
        """Put the result into the timeline; from the main thread, as one undo step.

        Returns:
            The strip that shows the result.

        Raises:
            hostkit.Cancelled: somebody asked for the end.
            hostkit.CommandFailed: why it did not work; `Refused` is one.
        """
        try:
            if self._error is not None:
                raise self._error
            self._work.result()
        except BaseException:
            self._forget_pictures()
            raise
        strip = self._place()
        self.phase, self.fraction = "done", 1.0
        bpy.ops.ed.undo_push(message=f"AnyPortal {self.shot.title} {self._work.version}")
        return strip

    def leave(self) -> None:
        """Cancel, wait until it has ended, and keep nothing of it."""
        self.cancel()
        while not self.step(_PAUSE):
            pass
        if self._work is not None:
            with contextlib.suppress(Exception):
                self._work.result()
        self._forget_pictures()

    def _step(self, wait: float) -> bool:
        if self._cancelled and self._work is None:
            raise hostkit.Cancelled("cancelled")
        if self._work is not None:
            for event in self._work.poll(wait):
                self._note(event)
            return not self._work.running
        if self._is_to_render and not self._render():
            return False
        self._start()
        return False

    def _render(self) -> bool:
        """Render for a while; gives whether the pictures are there."""
        if self._rendering is None:
            scene = compat.scene_named(self.shot.scene)
            strip = compat.all_strips(scene)[self.shot.strip]
            folder, _ = versions.next_version_folder(os.path.join(self.shot.folder, "rendered"))
            self._rendering = Rendering.of(scene, strip, folder, int(self.shot.wish.get("handles", 0)))
        self.phase = "rendering the strip"
        over = self._rendering.go_on()
        self.fraction = self._rendering.fraction
        if over:
            self.shot = self.shot.with_pictures(self._rendering)
        return over

    def _start(self) -> None:
        self.phase, self.fraction = "starting", 0.0
        command = preferences.command()
        if self.shot.lost:
            self._work = Fetch(self.shot.lost, command)
        else:
            self._work = Work(self.shot.folder, self.shot.wish, self.shot.host(), command=command)

    def _note(self, event: dict[str, Any]) -> None:
        """Take in what the command says."""
        kind = event["event"]
        if kind == "upload":
            self.phase = "reading footage" if event["phase"] == "reading" else "sending footage"
            self.fraction = event["done_bytes"] / max(1, event["total_bytes"])
        elif kind in ("submitted", "expected") and event.get("queue_position"):
            self.phase, self.fraction = f"waiting, {event['queue_position']} before it", 0.0
        elif kind == "progress":
            left = event.get("end_seconds")
            self.phase = event["stage"].replace("_", " ") + (f", {left:.0f} s left" if left else "")
            self.fraction = event["fraction"]
        elif kind == "log" and event["severity"] == "warning":
            self.notes.append(event["text"])
        if self._cancelled:
            self.phase = "cancelling"

    def _place(self) -> Any:
        """Show the new version: in the strip that showed the last one, or in a new one."""
        shot, version = self.shot, self._work.version
        scene = compat.scene_named(shot.scene)
        if scene is None:
            raise self._homeless(f"the scene {shot.scene} is gone")
        strips = compat.all_strips(scene)
        result = strips.get(shot.result)
        if result is not None and results.is_result(result):
            return results.renew(scene, result, version)
        if shot.strip not in strips:
            raise self._homeless(f"the strip {shot.title} is gone")
        strip, notes = results.add(scene, strips[shot.strip], shot.folder, version)
        self.notes += notes
        return strip

    def _homeless(self, why: str) -> Refused:
        hint = "undo what removed it and replace again, which takes a moment only; or add the files by hand"
        return Refused(f"{why}, so the result has no place", os.path.join(self.shot.folder, self._work.version), hint)

    def _forget_pictures(self) -> None:
        """Nothing came of what was rendered."""
        if self._rendering is not None:
            shutil.rmtree(self._rendering.folder, ignore_errors=True)


def text_of(error: BaseException) -> str:
    """An error for a person."""
    return str(report.text_of(error))


def is_expected(error: BaseException) -> bool:
    """Whether an error is one that is told; anything else is a bug here, whose traceback is wanted."""
    return isinstance(error, (hostkit.CommandFailed, hostkit.CommandNotFound, hostkit.Cancelled, OSError, ValueError))

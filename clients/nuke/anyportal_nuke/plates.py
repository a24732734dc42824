"""The files that are rendered for a job, in a folder of their own beside the versions, for as long as it runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import Any, Callable, Dict, List

import anyportal_hostkit as hostkit

from anyportal_nuke import upstream
from anyportal_nuke.plan import Plan
from anyportal_nuke.threads import in_main

Show = Callable[[str, float], None]
"""Told what is going on, and how far it is, 0..1."""


def rendered(plan: Plan, wish: Dict[str, Any], show: Show, stopped: Callable[[], bool]) -> str:
    """Render a plan's plate, or its matte, frame by frame, and put it into the wish; gives the folder.

    Raises:
        hostkit.Cancelled, upstream.Cancelled: somebody asked for the end. Nothing is left behind.
        upstream.RenderFailed: why a frame cannot be rendered.
    """
    os.makedirs(plan.folder(), exist_ok=True)
    folder = tempfile.mkdtemp(prefix=".plate_", dir=plan.folder())
    try:
        _render_all(hostkit.paths.forward(folder), plan, wish, show, stopped)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def missing(folder: str) -> List[str]:
    """The folders that are to be made for a folder to be there, the inner ones first."""
    found = []
    while folder and not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        found.append(folder)
        folder = os.path.dirname(folder)
    return found


def drop_if_empty(folders: List[str]) -> None:
    """Take folders away that nothing lies in, the inner ones first."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _render_all(folder: str, plan: Plan, wish: Dict[str, Any], show: Show, stopped: Callable[[], bool]) -> None:
    frames, alone = plan.renders()
    pattern = "{}/{}.%04d.exr".format(folder, "matte" if alone else plan.name)
    picture = upstream.Picture(plan.node, plan.box, plan.matte, alone, str(plan.asked["view"]), plan.proxy)
    for index, frame in enumerate(frames):
        if stopped():
            raise hostkit.Cancelled("cancelled")
        show("rendering frame {}".format(frame), index / float(len(frames)))
        path = hostkit.file_of(pattern, frame - plan.shift if alone else frame)
        in_main(upstream.render, picture, frame, path)
    single = hostkit.file_of(pattern, frames[0] - plan.shift) if plan.still else pattern
    wish["matte" if alone else "plate"] = single

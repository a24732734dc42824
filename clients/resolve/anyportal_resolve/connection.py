"""Reach Resolve, and say clearly where it cannot be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Tuple

from anyportal_resolve.outside import scripting
from anyportal_resolve.refusal import Refused

if TYPE_CHECKING:
    from anyportal_resolve.host import Project, ProjectManager, Resolve, Timeline

_STUDIO_ALONE = (21, 1)
"""From this version on Python runs in Studio only."""

_NO_ANSWER = (
    "From inside, start AnyPortal from Workspace > Scripts. From outside Resolve must run, be Resolve Studio, and "
    "allow it: Preferences > System > General > External scripting using: Local. From 21.1 on every Python script "
    "needs Studio"
)


class Desk(NamedTuple):
    """What one works at: the open project and its timeline."""

    resolve: Resolve
    manager: ProjectManager
    project: Project
    timeline: Timeline


def can(thing: object, name: str) -> bool:
    """Whether an object of Resolve's has a method or constant. `hasattr` says yes to everything."""
    return name in dir(thing)


def connect(resolve: Optional[Resolve] = None, app: Any = None) -> Resolve:
    """Resolve: as given, from inside by what a menu script is given, from outside by its scripting library.

    Raises:
        Refused: it is not there, or scripting is not allowed.
    """
    if resolve is None and app is not None and can(app, "GetResolve"):
        resolve = app.GetResolve()
    if resolve is None:
        resolve = scripting().scriptapp("Resolve")
    if resolve is None:
        raise Refused("Resolve does not answer", _NO_ANSWER)
    return resolve


def version_of(resolve: Resolve) -> Tuple[int, int]:
    """Major and minor version; zeros where it does not say."""
    numbers = [part for part in (resolve.GetVersion() or [])[:2] if isinstance(part, (int, float))]
    return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else (0, 0)


def is_studio(resolve: Resolve) -> bool:
    """Whether this is Resolve Studio."""
    return "studio" in (resolve.GetProductName() or "").lower()


def editions_note(resolve: Resolve) -> str:
    """What this edition does not let scripts do; empty for Studio."""
    if is_studio(resolve):
        return ""
    where = "{} {}".format(resolve.GetProductName() or "This Resolve", resolve.GetVersionString() or "").strip()
    if version_of(resolve) >= _STUDIO_ALONE:
        return where + " does not run Python scripts: from 21.1 on that needs Resolve Studio"
    return where + " is not Studio: AnyPortal works from its Scripts menu; from 21.1 on it will need Studio"


def desk(resolve: Resolve) -> Desk:
    """The open project and timeline.

    Raises:
        Refused: there is none, or Resolve answers without being alive.
    """
    manager = resolve.GetProjectManager()
    # Other calls may answer while it is wedged; this one does not.
    if manager is None or manager.GetCurrentDatabase() is None:
        hint = ". ".join(filter(None, ["Restart Resolve", editions_note(resolve)]))
        raise Refused("Resolve does not answer: its database is gone", hint)
    project = manager.GetCurrentProject()
    if project is None:
        raise Refused("No project is open", "Open one first")
    timeline = project.GetCurrentTimeline()
    if timeline is None:
        raise Refused("No timeline is open", "Open one first")
    return Desk(resolve, manager, project, timeline)


def check_open(at: Desk) -> None:
    """Whether the project is still the open one: what is done to a closed one is lost.

    Raises:
        Refused: it is not.
    """
    now = at.manager.GetCurrentProject()
    if now is None or now.GetName() != at.project.GetName():
        raise Refused(
            "The project was closed while its clip was processed", "The files are there; open the project and run again"
        )

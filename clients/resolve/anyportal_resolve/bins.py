"""The results' media: in a bin of their version, imported once, with the plate's colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, List, Optional, Sequence

import anyportal_hostkit as hostkit

from anyportal_resolve.colours import IDT, INPUT
from anyportal_resolve.media import path_of
from anyportal_resolve.refusal import Refused
from anyportal_resolve.restoring import current_bin

if TYPE_CHECKING:
    from anyportal_resolve.connection import Desk
    from anyportal_resolve.host import Folder, MediaPool, MediaPoolItem, Project

ROOT = "AnyPortal"
_COLOUR = (INPUT, IDT)


def import_result(desk: Desk, path: str, frames: Sequence[int], version: str) -> MediaPoolItem:
    """The media of a result in the bin AnyPortal/TIMELINE/VERSION; the current bin stays what it was.

    Args:
        path: as the command gives it: a file, or a sequence as a printf pattern.
        frames: the numbers of a sequence's frames, in order.

    Raises:
        Refused: Resolve does not take it.
    """
    pool = desk.project.GetMediaPool()
    there = next((item for item in _everything(pool) if path_of(item) == path), None)
    if there is not None:  # of a call that did not come to its end
        return there
    with current_bin(pool):
        pool.SetCurrentFolder(_bin(pool, (ROOT, desk.timeline.GetName(), version)))
        if hostkit.has_counter(path):
            made = pool.ImportMedia([{"FilePath": path, "StartIndex": frames[0], "EndIndex": frames[-1]}])
        else:
            made = pool.ImportMedia([path])
    if not made:
        raise Refused("Resolve would not import the result, which is there: {}".format(path), "Import it by hand")
    return made[0]


def copy_colour(project: Project, plate: Optional[MediaPoolItem], result: MediaPoolItem, baked: bool) -> List[str]:
    """The result is encoded as the plate is, so it is to be read as that one.

    Args:
        plate: the media that were processed; of what Resolve has rendered, its output is what counts.

    Returns:
        What Resolve did not take over.
    """
    problems = []
    for name in _COLOUR:
        value = _colour_of(project, plate, name, baked)
        if not value:
            continue
        result.SetClipProperty(name, value)
        if result.GetClipProperty(name) != value:
            problems.append("set '{}' of the result to '{}' by hand".format(name, value))
    return problems


def _colour_of(project: Project, plate: Optional[MediaPoolItem], name: str, baked: bool) -> str:
    if baked:
        return str(project.GetSetting("colorSpaceOutput") or "") if name == _COLOUR[0] else ""
    return str(plate.GetClipProperty(name) or "") if plate is not None else ""


def _bin(pool: MediaPool, names: Sequence[str]) -> Folder:
    folder = pool.GetRootFolder()
    for name in names:
        found = [child for child in folder.GetSubFolderList() or [] if child.GetName() == name]
        made = found[0] if found else pool.AddSubFolder(folder, name)
        if made is None:
            raise Refused("Resolve would not make the bin '{}'".format(name), "Is the project read-only?")
        folder = made
    return folder


def _everything(pool: MediaPool) -> Iterator[MediaPoolItem]:
    """What lies in our bins."""
    folders = [child for child in pool.GetRootFolder().GetSubFolderList() or [] if child.GetName() == ROOT]
    while folders:
        folder = folders.pop()
        folders += list(folder.GetSubFolderList() or [])
        for item in folder.GetClipList() or []:
            yield item

"""One strip and what is to be done to it: everything that is decided before anything starts."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field, replace
from typing import Any

import bpy
from anyportal_hostkit import paths
from anyportal_hostkit import record as records

from . import colour, compat, preferences, rendering, results, source
from .errors import Refused
from .rendering import Rendering


@dataclass(frozen=True)
class Shot:
    """What to send and where to put what comes back. Strips and scenes go by their names: undo makes them anew.

    Args:
        scene: the name of the scene.
        strip: the strip that the shot is made of; empty where it is gone, and the recorded plate is taken.
        result: the strip that is to show the result; empty: a new one.
        folder: of the shot's versions.
        wish: what to ask for.
        start: number of the frame that shows where the strip's content starts; None for a still.
        place: where the strip lies: its content's start, its first frame and the one after its last.
        why: why Blender has to render the strip first; empty where its media are sent as they are.
        lost: the folder of a version whose job is known but not what came of it; empty: a version is to be made.
    """

    scene: str
    strip: str
    result: str
    folder: str
    wish: dict[str, Any] = field(default_factory=dict)
    start: int | None = None
    place: tuple[int, int, int] = (0, 0, 0)
    why: str = ""
    lost: str = ""

    @property
    def title(self) -> str:
        return self.strip or self.result

    def with_pictures(self, rendering: Rendering) -> Shot:
        """The shot with what Blender has rendered of it as the plate."""
        where = rendering.where
        span = f"{rendering.number_of(where.left)}-{rendering.number_of(where.right - 1)}"
        plate = {"plate": rendering.pattern, "range": span}
        return replace(self, wish=self.wish | plate, start=rendering.number_of(where.content))

    def host(self) -> dict[str, Any]:
        """What the record of a version keeps for this host."""
        found = {
            "name": "blender",
            "version": bpy.app.version_string,
            "project": bpy.data.filepath,
            "scene": self.scene,
            "clip": self.strip,
            "rendered": self.why,
            "place": self.place,
        }
        return found if self.start is None else found | {"start": self.start}


def shot_of(scene: Any, strip: Any, wish: dict[str, Any], folder: str = "") -> Shot:
    """The shot of a strip; of the one below where the strip shows a result, which then shows the new version.

    Args:
        wish: everything but the plate.
        folder: where results go; empty: as the preferences say.

    Raises:
        Refused: it cannot be processed.
    """
    result = strip if results.is_result(strip) else results.find(scene, strip)
    if results.is_result(strip):
        below = results.source_of(scene, strip)
        if below is None:
            hint = "Rerun takes the footage that was sent then; for another background select a strip with footage"
            raise Refused("the strip that this result was made of is gone", str(strip.name), hint)
        strip = below
    source.check(strip)
    kept = results.folder_of(result) if result is not None else _shot_folder(scene, strip, folder)
    shown = result.name if result is not None else ""
    shot = Shot(scene.name, strip.name, shown, kept, place=results.place_of(strip))
    wish = wish | {"name": paths.safe_name(strip.name) + "_{version}"}
    why = source.why_rendered(strip)
    if why:
        return replace(shot, wish=wish | {"rate": _rate(scene)} | colour.wish_of(rendering.colour_space()), why=why)
    found = source.source_of(strip)
    said, light = found.colour_space, wish.get("format") == "exr" and not colour.is_light(found.plate)
    if light and not said:
        # Blender shows all SDR video by the curve of sRGB: light has to be made of it by that one as well.
        said = colour.spoken(strip.colorspace_settings.name) or ""
    wish |= {"plate": found.plate, "range": found.range} | colour.wish_of(said, light)
    if found.start is not None and strip.type == "IMAGE":
        wish["rate"] = _rate(scene)
    return replace(shot, wish=wish, start=found.start)


def again(scene: Any, strip: Any) -> Shot:
    """The shot of a result once more, as it was asked for then; what the strip below shows by now is sent.

    Raises:
        Refused: it is no result, or its record is gone.
    """
    if not results.is_result(strip):
        raise Refused("this strip shows no result", strip.name, "select one that AnyPortal made")
    record = results.record_of(strip)
    asked = ("backdrop", "matte", "preset", "subject", "seed", "settings", "format", "handles", "layers")
    wish = {key: record["wish"][key] for key in asked if key in record["wish"]}
    wish["daemon"] = preferences.get().daemon
    if results.source_of(scene, strip) is not None:
        return shot_of(scene, strip, wish)
    name = paths.safe_name(str(record["host"]["clip"])) + "_{version}"
    whole = dict(record["wish"], name=name, daemon=wish["daemon"])
    folder = results.folder_of(strip)
    host = record["host"]
    return Shot(scene.name, "", strip.name, folder, whole, host.get("start"), tuple(host["place"]), host["rendered"])


def lost_shots(chosen: str = "") -> list[Shot]:
    """The shots of this file whose jobs nobody waits for: the command died, or the daemon was out of reach.

    Args:
        chosen: where results go; empty: as the preferences say.
    """
    found = []
    for folder in records.unfinished(results_folder(chosen)):
        record = records.read(folder) or {}
        host = record.get("host", {})
        scene = compat.scene_named(host.get("scene", ""))
        if host.get("project") == bpy.data.filepath and scene is not None:
            strip = compat.all_strips(scene).get(host["clip"])
            shown = results.find(scene, strip) if strip is not None else None
            place = (host.get("start"), tuple(host["place"]), host["rendered"])
            result = shown.name if shown is not None else ""
            shot = Shot(scene.name, host["clip"], result, os.path.dirname(folder), record["wish"], *place, lost=folder)
            found.append(shot)
    return found


def results_folder(chosen: str = "") -> str:
    """Where results go: beside the .blend file, or in the user's home while it has not been saved."""
    folder = chosen or preferences.get().folder or "//anyportal"
    if folder.startswith("//") and not bpy.data.filepath:
        return os.path.join(os.path.expanduser("~"), "AnyPortal", "untitled")
    return os.path.normpath(bpy.path.abspath(folder))


def _shot_folder(scene: Any, strip: Any, chosen: str) -> str:
    folder = os.path.join(results_folder(chosen), paths.safe_name(scene.name, "scene"), paths.safe_name(strip.name))
    # Names that differ in letters no disk takes must not share their versions.
    for number in itertools.count(2):
        newest = next(iter(records.listed(folder)), None)
        if newest is None or newest[2]["host"].get("clip") == strip.name:
            break
        folder = f"{folder.rsplit('~', 1)[0]}~{number}"
    return folder


def _rate(scene: Any) -> str:
    """Frames per second, as written by people: the command knows 23.976 for what it is."""
    return f"{scene.render.fps / scene.render.fps_base:.6f}".rstrip("0").rstrip(".")

"""What the panel asks for, kept with the scene, and the wish it makes."""

# No `from __future__ import annotations`: Blender reads properties from annotations that are values.
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

import bpy

from . import preferences
from .compat import PATH_OPTIONS as PATH
from .errors import Refused

KINDS = (
    ("FILE", "File", "A picture or a clip"),
    ("COLOUR", "Colour", "One colour"),
    ("TEXT", "Text", "Words, for presets that take them"),
)
MATTES = (
    ("NONE", "Found", "The preset finds the foreground"),
    ("FILE", "File", "A clip of the foreground's alpha"),
    ("ALPHA", "Alpha", "The strip's own alpha channel"),
)
FORMATS = (
    ("auto", "As the plate", "A movie for a movie, a sequence for a sequence"),
    ("mp4", "H.264", "An MP4 movie"),
    ("h265", "H.265", "An MP4 movie of 10 bits"),
    ("prores", "ProRes 422 HQ", "A QuickTime movie"),
    ("prores4444", "ProRes 4444", "A QuickTime movie with alpha"),
    ("dnxhr", "DNxHR", "A QuickTime movie for Avid"),
    ("png", "PNG", "16-bit PNG"),
    ("tiff", "TIFF", "16-bit TIFF"),
    ("exr", "EXR", "Scene-linear EXR"),
)


class AnyPortalSettings(bpy.types.PropertyGroup):
    """The wish, as a person says it in the panel."""

    backdrop_kind: bpy.props.EnumProperty(name="Backdrop", items=KINDS)
    backdrop_file: bpy.props.StringProperty(
        name="File", subtype="FILE_PATH", description="A picture or a clip", options=PATH
    )
    backdrop_colour: bpy.props.FloatVectorProperty(
        name="Colour", subtype="COLOR_GAMMA", size=3, min=0, max=1, default=(0.25, 0.35, 0.5)
    )
    backdrop_text: bpy.props.StringProperty(name="Text", description="Where the shot shall be")
    matte_kind: bpy.props.EnumProperty(name="Matte", items=MATTES)
    matte_file: bpy.props.StringProperty(
        name="Matte", subtype="FILE_PATH", description="The foreground's alpha", options=PATH
    )
    # Without `search`: with it 4.2 crashes when it ends.
    preset: bpy.props.StringProperty(name="Preset", description="Empty: draft. The button lists what the daemon has")
    subject: bpy.props.StringProperty(name="Subject", description="Who or what is in the foreground")
    seed: bpy.props.IntProperty(name="Seed", min=0, description="Source of every random draw")
    more: bpy.props.StringProperty(
        name="Settings", description="KEY=VALUE, blanks between them: relight_strength=0.5 matte.plugin=draft.key"
    )
    format: bpy.props.EnumProperty(name="Format", items=FORMATS)
    handles: bpy.props.IntProperty(
        name="Handles", min=0, max=1000, description="Frames beyond the strip's ends, for later trims"
    )
    folder: bpy.props.StringProperty(
        name="Results", subtype="DIR_PATH", description="Empty: the folder named in the preferences", options=PATH
    )


def wish_of(settings: Any) -> dict[str, Any]:
    """The wish that the panel makes, without the plate.

    Raises:
        Refused: it is not said what the new background shall be, or a setting is malformed.
    """
    wish = {
        "backdrop": _backdrop(settings),
        "matte": _matte(settings),
        "preset": settings.preset,
        "subject": settings.subject,
        "seed": settings.seed,
        "settings": read_settings(shlex.split(settings.more)),
        "format": settings.format,
        "handles": settings.handles,
        "daemon": preferences.get().daemon,
    }
    return {key: value for key, value in wish.items() if value not in ("", {}, None)}


def load(settings: Any, wish: Mapping[str, Any]) -> None:
    """Show a recorded wish in the panel, to change it."""
    backdrop, matte = wish.get("backdrop", ""), wish.get("matte", "")
    settings.backdrop_kind = _kind(backdrop)
    if settings.backdrop_kind == "COLOUR":
        settings.backdrop_colour = [int(backdrop[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    else:
        setattr(settings, f"backdrop_{settings.backdrop_kind.lower()}", backdrop)
    settings.matte_kind = "ALPHA" if matte == "alpha" else "FILE" if matte else "NONE"
    settings.matte_file = matte if settings.matte_kind == "FILE" else ""
    settings.preset, settings.subject = wish.get("preset", ""), wish.get("subject", "")
    settings.seed, settings.handles = wish.get("seed", 0), wish.get("handles", 0)
    settings.format = wish.get("format", "auto")
    settings.more = shlex.join(f"{name}={json.dumps(value)}" for name, value in wish.get("settings", {}).items())


def read_settings(pairs: list[str]) -> dict[str, Any]:
    """Settings as they stand on a command line; a value is JSON, or a text.

    Raises:
        Refused: there is no `=`, or a table gives a frame two values.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise Refused(f"'{pair}' is no setting", "Settings", "write KEY=VALUE, such as relight_strength=0.5")
        try:
            value = json.loads(text, object_pairs_hook=_table)
        except ValueError:
            value = text
        found[name] = value if isinstance(value, (bool, int, float, str, dict)) else text
    return found


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table as JSON has it, which would keep the last of two values alone."""
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise Refused(f"a table has two values at '{twice}'", "Settings", "give one")
    return table


def _backdrop(settings: Any) -> str:
    if settings.backdrop_kind == "COLOUR":
        return "#" + "".join(f"{round(255 * part):02x}" for part in settings.backdrop_colour)
    value = str(settings.backdrop_file if settings.backdrop_kind == "FILE" else settings.backdrop_text).strip()
    if not value:
        hint = "choose a picture or a clip, a colour, or write a text"
        raise Refused("there is no backdrop", "AnyPortal panel", hint)
    return bpy.path.abspath(value) if settings.backdrop_kind == "FILE" else value


def _matte(settings: Any) -> str:
    if settings.matte_kind == "NONE":
        return ""
    if settings.matte_kind == "ALPHA":
        return "alpha"
    if not settings.matte_file:
        raise Refused("there is no matte", "AnyPortal panel", "choose its file, or have the preset find the foreground")
    return bpy.path.abspath(settings.matte_file)


def _kind(backdrop: str) -> str:
    if len(backdrop) == 7 and backdrop[0] == "#":
        return "COLOUR"
    return "FILE" if re.search(r"[/\\]|\.\w{2,4}$", backdrop) else "TEXT"

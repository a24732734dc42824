"""What is set once for all projects: the command, the daemon, the folder of results."""

# No `from __future__ import annotations`: Blender reads properties from annotations that are values.
from typing import Any

import bpy

from .compat import PATH_OPTIONS


class AnyPortalPreferences(bpy.types.AddonPreferences):
    """The add-on's page in the preferences."""

    bl_idname = __package__

    command: bpy.props.StringProperty(
        name="Command",
        description="Full path of the command 'anyportal'. Empty: it is looked for as docs/hosts.md says",
        subtype="FILE_PATH",
        options=PATH_OPTIONS,
    )
    daemon: bpy.props.StringProperty(
        name="Daemon",
        description="HOST:PORT of the daemon. Empty: the one on this machine, or one that is started for each call",
    )
    folder: bpy.props.StringProperty(
        name="Results",
        description="Where results go; a path that begins with // starts beside the .blend file",
        subtype="DIR_PATH",
        options=PATH_OPTIONS,
        default="//anyportal",
    )

    def draw(self, context: bpy.types.Context) -> None:
        """The page."""
        column = self.layout.column()
        for name in ("command", "daemon", "folder"):
            column.prop(self, name)
        column.operator("anyportal.doctor", icon="CHECKMARK")


def get() -> Any:
    """The preferences, of whichever kind the add-on was installed as; their defaults where it is not enabled."""
    chosen: Any = bpy.context.preferences
    for addon in chosen.addons:
        if addon.module.split(".")[-1] == __package__.split(".")[-1] and addon.preferences:
            return addon.preferences
    return _Defaults


class _Defaults:
    command = ""
    daemon = ""
    folder = "//anyportal"


def command() -> list[str] | None:
    """The chosen command; None: hostkit finds it."""
    chosen = get().command
    return [bpy.path.abspath(chosen)] if chosen else None

"""What is set once for all projects: the command, the daemon, the folder of results."""

# No `from __future__ import annotations`: Blender reads properties from annotations that are values.
from typing import Any

import bpy

from .compat import PATH_OPTIONS


def _choices(self: Any, _context: Any) -> list[tuple[str, str, str, int]]:
    from . import offers  # which needs the command that is named here

    found = offers.choices(self.daemon)
    # Blender takes an item without an identifier for a headline.
    _kept[:] = [(each.daemon or "configured", each.text, "", number) for number, each in enumerate(found)]
    return _kept


_kept: list[tuple[str, str, str, int]] = []  # Blender keeps no reference to the texts of a list that is made anew


def _chosen(self: Any) -> int:
    from . import offers

    return [each.daemon for each in offers.choices(self.daemon)].index(self.daemon)


def _choose(self: Any, number: int) -> None:
    from . import offers

    self.daemon = offers.choices(self.daemon)[number].daemon
    whole: Any = bpy.context.preferences
    whole.is_dirty = True  # so that Blender keeps it


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
        name="Address",
        description="HOST:PORT of the daemon, any or local. Empty: as $ANYPORTAL_DAEMON or client.toml say, else local",
    )
    choice: bpy.props.EnumProperty(
        name="Daemon",
        description="The daemon that does the work",
        items=_choices,
        get=_chosen,
        set=_choose,
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
        column.prop(self, "command")
        draw_daemon(column, self)
        for name in ("daemon", "folder"):
            column.prop(self, name)
        column.operator("anyportal.doctor", icon="CHECKMARK")


def draw_daemon(column: Any, chosen: Any) -> None:
    """The choice of a daemon, in the preferences and in the panel."""
    from . import offers

    offers.look_once()
    row = column.row(align=True)
    row.prop(chosen, "choice")
    row.operator("anyportal.find", text="", icon="FILE_REFRESH")
    if offers.note():
        column.label(text=offers.note(), icon="INFO")


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

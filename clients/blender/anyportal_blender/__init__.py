"""AnyPortal in Blender's video sequence editor: put the shot of a strip somewhere else, relit to belong there.

Standard library and `bpy` alone: the work is done by the command `anyportal` (anyportal_hostkit). An extension from
Blender 4.2 on (blender_manifest.toml), and an add-on of the older kind (bl_info).
"""

from typing import Any

import bpy

from . import kit as kit  # first: it finds what the others import
from . import offers, operators, panel, preferences, running, settings

bl_info = {
    "name": "AnyPortal",
    "author": "AnyPortal",
    "version": (0, 1, 0),
    "blender": (4, 2, 0),
    "location": "Video Sequencer > Sidebar > AnyPortal",
    "description": "New background and light for the shot of a strip",
    "category": "Sequencer",
}

_CLASSES = (
    preferences.AnyPortalPreferences,
    settings.AnyPortalSettings,
    *operators.CLASSES,
    panel.ANYPORTAL_PT_main,
)


@bpy.app.handlers.persistent
def _leave(*_: object) -> None:
    """Before another file is opened: what was on its way belongs to this one."""
    running.stop()


def register() -> None:
    """Called by Blender when the add-on is enabled."""
    for each in _CLASSES:
        bpy.utils.register_class(each)
    scene: Any = bpy.types.Scene
    scene.anyportal = bpy.props.PointerProperty(type=settings.AnyPortalSettings)
    bpy.app.handlers.load_pre.append(_leave)


def unregister() -> None:
    """Called by Blender when the add-on is disabled, and when it ends."""
    running.stop()
    offers.stop()
    bpy.app.handlers.load_pre.remove(_leave)
    scene: Any = bpy.types.Scene
    del scene.anyportal
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)

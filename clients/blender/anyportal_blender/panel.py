"""The panel in the sequencer's sidebar."""

from __future__ import annotations

from typing import Any

import bpy

from . import compat, operators, preferences, results, running, shot


class ANYPORTAL_PT_main(bpy.types.Panel):
    """AnyPortal in the sidebar of the sequencer."""

    bl_label, bl_category = "AnyPortal", "AnyPortal"
    bl_space_type, bl_region_type = "SEQUENCE_EDITOR", "UI"

    def draw(self, context: bpy.types.Context) -> None:
        """What to ask for, what is on its way, what was made."""
        layout: Any = self.layout
        scene = compat.scene_of(context)
        layout.use_property_split, layout.use_property_decorate = True, False
        if scene is None:
            layout.label(text="No scene", icon="INFO")
            return
        strip = operators.active_strip(context)
        layout.label(text=strip.name if strip else "Select a strip", icon="SEQUENCE")
        draw_wish(layout.column(), scene.anyportal)
        layout.operator("anyportal.replace", icon="IMAGE_BACKGROUND")
        for number, call in enumerate(running.now()):
            draw_call(layout.box(), number, call)
        if running.last:
            draw_lines(layout.box(), running.last["text"], running.last["level"] == "ERROR")
        if results.is_result(strip):
            draw_result(layout.box(), strip)
        row = layout.row(align=True)
        row.operator("anyportal.recover", icon="IMPORT")
        row.operator("anyportal.doctor", icon="CHECKMARK")


def draw_wish(column: Any, chosen: Any) -> None:
    """What the panel asks for."""
    column.row().prop(chosen, "backdrop_kind", expand=True)
    column.prop(chosen, f"backdrop_{chosen.backdrop_kind.lower()}", text=" ")
    column.row().prop(chosen, "matte_kind", expand=True)
    if chosen.matte_kind == "FILE":
        column.prop(chosen, "matte_file", text=" ")
    preferences.draw_daemon(column, preferences.get())
    row = column.row(align=True)
    row.prop(chosen, "preset")
    row.operator("anyportal.presets", text="", icon="QUESTION")
    for name in ("subject", "seed", "more", "handles", "format", "folder"):
        column.prop(chosen, name)
    if not chosen.folder:
        column.label(text=shot.results_folder(), icon="FILE_FOLDER")


def draw_call(box: Any, number: int, call: Any) -> None:
    """One that is on its way."""
    row = box.row()
    row.progress(factor=call.fraction, text=f"{call.shot.title}: {call.phase}")
    row.operator("anyportal.cancel", text="", icon="X").number = number
    if call.job:
        box.label(text=call.job)
    for note in call.notes:
        draw_lines(box, note, False)


def draw_result(box: Any, strip: Any) -> None:
    """What can be done with a result."""
    row = box.row()
    row.label(text=results.version_of(strip) + (" (comparing)" if results.is_compared(strip) else ""))
    row.operator_menu_enum("anyportal.show_version", "version", text="Versions")
    box.operator("anyportal.compare", depress=results.is_compared(strip))
    row = box.row(align=True)
    for name in ("rerun", "load", "job"):
        row.operator(f"anyportal.{name}")


def draw_lines(box: Any, text: str, bad: bool) -> None:
    """Some lines of text; labels do not wrap."""
    column = box.column(align=True)
    for number, line in enumerate(text.splitlines()):
        column.label(text=line, icon=("ERROR" if bad else "INFO") if number == 0 else "BLANK1")

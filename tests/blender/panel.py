"""The panel without a window: what it shows, and its button."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.blender.cut import Cut


def icons() -> set[str]:
    """The names of all that Blender can draw."""
    import bpy

    return set(bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items.keys())


class Layout:
    """Takes what a panel draws, and keeps the names."""

    def __init__(self, drawn: list[str]) -> None:
        self.drawn = drawn
        self.number = -1

    def _inner(self, **_: Any) -> Layout:
        return self

    row = column = box = _inner

    def label(self, text: str, icon: str = "NONE") -> None:
        assert icon in icons()
        self.drawn.append(text)

    def prop(self, owner: Any, name: str, text: str = "", expand: bool = False) -> None:
        assert name in owner.bl_rna.properties
        self.drawn.append(name)

    def operator(self, name: str, text: str = "", icon: str = "NONE", depress: bool = False) -> Layout:
        import bpy

        assert icon in icons()
        assert getattr(bpy.ops.anyportal, name.removeprefix("anyportal.")).get_rna_type()
        self.drawn.append(name)
        return Layout([])

    def operator_menu_enum(self, name: str, prop: str, text: str = "") -> None:
        self.drawn.append(name)

    def progress(self, factor: float, text: str) -> None:
        assert 0 <= factor <= 1
        self.drawn.append(text)


def drawn(bpy: Any) -> list[str]:
    """What the panel shows."""
    from anyportal_blender.panel import ANYPORTAL_PT_main

    layout = Layout([])
    ANYPORTAL_PT_main.draw(type("Panel", (), {"layout": layout}), bpy.context)
    return layout.drawn


def press(cut: Cut) -> None:
    """What the button does: without a window Blender takes every operator for a script's, which waits."""
    from anyportal_blender import running, settings, shot
    from anyportal_blender.call import Call

    strip = cut.scene.sequence_editor.active_strip
    running.start(Call(shot.shot_of(cut.scene, strip, settings.wish_of(cut.settings))))

"""A file with an edit in it, as a person would have made it, and what its sequencer shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import addon_utils
import bpy
import numpy as np
from anyportal_blender import compat
from numpy.typing import NDArray

SIZE = (160, 96)


class Cut:
    """A new file, saved in a folder, whose scene has the size of the plates.

    Args:
        folder: of the .blend file.
        media: of the plates.
    """

    def __init__(self, folder: Path, media: Path) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        addon_utils.enable("anyportal_blender", default_set=True)
        self.folder, self.media = folder, media
        render = self.scene.render
        render.resolution_x, render.resolution_y = SIZE
        self.scene.view_settings.view_transform = "Standard"
        self.scene.sequence_editor_create()
        if hasattr(bpy.context.workspace, "sequencer_scene"):  # from 5.0, which crashes on new modifiers without one
            bpy.context.workspace.sequencer_scene = self.scene
        self.save()

    @property
    def scene(self) -> Any:
        return bpy.context.scene

    @property
    def strips(self) -> Any:
        return compat.strips_of(self.scene.sequence_editor)

    def inside(self, meta: Any) -> list[Any]:
        """The strips in a meta strip."""
        return list(compat.strips_of(meta))

    @property
    def settings(self) -> Any:
        return self.scene.anyportal

    def save(self) -> None:
        bpy.ops.wm.save_as_mainfile(filepath=str(self.folder / "cut.blend"))

    def movie(self, name: str = "shot", start: int = 20, channel: int = 1) -> Any:
        """The plate as a movie; it is active."""
        return self.select(self.strips.new_movie(name, str(self.media / "plate.mp4"), channel, start))

    def pictures(self, names: list[str], start: int = 20, channel: int = 1) -> Any:
        """Pictures of the plate; the strip is active."""
        strip = self.strips.new_image("pictures", str(self.media / names[0]), channel, start)
        for name in names[1:]:
            strip.elements.append(name)
        return self.select(strip)

    def meta(self, left: int = 20, right: int = 32) -> Any:
        """The plate as a movie, inside a meta strip that shows some of it; the meta strip is active."""
        movie = self.movie()
        movie.select = True
        with self.sequencer():  # before 5.0 only the operator gives a meta strip the length of what is in it
            bpy.ops.sequencer.meta_make()
        meta = self.strips[0]
        meta.name = "meta"
        meta.frame_final_end, meta.frame_final_start = right, left
        return self.select(meta)

    def cross(self, first: Any, second: Any, channel: int) -> Any:
        """A dissolve over the whole of two strips."""
        where = compat.timing(first)
        parameters = self.strips.bl_rna.functions["new_effect"].parameters.keys()
        length = {"length": where.right - where.left} if "length" in parameters else {"frame_end": where.right}
        inputs = ("input1", "input2") if "input1" in parameters else ("seq1", "seq2")
        more = length | dict(zip(inputs, (first, second), strict=True))
        return self.strips.new_effect("cross", "CROSS", channel, where.left, **more)

    @contextmanager
    def sequencer(self) -> Iterator[None]:
        """A sequencer for operators that want to be called in one."""
        window = bpy.context.window_manager.windows[0]
        area = window.screen.areas[0]
        area.type = "SEQUENCE_EDITOR"
        with bpy.context.temp_override(window=window, area=area):
            yield

    def select(self, strip: Any) -> Any:
        self.scene.sequence_editor.active_strip = strip
        return strip

    def wish(self, backdrop: str = "#2040c0", **settings: Any) -> None:
        """What the panel asks for: a colour before the given matte, with the light of the plate."""
        chosen = self.settings
        chosen.backdrop_kind, chosen.more = "COLOUR", "relight_strength=0"
        chosen.backdrop_colour = [int(backdrop[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        chosen.matte_kind, chosen.matte_file = "FILE", str(self.media / "matte.mp4")
        for name, value in settings.items():
            setattr(chosen, name, value)

    def replace(self, backdrop: str = "#2040c0", **settings: Any) -> Any:
        """Replace the background of the active strip and wait; gives the strip of the result."""
        self.wish(backdrop, **settings)
        before = self.scene.sequence_editor.active_strip.name
        bpy.ops.anyportal.replace()
        return next(s for s in compat.all_strips(self.scene).values() if s.get("anyportal_source") == before)

    def look(self, frame: int) -> NDArray[np.float32]:
        """What the sequencer shows at a frame, `(H, W, 3)` 0..1, the first row on top."""
        scene = self.scene
        scene.frame_set(frame)
        path = self.folder / f"look_{frame}.png"
        scene.render.filepath = str(path)
        scene.render.image_settings.file_format = "PNG"
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(str(path))
        pixels = np.array(image.pixels[:], np.float32).reshape(SIZE[1], SIZE[0], 4)[::-1, :, :3]
        bpy.data.images.remove(image)
        return pixels

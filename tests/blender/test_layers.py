"""A layered EXR with overscan as Blender's compositor sees it: every layer by its name, under its frame's number."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.blender.conftest import _clean

_RESULT = """
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

from anyportal_core.delivery import LAYERS
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.encoding import LINEAR
from anyportal_core.media.writers import open_writer

info = ClipInfo(
    Path("plate.%04d.exr"), "sequence", 24, 16, Fraction(24), range(1001, 1004), LINEAR, "half",
    display_window=(0, 0, 20, 12), data_window=(-2, -1, 24, 16), margins=(2, 1, 2, 3),
)
writer = open_writer("exr", Path(sys.argv[1]), "shot", LAYERS, info, Fraction(24), {})
for number in info.numbers:
    layers = {
        name: np.full((16, 24, 3)[: 2 if name in ("matte", "shadow") else 3], (place + number - 1001) / 16, np.float32)
        for place, name in enumerate(LAYERS)
    }
    layers["matte"][:] = 0.5
    writer.write(number, layers)
"""


@pytest.fixture(scope="module")
def result(command: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("result")
    subprocess.run([Path(command).with_name("python"), "-c", _RESULT, folder], check=True, env=_clean())
    return folder / "shot.1001.exr"


@pytest.fixture(scope="module")
def scene(bpy: ModuleType) -> Any:
    """An empty one of the display window's size, that renders what its compositor makes."""
    scene = bpy.context.scene
    if not hasattr(scene, "compositing_node_group"):
        pytest.skip("before Blender 5.0 compositing is set up otherwise")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 20, 12
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    return scene


def test_layers_values_and_frame_numbers(bpy: ModuleType, scene: Any, result: Path, tmp_path: Path) -> None:
    image = bpy.data.images.load(str(result))
    image.source = "SEQUENCE"
    tree = bpy.data.node_groups.new("layers", "CompositorNodeTree")
    node = tree.nodes.new("CompositorNodeImage")
    node.image, node.frame_start, node.frame_duration, node.frame_offset = image, 1001, 3, 1000
    assert image.type == "MULTILAYER"
    names = {output.name for output in node.outputs}
    assert names == {"Combined", "Alpha", "foreground", "background", "matte", "gain", "clean_plate", "shadow", "wrap"}
    tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    end = tree.nodes.new("NodeGroupOutput")
    scene.compositing_node_group = tree
    for number in (1001, 1003):
        later = (number - 1001) / 16
        values = {"Combined": 1.5 / 16 + later, "foreground": 1 / 16 + later, "background": 2 / 16 + later}
        values |= {"matte": 0.5, "gain": 4 / 16 + later, "clean_plate": 5 / 16 + later, "shadow": 6 / 16 + later}
        scene.frame_set(number)
        for name, value in (values | {"wrap": 7 / 16 + later}).items():
            tree.links.new(node.outputs[name], end.inputs[0])
            scene.render.filepath = str(tmp_path / f"{name}.{number}.exr")
            bpy.ops.render.render(write_still=True)
            shown = bpy.data.images.load(scene.render.filepath)
            assert tuple(shown.size) == (20, 12)
            assert set(shown.pixels[:3]) == set(shown.pixels[-4:-1]) == {value}, name

"""A script whose colours an OpenColorIO configuration manages, by the real library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PyOpenColorIO as ocio

from tests.hosts.nuke.images import Image

if TYPE_CHECKING:
    from tests.hosts.nuke.module import FakeNuke

_COLOURS = ("rgba.red", "rgba.green", "rgba.blue")
_SHOW = """ocio_profile_version: 2
search_path: luts
roles: {default: plates/raw, scene_linear: lin, compositing_log: show_log, aces_interchange: aces}
displays: {d: [!<View> {name: v, colorspace: lin}]}
colorspaces:
  - !<ColorSpace> {name: plates/raw, isdata: true}
  - !<ColorSpace> {name: aces}
  - !<ColorSpace>
    name: lin
    from_scene_reference: !<MatrixTransform> {matrix: [1.5, -0.3, -0.2, 0, -0.1, 1.2, -0.1, 0, 0, 0, 1, 0, 0, 0, 0, 1]}
  - !<ColorSpace>
    name: show_log
    family: cameras
    to_scene_reference: !<FileTransform> {src: curve.spi1d}
"""
_CURVE = "Version 1\nFrom 0.0 1.0\nLength 3\nComponents 1\n{\n0.0\n0.25\n1.0\n}\n"


def write_show(folder: Path) -> Path:
    """A show's configuration: light of its own, and a log space by a table that lies beside it."""
    (folder / "luts").mkdir(parents=True)
    (folder / "luts/curve.spi1d").write_text(_CURVE)
    (folder / "config.ocio").write_text(_SHOW)
    return folder / "config.ocio"


def use(nuke: FakeNuke, path: Path) -> None:
    """Have the script use a custom configuration; its lists then begin with roles, and name families."""
    config = ocio.Config.CreateFromFile(str(path))
    values = {"colorManagement": "OCIO", "OCIO_config": "custom", "customOCIOConfigPath": str(path)}
    for name, value in {**values, "workingSpaceLUT": "scene_linear (lin)", "int8Lut": "show_log"}.items():
        nuke.root_node[name].setValue(value)
    roles = [f"{role} ({config.getRoleColorSpace(role)})" for role in ("scene_linear", "compositing_log")]
    spaces = [f"{space.getName()}\t{space.getFamily()}/{space.getName()}" for space in config.getColorSpaces()]
    nuke.colour_spaces = [*roles, *spaces]


def to_working(nuke: FakeNuke, image: Image, space: str) -> Image:
    """A picture from a space of the script's configuration in the working space."""
    config = ocio.Config.CreateFromFile(str(nuke.root_node["customOCIOConfigPath"].content))
    working = str(nuke.root_node["workingSpaceLUT"].content)
    # By a role, where one stands before the name in brackets; by the name, where a family does.
    plain = (name.partition(" (")[0] for name in (space, working))
    names = [name if config.getColorSpace(name) else name.rpartition("/")[2] for name in plain]
    pixels = np.stack([image.plane(name) for name in _COLOURS], axis=-1).astype(np.float32)
    config.getProcessor(*names).getDefaultCPUProcessor().applyRGB(pixels)
    return replace(image, planes=image.planes | {name: pixels[..., at] for at, name in enumerate(_COLOURS)})

"""`nuke.execute` on a Write: real EXR files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.hosts.nuke import images
from tests.hosts.nuke.nodes import Node

if TYPE_CHECKING:
    from tests.hosts.nuke.module import FakeNuke

_CHANNELS = {"rgb": ["red", "green", "blue"], "rgba": ["red", "green", "blue", "alpha"], "alpha": ["alpha"]}


@dataclass(frozen=True)
class Rendered:
    """A frame that was rendered: where, and what the file says."""

    frame: int
    path: Path
    image: images.Image
    view: str


def execute(nuke: FakeNuke, write: Node, frame: int, view: str) -> None:
    """One frame.

    hosts.md: "failure or cancel is RuntimeError".
    """
    if nuke.cancel_render_at == frame:
        raise RuntimeError("Cancelled")
    proxy = bool(nuke.root_node["proxy"].content)
    path = Path(write["proxy" if proxy else "file"].content)
    if str(path) == "." or write["file_type"].content != "exr":
        raise RuntimeError("no file, or a file type that this fake does not write")
    if not path.parent.is_dir() and not write["create_directories"].content:
        raise RuntimeError(f"{path}: No such file or directory")
    assert not path.exists(), f"{path} was rendered already"
    image = write.image(frame)
    if proxy:
        scale = nuke.root_node["proxy_scale"].content
        small = images.Format(int(image.format.wide * scale), int(image.format.high * scale), image.format.aspect)
        image = image.resized(small)
    if write["autocrop"].content:
        image = _autocropped(image)
    if not write["raw"].content:  # converted to the file's colour space: not what is in the working space
        image = replace(image, planes={name: images.encoded(plane) for name, plane in image.planes.items()})
    kind = {"16 bit half": "half", "32 bit float": "float"}[write["datatype"].content]
    names = [f"rgba.{name}" for name in _CHANNELS[write["channels"].content]]
    images.write(path, image, names, kind, write["metadata"].content == "all metadata")
    nuke.rendered.append(Rendered(frame, path, images.read(path), view))


def _autocropped(image: images.Image) -> images.Image:
    rows, columns = np.nonzero(sum(np.abs(plane) for plane in image.planes.values()))
    left, _, _, top = image.box
    if not len(rows):
        return image
    return image.cropped((left + columns.min(), top - rows.max() - 1, left + columns.max() + 1, top - rows.min()))


def frames_of(first: int, last: int, step: int) -> Any:
    return range(first, last + 1, step)

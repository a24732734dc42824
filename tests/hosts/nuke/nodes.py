"""Nodes: a graph that computes pictures, as much of it as the client touches."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.hosts.nuke import configs, images
from tests.hosts.nuke.images import Format, Image
from tests.hosts.nuke.knobs import ChannelKnob, ColourKnob, FileKnob, FileTypeKnob, Knob, ReloadKnob, evaluated

if TYPE_CHECKING:
    from tests.hosts.nuke.module import FakeNuke

RGBA = ["rgba.red", "rgba.green", "rgba.blue", "rgba.alpha"]
_MOVIES = (".mov", ".mp4")

_KNOBS: dict[str, dict[str, Any]] = {
    "Read": {
        "first": 1, "last": 1, "origfirst": 1, "origlast": 1, "frame_mode": "expression", "frame": "", "raw": False,
        "on_error": "error", "premultiplied": False, "before": "hold", "after": "hold",
    },
    "Write": {"use_limit": False, "first": 1, "last": 1, "raw": False, "create_directories": False, "reading": False},
    "Grade": {"multiply": 1.0},
    "Crop": {"box": [0, 0, 0, 0], "reformat": False, "crop": True},
    "Reformat": {
        "type": "to format", "box_fixed": False, "box_width": 200, "box_height": 200, "box_pixel_aspect": 1.0,
        "resize": "width", "center": True, "pbb": False,
    },
    "Transform": {"translate": [0, 0]},
    "Merge2": {"operation": "over"},
    "Switch": {"which": 0},
}  # fmt: skip
_CHANNELS = {
    "Copy": {"from0": "rgba.alpha", "to0": "rgba.alpha"},
    "Shuffle": {"in": "rgba", "red": "red", "green": "green", "blue": "blue", "alpha": "alpha"},
    "Write": {"channels": "rgb"},
}


class Node:
    """One node. What touches it after it was deleted gets a ValueError, as in Nuke."""

    def __init__(self, nuke: FakeNuke, kind: str, group: Group | None) -> None:
        self.nuke, self.kind, self.group = nuke, kind, group
        self.title, self.alive, self.broken, self.reloads = kind, True, False, 0
        self.sources: list[Node | None] = []
        self.place = (0, 0)
        self.knobs_: dict[str, Knob] = {}
        for name in ("label", "tile_color", "disable"):
            self.knobs_[name] = self.adopted(Knob(name, value={"disable": False, "tile_color": 0}.get(name, "")))
        for name, value in _KNOBS.get(kind, {}).items():
            self.knobs_[name] = self.adopted(Knob(name, value=value))
        for name, value in _CHANNELS.get(kind, {}).items():
            self.knobs_[name] = self.adopted(ChannelKnob(name, value=value))
        if kind in ("Read", "Write"):
            self.knobs_["file"] = self.adopted(FileKnob("file"))
            self.knobs_["proxy"] = self.adopted(FileKnob("proxy"))
            self.knobs_["colorspace"] = self.adopted(ColourKnob("colorspace", value="default"))
        if kind == "Read":
            self.knobs_["reload"] = self.adopted(ReloadKnob("reload"))
        if kind == "Write":
            self.knobs_["file_type"] = self.adopted(FileTypeKnob("file_type"))

    def adopted(self, knob: Knob) -> Knob:
        knob.owner = self
        return knob

    def check(self) -> None:
        """What every question about a node begins with: reading is for the main thread, too."""
        self.nuke.only_main_thread(f"asking {self.title}")
        if not self.alive:
            raise ValueError("A PythonObject is not attached to a node")

    # What Nuke's own nodes answer

    def Class(self) -> str:
        self.check()
        return self.kind

    def name(self) -> str:
        self.check()
        return self.title

    def fullName(self) -> str:
        inside = self.group is not None and self.group is not self.nuke.root_node
        return f"{self.group.fullName()}.{self.name()}" if inside and self.group else self.name()

    def setName(self, name: str) -> None:
        before, self.title = self.title, self.nuke.free_name(name)
        self.nuke.edit("name", lambda: setattr(self, "title", before))

    def parent(self) -> Group:
        self.check()
        return self.group or self.nuke.root_node

    def knob(self, name: str) -> Knob | None:
        self.check()
        return self.knobs_.get(name)

    def knobs(self) -> dict[str, Knob]:
        return self.knobs_

    def __getitem__(self, name: str) -> Knob:
        self.check()
        if name not in self.knobs_:
            raise NameError(f"knob {name} does not exist")
        return self.knobs_[name]

    def addKnob(self, knob: Knob) -> None:
        self.nuke.edit("knob", lambda: self.knobs_.pop(knob.name(), None))
        self.knobs_[knob.name()] = self.adopted(knob)

    def input(self, index: int) -> Node | None:
        self.check()
        found = self.sources[index] if index < len(self.sources) else None
        return found if found is None or self.nuke.seen(found) else None

    def setInput(self, index: int, node: Node | None) -> bool:
        before = list(self.sources)
        self.nuke.edit("input", lambda: setattr(self, "sources", before))
        self.sources += [None] * (index + 1 - len(self.sources))
        self.sources[index] = node
        return True

    def xpos(self) -> int:
        return self.place[0]

    def ypos(self) -> int:
        return self.place[1]

    def setXYpos(self, x: int, y: int) -> None:
        before = self.place
        self.nuke.edit("place", lambda: setattr(self, "place", before))
        self.place = (x, y)

    def hasError(self) -> bool:
        return self.broken

    def treeHasError(self) -> bool:
        return self.broken or any(node.treeHasError() for node in self.sources if node is not None)

    def metadata(self, key: str) -> Any:
        return self.image(self.nuke.at).metadata.get(key)

    def channels(self) -> list[str]:
        return list(self.image(self.nuke.at).planes)

    def format(self) -> Format:
        return self.image(self.nuke.at).format

    def bbox(self) -> Any:
        left, bottom, right, top = self.image(self.nuke.at).box
        return SimpleNamespace(x=lambda: left, y=lambda: bottom, w=lambda: right - left, h=lambda: top - bottom)

    # Pictures

    def image(self, frame: int) -> Image:
        """What the node shows at a frame."""
        if self.broken:
            raise RuntimeError(f"{self.title}: has an error")
        inputs = [node.image(frame) for node in self.sources if node is not None]
        if self.kind != "Read" and (self.knobs_["disable"].content or self.kind not in _MADE):
            return inputs[0]
        if self.kind == "Read":
            return self._read(frame)
        return _MADE[self.kind](self, inputs)

    def _value(self, name: str) -> Any:
        return self.knobs_[name].content

    def file_frame(self, frame: int) -> int:
        """hosts.md: "A Read's `frame_mode`/`frame` (expression, start at, offset) shifts frames: honour it."""
        mode, text, first, last = (self._value(name) for name in ("frame_mode", "frame", "first", "last"))
        if text and mode == "expression":
            frame = int(eval(text, {"frame": frame}))
        elif text:
            frame = frame - int(text) + (first if mode == "start at" else 0)
        return int(min(max(frame, first), last))  # before and after: hold

    def _read(self, frame: int) -> Image:
        path = Path(str(self.nuke.root_node["project_directory"].content)) / evaluated(self._value("file"))
        if path.suffix in _MOVIES:
            size = Format(96, 64)
            planes = {name: np.zeros((64, 96), np.float32) for name in RGBA[:3]}
            return Image(size, (0, 0, 96, 64), planes, {"input/bitsperchannel": "8-bit fixed"})
        number = self.file_frame(frame)
        hashes = re.sub(r"#+", lambda found: f"%0{len(found[0])}d", str(path))
        path = Path(re.sub(r"%0?\d*d", lambda found: found[0] % number, hashes))
        if not path.is_file():
            if self._value("on_error") == "error":
                raise RuntimeError(f"{self.title}: {path}: No such file or directory")
            blank = np.zeros((64, 96), np.float32)
            return Image(Format(96, 64), (0, 0, 96, 64), dict.fromkeys(RGBA, blank), {}, checkerboard=True)
        image = images.read(path)
        self.nuke.learn(list(image.planes))
        space = self._value("colorspace")
        if space == "default":
            space = self.nuke.root_node["int8Lut" if path.suffix == ".png" else "floatLut"].content
        if self.nuke.root_node["OCIO_config"].content == "custom" and not self._value("raw"):
            return configs.to_working(self.nuke, image, space)
        if self._value("raw") or "sRGB" not in space or "Linear" in space:
            return image
        colours = {name: images.decoded(image.planes[name]) for name in RGBA[:3]}
        return replace(image, planes=image.planes | colours)


class Group(Node):
    """A node with nodes inside; `with group:` makes new ones there."""

    def __init__(self, nuke: FakeNuke, kind: str = "Group", group: Group | None = None) -> None:
        super().__init__(nuke, kind, group)

    def __enter__(self) -> Group:
        self.nuke.contexts.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        self.nuke.contexts.pop()


def _grade(node: Node, inputs: list[Image]) -> Image:
    factor = np.float32(node._value("multiply"))
    return replace(inputs[0], planes=inputs[0].planes | {n: inputs[0].plane(n) * factor for n in RGBA[:3]})


def _crop(node: Node, inputs: list[Image]) -> Image:
    left, bottom, right, top = (int(value) for value in node._value("box"))
    made = inputs[0].cropped((left, bottom, right, top)) if node._value("crop") else inputs[0]
    if not node._value("reformat"):
        return made
    return replace(made.moved(-left, -bottom), format=Format(right - left, top - bottom, made.format.aspect))


def _reformat(node: Node, inputs: list[Image]) -> Image:
    assert node._value("type") == "to box" and node._value("box_fixed")
    size = Format(node._value("box_width"), node._value("box_height"), node._value("box_pixel_aspect"))
    if node._value("resize") == "distort":
        return inputs[0].resized(size)
    assert node._value("resize") == "none" and not node._value("center")
    made = replace(inputs[0], format=size)
    return made if node._value("pbb") else made.cropped((0, 0, size.wide, size.high))


def _copy(node: Node, inputs: list[Image]) -> Image:
    base, other = inputs
    left, bottom = (min(base.box[i], other.box[i]) for i in (0, 1))
    right, top = (max(base.box[i], other.box[i]) for i in (2, 3))
    base, other = (image.cropped((left, bottom, right, top)) for image in (base, other))
    return replace(base, planes=base.planes | {node._value("to0"): other.plane(node._value("from0"))})


def _shuffle(node: Node, inputs: list[Image]) -> Image:
    image, layer = inputs[0], node._value("in")
    made = {}
    for name in ("red", "green", "blue", "alpha"):
        taken = node._value(name)
        plane = image.plane(f"{layer}.{taken}")
        made[f"rgba.{name}"] = np.ones_like(plane) if taken == "white" else plane
    return replace(image, planes=image.planes | made)


def _multiplied(image: Image, factor: Callable[[Any], Any]) -> Image:
    alpha = factor(image.plane("rgba.alpha"))
    return replace(image, planes=image.planes | {name: image.plane(name) * alpha for name in RGBA[:3]})


def _divisor(alpha: Any) -> Any:
    return np.where(alpha > 0, 1 / np.maximum(alpha, 1e-6), 1).astype(np.float32)


def _over(node: Node, inputs: list[Image]) -> Image:
    below, above = inputs
    rest = 1 - above.plane("rgba.alpha")
    return replace(below, planes=below.planes | {n: above.plane(n) + below.plane(n) * rest for n in RGBA})


_MADE: dict[str, Callable[[Node, list[Image]], Image]] = {
    "Grade": _grade,
    "Crop": _crop,
    "Reformat": _reformat,
    "Copy": _copy,
    "Shuffle": _shuffle,
    "Merge2": _over,
    "Premult": lambda node, inputs: _multiplied(inputs[0], lambda alpha: alpha),
    "Unpremult": lambda node, inputs: _multiplied(inputs[0], _divisor),
    "Transform": lambda node, inputs: inputs[0].moved(*(int(value) for value in node._value("translate"))),
    "Switch": lambda node, inputs: inputs[int(node._value("which"))],
}

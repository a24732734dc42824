"""Knobs, with what real ones refuse."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.hosts.nuke.nodes import Node


ROLES = ("default", "scene_linear", "compositing_log")  # entries such as "scene_linear (ACEScg)", as Nuke 15 shows them


class Knob:
    """A value on a node. Every change is a node edit: in the main thread, and a step to undo."""

    def __init__(self, name: str, label: str = "", value: Any = "") -> None:
        self._name, self._label, self.content = name, label, value
        self.flags = 0
        self.editable = True
        self.owner: Node | None = None

    def name(self) -> str:
        return self._name

    def label(self) -> str:
        return self._label

    def node(self) -> Node:
        assert self.owner is not None
        return self.owner

    def value(self) -> Any:
        if self.owner is not None:
            self.owner.check()
        return self.content

    def setValue(self, value: Any) -> bool:
        self._change(self._taken(value))
        return True

    def setFlag(self, flag: int) -> None:
        self.flags |= flag

    def setEnabled(self, enabled: bool) -> None:
        self.editable = enabled

    def evaluate(self) -> str:
        if self.owner is not None:
            self.owner.check()
        return evaluated(str(self.content))

    def _taken(self, value: Any) -> Any:
        return value

    def _change(self, value: Any) -> None:
        if self.owner is None:  # a knob that was not added to a node yet
            self.content = value
            return
        self.owner.check()
        before = self.content
        self.owner.nuke.edit(f"{self.owner.title}.{self._name}", lambda: setattr(self, "content", before))
        self.content = value


class FileKnob(Knob):
    def _taken(self, value: Any) -> Any:
        assert "\\" not in value, "Nuke reads a backslash as the beginning of an escape"
        return value

    said = ""  # the last such text

    def fromUserText(self, text: str) -> None:
        """hosts.md: `file.fromUserText('path.%04d.exr 1001-1100')`; set first/last/origfirst/origlast.

        It takes the range of what lies on the disk where anything does, whatever the text says.
        """
        found = re.fullmatch(r"(.*?)(?: (-?\d+)-(-?\d+))?", text)
        assert found is not None
        self.setValue(found[1])
        self.said = text
        first, last = int(found[2] or 1), int(found[3] or 1)
        there = sequence_on_disk(found[1])
        first, last = (there[0], there[-1]) if there else (first, last)
        for name, number in (("first", first), ("last", last), ("origfirst", first), ("origlast", last)):
            self.node()[name].setValue(number)


class ColourKnob(Knob):
    """hosts.md: "`nuke.getColorspaceList(knob)` entries are tab- or comma-joined aliases: split before comparing": one
    name is taken, an entry as the list has it is not."""

    def _taken(self, value: Any) -> Any:
        known = {name for entry in self.entries() for name in re.split(r"[\t,]", entry)}
        known |= {name.rpartition(" (")[2].rstrip(")") for name in known if name.partition(" ")[0] in ROLES}
        if value not in known | {"default"}:
            raise ValueError(f"{value!r} is no colour space of this configuration")
        return value

    def entries(self) -> list[str]:
        return self.node().nuke.colour_spaces


class ChannelKnob(Knob):
    """Knows the layers of the script alone: those that a file or `nuke.Layer` has told of."""

    def _taken(self, value: Any) -> Any:
        layers = self.node().nuke.layer_channels
        layer = value.partition(".")[0]
        assert not layer.isdigit(), "purely numeric layer names fail"
        known = layer in layers and ("." not in value or value in layers[layer])
        if not known and value not in ("red", "green", "blue", "alpha", "black", "white", "rgb", "all", "none"):
            raise ValueError(f"there is no layer or channel {value}")
        return value


class FileTypeKnob(Knob):
    """The knobs of a file type are there once it is chosen, as a studio's `knobDefault` has them."""

    def _change(self, value: Any) -> None:
        super()._change(value)
        if value == "exr":
            for name, default in (("datatype", "32 bit float"), ("autocrop", True), ("metadata", "default metadata")):
                self.node().knobs_.setdefault(name, self.node().adopted(Knob(name, value=default)))


class ReloadKnob(Knob):
    def execute(self) -> None:
        self.node().nuke.only_main_thread("a knob's execute")
        self.node().reloads += 1


class ButtonKnob(Knob):
    """A PyScript_Knob: `execute` runs its text as a person's click does."""

    def execute(self) -> None:
        nuke = self.node().nuke
        nuke.only_main_thread("a button")
        nuke.this_node = self.node()
        with self.node().parent():
            exec(self.content, {"nuke": nuke})


def evaluated(text: str) -> str:
    """Text with its TCL worked out, as far as this fake has any: `[getenv SHOT]`."""
    return re.sub(r"\[getenv (\w+)\]", lambda found: os.environ.get(found[1], ""), text)


def sequence_on_disk(pattern: str) -> list[int]:
    """The numbers of a sequence's files."""
    path = Path(pattern)
    if "%" not in path.name or not path.parent.is_dir():
        return []
    shape = re.compile(re.sub(r"%0?\d*d", r"(-?\\d+)", re.escape(path.name).replace(r"\%", "%")))
    return sorted(int(found[1]) for each in path.parent.iterdir() if (found := shape.fullmatch(each.name)))

"""The result in the node graph: a Read that fills in while frames arrive, its layers, and a Merge ready to use."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from anyportal_hostkit import frames, paths

import nuke
from anyportal_nuke import again, configuration, tab
from anyportal_nuke.asked import remember
from anyportal_nuke.plan import Plan, size
from anyportal_nuke.undo import one_step, unrecorded

_LAYERS = {
    "foreground": ["foreground.red", "foreground.green", "foreground.blue"],
    "background": ["background.red", "background.green", "background.blue"],
    "matte": ["matte.alpha"],
    "gain": ["gain.red", "gain.green", "gain.blue"],
    "clean_plate": ["clean_plate.red", "clean_plate.green", "clean_plate.blue"],
    "shadow": ["shadow.alpha"],
    "wrap": ["wrap.red", "wrap.green", "wrap.blue"],
}
_ALPHAS = ("matte", "shadow")
_SHOWN = ("file", "first", "last", "origfirst", "origlast", "frame_mode", "frame", "raw", "colorspace")
_FAILED = 0xC03030FF
_RIGHT, _DOWN = 110, 80


class Result(object):
    """The nodes of one result. Every method belongs in the main thread.

    Args:
        read: the Read; one that has been there before is taken over, with what hangs on it.
        made: all nodes that were made for it.
    """

    def __init__(self, read: nuke.Node, made: Optional[List[nuke.Node]] = None) -> None:
        self.read = read
        self.made = list(made or [])
        self._saved: Dict[str, Any] = {}

    @property
    def alive(self) -> bool:
        """Whether the node is still there: people delete nodes, and close scripts, while jobs run."""
        try:
            self.read.name()
        except ValueError:  # what a Python object without its node raises
            return False
        return True

    def show(self, plan: Plan, version: str, pattern: str, whole: List[int]) -> None:
        """Point the Read at a version's files, which need not be there yet.

        Args:
            whole: the numbers of all files that there will be.
        """
        first, last = whole[0], whole[-1]
        path = paths.forward(paths.file_of(pattern, first) if plan.still else pattern)
        if plan.still:  # one file, shown wherever the plate is
            first, last = plan.range.frames[0], plan.range.frames[-1]
        self.read["file"].fromUserText("{} {}-{}".format(path, first, last))  # type: ignore[attr-defined]
        # fromUserText looks at the disk, where nothing lies yet: the range is said again.
        for name, value in (("first", first), ("last", last), ("origfirst", first), ("origlast", last)):
            self.read[name].setValue(value)
        moved = plan.shift and not plan.still
        self.read["frame_mode"].setValue("start at" if moved else "expression")
        self.read["frame"].setValue(str(first + plan.shift) if moved else "")
        self.read["on_error"].setValue("checkerboard")
        self._take_colours(plan)
        tab.write(self.read, version=version, plate=plan.node.fullName(), frames=frames.text_of(plan.range.frames))

    def status(self, text: str, failed: bool = False) -> None:
        """Say what is going on, on the tab and under the node."""
        tab.write(self.read, status=text.partition("\n")[0])
        backdrop = tab.read(self.read, "backdrop")
        proxy = " PROXY" if tab.read_asked(self.read).get("size") == "proxy" else ""
        head = "AnyPortal {}{}".format(tab.read(self.read, "version"), proxy).strip()
        # A label is worked out as TCL: brackets in it are to stay brackets.
        self.read["label"].setValue("\n".join([head, backdrop, text]).replace("[", "\\["))
        self.read["tile_color"].setValue(_FAILED if failed else 0)

    def save(self) -> None:
        """Remember what is shown, for `restore`."""
        there = [name for name in _SHOWN + tab.names() if self.read.knob(name) is not None]
        self._saved = {name: self.read[name].value() for name in there}

    def restore(self) -> None:
        """Show again what was shown at the last `save`."""
        for name, value in self._saved.items():
            self.read[name].setValue(value)

    def reload(self) -> None:
        """Look at the disk again."""
        self.read["reload"].execute()  # type: ignore[attr-defined]

    def _take_colours(self, plan: Plan) -> None:
        self.read["raw"].setValue(plan.look.raw)
        if not plan.look.raw and plan.look.entry:
            self.read["colorspace"].setValue(plan.look.entry)


def keep_up(result: Result, change: Any) -> None:
    """Change a result's knobs while its job runs: nothing to undo, and nothing where the node has gone."""
    if result.alive:
        with unrecorded():
            change()


def create(plan: Plan, version: str, pattern: str, whole: List[int]) -> Result:
    """The nodes of a new result, beside the plate, in one undo step."""
    parent = plan.node.parent() or nuke.root()
    with one_step("AnyPortal: replace background"), parent:
        read = nuke.nodes.Read()
        read.setName("AnyPortal_{}".format(plan.name))
        read.setXYpos(plan.node.xpos() + _RIGHT, plan.node.ypos())
        tab.add(read)
        made = Result(read, [read])
        made.show(plan, version, pattern, whole)
        note(made, plan)
        made.status("starting")
        layers = str(plan.asked["layers"]).replace(" ", "").split(",")
        _shuffled(_placed(made, plan), layers, made)
        remember(plan.asked)
    return made


def remove(made: Result) -> None:
    """Take a result's nodes away, in one undo step; those that somebody deleted are gone already."""
    with one_step("AnyPortal: cancelled"):
        for node in reversed(made.made):
            if Result(node).alive:
                nuke.delete(node)


def note(made: Result, plan: Plan) -> None:
    """Write down what was asked for."""
    asked, identity = plan.asked, configuration.identity()
    tab.write(
        made.read,
        backdrop=asked["backdrop"],
        preset=asked["preset"],
        seed=asked["seed"],
        digest="",
        job="",
        sent="as it is" if not plan.rendered else "rendered, since {}".format(plan.reason),
        colour="{} in {} ({})".format(plan.look.space.name, identity["config"], identity["management"]),
    )
    tab.write_asked(made.read, asked)
    tab.write_place(made.read, again.place_of(plan))


def _placed(made: Result, plan: Plan) -> nuke.Node:
    """The result where the plate's pixels are: overscan outside the format again, a proxy at its full size."""
    at = made.read
    if plan.overscan:
        at = _add(made, nuke.nodes.Transform(inputs=[at], label="overscan"), at)
        at["translate"].setValue([plan.box.x, plan.box.y])
        at = _formatted(made, at, plan, "none")
        at["pbb"].setValue(True)  # what lies outside of the format is kept
    elif plan.proxy:
        at = _formatted(made, at, plan, "distort")
        at["label"].setValue("PROXY at full size")
    return at


def _formatted(made: Result, above: nuke.Node, plan: Plan, resize: str) -> nuke.Node:
    node = _add(made, nuke.nodes.Reformat(inputs=[above]), above)
    width, height = size(plan.whole)
    node["type"].setValue("to box")
    node["box_fixed"].setValue(True)
    node["box_width"].setValue(width)
    node["box_height"].setValue(height)
    node["box_pixel_aspect"].setValue(plan.whole.aspect)
    node["resize"].setValue(resize)
    node["center"].setValue(resize != "none")
    return node


def _shuffled(source: nuke.Node, layers: List[str], made: Result) -> None:
    """A branch for each layer, and the foreground over the background, which is the comp."""
    branches: Dict[str, nuke.Node] = {}
    for column, layer in enumerate(name for name in _LAYERS if name in layers):
        if layer not in nuke.layers():
            nuke.Layer(layer, _LAYERS[layer])  # no file has told Nuke of it yet
        branches[layer] = _add(made, _shuffle(source, layer), source, column)
    if {"foreground", "background", "matte"} <= set(branches):
        _merged(source, branches["foreground"], branches["background"], made)


def _shuffle(source: nuke.Node, layer: str) -> nuke.Node:
    node = nuke.nodes.Shuffle(inputs=[source], label=layer)
    node["in"].setValue(layer)
    for channel in ("red", "green", "blue", "alpha"):
        node[channel].setValue("alpha" if layer in _ALPHAS else "white" if channel == "alpha" else channel)
    return node


def _merged(source: nuke.Node, foreground: nuke.Node, background: nuke.Node, made: Result) -> None:
    """The foreground is straight: it takes the matte, is multiplied by it, and lies over the background."""
    cut = _add(made, nuke.nodes.Copy(inputs=[foreground, source]), foreground)
    cut["from0"].setValue("matte.alpha")
    cut["to0"].setValue("rgba.alpha")
    over = _add(made, nuke.nodes.Premult(inputs=[cut]), cut)
    merge = _add(made, nuke.nodes.Merge2(inputs=[background, over], label="AnyPortal comp"), over, 1)
    merge["operation"].setValue("over")


def _add(made: Result, node: nuke.Node, above: nuke.Node, column: int = 0) -> nuke.Node:
    """Put a node of a result in its place in the graph."""
    node.setXYpos(above.xpos() + _RIGHT * column, above.ypos() + _DOWN)
    made.made.append(node)
    return node


def present(pattern: str) -> List[int]:
    """The numbers of the files that are there."""
    return list(paths.present(pattern))

"""A module `nuke` with the state of a session, and the traps that ../shared/hosts.md (section Nuke) tells of.

What would hang or freeze the host is noted in `traps`, for the test to fail by, wherever the exception itself goes.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hosts.nuke import panels, rendering
from tests.hosts.nuke.knobs import ButtonKnob, Knob, evaluated
from tests.hosts.nuke.nodes import RGBA, Group, Node

_ROOT = {
    "first_frame": 1001, "last_frame": 1010, "fps": 23.97599983215332, "proxy": False, "proxy_scale": 0.5,
    "colorManagement": "Nuke", "OCIO_config": "nuke-default", "customOCIOConfigPath": "", "workingSpaceLUT": "linear",
    "floatLut": "linear", "int8Lut": "sRGB", "int16Lut": "sRGB", "logLut": "Cineon", "project_directory": "",
}  # fmt: skip
NUKE_SPACES = ["linear", "sRGB", "rec709", "Cineon", "AlexaV3LogC"]
ACES_SPACES = [
    "ACES - ACEScg\tACES/ACES - ACEScg", "ACES - ACES2065-1,aces", "Utility - sRGB - Texture\tUtility/sRGB",
    "Utility - Linear - sRGB\tUtility/Utility - Linear - sRGB", "Input - ARRI - LogC\tInput/ARRI/LogC",
]  # fmt: skip


class _Nodes:
    def __init__(self, nuke: FakeNuke) -> None:
        self._nuke = nuke

    def __getattr__(self, kind: str) -> Callable[..., Node]:
        return lambda inputs=(), **knobs: self._nuke.make(kind, inputs, **knobs)


class _Root(Group):
    def __init__(self, nuke: FakeNuke) -> None:
        super().__init__(nuke, "Root")
        for name, value in _ROOT.items():
            self.knobs_[name] = self.adopted(Knob(name, value=value))

    def name(self) -> str:
        return self.nuke.script


class FakeNuke(types.ModuleType):
    """One session of Nuke. The thread that makes it is its main thread.

    Args:
        script: the script's file, or nothing where it was never saved.
        gui: whether there is a window.
    """

    NUKE_VERSION_STRING, NUKE_VERSION_MAJOR, INVISIBLE = "15.1v2", 15, 1024
    Node = Node

    def __init__(self, script: str = "", gui: bool = True) -> None:
        super().__init__("nuke")
        self.GUI, self.env = gui, {"indie": False}
        self.script = script or "Root"
        self.main = threading.current_thread()
        self.queue: queue.Queue[tuple[Callable[[], Any], threading.Event]] = queue.Queue()
        self.all: list[Node] = []
        self.selection: list[Node] = []
        self.contexts: list[Group] = []
        self.root_node = _Root(self)
        self.nodes = _Nodes(self)
        self.layer_channels: dict[str, list[str]] = {"rgba": list(RGBA)}
        self.colour_spaces = list(NUKE_SPACES)
        self.at = 1001
        self.view_names = ["main"]
        self.this_node: Node | None = None
        self.rawArgs: list[str] = []
        # What a test says, and what it looks at
        self.answers: list[dict[str, str] | None] = []
        self.says_yes = True
        self.cancel_at: Callable[[panels.ProgressTask], bool] | None = None
        self.cancel_render_at: int | None = None
        self.panels: list[panels.Panel] = []
        self.messages: list[str] = []
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.printed: list[str] = []
        self.bars: list[list[str]] = []
        self.live_tasks: list[int] = []
        self.rendered: list[rendering.Rendered] = []
        self.viewer: dict[int, Node] = {}
        self.menus: dict[str, Any] = {}
        self.traps: list[str] = []
        self.steps: list[tuple[str, list[Callable[[], object]]]] = []
        self._open: tuple[str, list[Callable[[], object]]] | None = None
        self._recording = True
        self._modified = False
        self._pumping = False

    # Traps

    def trap_if(self, wrong: bool, text: str) -> None:
        if wrong:
            self.traps.append(text)
            raise AssertionError(text)

    def is_main(self) -> bool:
        return threading.current_thread() is self.main

    def only_main_thread(self, what: str) -> None:
        self.trap_if(not self.is_main(), f"{what} in another thread: nodes in the main thread only")

    def modal(self, what: str) -> None:
        """hosts.md: "a modal panel through it freezes"; "Guard with `nuke.GUI`"."""
        self.only_main_thread(what)
        self.trap_if(self._pumping, f"{what} through executeInMainThread freezes")
        self.trap_if(not self.GUI, f"{what} without a window")

    def edit(self, what: str, inverse: Callable[[], object]) -> None:
        """Something changes in the graph."""
        self.only_main_thread(what)
        self._modified = True
        if self._recording and self._open is not None:
            self._open[1].append(inverse)
        elif self._recording:
            self.steps.append((what, [inverse]))

    # The graph

    def make(self, kind: str, inputs: Any = (), **knobs: Any) -> Node:
        self.only_main_thread("making a node")
        parent = self.contexts[-1] if self.contexts else self.root_node
        node = Group(self, kind, parent) if kind == "Group" else Node(self, kind, parent)
        node.title = self.free_name(knobs.pop("name", f"{kind}1"))
        assert all(each is None or each.parent() is parent for each in inputs), "a connection into another group"
        node.sources = list(inputs)
        self.all.append(node)
        self.edit(f"make {kind}", lambda: self._forget(node))
        for name, value in knobs.items():
            node[name].setValue(value)
        return node

    def free_name(self, name: str) -> str:
        taken = {node.title for node in self.all}
        stem, number = name.rstrip("0123456789"), 1
        while name in taken:
            number += 1
            name = f"{stem}{number}"
        return name

    def _forget(self, node: Node) -> None:
        self.all.remove(node)
        node.alive = False

    def delete(self, node: Node) -> None:
        node.check()

        def back() -> None:
            self.all.append(node)
            node.alive = True

        self.edit("delete", back)
        self._forget(node)

    def learn(self, channels: list[str]) -> None:
        """A file has told of its layers."""
        for channel in channels:
            known = self.layer_channels.setdefault(channel.partition(".")[0], [])
            known += [] if channel in known else [channel]

    def Layer(self, name: str, channels: list[str]) -> None:
        assert not name.isdigit(), "purely numeric layer names fail"
        self.learn(channels)

    def layers(self) -> list[str]:
        return list(self.layer_channels)

    def seen(self, node: Node) -> bool:
        """hosts.md: "Nuke Indie's Python sees 10 nodes: read selected nodes only"."""
        return not self.env["indie"] or node in self.all[:10]

    def toNode(self, name: str) -> Node | None:
        """A name is one within the group at hand, unless it begins at the root."""
        within = self.contexts[-1] if self.contexts else self.root_node
        if not name.startswith("root.") and within is not self.root_node:
            name = f"{within.fullName()}.{name}"
        full = name.removeprefix("root.")
        return next((node for node in self.all if node.fullName() == full and self.seen(node)), None)

    def allNodes(self) -> list[Node]:
        return [node for node in self.all if self.seen(node)]

    def selectedNodes(self) -> list[Node]:
        """The one that was selected last comes first."""
        return list(reversed(self.selection))

    def selectedNode(self) -> Node:
        if not self.selection:
            raise ValueError("no node selected")  # hosts.md: "`nuke.selectedNode()` raises when nothing is selected"
        return self.selection[-1]

    def root(self) -> _Root:
        self.only_main_thread("nuke.root()")
        return self.root_node

    def thisNode(self) -> Node | None:
        return self.this_node

    def views(self) -> list[str]:
        return list(self.view_names)

    def frame(self, number: int | None = None) -> int:
        if number is not None:
            self.only_main_thread("going to a frame")
            self.at = number
        return self.at

    def filename(self, node: Node) -> str:
        """In proxy mode the proxy's file, where the node names one."""
        proxy = str(node["proxy"].content) if self.root_node["proxy"].content else ""
        return evaluated(proxy or node["file"].content)

    def getColorspaceList(self, knob: Any) -> list[str]:
        return list(self.colour_spaces)

    def connectViewer(self, number: int, node: Node) -> None:
        self.viewer[number] = node

    def execute(self, node: Node, first: int, last: int, step: int, views: list[str], continueOnError: bool) -> None:
        """hosts.md: "`nuke.execute(...)` blocks on the main thread; failure or cancel is RuntimeError"."""
        self.only_main_thread("nuke.execute")
        assert set(views) <= set(self.view_names), f"{views} are no views of this script"
        for frame in rendering.frames_of(first, last, step):
            with contextlib.suppress(*[RuntimeError] * continueOnError):
                rendering.execute(self, node, frame, views[0])

    # Undo

    def Undo(self) -> Any:
        return types.SimpleNamespace(
            begin=self._begin,
            end=self._end,
            disable=lambda: setattr(self, "_recording", False),
            enable=lambda: setattr(self, "_recording", True),
        )

    def _begin(self, name: str) -> None:
        assert self._open is None
        self._open = (name, [])

    def _end(self) -> None:
        assert self._open is not None
        self.steps.append(self._open)
        self._open = None

    def undo(self) -> None:
        _, inverses = self.steps.pop()
        self._recording = False
        for inverse in reversed(inverses):
            inverse()
        self._recording = True

    def modified(self, state: bool | None = None) -> bool:
        if state is not None:
            self._modified = state
        return self._modified

    # Threads

    def executeInMainThread(self, call: Any, args: Any = (), kwargs: Any = None) -> None:
        self._ask_main(call, args, kwargs)

    def executeInMainThreadWithResult(self, call: Any, args: Any = (), kwargs: Any = None) -> Any:
        """hosts.md: "`executeInMainThreadWithResult` swallows exceptions and returns None"."""
        outcome: list[Any] = []
        done = self._ask_main(lambda: outcome.append(call(*args, **(kwargs or {}))), (), None)
        done.wait()
        return outcome[0] if outcome else None

    def _ask_main(self, call: Any, args: Any, kwargs: Any) -> threading.Event:
        self.trap_if(self.is_main(), "`executeInMainThread*` called from the main thread hangs Nuke")  # hosts.md
        self.trap_if(not self.GUI, "without a window nothing runs what another thread asks for: call directly")
        done = threading.Event()
        self.queue.put((lambda: call(*args, **(kwargs or {})), done))
        return done

    def pump(self, until: Callable[[], bool], between: Callable[[], object] = lambda: None) -> None:
        """The main loop. What a call raises is printed at most, as in Nuke."""
        while not (until() and self.queue.empty()):
            between()
            try:
                call, done = self.queue.get(timeout=0.02)
            except queue.Empty:
                continue
            self._pumping = True
            try:
                call()
            except Exception as error:
                self.errors.append(f"swallowed: {error!r}")
            finally:
                self._pumping = False
                done.set()

    # Windows

    def Panel(self, title: str) -> panels.Panel:
        return panels.Panel(self, title)

    def ProgressTask(self, title: str) -> panels.ProgressTask:
        return panels.ProgressTask(self, title)

    def message(self, text: str) -> None:
        self.modal("a message")
        self.messages.append(text)

    def ask(self, text: str) -> bool:
        self.message(text)
        return self.says_yes

    def error(self, text: str) -> None:
        self.only_main_thread("nuke.error")
        self.errors.append(text)

    def tprint(self, text: str) -> None:
        self.printed.append(text)

    def warning(self, text: str) -> None:
        self.only_main_thread("nuke.warning")
        self.warnings.append(text)

    def menu(self, name: str) -> panels.Menu:
        self.trap_if(not self.GUI, "a menu without a window")
        return panels.Menu(self.menus, name)

    # Knobs that scripts make

    def String_Knob(self, name: str, label: str = "", value: str = "") -> Knob:
        return Knob(name, label, value)

    Tab_Knob = String_Knob

    def PyScript_Knob(self, name: str, label: str = "", command: str = "") -> Knob:
        return ButtonKnob(name, label, command)

    # Scripts on the disk: JSON here, where Nuke writes its own language

    def scriptSaveAs(self, path: str, overwrite: int = 0) -> None:
        saved = [
            {
                "kind": node.kind,
                "name": node.title,
                "inputs": [source.title if source else None for source in node.sources],
                "knobs": {name: knob.content for name, knob in node.knobs_.items() if type(knob) is not ButtonKnob},
            }
            for node in self.all
        ]
        root = {name: knob.content for name, knob in self.root_node.knobs_.items()}
        Path(path).write_text(json.dumps({"root": root, "nodes": saved}), encoding="utf-8")

    def scriptOpen(self, path: str) -> None:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        self.script = path
        for name, value in found["root"].items():
            if name not in self.root_node.knobs_:
                self.root_node.addKnob(Knob(name))
            self.root_node.knobs_[name].content = value
        for each in found["nodes"]:
            node = self.make(each["kind"], name=each["name"])
            for name, value in each["knobs"].items():
                if name not in node.knobs_:
                    node.addKnob(Knob(name))
                node.knobs_[name].content = value
        for each in found["nodes"]:
            node = next(node for node in self.all if node.title == each["name"])
            node.sources = [self.toNode(name) if name else None for name in each["inputs"]]
        self._modified = False

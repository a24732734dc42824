"""The Nuke script on a fake Nuke that has the traps of ../shared/hosts.md (section Nuke), quoted at each of them."""

from __future__ import annotations

import importlib
import json
import queue
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest

CLIENTS = Path(__file__).parents[2] / "clients"
SAY = "import json, os, sys, time\ndef say(**e): print(json.dumps({'schema': 1, **e}), flush=True)\n"
OUT = "out = next(a for a in sys.argv if a.startswith('--out=')).split('=', 1)[1]\n"


class Knob:
    def __init__(self, nuke: FakeNuke, node: Node, name: str, value: Any) -> None:
        self.nuke, self.node, self.name, self.content = nuke, node, name, value

    def value(self) -> Any:
        return self.content

    def setValue(self, value: Any) -> None:
        self.nuke.only_main_thread()
        if self.name == "colorspace":
            assert not set("\t,") & set(value), "entries are tab- or comma-joined aliases: split before comparing"
        self.content = value
        self.nuke.edits.append(self.name)

    def fromUserText(self, text: str) -> None:
        path, _, numbers = text.rpartition(" ")
        self.setValue(path)
        first, last = numbers.split("-")
        self.node["first"].setValue(int(first))
        self.node["last"].setValue(int(last))


class Node:
    def __init__(self, nuke: FakeNuke, kind: str = "Read", name: str = "Read1", **knobs: Any) -> None:
        self.kind, self.title, self.broken, self.position = kind, name, False, (100, 50)
        values = {
            "file": "",
            "first": 1,
            "last": 1,
            "origfirst": 1,
            "origlast": 1,
            "frame_mode": "expression",
            "frame": "",
        }
        values |= {"on_error": "error", "colorspace": "default", "raw": False, "premultiplied": False, "label": ""}
        self.knobs = {key: Knob(nuke, self, key, value) for key, value in {**values, **knobs}.items()}

    def __getitem__(self, name: str) -> Knob:
        return self.knobs[name]

    def knob(self, name: str) -> Knob | None:
        return self.knobs.get(name)

    def Class(self) -> str:
        return self.kind

    def name(self) -> str:
        return self.title

    def hasError(self) -> bool:
        return self.broken

    def xpos(self) -> int:
        return self.position[0]

    def ypos(self) -> int:
        return self.position[1]

    def setXYpos(self, x: int, y: int) -> None:
        self.position = (x, y)


class FakeNuke(types.ModuleType):
    """A module `nuke` with the state of a session; the test's thread is the main thread."""

    def __init__(self, folder: Path) -> None:
        super().__init__("nuke")
        self.main = threading.current_thread()
        self.calls: queue.Queue[Any] = queue.Queue()
        self.edits: list[str] = []
        self.errors: list[str] = []
        self.messages: list[str] = []
        self.made: list[Node] = []
        self.undo: list[str] = []
        self.selected: Node | None = None
        self.answers: dict[str, str] = {}
        self.live_tasks: list[Any] = []
        self.cancel_at: float = 2.0
        self.nodes = types.SimpleNamespace(Read=self._make_read)
        self.script = str(folder / "comp.nk")
        Path(self.script).touch()

    def only_main_thread(self) -> None:
        assert threading.current_thread() is self.main, "node edits in the main thread only"

    def _make_read(self) -> Node:
        self.only_main_thread()
        self.made.append(Node(self, name="Read2"))
        return self.made[-1]

    def selectedNode(self) -> Node:
        if self.selected is None:
            raise ValueError("no node selected")  # "`nuke.selectedNode()` raises when nothing is selected"
        return self.selected

    def filename(self, node: Node) -> str:
        return str(node["file"].value())

    def root(self) -> Any:
        return types.SimpleNamespace(name=lambda: self.script)

    def message(self, text: str) -> None:
        self.only_main_thread()
        assert not self.pumping, "a modal panel through executeInMainThread freezes"
        self.messages.append(text)

    def error(self, text: str) -> None:
        self.only_main_thread()
        self.errors.append(text)

    pumping = False

    def executeInMainThread(self, call: Any, args: Any = (), kwargs: Any = None) -> None:
        assert threading.current_thread() is not self.main, "executeInMainThread called from the main thread hangs Nuke"
        self.calls.put((call, args, kwargs or {}))

    def pump(self, worker: threading.Thread) -> None:
        """The main loop, until a worker thread is done."""
        self.pumping = True
        while worker.is_alive() or not self.calls.empty():
            try:
                call, args, kwargs = self.calls.get(timeout=0.05)
            except queue.Empty:
                continue
            call(*args, **kwargs)
        self.pumping = False

    def Panel(self, title: str) -> Any:
        asked: list[str] = []
        return types.SimpleNamespace(
            addFilenameSearch=lambda name, value: asked.append(name) or self.answers.setdefault(name, value),
            show=lambda: True,
            value=lambda name: self.answers[name],
        )

    def Undo(self) -> Any:
        return types.SimpleNamespace(
            begin=lambda name: self.undo.append(f"begin {len(self.edits)}"),
            end=lambda: self.undo.append(f"end {len(self.edits)}"),
        )

    def ProgressTask(self, title: str) -> Any:
        nuke = self

        class Task:
            """Ends with `del task`: a bar that is kept stays on the screen."""

            progress = 0.0

            def __init__(self) -> None:
                nuke.live_tasks.append(id(self))

            def __del__(self) -> None:
                nuke.live_tasks.remove(id(self))

            def setMessage(self, text: str) -> None:
                pass

            def setProgress(self, percent: int) -> None:
                assert isinstance(percent, int)
                self.progress = percent / 100

            def isCancelled(self) -> bool:
                return self.progress >= nuke.cancel_at

        return Task()


@pytest.fixture
def nuke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNuke:
    fake = FakeNuke(tmp_path)
    monkeypatch.setitem(sys.modules, "nuke", fake)
    for folder in ("nuke", "hostkit"):
        monkeypatch.syspath_prepend(str(CLIENTS / folder))
    return fake


@pytest.fixture
def script(nuke: FakeNuke) -> Any:
    sys.modules.pop("anyportal_nuke", None)
    return importlib.import_module("anyportal_nuke")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand a program in for `anyportal`; what it was called with comes back in the file `called`."""

    def make(body: str) -> Path:
        program = tmp_path / "bin" / "anyportal"
        program.parent.mkdir()
        called = tmp_path / "called"
        record = f"open({str(called)!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
        program.write_text(f"#!{sys.executable}\n{SAY}{record}{OUT}{body}", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("ANYPORTAL_COMMAND", str(program))
        return called

    return make


DONE_SEQUENCE = (
    "say(event='progress', stage='matte', fraction=.5)\n"
    "say(event='done', job='jobs/7', files={'comp': out + '/r.%04d.exr'})"
)
DONE_MOVIE = "say(event='done', job='jobs/7', files={'comp': out + '/r.mp4'})"


def run_menu(nuke: FakeNuke, script: Any) -> None:
    before = set(threading.enumerate())
    script.replace_background()
    for worker in set(threading.enumerate()) - before:
        nuke.pump(worker)


def test_a_sequence_comes_back_at_the_plate_s_numbers(
    nuke: FakeNuke, script: Any, command: Any, tmp_path: Path
) -> None:
    called = command(DONE_SEQUENCE)
    nuke.selected = Node(
        nuke, file="/p/plate.%04d.exr", first=1001, last=1010, frame_mode="offset", frame="5",
        colorspace="ACES - ACEScg\tACEScg", raw=True,
    )  # fmt: skip
    nuke.answers["Backdrop"] = "#102030"
    run_menu(nuke, script)
    arguments = json.loads(called.read_text())
    assert arguments[:2] == ["submit", "/p/plate.%04d.exr"]
    assert "--range=1001-1010" in arguments
    [read] = nuke.made
    found = {name: read[name].value() for name in ("first", "last", "origfirst", "origlast", "frame_mode", "frame")}
    assert found == {
        "first": 1001,
        "last": 1010,
        "origfirst": 1001,
        "origlast": 1010,
        "frame_mode": "offset",
        "frame": "5",
    }
    assert read["file"].value() == f"{tmp_path}/anyportal/Read1/v001/r.%04d.exr"
    assert (read["colorspace"].value(), read["raw"].value()) == ("ACES - ACEScg", True)
    assert read["on_error"].value() == "checkerboard"
    assert nuke.undo == ["begin 0", f"end {len(nuke.edits)}"]
    assert nuke.live_tasks == []


def test_a_movie_counts_from_one_here_and_from_zero_there(nuke: FakeNuke, script: Any, command: Any) -> None:
    called = command(DONE_MOVIE)
    nuke.selected = Node(nuke, file="/p/plate.mov", first=11, last=20)
    nuke.answers["Backdrop"] = "#102030"
    run_menu(nuke, script)
    assert "--range=10-19" in json.loads(called.read_text())
    [read] = nuke.made
    found = [read[name].value() for name in ("first", "last", "frame_mode", "frame")]
    assert found == [1, 10, "start at", "11"]  # the plate's frame 11 shows at 11: so does the result's frame 1


@pytest.mark.parametrize(("file", "number"), [("/p/plate.jpg", 0), ("/p/plate.1001.png", 1001), ("/p/100%.png", 0)])
def test_a_still_is_sent_without_a_range_and_shown_where_the_plate_is(
    nuke: FakeNuke, script: Any, command: Any, tmp_path: Path, file: str, number: int
) -> None:
    called = command(f"say(event='done', job='jobs/7', frames='{number}', files={{'comp': out + '/r.%04d.png'}})")
    nuke.selected = Node(nuke, file=file, first=5, last=9)
    nuke.answers["Backdrop"] = "#102030"
    run_menu(nuke, script)
    assert nuke.errors == []
    assert not [argument for argument in json.loads(called.read_text()) if argument.startswith("--range")]
    [read] = nuke.made
    assert read["file"].value() == f"{tmp_path}/anyportal/Read1/v001/r.{number:04d}.png"
    assert [read[name].value() for name in ("first", "last", "origfirst", "origlast")] == [5, 9, 5, 9]


def test_versions_go_on(nuke: FakeNuke, script: Any, command: Any, tmp_path: Path) -> None:
    command(DONE_SEQUENCE)
    (tmp_path / "anyportal/Read1/v003").mkdir(parents=True)
    nuke.selected = Node(nuke, file="/p/plate.%04d.exr")
    nuke.answers["Backdrop"] = "#102030"
    run_menu(nuke, script)
    assert "/v004/" in nuke.made[0]["file"].value()


def test_cancel_in_the_progress_bar_ends_the_command_quietly(nuke: FakeNuke, script: Any, command: Any) -> None:
    command(
        "say(event='progress', stage='matte', fraction=.5)\n"
        "line = sys.stdin.readline()\nsys.exit(130 if 'cancel' in line else 1)"
    )
    nuke.selected = Node(nuke, file="/p/plate.%04d.exr")
    nuke.answers["Backdrop"] = "#102030"
    nuke.cancel_at = 0.5
    run_menu(nuke, script)
    assert (nuke.made, nuke.errors, nuke.live_tasks) == ([], [], [])


def test_a_failure_goes_to_the_error_console(nuke: FakeNuke, script: Any, command: Any) -> None:
    command(
        "say(event='error', message='the disk is full', code='DISK_FULL', where='/out', hint='free space')\nsys.exit(7)"
    )
    nuke.selected = Node(nuke, file="/p/plate.%04d.exr")
    nuke.answers["Backdrop"] = "#102030"
    run_menu(nuke, script)
    assert nuke.made == []
    assert "the disk is full" in nuke.errors[0]
    assert "free space" in nuke.errors[0]


@pytest.mark.parametrize(
    ("node", "word"),
    [
        (None, "Select a Read first"),
        ({"kind": "Blur"}, "Select a Read"),
        ({"file": ""}, "names no file"),
        ({"file": "/p/a.mov", "frame": "frame*2"}, "start at"),
    ],
)
def test_what_cannot_be_processed_is_refused_before_anything_starts(
    nuke: FakeNuke, script: Any, command: Any, node: Any, word: str
) -> None:
    called = command(DONE_SEQUENCE)
    nuke.selected = Node(nuke, **node) if node is not None else None
    run_menu(nuke, script)
    assert word in nuke.messages[0]
    assert not called.exists()


def test_a_read_with_an_error_is_refused(nuke: FakeNuke, script: Any, command: Any) -> None:
    command(DONE_SEQUENCE)
    nuke.selected = Node(nuke, file="/p/plate.%04d.exr")
    nuke.selected.broken = True
    run_menu(nuke, script)
    assert "has an error" in nuke.messages[0]


def test_without_a_window_the_call_waits(nuke: FakeNuke, script: Any, command: Any, tmp_path: Path) -> None:
    command(DONE_SEQUENCE)
    read = script.process(Node(nuke, file="/p/p.%04d.exr", first=5, last=6), "#102030", folder=str(tmp_path / "r"))
    assert read["last"].value() == 6
    assert str(tmp_path / "r") in read["file"].value()


def test_the_menu_and_init_load(nuke: FakeNuke, monkeypatch: pytest.MonkeyPatch) -> None:
    entries: list[Any] = []
    nuke.menu = lambda name: types.SimpleNamespace(addCommand=lambda *entry: entries.append((name, *entry)))  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("init.py", "menu.py"):
        source = (CLIENTS / "nuke" / name).read_text(encoding="utf-8")
        exec(compile(source, str(CLIENTS / "nuke" / name), "exec"), {"__file__": str(CLIENTS / "nuke" / name)})
    assert sys.path[-1] == str(CLIENTS / "hostkit")
    assert entries[0][:2] == ("Nuke", "AnyPortal/Replace background...")

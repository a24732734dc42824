"""The Nuke client in its host: loading, threads, the terminal, what the host lacks. Whole flows are in tests/e2e."""

from __future__ import annotations

import ast
import contextlib
import ntpath
import runpy
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.nuke import house
from tests.hosts.nuke.module import FakeNuke

CLIENT = house.CLIENTS / "nuke"


def refused() -> Any:
    return pytest.raises(house.load("anyportal_nuke").Refused)


# Loading


def test_init_needs_no_window_and_loads_no_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with house.session(tmp_path, monkeypatch, gui=False):
        assert "anyportal_nuke" not in sys.modules
        assert sys.path[-2:] == [str(CLIENT), str(house.CLIENTS / "hostkit")]
        before = list(sys.path)
        runpy.run_path(str(CLIENT / "init.py"))
        assert sys.path == before  # read twice, on NUKE_PATH and through a plug-in path
        house.load()  # nothing of the client needs a window to be loaded


def test_no_file_of_the_client_imports_qt() -> None:
    for path in CLIENT.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not [name for name in names if name.startswith(("PySide", "shiboken", "socket", "http", "urllib"))]


def test_the_menu_has_everything(nuke: FakeNuke) -> None:
    runpy.run_path(str(CLIENT / "menu.py"))
    assert {path.removeprefix("Nuke/AnyPortal/") for path in nuke.menus} == {
        "Replace background...", "Rerun...", "Compare with previous", "Show job", "Cancel", "Doctor",
    }  # fmt: skip
    for label in ("Rerun...", "Compare with previous", "Show job", "Cancel"):
        nuke.menus[f"Nuke/AnyPortal/{label}"]()
    assert len(nuke.messages) == 4 and all("no result of AnyPortal" in text for text in nuke.messages)


# Threads


def test_what_another_thread_asks_for_is_raised_there(nuke: FakeNuke) -> None:
    """hosts.md: "`executeInMainThreadWithResult` swallows exceptions and returns None"."""
    threads = house.load("anyportal_nuke.threads")
    caught: list[Any] = []

    def work() -> None:
        caught.append(threads.in_main(nuke.make, "Read").title)
        try:
            threads.in_main(lambda: {}["gone"])
        except KeyError as error:
            caught.append(str(error))

    worker = threading.Thread(target=work, name="AnyPortal")
    house.settle(nuke, worker.start)
    assert caught == ["Read1", "'gone'"]


def test_the_main_thread_calls_directly_and_so_does_everything_without_a_window(nuke: FakeNuke) -> None:
    """hosts.md: "`executeInMainThread*` called from the main thread hangs Nuke"; "with `-t` call directly"."""
    threads = house.load("anyportal_nuke.threads")
    seen: list[int] = []
    assert threads.in_main(lambda: 7) == 7
    threads.later(seen.append, 1)
    nuke.GUI = False
    worker = threading.Thread(target=lambda: seen.append(threads.in_main(lambda: 2)))
    worker.start()
    worker.join(10)
    assert seen == [1, 2]


def test_a_bar_goes_with_the_work_whoever_still_knows_it(nuke: FakeNuke) -> None:
    """hosts.md: "`nuke.ProgressTask`: hold it in the worker thread, poll `isCancelled()`, end with `del task`"."""
    kept: list[Any] = []

    def work() -> None:
        with house.load("anyportal_nuke.bar").Bar("title") as bar:
            bar.show("rendering", 0.5)
            kept.extend([bar, bar.cancelled, list(nuke.live_tasks)])

    house.settle(nuke, threading.Thread(target=work, name="AnyPortal").start)
    assert len(kept[2]) == 1 and nuke.live_tasks == []


# Indie


def test_indie_s_ten_nodes_are_got_around_by_the_selection(nuke: FakeNuke, plate: Path) -> None:
    """hosts.md: "Nuke Indie's Python sees 10 nodes: read selected nodes only"."""
    find_in = house.load("anyportal_nuke.flow").find_in
    for _ in range(12):
        nuke.make("Dot")
    read = house.make_read(nuke, plate)
    nuke.env["indie"] = True
    with refused() as told:
        find_in([])(read.title)
    assert "select it as well" in str(told.value)
    nuke.selection = [read]
    assert find_in(nuke.selectedNodes())(read.title) is read


def test_indie_shows_no_input_that_it_hides(nuke: FakeNuke, plate: Path, asked: Any) -> None:
    for _ in range(12):
        nuke.make("Dot")
    dot = nuke.make("Dot", [house.make_read(nuke, plate)])
    assert not asked(dot).rendered
    nuke.env["indie"], nuke.selection = True, [dot]
    assert asked(dot).rendered  # what is above is not known: it is rendered, which is right in any case


# The terminal


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start `nuke -t anyportal_nuke_render.py ...`: sys.argv has lost what Nuke takes away."""

    def start(*arguments: str, raw: bool = True) -> None:
        given = ["Nuke", "-t", str(CLIENT / "anyportal_nuke_render.py"), *arguments]
        # hosts.md: "a trailing number or range is stripped from `sys.argv`"
        taken = bool(arguments) and arguments[-1].replace("-", "").isdigit()
        monkeypatch.setattr(sys, "argv", given[2:-1] if taken else given[2:])
        sys.modules["nuke"].rawArgs = given if raw else []  # type: ignore[attr-defined]

    with house.session(tmp_path, monkeypatch, gui=False):
        yield start


def test_a_range_at_the_end_is_found_though_nuke_took_it(terminal: Any) -> None:
    headless = house.load("anyportal_nuke.headless")
    terminal("--node", "Read1", "--backdrop", "x.jpg", "--range", "1001-1010")
    assert headless._parse(headless.command_line()).frames == "1001-1010"
    terminal("--node", "Read1", "--range=-5--1")
    assert headless._parse(headless.command_line()).frames == "-5--1"


@pytest.mark.parametrize(
    ("arguments", "raw", "word"),
    [
        (["--node", "Read1", "--range", "1001-1010"], False, "--range=1001-1010"),
        (["--node", "Read1", "--backdrop", "x.jpg", "1001-1010"], True, "--range=1001-1010"),
        (["--node", "Read1", "--backdrop", "x.jpg"], True, "no node Read1"),
        (["--node", "Read1", "--script", "/gone.nk"], True, "/gone.nk is not there"),
    ],
)
def test_the_terminal_says_what_is_wrong(
    terminal: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], raw: bool, word: str
) -> None:
    terminal(*arguments, raw=raw)
    with contextlib.suppress(SystemExit):
        assert house.load("anyportal_nuke.headless").main() == 2
    assert word in capsys.readouterr().err


# Doctor


def test_the_doctor_looks_at_nuke_itself(nuke: FakeNuke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_COMMAND", "/gone/anyportal")
    nuke.root_node["workingSpaceLUT"].setValue("SLog3")
    nuke.env["indie"] = True
    found = {check[0]: check for check in house.load("anyportal_nuke.checkup").checks()}
    assert found["nuke"][1] == "warning" and "ten others" in found["nuke"][3]
    assert found["colour"][1] == "warning" and "SLog3" in found["colour"][2]
    assert found["script"][1] == found["results"][1] == "ok"
    assert found["command"][1] == "broken" and "/gone/anyportal" in found["command"][3]
    house.load().doctor()
    assert "BROKEN  command" in nuke.messages[0]


# Windows


def test_paths_lean_forward_on_windows_too(nuke: FakeNuke, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nuke takes a backslash for the beginning of an escape: what is put together keeps the slashes it has."""
    paths = house.load("anyportal_hostkit.paths")
    monkeypatch.setattr(paths, "os", types.SimpleNamespace(path=ntpath))
    assert paths.file_of("C:/show/.plate_x/plate.%04d.exr", 7) == "C:/show/.plate_x/plate.0007.exr"
    assert paths.file_of("C:\\show\\plate.####.exr", 7) == "C:\\show\\plate.0007.exr"
    assert paths.printf("P:/show/plate.####.exr") == "P:/show/plate.%04d.exr"
    assert paths.bracketed("P:/show/plate.[1001-1100].exr") == ("P:/show/plate.%04d.exr", 1001, 1100)
    assert paths.file_of("plate.%04d.exr", 7) == "plate.0007.exr"

"""The host scripts as text: the hosts' Python reads them, and they import nothing that a host has not."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parents[2] / "clients"
KIT = "anyportal_hostkit"
FOLDERS = {
    # what a host's scripts may import beside the standard library: the host's own modules, and those of their folder
    "hostkit": (KIT,),
    "nuke": (KIT, "anyportal_nuke", "nuke", "nukescripts", "PySide2", "PySide6"),
    "resolve": (KIT, "anyportal_resolve", "DaVinciResolveScript", "fusionscript"),
    "blender": (KIT, "anyportal_blender", "bpy", "bpy_extras", "addon_utils", "mathutils"),
}
OLDEST = {"blender": (3, 11)}
"""The Python of the oldest host that is supported: 3.7 in Nuke 13; 3.11 in Blender 4.2."""
FILES = sorted(path for folder in FOLDERS for path in (CLIENTS / folder).rglob("*.py"))


def folder_of(path: Path) -> str:
    return path.relative_to(CLIENTS).parts[0]


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules that a file imports; none for those beside it, which it names with dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CLIENTS)))
def test_the_host_s_python_reads_it_and_it_imports_what_the_host_has(path: Path) -> None:
    folder = folder_of(path)
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST.get(folder, (3, 7)))
    assert set(imported(tree)) <= sys.stdlib_module_names | {"__future__", *FOLDERS[folder]}


NEWER = {
    "removeprefix",
    "removesuffix",
    "is_relative_to",
    "with_stem",
    "readlink",
    "pairwise",
    "batched",
    "walk_packages",
}
NEWER_ARGUMENTS = {"zip": {"strict"}, "unlink": {"missing_ok"}, "link": {"missing_ok"}}
NEWER_MODULES = {"tomllib", "zoneinfo", "graphlib"}


@pytest.mark.parametrize(
    "path", [path for path in FILES if folder_of(path) not in OLDEST], ids=lambda path: str(path.relative_to(CLIENTS))
)
def test_it_calls_nothing_that_came_after_python_3_7(path: Path) -> None:
    """Its grammar alone would let them pass."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not set(imported(tree)) & NEWER_MODULES
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert node.attr not in NEWER or ast.unparse(node) == "os.readlink"
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert not {each.arg for each in node.keywords} & NEWER_ARGUMENTS.get(called, set())


def test_all_folders_have_scripts() -> None:
    assert {folder_of(path) for path in FILES} == set(FOLDERS)


def test_the_kit_knows_no_host() -> None:
    for path in FILES:
        if folder_of(path) == "hostkit":
            names = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
            assert not names & {"nuke", "bpy", "DaVinciResolveScript", "tkinter"}


def test_nuke_s_init_needs_no_window_and_no_network() -> None:
    tree = ast.parse((CLIENTS / "nuke/init.py").read_text(encoding="utf-8"))
    assert set(imported(tree)) == {"os", "sys"}


def test_no_take_is_ever_finalized() -> None:
    for path in (CLIENTS / "resolve").rglob("*.py"):
        calls = {n.attr for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Attribute)}
        assert "FinalizeTake" not in calls

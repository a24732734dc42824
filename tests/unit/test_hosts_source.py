"""The host scripts as text: Python 3.7 reads them, and they import nothing that a host has not."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parents[2] / "clients"
FILES = sorted(path for host in ("hostkit", "nuke", "resolve") for path in (CLIENTS / host).rglob("*.py"))
OWN = {"anyportal_hostkit", "anyportal_nuke", "anyportal_resolve"}
OF_THE_HOST = {"nuke", "DaVinciResolveScript"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CLIENTS)))
def test_python_3_7_reads_it_and_only_the_standard_library_is_imported(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add((node.module or "").split(".")[0])
    assert names <= sys.stdlib_module_names | OWN | OF_THE_HOST


def test_all_three_folders_have_scripts() -> None:
    assert {path.relative_to(CLIENTS).parts[0] for path in FILES} == {"hostkit", "nuke", "resolve"}


def test_nuke_s_init_needs_no_window_and_no_network() -> None:
    tree = ast.parse((CLIENTS / "nuke/init.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"os", "sys"}


def test_no_take_is_ever_finalized() -> None:
    for path in (CLIENTS / "resolve").rglob("*.py"):
        calls = {n.attr for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Attribute)}
        assert "FinalizeTake" not in calls

"""The script in Resolve's menu finds its files, wherever it was put."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.resolve import house

house.importable()
source = importlib.import_module("anyportal_resolve.source")

CLIENTS = house.CLIENTS


@pytest.fixture
def menu(tmp_path: Path) -> Any:
    """Run the menu script as Resolve does, with nothing importable but what it finds; gives what it prints."""

    def run(file: Path, *, named: bool = True, argument: str = "", before: str = "", **environment: str) -> str:
        code = (
            f"import os, sys\n{before}\n"
            f"path, sys.argv = {str(file)!r}, [{argument!r}]\n"
            "source = open(path, encoding='utf-8').read()\n"
            f"names = {{'__name__': '__main__', **({{'__file__': path}} if {named} else {{}})}}\n"
            f"exec(compile(source, path if {named} else '<string>', 'exec'), names)\n"
        )
        env = {**os.environ, "HOME": str(tmp_path / "home"), **environment}
        env.pop("PYTHONPATH", None)
        run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, env=env)
        assert run.returncode == 0, run.stderr
        return run.stdout

    return run


FOUND = "AnyPortal: Resolve's module DaVinciResolveScript cannot be imported"


def utility(home: Path) -> Path:
    """The user's own folder of menu scripts."""
    if sys.platform == "darwin":
        return home / "Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion/Scripts/Utility"
    return home / ".local/share/DaVinciResolve/Fusion/Scripts/Utility"


def copied(folder: Path) -> Path:
    """All files as docs/hosts.md has them copied."""
    shutil.copytree(CLIENTS / "resolve", folder)
    shutil.copytree(CLIENTS / "hostkit", folder / "hostkit")
    return folder / "AnyPortal.py"


def test_the_menu_script_finds_its_files_beside_it_and_through_a_link(menu: Any, tmp_path: Path) -> None:
    link = tmp_path / "Utility" / "AnyPortal.py"
    link.parent.mkdir()
    link.symlink_to(CLIENTS / "resolve/AnyPortal.py")
    for file in (CLIENTS / "resolve/AnyPortal.py", link, copied(tmp_path / "Utility/AnyPortal")):
        assert FOUND in menu(file)


def test_the_menu_script_finds_its_files_without_a_file_of_its_own(menu: Any, tmp_path: Path) -> None:
    alone = tmp_path / "AnyPortal.py"
    shutil.copy(CLIENTS / "resolve/AnyPortal.py", alone)
    assert "Set ANYPORTAL_HOSTS to the folder" in menu(alone, named=False)
    assert "Set ANYPORTAL_HOSTS to the folder" in menu(alone)
    assert FOUND in menu(alone, named=False, ANYPORTAL_HOSTS=str(CLIENTS))
    assert FOUND in menu(alone, named=False, argument=str(CLIENTS / "resolve/AnyPortal.py"))
    copied(utility(tmp_path / "home") / "AnyPortal")
    assert FOUND in menu(alone, named=False)


def test_the_menu_script_says_which_python_it_needs(menu: Any) -> None:
    said = menu(CLIENTS / "resolve/AnyPortal.py", before="sys.version_info = (3, 6, 15)")
    assert said == "AnyPortal: it needs Python 3.7 or later, Resolve has found 3.6: install one.\n"

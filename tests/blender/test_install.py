"""Installed both ways that Blender knows, each in a Blender of its own with a user of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.blender.conftest import CLIENT

_SAID = """
print("enabled:", *[each.module for each in bpy.context.preferences.addons if "anyportal" in each.module])
print("daemon:", repr(sys.modules[MODULE + ".preferences"].get().daemon))
print("replace:", bpy.ops.anyportal.replace.get_rna_type().name)
addon_utils.disable(MODULE)
print("left:", hasattr(bpy.types.Scene, "anyportal"))
"""
_EXTENSION = """
import sys
import bpy
import addon_utils
MODULE = "bl_ext.user_default.anyportal_blender"
bpy.ops.extensions.package_install_files(repo="user_default", filepath=sys.argv[1], enable_on_install=True)
"""
_LEGACY = """
import sys
import bpy
import addon_utils
MODULE = "anyportal_blender"
addon_utils.enable(MODULE, default_set=True)
"""


def run(home: Path, script: str, *words: str) -> str:
    """What a Blender says that has its user's files in a folder, and nothing of the checkout on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"BLENDER_USER_RESOURCES": str(home)}
    words = (sys.executable, "-c", script + _SAID, *words)
    return subprocess.run(words, env=environment, cwd=home, check=True, capture_output=True, text=True).stdout


def test_as_an_extension_from_a_zip(bpy: Any, tmp_path: Path) -> None:
    addon = shutil.copytree(CLIENT / "anyportal_blender", tmp_path / "anyportal_blender")
    shutil.copytree(CLIENT.parent / "hostkit", addon / "hostkit")  # as `anyportal hosts install blender --copy` does
    tool = Path(bpy.utils.resource_path("LOCAL")) / "scripts/addons_core/bl_pkg/cli/blender_ext.py"
    for words in (["validate", addon], ["build", "--source-dir", addon, "--output-dir", tmp_path]):
        subprocess.run([sys.executable, tool, *words], check=True)
    said = run(tmp_path, _EXTENSION, str(next(tmp_path.glob("*.zip"))))
    assert "enabled: bl_ext.user_default.anyportal_blender" in said
    assert "daemon: ''\nreplace: Replace Background\nleft: False" in said


@pytest.mark.parametrize("kind", ["linked", "copied"])
def test_as_an_add_on_in_the_folder_of_scripts(bpy: Any, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "scripts/addons/anyportal_blender"
    place.parent.mkdir(parents=True)
    if kind == "linked":
        place.symlink_to(CLIENT / "anyportal_blender")
    else:
        shutil.copytree(CLIENT / "anyportal_blender", place)
        shutil.copytree(CLIENT.parent / "hostkit", place / "hostkit")
    said = run(tmp_path, _LEGACY)
    assert "enabled: anyportal_blender" in said
    assert "daemon: ''\nreplace: Replace Background\nleft: False" in said

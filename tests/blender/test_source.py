"""The add-on as text, which needs no Blender: what it imports, and what its two descriptions say."""

from __future__ import annotations

import ast
import sys
import tomllib
from typing import Any

import pytest

from tests.blender.conftest import CLIENT

ADDON = CLIENT / "anyportal_blender"
FILES = sorted(ADDON.rglob("*.py"))
OF_THE_HOST = {"bpy", "bpy_extras"}


def imported(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.name))
def test_only_the_standard_library_blender_and_the_kit_are_imported(path: Any) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))  # Blender 4.2's
    assert imported(tree) <= sys.stdlib_module_names | OF_THE_HOST | {"anyportal_hostkit"}


def test_only_compat_knows_the_names_that_versions_of_blender_do_not_share() -> None:
    changing = {"sequences", "sequences_all", "strips", "strips_all", "frame_start", "frame_final_start", "fcurves"}
    changing |= {"frame_final_end", "frame_duration", "content_start", "left_handle", "right_handle", "sequencer_scene"}
    for path in FILES:
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        # A scene has a frame_start of its own, which is the same in all of them.
        assert path.name == "compat.py" or names & changing <= {"frame_start"}, path.name


def test_both_descriptions_say_the_same_as_the_package() -> None:
    manifest = tomllib.loads((ADDON / "blender_manifest.toml").read_text())
    tree = ast.parse((ADDON / "__init__.py").read_text())
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    info = next(ast.literal_eval(each.value) for each in assigned if ast.unparse(each.targets[0]) == "bl_info")
    version = (CLIENT.parent / "anyportal_client/version.py").read_text()
    assert f'__version__ = "{manifest["version"]}"' in version
    assert manifest["version"] == ".".join(map(str, info["version"]))
    assert manifest["blender_version_min"] == ".".join(map(str, info["blender"]))
    assert (manifest["id"], manifest["tagline"]) == (ADDON.name, info["description"])
    assert set(manifest["permissions"]) == {"files", "network"}
    assert len(manifest["tagline"]) <= 64
    assert all(len(text) <= 64 and text[-1].isalnum() for text in manifest["permissions"].values())

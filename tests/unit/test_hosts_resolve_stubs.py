"""What is called of Resolve, held against the published stubs and against the fake: no call is made up.

The stubs (fusionscript-stubs 21.0.0) have optional arguments as required ones: only names are compared with them.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.resolve import app, house, items, pool, timeline

HOST = house.CLIENTS / "resolve/anyportal_resolve/host.py"
FAKES = {
    "MediaPoolItem": pool.MediaPoolItem,
    "TimelineItem": items.TimelineItem,
    "Timeline": timeline.Timeline,
    "Folder": pool.Folder,
    "MediaPool": pool.MediaPool,
    "Project": app.Project,
    "ProjectManager": app.ProjectManager,
    "Resolve": app.Resolve,
}


def methods(tree: ast.Module) -> dict[str, dict[str, list[list[str]]]]:
    """By class and method, the arguments' names; several where a method is overloaded."""
    found: dict[str, dict[str, list[list[str]]]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for each in node.body:
                if isinstance(each, ast.FunctionDef):
                    names = [argument.arg for argument in each.args.args[1:]]
                    found.setdefault(node.name, {}).setdefault(each.name, []).append(names)
    return found


OURS = methods(ast.parse(HOST.read_text("utf-8")))
CALLS = [(kind, name) for kind, found in OURS.items() for name in found]


@pytest.fixture(scope="module")
def published() -> Any:
    spec = importlib.util.find_spec("fusionscript-stubs")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("fusionscript-stubs is not installed")
    [folder] = spec.submodule_search_locations
    return methods(ast.parse((Path(folder) / "fusionscript.pyi").read_text("utf-8")))


def test_every_kind_of_object_is_there() -> None:
    assert set(OURS) == set(FAKES)


@pytest.mark.parametrize(("kind", "name"), CALLS)
def test_a_call_is_one_that_resolve_has(published: Any, kind: str, name: str) -> None:
    assert name in published[kind], f"{kind} has no {name}"
    [own] = OURS[kind][name]
    overloads = published[kind][name]
    assert any(own == names[: len(own)] for names in overloads), f"{kind}.{name}{own} is none of {overloads}"


@pytest.mark.parametrize(("kind", "name"), CALLS)
def test_the_fake_takes_the_call(kind: str, name: str) -> None:
    [own] = OURS[kind][name]
    parameters = list(inspect.signature(getattr(FAKES[kind], name)).parameters)[1:]
    assert parameters[: len(own)] == own


def test_every_call_of_the_scripts_is_typed() -> None:
    known = {name for found in OURS.values() for name in found}
    called = set()
    for path in HOST.parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr[:1].isupper():
                called.add(node.func.attr)
    of_others = {"GetResolve", "ExitStack", "Run", "Work", "Fetch", "Part", "Search"}
    assert called - known - of_others == set()
    assert known - called == set()  # nothing is listed that is not called

"""What a person does in a fake Nuke with a real `anyportal` and a real daemon: fixtures and steps of whole flows.

It asserts nothing itself: PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.nuke import house
from tests.hosts.nuke.module import FakeNuke
from tests.hosts.nuke.nodes import Node

ALL = list(range(house.FIRST, house.FIRST + house.COUNT))
BACKDROP = "Backdrop (file, #rrggbb or words)"
SKY = {BACKDROP: "#102030"}
STRAIGHT = {"Matte": "the plate's alpha", "The plate's colours are": "straight"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("daemon")
    with house.daemon(folder) as env:
        yield env | {"ANYPORTAL_COMMAND": str(house.command(folder))}


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PNG sequence `png/plate`, an EXR sequence `exr/plate` with the matte as its alpha."""
    folder = tmp_path_factory.mktemp("media")
    house.write_sequence(folder / "png")
    house.write_sequence(folder / "exr", kind="exr")
    return folder


@pytest.fixture
def surroundings(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ANYPORTAL_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def nuke(surroundings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNuke]:
    with house.session(tmp_path, monkeypatch) as fake:
        yield fake


@pytest.fixture
def terminal(surroundings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNuke]:
    with house.session(tmp_path, monkeypatch, gui=False) as fake:
        yield fake


@pytest.fixture
def exr(nuke: FakeNuke, media: Path) -> Node:
    return house.make_read(nuke, media / "exr" / "plate.%04d.exr")


def replace(nuke: FakeNuke, selected: list[Node], answers: dict[str, str], **more: Any) -> Node | None:
    """What a person does: select, menu, panel. Gives the result's Read, if there is one."""
    nuke.selection = selected
    nuke.answers.append({**SKY, **answers})
    house.settle(nuke, house.load().replace_background, **more)
    return result_of(nuke)


def result_of(nuke: FakeNuke) -> Node | None:
    return next((node for node in nuke.all if node.knob("anyportal_status") is not None), None)


def comp_of(nuke: FakeNuke) -> Node:
    return next(node for node in nuke.all if node["label"].content == "AnyPortal comp")


def said(read: Node) -> dict[str, str]:
    """What the node's tab says."""
    return {name: str(read[f"anyportal_{name}"].content) for name in ("status", "version", "job", "sent")}


def click(read: Node, button: str) -> None:
    read[f"anyportal_{button}"].execute()  # type: ignore[attr-defined]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

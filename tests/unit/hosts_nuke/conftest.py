"""A fake Nuke that has the traps of ../shared/hosts.md, and a plan of the client in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.nuke import house
from tests.hosts.nuke.module import FakeNuke
from tests.hosts.nuke.nodes import Node


@pytest.fixture
def nuke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNuke]:
    with house.session(tmp_path, monkeypatch) as fake:
        yield fake


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return house.write_sequence(tmp_path_factory.mktemp("plate"))


@pytest.fixture
def read(nuke: FakeNuke, plate: Path) -> Node:
    return house.make_read(nuke, plate)


@pytest.fixture
def asked(nuke: FakeNuke) -> Any:
    """Plan something: `asked(node, **what)`; once more with the files `before`."""

    def make(node: Node, *others: Node, before: list[int] | None = None, **what: Any) -> Any:
        find = house.load("anyportal_nuke.flow").find_in([node, *others])
        return house.load("anyportal_nuke.plan").Plan(node, {"backdrop": "#102030", **what}, find, before)

    return make

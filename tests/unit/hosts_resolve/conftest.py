"""A fake Resolve: each test of its parts fails where a trap of ../shared/hosts.md is not handled."""

from __future__ import annotations

import pytest

from tests.hosts.resolve import house
from tests.hosts.resolve.app import Resolve


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> str:
    return house.movie(tmp_path_factory.mktemp("plates"), "plate.mp4", range(100, 148))


@pytest.fixture
def resolve() -> Resolve:
    return Resolve()

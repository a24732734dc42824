"""Each fuzz target for a few seconds, in a process of its own. `python -m fuzz` goes on for longer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import strategies as st

from fuzz.__main__ import NAMES, slice_of
from fuzz.rpc import METHODS
from fuzz.strategies import edited
from fuzz.target import LAST, Target, fuzz

SECONDS = 2.0


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found_in_a_short_time(name: str) -> None:
    done = slice_of(name, SECONDS, random.randrange(2**30))
    assert "found" not in done, f"{done['found']}\n{done['example']}"
    assert done["examples"] >= 50


def test_every_rpc_of_the_daemon_is_called() -> None:
    assert {path.split("/")[1].rpartition(".")[2] for path in METHODS} >= {
        "BlobService",
        "JobService",
        "CatalogService",
    }
    assert len(METHODS) > 20


def test_a_finding_is_told_with_the_smallest_example(tmp_path: Path) -> None:
    @contextmanager
    def opened(folder: Path) -> Iterator[Callable[[int], None]]:
        def check(value: int) -> None:
            assert value < 1000

        yield check

    with pytest.raises(AssertionError):
        fuzz(Target("numbers", st.integers(), opened), 1, 0, tmp_path)
    assert (tmp_path / LAST).read_text("utf-8") == "1000"


def test_a_process_that_dies_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert "exit code 1" in slice_of("paths", 1, 0)["found"]


@pytest.mark.parametrize("what", ["put", "insert", "cut", "end", "copy"])
def test_edits_change_files(what: str) -> None:
    data = bytes(range(200))
    assert edited(data, [(what, 0.5, b"zzzz")]) != data

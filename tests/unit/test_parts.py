"""A stage that was cut short goes on at the window it was at, to the same bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anyportal_core.cache import DirectoryCache
from anyportal_core.errors import Cancelled
from anyportal_core.roles import Chunk
from anyportal_core.stages.notes import Note, Notes
from anyportal_core.stages.parts import Parts


def never() -> Chunk:
    raise AssertionError("it was made already")


@given(
    values=hnp.arrays(
        st.sampled_from([np.float32, np.float16, np.uint8, np.bool_, np.int64]), hnp.array_shapes(min_dims=0)
    ),
    turned=st.booleans(),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_part_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, turned: bool
) -> None:
    cache = DirectoryCache(tmp_path_factory.mktemp("stages"))
    values = values.T if turned else values
    made = Parts(cache, "k")(3, lambda: {"a": values, "b": np.array(2.5)})
    kept = Parts(cache, "k")(3, never)
    for chunk in (made, kept):
        assert chunk["a"].dtype == values.dtype and chunk["a"].shape == values.shape
        assert chunk["a"].tobytes() == values.tobytes() and float(chunk["b"]) == 2.5
        assert chunk["a"].flags.c_contiguous, "a sum over another layout may round in another way"


def test_only_parts_that_were_whole_are_kept_and_none_when_the_result_is(tmp_path: Path) -> None:
    cache = DirectoryCache(tmp_path)
    parts = Parts(cache, "k")
    parts(0, lambda: {"a": np.zeros(3)})

    def cut_short() -> Chunk:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        parts(1, cut_short)
    again = Parts(cache, "k")
    again(0, never)
    assert again(1, lambda: {"a": np.ones(3)})["a"].sum() == 3
    again.drop()
    assert list(tmp_path.iterdir()) == []


def test_parts_of_another_stage_are_others(tmp_path: Path) -> None:
    cache = DirectoryCache(tmp_path)
    Parts(cache, "k")(0, lambda: {"a": np.zeros(1)})
    assert Parts(cache, "l")(0, lambda: {"a": np.ones(1)})["a"] == 1
    assert Parts(cache, "k")(1, lambda: {"a": np.ones(1)})["a"] == 1


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: flip(data)])
def test_a_damaged_part_is_made_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    cache = DirectoryCache(tmp_path)
    Parts(cache, "k")(0, lambda: {"a": np.arange(1000.0)})
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    told: list[str] = []
    parts = Parts(DirectoryCache(tmp_path), "k", lambda: told.append("damaged"))
    made = parts(0, lambda: {"a": np.arange(1000.0)})
    assert (told, parts.spared) == (["damaged"], 0)
    np.testing.assert_array_equal(made["a"], np.arange(1000.0))
    Parts(cache, "k")(0, never)


def test_what_parts_took_is_known_when_they_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    cache = DirectoryCache(tmp_path)

    def make() -> Chunk:
        now[0] += 5
        return {"a": np.zeros(1)}

    first = Parts(cache, "k")
    first(0, make)
    first(1, make)
    assert first.spared == 0
    now[0] += 1000  # nobody was at work
    again = Parts(cache, "k")
    assert [set(again(number, make)) for number in range(3)] == 3 * [{"a"}]
    assert again.spared == 10


def test_what_was_said_of_a_part_is_said_of_it_again(tmp_path: Path) -> None:
    cache, told = DirectoryCache(tmp_path), list[tuple[str, bool]]()
    for make in (True, False):
        told.clear()
        said = Notes(lambda text, warning=False: told.append((text, warning)))
        said("before it")

        def part(said: Notes = said) -> Chunk:
            said("frame 7 is doubtful", warning=True)
            return {"a": np.zeros(1)}

        parts = Parts(cache, "k", said=said)
        assert set(parts(0, part if make else never)) == {"a"}
        assert said.kept == [Note("before it"), Note("frame 7 is doubtful", True)]
        assert told == [("before it", False), ("frame 7 is doubtful", True)]


def flip(data: bytes) -> bytes:
    """One bit of the array itself."""
    return data[:2000] + bytes([data[2000] ^ 1]) + data[2001:]

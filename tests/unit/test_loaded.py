"""Models that stay loaded between jobs, within a budget of bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyportal_core.plugins import loaded


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    loaded.forget()
    yield
    loaded.limit(None)
    loaded.forget()


def use(name: str, size: int) -> str:
    return loaded.keep((name,), lambda: name, lambda: size)


def kept(*names: str) -> list[str]:
    return [name for name in names if loaded.keeps((name,))]


def test_what_is_kept_is_not_loaded_again() -> None:
    assert loaded.keep(("a",), lambda: "first") == loaded.keep(("a",), lambda: "second") == "first"


def test_the_least_recently_used_goes_first() -> None:
    loaded.limit(30)
    for name in "abc":
        use(name, 10)
    use("a", 10)
    use("d", 10)
    assert kept(*"abcd") == ["a", "c", "d"]
    use("e", 20)
    assert kept(*"acde") == ["d", "e"]


def test_room_is_made_before_a_model_is_loaded() -> None:
    loaded.limit(10)
    use("a", 10)
    loaded.keep(("b",), lambda: pytest.fail("both at once") if loaded.keeps(("a",)) else "b", lambda: 10)
    assert kept("a", "b") == ["b"]


def test_one_that_is_larger_than_the_budget_is_used_but_not_kept_between_jobs() -> None:
    loaded.limit(10)
    use("small", 4)
    assert use("large", 11) == "large"
    assert kept("small", "large") == ["large"]
    loaded.settle()
    assert kept("small", "large") == []


def test_without_a_budget_everything_stays() -> None:
    for number in range(50):
        use(str(number), 10**9)
    loaded.settle()
    assert loaded.kept_bytes() == 50 * 10**9


@given(
    st.integers(0, 100),
    st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=40),
    st.lists(st.integers(0, 60), min_size=9, max_size=9),
)
def test_between_jobs_no_more_than_the_budget_is_kept(
    budget: int, uses: list[tuple[int, bool]], sizes: list[int]
) -> None:
    loaded.forget()
    loaded.limit(budget)
    for name, ends in uses:
        use(str(name), sizes[name])
        assert loaded.keeps((str(name),)), "what is in use is kept"
        assert loaded.kept_bytes() <= max(budget, sizes[name])
        if ends:
            loaded.settle()
            assert loaded.kept_bytes() <= budget

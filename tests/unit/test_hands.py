"""Several things made at once, handed over in their order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from anyportal_core.hands import in_order


class Maker:
    """Doubles numbers; waits with each until it is let, and fails at one."""

    def __init__(self, waits: bool = False, fails_at: int = -1) -> None:
        self.taken, self._fails_at = 0, fails_at
        self.begun = [threading.Event() for _ in range(8)]
        self.let = [threading.Event() for _ in range(8)]
        if not waits:
            for event in self.let:
                event.set()

    def numbers(self, count: int) -> Iterator[int]:
        for number in range(count):
            self.taken += 1
            yield number

    def __call__(self, number: int) -> int:
        self.begun[number].set()
        assert self.let[number].wait(60)
        if number == self._fails_at:
            raise ValueError("damaged")
        return 2 * number


@pytest.mark.parametrize("hands", [0, 1, 2, 3])
def test_all_is_made_in_order(hands: int) -> None:
    maker = Maker()
    assert list(in_order(maker, maker.numbers(7), hands)) == [0, 2, 4, 6, 8, 10, 12]
    assert list(in_order(maker, [], hands)) == []


def test_two_are_made_at_once_and_the_later_one_waits_for_its_turn() -> None:
    maker, made = Maker(waits=True), []

    def all_of_them() -> None:
        made.extend(in_order(maker, range(3), 2))

    caller = threading.Thread(target=all_of_them)
    caller.start()
    assert maker.begun[0].wait(60) and maker.begun[1].wait(60)
    maker.let[1].set()
    assert maker.begun[2].wait(60), "a hand that is free takes the next"
    for event in maker.let:
        event.set()
    caller.join(60)
    assert made == [0, 2, 4]


@pytest.mark.parametrize("hands", [1, 2])
def test_no_more_are_taken_than_hands_can_make_and_one(hands: int) -> None:
    maker = Maker()
    for place, _ in enumerate(in_order(maker, maker.numbers(8), hands), start=1):
        assert maker.taken <= place + hands
    assert maker.taken == 8


@pytest.mark.parametrize("hands", [0, 2])
def test_an_error_comes_in_its_place_and_leaves_no_thread(hands: int) -> None:
    threads, maker = threading.active_count(), Maker(fails_at=2)
    coming = in_order(maker, range(8), hands)
    assert [next(coming), next(coming)] == [0, 2]
    with pytest.raises(ValueError, match="damaged"):
        next(coming)
    assert threading.active_count() == threads


@pytest.mark.parametrize("hands", [0, 1, 2, 3])
def test_what_was_taken_before_an_error_of_the_things_is_handed_over_first(hands: int) -> None:
    threads, made = threading.active_count(), []

    def damaged() -> Iterator[int]:
        yield from range(3)
        raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        for each in in_order(Maker(), damaged(), hands):
            made.append(each)
    assert made == [0, 2, 4]
    assert threading.active_count() == threads


def test_giving_up_waits_for_what_is_made_and_leaves_no_thread() -> None:
    threads, maker = threading.active_count(), Maker()
    coming = in_order(maker, maker.numbers(8), 2)
    next(coming)
    coming.close()
    assert threading.active_count() == threads
    assert maker.taken <= 3

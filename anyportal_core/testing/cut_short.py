"""Runs of a plug-in that are cut short after any of its parts, and go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from anyportal_core.errors import Cancelled
from anyportal_core.roles import Chunk, Part


class KeptParts:
    """Parts in memory. See `RoleContext.part`.

    Args:
        most: of them that are made before the run is cut short.
    """

    def __init__(self, most: float = float("inf")) -> None:
        self.most = most
        self.made: list[int] = []
        self._kept: dict[int, Chunk] = {}

    def __call__(self, number: int, make: Callable[[], Chunk]) -> Chunk:
        if number not in self._kept:
            if len(self.made) >= self.most:
                raise Cancelled("cut short")
            self._kept[number] = {name: np.array(values, order="C") for name, values in make().items()}
            self.made.append(number)
        return {name: values.copy() for name, values in self._kept[number].items()}


def check_goes_on(run: Callable[[Part], Iterator[Chunk]], count: int) -> None:
    """Assert that a plug-in's pass, cut short after any of its ``count`` parts, makes only the others and the same.

    Args:
        run: a pass of the plug-in with a ``part`` of its context.
    """
    whole = KeptParts()
    expected = _joined(run(whole))
    assert whole.made == list(range(count)), f"parts {whole.made} were made"
    for most in range(count):
        parts = KeptParts(most)
        try:
            _joined(run(parts))
            raise AssertionError("it was not cut short")
        except Cancelled:
            pass
        parts.most = float("inf")
        found = _joined(run(parts))
        assert parts.made == list(range(count)), f"cut after {most} parts it made {parts.made}"
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name].dtype == values.dtype, name
            assert found[name].tobytes() == values.tobytes(), f"{name}, cut after {most} parts"


def _joined(chunks: Iterator[Chunk]) -> Chunk:
    held = list(chunks)
    return {name: np.concatenate([chunk[name] for chunk in held]) for name in held[0]}

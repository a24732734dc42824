"""Settings as data: their kinds, ranges and meaning.

A plug-in declares its settings so; from that the recipe is validated, the catalogue is sent to clients,
and hosts build their panels. Nothing here knows a plug-in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from anyportal_core.errors import RecipeError, unknown_name
from anyportal_core.frames import LARGEST_NUMBER

Kind = Literal["number", "integer", "boolean", "choice", "text", "colour"]
Scalar = float | int | bool | str
Value = Scalar | dict[int, float]

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Setting:
    """One setting of a plug-in.

    Args:
        name: snake_case, unique inside the plug-in.
        kind: what values it takes. ``colour`` is ``#rrggbb`` in sRGB.
        default: the value when the recipe is silent.
        help: one sentence for a panel's tooltip, with the unit.
        minimum, maximum: inclusive bounds of numbers.
        choices: the values of a ``choice``.
        animated: a number that may be a table ``frame: number``, linear between keys, held outside.
    """

    name: str
    kind: Kind
    default: Scalar
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    animated: bool = False

    def check(self, value: object, where: str) -> Value:
        """Return ``value`` in its canonical type.

        Raises:
            RecipeError: wrong kind or out of range; ``where`` names the field.
        """
        if isinstance(value, Mapping):
            return self._check_keys(value, where)
        if self.kind in ("number", "integer"):
            return self._check_number(value, where)
        if self.kind == "boolean":
            if isinstance(value, bool):
                return value
            raise RecipeError(f"{value!r} is neither true nor false", where=where, hint="write true or false")
        if not isinstance(value, str):
            raise RecipeError(f"{value!r} is not a text", where=where, hint=self._text_hint())
        if self.kind == "choice" and value not in self.choices:
            raise unknown_name("choice", value, self.choices, where=where)
        if self.kind == "colour" and not _COLOUR.fullmatch(value):
            raise RecipeError(f"'{value}' is no colour", where=where, hint="write it as #rrggbb")
        return value.lower() if self.kind == "colour" else value

    def _check_number(self, value: object, where: str) -> float | int:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise RecipeError(f"{value!r} is not a number", where=where, hint=self._range_hint())
        if value != value or value in (float("inf"), float("-inf")):
            raise RecipeError(f"{value!r} is not a finite number", where=where, hint=self._range_hint())
        if self.kind == "integer" and value != int(value):
            raise RecipeError(f"{value!r} is not a whole number", where=where, hint=self._range_hint())
        if self.minimum is not None and value < self.minimum:
            raise RecipeError(f"{value} is below {self.minimum:g}", where=where, hint=self._range_hint())
        if self.maximum is not None and value > self.maximum:
            raise RecipeError(f"{value} is above {self.maximum:g}", where=where, hint=self._range_hint())
        return int(value) if self.kind == "integer" else float(value) + 0.0  # -0.0 is 0.0: one value, one digest

    def _check_keys(self, table: Mapping[object, object], where: str) -> dict[int, float]:
        if not self.animated:
            raise RecipeError("this setting cannot be animated", where=where, hint="give one value")
        if not table:
            raise RecipeError("the table of keys is empty", where=where, hint='write {"1001": 0.5}')
        keys: dict[int, float] = {}
        for frame, value in table.items():
            number = _frame_number(str(frame), where)
            if number in keys:
                raise RecipeError(f"frame {number} has two values", where=where, hint="give one")
            keys[number] = float(self._check_number(value, f"{where}[{number}]"))
        return dict(sorted(keys.items()))

    def _range_hint(self) -> str:
        what = "whole numbers" if self.kind == "integer" else "numbers"
        low = "" if self.minimum is None else f" from {self.minimum:g}"
        high = "" if self.maximum is None else f" up to {self.maximum:g}"
        return f"allowed: {what}{low}{high}"

    def _text_hint(self) -> str:
        if self.kind == "choice":
            return f"known: {', '.join(self.choices)}"
        return "write it as #rrggbb" if self.kind == "colour" else 'put it in quotes: "..."'


def _frame_number(text: str, where: str) -> int:
    """The frame of a key. Raises RecipeError where it is none."""
    try:
        number = int(text)
    except ValueError:  # also of thousands of digits
        number = LARGEST_NUMBER + 1
    if abs(number) > LARGEST_NUMBER:
        raise RecipeError(f"'{text[:40]}' is no frame number", where=where, hint='write {"1001": 0.5}')
    return number


class Settings(Mapping[str, Value]):
    """Checked values of one plug-in's settings, with defaults filled in."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    @classmethod
    def check(cls, specs: tuple[Setting, ...], given: Mapping[str, object], where: str, *beside: str) -> Settings:
        """Check ``given`` against ``specs`` and fill in defaults.

        Args:
            beside: further names that ``where`` knows, to be offered for a misspelled one.

        Raises:
            RecipeError: an unknown name (the nearest is offered), a wrong kind, or out of range.
        """
        known = {spec.name: spec for spec in specs}
        for name in given:
            if name not in known:
                raise unknown_name("setting", name, {*known, *beside}, where=where)
        return cls(
            {
                name: spec.check(given[name], f"{where}.{name}") if name in given else spec.default
                for name, spec in known.items()
            }
        )

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def number(self, name: str, frame: int | None = None) -> float:
        """The value at a frame: linear between keys, held before the first and after the last."""
        value = self._values[name]
        if not isinstance(value, dict):
            return float(cast(float, value))
        if frame is None:
            raise ValueError(f"{name} is animated: a frame is needed")
        return interpolate(value, frame)

    def integer(self, name: str) -> int:
        return int(cast(int, self._values[name]))

    def text(self, name: str) -> str:
        return str(self._values[name])

    def flag(self, name: str) -> bool:
        return bool(self._values[name])

    def as_json(self) -> dict[str, Any]:
        """Plain data with text keys, for canonical JSON and TOML."""
        return {
            name: {str(k): v for k, v in value.items()} if isinstance(value, dict) else value
            for name, value in self._values.items()
        }


def interpolate(keys: Mapping[int, float], frame: int) -> float:
    """Linear between keys, held outside. ``keys`` is sorted by frame."""
    frames = list(keys)
    if frame <= frames[0]:
        return keys[frames[0]]
    if frame >= frames[-1]:
        return keys[frames[-1]]
    after = next(i for i, f in enumerate(frames) if f >= frame)
    a, b = frames[after - 1], frames[after]
    t = (frame - a) / (b - a)
    return keys[a] * (1 - t) + keys[b] * t

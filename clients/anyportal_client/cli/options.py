"""Options that several commands share, and what people write in them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from anyportal_client.errors import UsageError
from anyportal_client.request import plausible_rate

Daemon = Annotated[
    str | None,
    typer.Option(
        "--daemon",
        metavar="HOST[:PORT]",
        help="The daemon; any: the one done first; local: this machine's. Else $ANYPORTAL_DAEMON, client.toml, local.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON event a line (docs/events.md).")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files of another content that are there already.")
]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="The job: jobs/ID, or just the ID.")]

_NTSC = [Fraction(whole * 1000, 1001) for whole in (24, 30, 48, 60, 120)]
_WHOLE = re.compile(r"-?\d{1,18}")
_NO_ZERO = re.compile(r"(-?)(\.\d+)")
_RATE = re.compile(r"\d{1,12}(\.\d{1,20})?|\d{1,12}/\d{1,12}")


def job_name(text: str) -> str:
    """`jobs/{id}` for what people type."""
    return text if text.startswith("jobs/") else f"jobs/{text}"


def read_settings(pairs: Iterable[str]) -> dict[str, object]:
    """The values of `--set key=value`: JSON numbers, booleans, texts and tables; anything else is a text.

    A number may lack the zero before its point, as `.5` does.

    Raises:
        UsageError: no key, no `=`, or a table that names a frame twice.
    """
    settings: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                f"'{pair}' is no setting", where="--set", hint="write KEY=VALUE, such as relight_strength=0.5"
            )
        settings[key.strip()] = _value(text)
    return settings


def _value(text: str) -> object:
    try:
        value = json.loads(
            _NO_ZERO.sub(r"\g<1>0\2", text) if _NO_ZERO.fullmatch(text) else text,
            parse_constant=str,
            object_pairs_hook=_table,
        )
    except ValueError:
        return text
    known = isinstance(value, (bool, int, float, str, dict))
    return value if known and not (isinstance(value, float) and math.isinf(value)) else text


def _table(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A table as JSON has it, which would keep the last of two values alone. Raises UsageError."""
    table: dict[str, object] = {}
    for key, value in pairs:
        if key in table:
            raise UsageError(f"a table has two values at '{key}'", where="--set", hint="give one")
        table[key] = value
    return table


def read_corrections(texts: list[str]) -> dict[int, Path]:
    """Masks by their frame, each written as `N=PATH`.

    Raises:
        UsageError: no frame, no path, or two masks of one frame.
    """
    found: dict[int, Path] = {}
    for text in texts:
        number, _, path = text.partition("=")
        if not _WHOLE.fullmatch(number.strip()) or not path:
            raise UsageError(f"'{text}' is no mask of a frame", where="--correct", hint="write 1040=mask.png")
        if int(number) in found:
            raise UsageError(f"frame {int(number)} has two masks", where="--correct", hint="give one")
        found[int(number)] = Path(path)
    return found


def read_rate(text: str) -> Fraction:
    """Frames per second: `24`, `24000/1001`, or `23.976`, which everybody writes and nobody means.

    Raises:
        UsageError: no rate, or one that no camera has.
    """
    try:
        rate = Fraction(text) if _RATE.fullmatch(text) else Fraction(0)
    except ZeroDivisionError:
        rate = Fraction(0)
    rate = next((ntsc for ntsc in _NTSC if abs(rate - ntsc) < Fraction(1, 100)), rate.limit_denominator(1_000_000))
    if not plausible_rate(rate):
        raise UsageError(
            f"'{text}' is no frame rate", where="--rate", hint="write 24, 23.976 or 24000/1001; at most 1000"
        )
    return rate

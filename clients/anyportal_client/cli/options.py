"""Options that several commands share, and what people write in them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from anyportal_client.errors import RecipeError, UsageError

Daemon = Annotated[
    str | None,
    typer.Option(
        "--daemon",
        metavar="HOST:PORT",
        help="The daemon to use. Default: $ANYPORTAL_DAEMON, or the one on this machine.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON event a line (docs/events.md).")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files of another content that are there already.")
]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="The job: jobs/ID, or just the ID.")]

_NTSC = (24, 30, 48, 60, 120)


def job_name(text: str) -> str:
    """`jobs/{id}` for what people type."""
    return text if text.startswith("jobs/") else f"jobs/{text}"


def read_settings(pairs: Iterable[str]) -> dict[str, object]:
    """The values of `--set key=value`: JSON numbers, booleans, texts and tables; anything else is a text.

    Raises:
        UsageError: no key, or no `=`.
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
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float, str, dict)) else text


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe file: preset, subject, seed, backdrop, and a table of settings for each role.

    Gives the arguments of a ShotRequest that it sets. A backdrop that is media cannot come from a file, which knows
    its digest only.

    Raises:
        RecipeError: it cannot be read, or is no TOML.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RecipeError(f"the recipe cannot be read: {error.strerror}", where=str(path)) from error
    except ValueError as error:
        raise RecipeError(f"the recipe is no TOML: {error}", where=str(path)) from error
    if data.pop("schema", 1) != 1:
        raise RecipeError("the recipe is of a newer schema", where=str(path), hint="update anyportal")
    backdrop = data.pop("backdrop", {})
    asked: dict[str, Any] = {key: data.pop(key) for key in ("preset", "subject", "seed") if key in data}
    if isinstance(backdrop, dict) and backdrop.get("kind") in ("prompt", "colour"):
        asked["backdrop"] = str(backdrop.get("value", ""))
    return {**asked, "settings": data}


def read_rate(text: str) -> Fraction:
    """Frames per second: `24`, `24000/1001`, or `23.976`, which everybody writes and nobody means.

    Raises:
        UsageError: no rate.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise UsageError(f"'{text}' is no frame rate", where="--rate", hint="write 24, 23.976 or 24000/1001")
    for whole in _NTSC:
        exact = Fraction(whole * 1000, 1001)
        if abs(rate - exact) < Fraction(1, 100):
            return exact
    return rate

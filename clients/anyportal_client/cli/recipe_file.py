"""Recipe files: preset, subject, seed, backdrop, and settings, in TOML."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from anyportal_client.errors import RecipeError
from anyportal_client.request import looks_like_a_path, unsendable

_KINDS: dict[str, tuple[type, str]] = {
    "preset": (str, "a text"),
    "subject": (str, "a text"),
    "seed": (int, "a whole number"),
}


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe file: preset, subject, seed, backdrop, and a table of settings for each role.

    A backdrop is written as on the command line (a path starts from the file's folder), or as a table of `kind` and
    `value`, as the daemon writes recipes. Media in such a table are known by their digest only: they are left out.

    Returns:
        The arguments of a ShotRequest that it sets.

    Raises:
        RecipeError: it cannot be read, is no TOML, or has a value of the wrong kind.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        hint = "check the path: --recipe takes a TOML file"
        raise RecipeError(f"the recipe cannot be read: {error.strerror}", where=str(path), hint=hint) from error
    except ValueError as error:
        raise RecipeError(f"the recipe is no TOML: {error}", where=str(path)) from error
    if data.pop("schema", 1) != 1:
        raise RecipeError("the recipe is of a newer schema", where=str(path), hint="update anyportal")
    asked: dict[str, Any] = {}
    for key, (kind, words) in _KINDS.items():
        if key in data:
            asked[key] = data.pop(key)
            if not isinstance(asked[key], kind) or isinstance(asked[key], bool):
                raise _odd(path, key, f"write {words}")
    asked |= _backdrop(path, data.pop("backdrop")) if "backdrop" in data else {}
    odd = unsendable(data)
    if odd:
        raise _odd(path, odd, "a setting is a number, a text, true or false, or a table of frame numbers")
    return {**asked, "settings": data}


def _backdrop(path: Path, said: object) -> dict[str, str]:
    if isinstance(said, str):
        there = os.path.exists(path.parent / said)  # noqa: PTH110  (Path.exists raises for a very long text)
        return {"backdrop": str(path.parent / said) if there or looks_like_a_path(said) else said}
    if isinstance(said, dict) and set(said) == {"kind", "value"} and isinstance(said["value"], str):
        if said["kind"] in ("prompt", "colour"):
            return {"backdrop": said["value"]}
        if said["kind"] in ("still", "clip"):
            return {}
    raise _odd(path, "backdrop", 'write backdrop = "beach.jpg", "#rrggbb" or a text')


def _odd(path: Path, key: str, hint: str) -> RecipeError:
    return RecipeError(f"'{key}' in the recipe is of the wrong kind", where=str(path), hint=hint)

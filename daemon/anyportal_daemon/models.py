"""``anyportal models``. Imports next to nothing, since every ``anyportal`` command loads it to know its options."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

SCHEMA = 1


class Action(StrEnum):
    list = "list"
    make_tiny = "make-tiny"


def models(
    action: Annotated[Action, typer.Argument(help="List what is there, or write a set of tiny random models.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The models' folder; by default the one in use here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """The weights that plug-ins need: which, how big, where they are looked for.

    Tiny models have the published layout and random weights: with ANYPORTAL_MODELS=DIR the whole method runs on a
    processor within a minute. What it makes is noise.
    """
    if action is Action.list:
        _list(folder, as_json)
    else:
        _make_tiny(folder, as_json)


def _list(folder: Path | None, as_json: bool) -> None:
    from anyportal_core.catalogue import load_catalogue
    from anyportal_core.models import PUBLISHED, Models
    from anyportal_core.verified import statement

    root = Models.configured(folder)
    specs = load_catalogue().plugins.values()
    for name in sorted({*PUBLISHED, *(name for spec in specs for name in spec.models)}):
        users, size = sorted(spec.name for spec in specs if name in spec.models), root.size(name)
        known = PUBLISHED.get(name)
        if as_json:
            found = {"name": name, "plugins": users, "available": size > 0, "size_bytes": size}
            said = {"location": str(root.place(name)), "verified": statement(name)}
            print(json.dumps({"schema": SCHEMA, "event": "model", **found, **said}))
        else:
            state = f"{size / 1e9:.2f} GB" if size else f"missing (about {known.size:g} GB)" if known else "missing"
            print(f"{name:22} {state:26} {', '.join(users)}")
            if not size and known:
                print(f"{'':22} {known.source}")
            print(f"{'':22} {statement(name)}")


def _make_tiny(folder: Path | None, as_json: bool) -> None:
    if folder is None:
        raise typer.BadParameter("say into which folder: anyportal models make-tiny DIR")
    from anyportal_core.errors import StorageError

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError("it is not empty", where=str(folder), hint="give a new folder: nothing is overwritten")
    try:
        from anyportal_core.testing.tiny.everything import write_all
    except ImportError as error:
        from anyportal_core.errors import MissingExtraError

        hint = "pip install 'anyportal[diffusion]'"
        raise MissingExtraError(f"tiny models cannot be made here: {error}", hint=hint) from error
    folder.mkdir(parents=True, exist_ok=True)
    names = write_all(folder)
    if as_json:
        print(json.dumps({"schema": SCHEMA, "event": "models", "folder": str(folder), "names": names}))
    else:
        print(f"{len(names)} tiny models in {folder}. To use them: ANYPORTAL_MODELS={folder}")

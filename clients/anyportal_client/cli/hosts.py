"""`anyportal hosts`: put the scripts where Nuke, Resolve and Blender look for them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anyportal_client.cli.failures import arrow
from anyportal_client.cli.options import Debug, Json
from anyportal_client.errors import UsageError

if TYPE_CHECKING:
    from anyportal_client.placing.placed import Place, Placed

_WORDS = {
    "no_host": "not here",
    "absent": "not installed",
    "linked": "linked",
    "copied": "copied",
    "broken": "BROKEN",
    "foreign": "something else",
}


class Action(StrEnum):
    list = "list"
    install = "install"
    uninstall = "uninstall"


class Host(StrEnum):
    nuke = "nuke"
    resolve = "resolve"
    blender = "blender"


def hosts(
    action: Annotated[Action, typer.Argument(help="Show where each host looks and what is there, or change it.")],
    names: Annotated[
        list[Host] | None, typer.Argument(metavar="[nuke|resolve|blender]...", help="The hosts. To list: default all.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="A folder of yours: one on NUKE_PATH, a Scripts/Utility of Resolve, add-ons of Blender."
        ),
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the files instead of linking to them. Install again after an update.")
    ] = False,
    all_users: Annotated[bool, typer.Option("--all-users", help="Resolve's folder for everybody.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Put the scripts where Nuke, Resolve and Blender look for them, or take them away.

    It can be called again at any time. Of your own files nothing is changed but one marked block in Nuke's init.py.
    """
    wanted = _places(action, names or [], to, all_users)
    if action is Action.list:
        _show([place.look() for place in wanted], as_json)
    for place in wanted if action is not Action.list else ():
        _change(place, action, copy, dry_run, as_json)


def _places(action: Action, names: Sequence[Host], to: Path | None, all_users: bool) -> list[Place]:
    from anyportal_client.placing.places import System, place_at, places
    from anyportal_client.placing.scripts import find_scripts

    if not names and action is not Action.list:
        raise UsageError(
            "which host?", where=action.value, hint=f"anyportal hosts {action.value} nuke, resolve or blender"
        )
    if to is not None and len(names) != 1:
        raise UsageError("a folder belongs to one host", where="--to", hint="name the host, and no other")
    scripts = find_scripts()
    if to is not None:
        return [place_at(names[0], to.absolute(), scripts)]
    found = places(System(), scripts, all_users)
    return [place for place in found if place.host in (names or list(Host))]


def _show(found: Sequence[Placed], as_json: bool) -> None:
    for each in found:
        if as_json:
            print(json.dumps(each.as_json()), flush=True)
            continue
        print(f"{each.name:<16} {in_words(each):<14} {each.version:<8} {each.place}", flush=True)
        _say_hint(each)


def in_words(found: Placed) -> str:
    """What lies in a place, for a person."""
    return "OUT OF DATE" if found.outdated else _WORDS[found.state]


def _change(place: Place, action: Action, copy: bool, dry_run: bool, as_json: bool) -> None:
    from anyportal_client.placing.hands import Hands

    hands = Hands(dry_run)
    hint = ""
    if action is Action.install:
        hint = place.install(hands, copy)
    else:
        place.uninstall(hands)
    now = place.look()
    done = replace(now, steps=tuple(hands.steps), dry_run=dry_run, hint=now.hint or hint)
    if as_json:
        print(json.dumps(done.as_json()), flush=True)
        return
    would = "would " if dry_run else ""
    for step in hands.steps:
        print(f"{done.name}: {would}{step}", flush=True)
    if not hands.steps:
        print(f"{done.name}: nothing to do", flush=True)
    if not dry_run:
        _say_hint(done)


def _say_hint(found: Placed) -> None:
    if found.hint:
        print(f"{'':<8}{arrow(sys.stdout)} {found.hint}", flush=True)

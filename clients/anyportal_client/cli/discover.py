"""`anyportal discover`: the daemons on this network, and those that were logged in to."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from anyportal_client.cli.options import Debug, Json
from anyportal_client.cli.saying import say
from anyportal_client.events import DaemonDiscovered, DaemonNamed


def discover(
    seconds: Annotated[float, typer.Option(metavar="N", min=0.1, max=60, help="Listen for so long.")] = 3.0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the daemons that announce themselves on this network, and those that were logged in to.

    Their queues are asked where you are logged in. What others announce nobody has checked.
    """
    from anyportal_client.cli.output import reporter
    from anyportal_client.discovery import named_address
    from anyportal_client.discovery_list import discovered

    tell = reporter(as_json)
    named, origin = named_address()
    if named:
        tell(DaemonNamed(named, origin))
    found = asyncio.run(discovered(seconds, on_event=tell))
    for each in found:
        say(json.dumps(each.as_json()) if as_json else _line(each))
    if not found and not as_json:
        say("no daemon announces itself here; one on another network can be named: anyportal login HOST")


def _line(each: DaemonDiscovered) -> str:
    queue = "queue unknown" if each.queued_jobs is None else f"{each.queued_jobs} waiting, {each.running_jobs} running"
    note = f"  ({each.note})" if each.note else ""
    return f"{each.name:<20} {each.address:<24} {each.gpu or '-':<24} {queue:<22} {each.version}{note}"

"""The batch from end to end: read, plan, run, write the timeline and the report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import opentimelineio as otio

from anyportal_client.aio import AsyncClient
from anyportal_client.cli.wishes import stdin_speaks, wishes
from anyportal_client.errors import BatchError, Cancelled, MediaError, UsageError
from anyportal_client.events import DaemonFound
from anyportal_client.otio.defaults import check_media, check_recipe
from anyportal_client.otio.outcomes import Outcome
from anyportal_client.otio.plan import Plan, make_plan
from anyportal_client.otio.report import write_report
from anyportal_client.otio.run import run_plan
from anyportal_client.otio.show import BatchDone, BatchReporter, Planned, as_data, batch_reporter, print_table, states
from anyportal_client.otio.write import carry_versions, output_path, write_timeline
from anyportal_client.storage import local_disk, made_folder


def plan_batch(timeline: Path, defaults: Mapping[str, Any]) -> Plan:
    """Read a timeline and plan it.

    Raises:
        MediaError: it is not there, or OpenTimelineIO cannot read it; or the backdrop for all clips.
        UsageError: nothing in it is asked for.
    """
    check_media(defaults)
    plan = make_plan(read_timeline(timeline), timeline.absolute().parent, defaults)
    if not plan.shots:
        raise UsageError(
            "no clip asks for anything",
            where=str(timeline),
            hint="give --backdrop for all clips, or put a request in clips or markers (docs/batch.md)",
        )
    return plan


def read_timeline(path: Path) -> Any:
    """Whatever OpenTimelineIO makes of a file; the adapter is found by its ending.

    Raises:
        MediaError: it cannot be read.
    """
    if not path.exists():
        raise MediaError("there is no such timeline", code="MEDIA_NOT_FOUND", where=str(path), hint="check the path")
    try:
        found = otio.adapters.read_from_file(str(path))
    except Exception as error:  # adapters let through whatever their parsers raise
        raise _unreadable(path, str(error) or type(error).__name__) from error
    if not hasattr(found, "find_clips") and not isinstance(found, otio.schema.Clip):
        raise _unreadable(path, f"there is no timeline in it but a {type(found).__name__}")
    return found


def _unreadable(path: Path, why: str) -> MediaError:
    return MediaError(
        f"the timeline cannot be read: {why}",
        code="MEDIA_UNREADABLE",
        where=str(path),
        hint="export it again, as .otio if the host can",
    )


def show_plan(plan: Plan, timeline: Path, as_json: bool) -> None:
    """Say what would be done."""
    if as_json:
        batch_reporter(True, plan).batch(_planned(plan, timeline))
    else:
        print_table(plan)


def run_batch(
    plan: Plan, timeline: Path, out: Path, daemon: str | None, as_json: bool, stdin_cancel: bool | None
) -> None:
    """Run a plan and leave the timeline and the report in ``out``.

    Raises:
        BatchError: some shots failed or were skipped; all others are there.
        Cancelled: somebody asked for the end; what was finished is there.
        DaemonError: there is none, and none can be started; nothing was written.
        RecipeError: the daemon refuses what the command line says for all clips; nothing was written.
    """
    out = out.absolute()
    with made_folder(out):
        _run_into(plan, timeline, out, daemon, as_json, stdin_cancel)


def _run_into(
    plan: Plan, timeline: Path, out: Path, daemon: str | None, as_json: bool, stdin_cancel: bool | None
) -> None:
    began = time.monotonic()
    written = output_path(timeline, out)
    if written.is_file():
        carry_versions(plan, read_timeline(written), show=False)  # no version is used twice
    tell = batch_reporter(as_json, plan)
    try:
        tell.batch(_planned(plan, timeline))
        outcomes = asyncio.run(_run(plan, out, daemon, tell, stdin_speaks(stdin_cancel, as_json)))
    finally:
        tell.close()
    if written.is_file():
        with suppress(MediaError):  # it could be read when the batch began; another may have written it since
            carry_versions(plan, read_timeline(written))
    with local_disk(out):
        write_timeline(plan, _results(outcomes), written, timeline.absolute().parent)
        report = out / "report.html"
        write_report(plan, outcomes, report, written, time.monotonic() - began)
    _finish(plan, outcomes, BatchDone(written, report, states(plan, outcomes), time.monotonic() - began), tell, as_json)


async def _run(plan: Plan, out: Path, daemon: str | None, tell: BatchReporter, listen: bool) -> dict[str, Outcome]:
    if not plan.jobs:
        return {shot.name: Outcome("skipped") for shot in plan.shots}
    with wishes(listen, tell.close) as wish:
        async with await wish.unless(AsyncClient.connect(daemon, on_event=tell.batch), _nothing_sent) as client:
            tell.batch(DaemonFound(client.address, client.info.version, client.started_daemon))
            await wish.unless(check_recipe(client, plan), _nothing_sent)
            work = asyncio.create_task(run_plan(client, plan, out, tell.shot))

            async def stop() -> None:
                work.cancel()

            return await wish.unless(_end_of(work), stop)


async def _nothing_sent() -> None:
    raise Cancelled("cancelled before anything was sent")


async def _end_of(work: asyncio.Task[dict[str, Outcome]]) -> dict[str, Outcome]:
    return await work


def _results(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    return {name: outcome.result for name, outcome in outcomes.items() if outcome.result}


def _planned(plan: Plan, timeline: Path) -> Planned:
    return Planned(timeline.absolute(), [as_data(shot) for shot in plan.shots])


def _finish(plan: Plan, outcomes: Mapping[str, Outcome], done: BatchDone, tell: BatchReporter, as_json: bool) -> None:
    """Say where everything is; raise what the exit code should tell."""
    tell.batch(done)
    if not as_json:
        print(f"timeline  {done.timeline}\nreport    {done.report}", flush=True)
    by_state: dict[str, list[str]] = {}
    for name, state in done.states.items():
        by_state.setdefault(state, []).append(name)
    count = len(done.states)
    if "cancelled" in by_state:
        finished = len(by_state.get("done", ()))
        raise Cancelled(f"cancelled; {finished} of {count} shots are finished", where=str(done.timeline))
    missing = [*by_state.get("failed", ()), *by_state.get("skipped", ())]
    if missing:
        raise BatchError(
            f"{len(missing)} of {count} shots are not there: {', '.join(missing)}",
            where=str(done.timeline),
            hint=f"{done.report} says why",
        )

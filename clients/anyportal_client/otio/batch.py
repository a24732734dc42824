"""The batch from end to end: read, plan, run, write the timeline and the report."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyportal_client.aio import AsyncClient
from anyportal_client.cli.wishes import stdin_speaks, wishes
from anyportal_client.errors import BatchError, Cancelled, MediaError, UsageError
from anyportal_client.events import DaemonFound
from anyportal_client.locks import locked
from anyportal_client.otio.defaults import check_media, check_recipe
from anyportal_client.otio.exports import Forecast, forecast, write_exports
from anyportal_client.otio.flatten import Format
from anyportal_client.otio.outcomes import Outcome, Result
from anyportal_client.otio.places import Places
from anyportal_client.otio.plan import Plan, make_plan
from anyportal_client.otio.probes import Probes, cache_folder
from anyportal_client.otio.reading import Cut, opened, read_cut, read_timeline
from anyportal_client.otio.records import Records, shared, with_results
from anyportal_client.otio.report import Written, write_report
from anyportal_client.otio.run import AHEAD, run_plan, settled
from anyportal_client.otio.shape import shape
from anyportal_client.otio.show import BatchDone, BatchReporter, Planned, as_data, batch_reporter, print_table, states
from anyportal_client.otio.timing import same_rate
from anyportal_client.otio.write import add_versions, carry_versions, output_path, write_timeline
from anyportal_client.storage import local_disk, made_folder

LOCK = ".anyportal.lock"
"""In the output folder: held while its timeline and report are read, merged and written."""


@dataclass(frozen=True)
class Wish:
    """What a batch is called with.

    Args:
        timeline: the file to read.
        out: where everything goes; None for a plan alone.
        defaults: the request for all clips.
        rate: of an EDL.
        moved: prefixes of paths as the timeline has them, and what they are here.
        search: folders to look through for media that are not where the timeline says.
        exports: formats to write beside the ``.otio``.
        again: whether to run what is there already, too.
        ahead: shots under way at once.
    """

    timeline: Path
    out: Path | None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    rate: float | None = None
    moved: tuple[tuple[str, str], ...] = ()
    search: tuple[Path, ...] = ()
    exports: tuple[Format, ...] = ()
    again: bool = False
    ahead: int = AHEAD


@dataclass(frozen=True)
class Ready:
    """A batch that can begin: its plan, the timeline in shape, and what other formats would lose."""

    wish: Wish
    plan: Plan
    forecasts: tuple[Forecast, ...] = ()


@contextmanager
def planned_batch(wish: Wish, *, unpack: bool) -> Iterator[Ready]:
    """Read a timeline, plan it, and see what the formats asked for would lose.

    Args:
        unpack: whether media inside the timeline go to the output folder, to stay.

    Raises:
        MediaError: it is not there, or OpenTimelineIO cannot read it; or the backdrop for all clips.
        UsageError: nothing in it is asked for, or a format cannot carry it.
    """
    check_media(wish.defaults)
    with opened(wish.timeline, wish.rate, wish.out if unpack else None) as cut:
        places, probes = Places(cut.base, wish.moved, wish.search), Probes(cache_folder())
        plan = _at_the_media_s_rate(wish, cut, make_plan(cut.root, places, wish.defaults, probes, cut.notes), probes)
        if not plan.shots:
            left = "; ".join(note for note in plan.notes if "left out" in note)
            raise UsageError(
                "no clip is shown that asks for anything" if left else "no clip asks for anything",
                where=str(wish.timeline),
                hint=left or "give --backdrop for all clips, or put a request in clips or markers (docs/batch.md)",
            )
        if wish.out is not None and not wish.again:
            plan = with_results(plan, Records(wish.out.absolute()))
        plan = shape(shared(plan), places, probes)
        probes.keep()
        yield Ready(wish, plan, tuple(forecast(plan, wish.exports)))


def _at_the_media_s_rate(wish: Wish, cut: Cut, plan: Plan, probes: Probes) -> Plan:
    """The plan of an EDL, whose rate was guessed, at the rate of its movies: its timecodes count their frames.

    23.976 and 24 have the same timecodes, and 86 frames an hour between them.
    """
    movies = (shot.media for shot in plan.shots if shot.media and not shot.media.sequence and not shot.media.missing)
    rates = Counter(media.extent.rate for media in movies if media.extent)
    if cut.guessed is None or not rates or same_rate(rate := rates.most_common(1)[0][0], cut.guessed):
        return plan
    try:
        again = read_cut(wish.timeline, rate)
    except MediaError:  # its timecodes have frames that this rate has not
        return plan
    note = f"an EDL does not say its rate: it is read at {rate:.5g}, as most of its media have; say another with --rate"
    places = Places(again.base, wish.moved, wish.search)
    return make_plan(again.root, places, wish.defaults, probes, (note, *cut.notes[1:]))


def show_plan(ready: Ready, as_json: bool) -> None:
    """Say what would be done."""
    if as_json:
        batch_reporter(True, ready.plan).batch(_planned(ready))
    else:
        print_table(ready.plan, ready.forecasts)


def run_batch(ready: Ready, daemon: str | None, as_json: bool, stdin_cancel: bool | None) -> None:
    """Run a plan and leave the timeline and the report in the output folder.

    Raises:
        BatchError: some shots failed or were skipped; all others are there.
        Cancelled: somebody asked for the end; what was finished is there.
        DaemonError: there is none, and none can be started; nothing was written.
        RecipeError: the daemon refuses what the command line says for all clips; nothing was written.
    """
    if ready.wish.out is None:
        raise UsageError("where shall the results go?", where="--out")
    with made_folder(ready.wish.out.absolute()) as out:
        _run_into(ready, out, daemon, as_json, stdin_cancel)


def _run_into(ready: Ready, out: Path, daemon: str | None, as_json: bool, stdin_cancel: bool | None) -> None:
    began = time.monotonic()
    plan, written = ready.plan, output_path(ready.wish.timeline, out)
    if written.is_file():
        carry_versions(plan, read_timeline(written), show=False)  # no version is used twice
    tell = batch_reporter(as_json, plan)
    try:
        tell.batch(_planned(ready))
        listen = stdin_speaks(stdin_cancel, as_json)
        outcomes = asyncio.run(_run(plan, out, daemon, tell, listen, ready.wish.ahead))
    finally:
        tell.close()
    done = _write(ready, outcomes, written, began)
    _finish(plan, outcomes, done, tell, as_json)


def _write(ready: Ready, outcomes: Mapping[str, Outcome], written: Path, began: float) -> BatchDone:
    """The timeline with what others have written meanwhile, the other formats, the report."""
    plan, report = ready.plan, written.with_name("report.html")
    with local_disk(written):
        with locked(written.with_name(LOCK)):
            if written.is_file():
                with suppress(MediaError):  # it could be read when the batch began; another may have written it since
                    carry_versions(plan, read_timeline(written))
            add_versions(plan, _results(outcomes))
            write_timeline(plan.timeline, written)
            exported, failed = write_exports(plan.timeline, ready.wish.exports, written)
        about = Written(written, tuple(exported), (*_remarks(ready), *failed), time.monotonic() - began)
        # Its pictures take their time: nobody has to wait for them.
        write_report(plan, outcomes, report, about, cache_folder())
    return BatchDone(written, report, states(plan, outcomes), time.monotonic() - began, tuple(map(str, exported)))


async def _run(
    plan: Plan, out: Path, daemon: str | None, tell: BatchReporter, listen: bool, ahead: int
) -> dict[str, Outcome]:
    if not plan.jobs:
        return settled(plan)
    with wishes(listen, tell.close) as wish:
        async with await wish.unless(AsyncClient.connect(daemon, on_event=tell.batch), _nothing_sent) as client:
            tell.batch(DaemonFound(client.address, client.info.version, client.started_daemon))
            await wish.unless(check_recipe(client, plan), _nothing_sent)
            work = asyncio.create_task(run_plan(client, plan, out, tell.shot, ahead))

            async def stop() -> None:
                work.cancel()

            return await wish.unless(_end_of(work), stop)


async def _nothing_sent() -> None:
    raise Cancelled("cancelled before anything was sent")


async def _end_of(work: asyncio.Task[dict[str, Outcome]]) -> dict[str, Outcome]:
    return await work


def _results(outcomes: Mapping[str, Outcome]) -> dict[str, Result]:
    return {name: outcome.result for name, outcome in outcomes.items() if outcome.result}


def _remarks(ready: Ready) -> list[str]:
    """What somebody should know of the cut as a whole."""
    return [*ready.plan.notes, *map(str, ready.forecasts)]


def _planned(ready: Ready) -> Planned:
    shots = [as_data(shot) for shot in ready.plan.shots]
    exports = [_export(each) for each in ready.forecasts]
    return Planned(ready.wish.timeline.absolute(), shots, list(ready.plan.notes), exports)


def _export(forecast: Forecast) -> dict[str, Any]:
    return {"format": forecast.format.name, "losses": list(forecast.losses), "remark": str(forecast)}


def _finish(plan: Plan, outcomes: Mapping[str, Outcome], done: BatchDone, tell: BatchReporter, as_json: bool) -> None:
    """Say where everything is; raise what the exit code should tell."""
    tell.batch(done)
    if not as_json:
        lines = [
            f"timeline  {done.timeline}",
            *(f"          {path}" for path in done.exports),
            f"report    {done.report}",
        ]
        print("\n".join(lines), flush=True)
    by_state: dict[str, list[str]] = {}
    for name, state in done.states.items():
        by_state.setdefault(state, []).append(name)
    count = len(done.states)
    if "cancelled" in by_state:
        finished = len(by_state.get("done", ())) + len(by_state.get("reused", ()))
        raise Cancelled(f"cancelled; {finished} of {count} shots are finished", where=str(done.timeline))
    missing = [*by_state.get("failed", ()), *by_state.get("skipped", ())]
    if missing:
        raise BatchError(
            f"{len(missing)} of {count} shots are not there: {', '.join(missing)}",
            where=str(done.timeline),
            hint=f"{done.report} says why",
        )

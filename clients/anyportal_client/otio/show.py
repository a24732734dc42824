"""What the batch shows while it works: JSON lines for programs, plain lines for logs, bars for a person who looks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from anyportal_client.cli.failures import arrow
from anyportal_client.cli.output import sentence
from anyportal_client.cli.saying import say
from anyportal_client.events import Done, Event, Failed, FileFetched, Progressed, ResultsReady, Uploading, WasCancelled
from anyportal_client.otio.exports import Forecast
from anyportal_client.otio.outcomes import Outcome, version_name
from anyportal_client.otio.plan import COMMAND_LINE, Plan, PlannedShot


@dataclass(frozen=True)
class Planned(Event):
    """What will be done; `problem` of a shot says why it is skipped, `losses` of an export what it will not carry."""

    event = "plan"
    timeline: Path
    shots: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()
    exports: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class BatchDone(Event):
    """The batch is over and its timeline written.

    `states` maps each shot to done, reused, failed, skipped or cancelled; `exports` are the files in other formats.
    """

    event = "batch_done"
    timeline: Path
    report: Path
    states: Mapping[str, str]
    seconds: float
    exports: Sequence[str] = ()


class BatchReporter(Protocol):
    """Shows what happens to the shots of a batch."""

    def shot(self, name: str, event: Event) -> None:
        """Something happened to one shot."""
        ...

    def batch(self, event: Event) -> None:
        """Something happened to the whole."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def batch_reporter(as_json: bool, plan: Plan) -> BatchReporter:
    """The reporter for whoever reads."""
    if as_json:
        return _JsonLines()
    return _Bars(plan) if sys.stderr.isatty() else _PlainLines()


def as_data(shot: PlannedShot) -> dict[str, Any]:
    """A planned shot as plain data, for a line of JSON."""
    media, span, request = shot.media, shot.span, shot.request
    return {
        "shot": shot.name,
        "track": shot.track,
        "media": str(media.path) if media else "",
        "frames": shot.frames,
        "processed": list(shot.processed) if span else [],
        "shown": [span.first, span.last] if span else [],
        "handles": [span.head, span.tail] if span else [],
        "speed": span.speed if span else 1.0,
        "rate": media.extent.rate if media and media.extent else None,
        "request": {**vars(request), "layers": list(request.layers)} if request else {},
        "origins": dict(shot.origins),
        "same_as": shot.same_as,
        "reused": str(shot.reused.picture) if shot.reused else "",
        "notes": list(shot.notes),
        "problem": shot.problem,
    }


def print_table(plan: Plan, forecasts: Iterable[Forecast] = ()) -> None:
    """The plan for a person, on standard output."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("shot", "track", "media", "frames", "handles", "speed", "backdrop"):
        table.add_column(title, overflow="fold")
    for shot in plan.shots:
        row = [
            shot.name,
            shot.track,
            shot.media.path.name if shot.media else "",
            f"{shot.span.first}-{shot.span.last}" if shot.span else "",
            f"{shot.span.head}+{shot.span.tail}" if shot.span else "",
            f"{shot.span.speed:g}" if shot.span else "",
            Path(shot.request.backdrop).name if shot.request else "",
        ]
        table.add_row(*map(escape, row), style="yellow" if shot.problem else "dim" if shot.reused else None)
    console.print(table)
    for shot in plan.shots:
        for remark in remarks_on(shot):
            style = "yellow" if shot.problem else "dim"
            console.print(f"{shot.name}: {remark}", style=style, markup=False, soft_wrap=True)
    for text in (*plan.notes, *map(str, forecasts)):
        console.print(text, style="dim", markup=False, soft_wrap=True)


def remarks_on(shot: PlannedShot) -> list[str]:
    """What somebody should know of a planned shot, in lines."""
    found = [f"skipped: {shot.problem}"] if shot.problem else []
    if shot.same_as:
        found.append(f"takes the result of {shot.same_as}: it shows frames of the same media, asked for alike")
    if shot.covers:
        found.append(f"frames {shot.range} are processed: others take them as well")
    if shot.reused:
        version = version_name(shot.reused.version)
        found.append(f"{version} is there already, and nothing has changed: {shot.reused.picture}")
    return [*filter(None, [_own_words(shot)]), *found, *shot.notes]


def _own_words(shot: PlannedShot) -> str:
    """What the timeline asks for, with where it says so; what the command line says is known to whoever called."""
    if shot.request is None:
        return ""
    values = {**vars(shot.request), **{f"settings.{key}": value for key, value in shot.request.settings.items()}}
    own = {key: origin for key, origin in shot.origins.items() if origin != COMMAND_LINE}
    return ", ".join(f"{key.removeprefix('settings.')} {_short(values[key])} ({own[key]})" for key in own)


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "+".join(value)
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else str(value)


class _JsonLines:
    def shot(self, name: str, event: Event) -> None:
        if not isinstance(event, ResultsReady):
            print(json.dumps({**event.as_json(), "shot": name}), flush=True)

    def batch(self, event: Event) -> None:
        print(json.dumps(event.as_json()), flush=True)

    def close(self) -> None:
        pass


class _PlainLines:
    """A line whenever a shot begins something new."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def shot(self, name: str, event: Event) -> None:
        text = _words(event)
        if text and self._last.get(name) != text:
            self._last[name] = text
            say(f"{name}: {text}", aside=True)

    def batch(self, event: Event) -> None:
        for text in _remarks(event):
            say(text, aside=True)

    def close(self) -> None:
        pass


class _Bars:
    """A bar for each shot under way, and one for all."""

    def __init__(self, plan: Plan) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
        )
        self._all = self._progress.add_task("all shots", total=max(1, len(plan.jobs)), note="")
        self._bars: dict[str, Any] = {}
        self._progress.start()

    def shot(self, name: str, event: Event) -> None:
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(name, total=1.0, note="")
        note = "failed" if isinstance(event, Failed) else _words(event)
        if isinstance(event, Failed):
            self._print(f"{name}: {_words(event)}")
        if note:
            self._progress.update(self._bars[name], note=note)
        if isinstance(event, Progressed):
            self._progress.update(self._bars[name], completed=event.fraction)
        if isinstance(event, (Done, Failed, WasCancelled)):
            self._progress.update(self._bars[name], completed=1.0 if isinstance(event, Done) else None)
            self._progress.stop_task(self._bars[name])
            self._progress.advance(self._all)

    def batch(self, event: Event) -> None:
        for text in _remarks(event):
            self._print(text)

    def _print(self, text: str) -> None:
        self._progress.console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._progress.stop()


def _words(event: Event) -> str:
    """What a shot is at, in a word or two; empty where that has not changed."""
    if isinstance(event, Uploading):
        return f"{event.phase} footage"
    if isinstance(event, Progressed):
        return event.stage
    if isinstance(event, FileFetched):
        return "fetching"
    if isinstance(event, Done):
        return f"done, frames {event.frames}"
    if isinstance(event, Failed):
        where = f" ({event.where})" if event.where else ""
        return f"failed: {event.message}{where}" + (f" {arrow(sys.stderr)} {event.hint}" if event.hint else "")
    return "cancelled" if isinstance(event, WasCancelled) else sentence(event)


def _remarks(event: Event) -> list[str]:
    """What happened to the whole, in lines; of the plan only what is left out of it."""
    if isinstance(event, Planned):
        skipped = [f"{shot['shot']}: skipped: {shot['problem']}" for shot in event.shots if shot["problem"]]
        reused = sum(bool(shot["reused"]) for shot in event.shots)
        there = [f"{reused} of {len(event.shots)} shots are there already, and nothing has changed"] if reused else []
        return [*skipped, *there, *event.notes, *(each["remark"] for each in event.exports)]
    text = sentence(event)
    return [text] if text else []


def states(plan: Plan, outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """What became of each shot of the plan."""
    return {shot.name: outcomes[shot.same_as or shot.name].state for shot in plan.shots}

"""What a command shows while it works: JSON lines for programs, plain lines for logs, bars for a person who looks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Protocol

from anyportal_client.cli.saying import say
from anyportal_client.events import (
    DaemonAway,
    DaemonBack,
    DaemonChosen,
    DaemonFound,
    DaemonNamed,
    Done,
    Event,
    Expected,
    LogLine,
    Progressed,
    ResultsReady,
    StateChanged,
    Submitted,
    Uploading,
)
from anyportal_client.expectations import Outlook

WORTH_SHOWING = 32 << 20
"""Bytes on their way: fewer are through before anyone has read a line about them."""


class Reporter(Protocol):
    """Shows events."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def reporter(as_json: bool) -> Reporter:
    """The reporter for whoever reads."""
    if as_json:
        return JsonLines()
    if sys.stderr.isatty():
        from anyportal_client.cli.bars import Bars

        return Bars()
    return PlainLines()


class JsonLines:
    """One event a line on standard output."""

    def __call__(self, event: Event) -> None:
        if not isinstance(event, ResultsReady):  # each file has its own line once it is here
            print(json.dumps(event.as_json()), flush=True)

    def close(self) -> None:
        pass


class PlainLines:
    """A line whenever something new begins, and every tenth of the way; results on standard output."""

    def __init__(self) -> None:
        self._last: tuple[object, int] = ("", 0)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Uploading):
            if event.total_bytes >= WORTH_SHOWING:
                self._step(event.phase, event.done_bytes / event.total_bytes, size(event.total_bytes))
        elif isinstance(event, Progressed):
            self._step(event.stage, event.fraction, "")
        elif isinstance(event, Done):
            show_results(event)
        else:
            text = sentence(event)
            if text:
                say(text, aside=True)

    def _step(self, stage: str, fraction: float, note: str) -> None:
        step = (stage, int(fraction * 10))
        if step != self._last:
            self._last = step
            say(f"{stage} {note}".rstrip() + f" {fraction:.0%}", aside=True)

    def close(self) -> None:
        pass


def sentence(event: Event) -> str:
    """An event in words; empty for those that are not worth a line."""
    if isinstance(event, DaemonFound):
        return f"no daemon runs: started one for this call ({event.address})" if event.started else ""
    if isinstance(event, DaemonChosen):
        return f"of {event.asked} daemons {event.address}: {event.reason}"
    if isinstance(event, DaemonNamed):
        return f"calls that name no daemon go to {event.daemon} ({event.origin})"
    if isinstance(event, DaemonAway):
        return f"the daemon is away; its jobs are safe with it: waiting for up to {duration(event.patience_seconds)}"
    if isinstance(event, DaemonBack):
        return f"the daemon is back after {duration(event.away_seconds)} ({event.address})"
    if isinstance(event, Submitted):
        return f"{event.job} submitted: {event.name}, recipe {event.recipe_digest[:12]}"
    if isinstance(event, LogLine):
        return f"{event.severity}: {event.text}" if event.severity == "warning" else event.text
    if isinstance(event, Expected):
        return in_words(event)
    if isinstance(event, StateChanged) and event.state == "queued":
        return "waiting for a worker"
    return ""


def in_words(expected: Outlook | Expected) -> str:
    """What is to be expected of a job; empty where nothing is known of one that runs."""
    parts = [f"place {expected.queue_position} in the queue"] if expected.queue_position else []
    about = "very roughly" if expected.rough else "about"
    if expected.queue_position and expected.start_seconds is not None:
        parts.append(f"begins in {about} {duration(expected.start_seconds)}")
    if expected.end_seconds is not None:
        parts.append(f"done in {about} {duration(expected.end_seconds)}")
    elif expected.queue_position:
        parts.append(f"done nobody knows when: {expected.unknown}" if expected.unknown else "done nobody knows when")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time for a person, with as many digits as an estimate deserves."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def show_results(event: Done) -> None:
    """The results, a file a line with its layers, on standard output: the one thing that others may want to read."""
    layers: dict[Path, list[str]] = {}
    for layer, path in event.files.items():
        layers.setdefault(path, []).append(layer)
    named = [(",".join(each), path) for path, each in layers.items()]
    width = max((len(names) for names, _ in named), default=0)
    for names, path in named:
        say(f"{names:<{width}}  {path}")
    say(f"done: frames {event.frames} in {event.seconds:.1f} s", aside=True)


def size(count: int) -> str:
    """Bytes for a person."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"

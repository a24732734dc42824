"""A result's job as the daemon knows it, and results that nobody waited for: a host that ended leaves such."""

from __future__ import annotations

import os
import threading
from typing import Any, Dict, List

import anyportal_hostkit as hostkit

import nuke
from anyportal_nuke import result, tab
from anyportal_nuke.bar import Bar
from anyportal_nuke.job import said
from anyportal_nuke.kept import Kept, set_aside
from anyportal_nuke.threads import in_main, later


def daemon_of(node: nuke.Node) -> List[str]:
    """The option that names the daemon that has a result's job."""
    record = hostkit.record.read(tab.folder(node)) or {"wish": tab.read_asked(node)}
    return list(hostkit.daemons.option(hostkit.record.daemon_of(record)))


def told(node: nuke.Node) -> str:
    """A result's job, for a person: its state, its stages, and what was reused."""
    name = tab.read(node, "job")
    version = tab.read(node, "version") or "Nothing"
    lines = ["{} of {}: {}".format(version, tab.read(node, "plate"), tab.read(node, "status"))]
    if not name:
        return lines[0] + "\nIt has no job: it was not queued, or failed before it was."
    lines.append("{}, recipe {}".format(name, tab.read(node, "digest")[:12]))
    try:
        lines += _state(name, node)
        lines += [_stage(event) for event in hostkit.ask(["explain", name, *daemon_of(node)]) if _is(event, "stage")]
    except (hostkit.CommandFailed, hostkit.CommandNotFound) as error:
        lines.append(said(error))
    return "\n".join(lines)


def waits(node: nuke.Node) -> bool:
    """Whether a result's job was left alone: by a host that ended, or a connection that broke."""
    folder = os.path.abspath(tab.folder(node))
    return folder in hostkit.record.unfinished(folder)


def fetch_in_background(node: nuke.Node) -> threading.Thread:
    """Bring the results of a job that nobody waits for, behind a progress bar."""
    shown = result.Result(node)
    what = (shown, tab.folder(node), str(node["file"].value()))
    worker = threading.Thread(target=_fetch, args=what, name="AnyPortal")
    worker.daemon = True
    worker.start()
    return worker


def _fetch(shown: result.Result, folder: str, pattern: str) -> None:
    try:
        with Bar("AnyPortal: bringing results") as bar:
            _bring(folder, pattern, bar)
        in_main(result.keep_up, shown, lambda: _show(shown, "done"))
    except hostkit.Cancelled:
        pass
    except Exception as error:
        later(nuke.error, "AnyPortal: {}".format(said(error)))


def _bring(folder: str, pattern: str, bar: Bar) -> None:
    """Bring the frames that were asked for. What was computed for their sake goes again, what is kept stays."""
    record = hostkit.record.read(folder) or {}
    wanted = hostkit.frames.parse(str(record.get("wish", {}).get("range") or ""))
    kept, others = Kept(str(record.get("host", {}).get("before") or ""), pattern), []

    def on_event(event: Dict[str, Any]) -> None:
        if _is(event, "progress"):
            bar.show(event["stage"], event["fraction"])
        elif _is(event, "file") and wanted and event["frame"] not in wanted:
            os.unlink(event["path"])
            others.append(event["frame"])

    with set_aside(pattern, wanted) as there:
        hostkit.Fetch(folder).follow(on_event, bar.cancelled)
    for number in sorted(set(others) - set(there)):
        kept.add(number)
    kept.numbers = sorted(set(there) | set(kept.numbers))
    if wanted:
        kept.note(folder, wanted)


def _show(shown: result.Result, text: str) -> None:
    shown.status(text)
    shown.reload()


def _state(name: str, node: nuke.Node) -> List[str]:
    events = [event for event in hostkit.ask(["jobs", "--limit=200", *daemon_of(node)]) if event.get("job") == name]
    return ["{}, {:.0f} %".format(event["state"], 100 * event["fraction"]) for event in events]


def _stage(event: Dict[str, Any]) -> str:
    how = "reused" if event["reused"] else "{:.1f} s".format(event["seconds"])
    return "  {}: {} ({})".format(event["stage"], how, event["plugin"])


def _is(event: Dict[str, Any], name: str) -> bool:
    return bool(event.get("event") == name)

"""What the page offers besides clips: the daemons, and the presets of the chosen one. Nobody waits for the answers."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List

import anyportal_hostkit as hostkit

_KEPT = os.path.join("AnyPortal", "resolve.json")
"""Below the user's home folder: what was chosen last."""


class Offers(object):
    """Begins to ask when it is made; `hear` gives what has come since.

    Attributes:
        daemon: the chosen one, as it stands behind `--daemon`; empty for the configured one.
        broken: what is wrong with the command, or with the chosen daemon, as notices of the page.
    """

    def __init__(self) -> None:
        self.daemon = _read_kept()
        self.broken: List[Dict[str, Any]] = []
        self._search = hostkit.daemons.Search()
        self._found: List[Dict[str, Any]] = []
        self._presets: Any = None
        self._ask()

    def choose(self, daemon: str) -> None:
        """Take another daemon, or the same once more: who is there is looked for again. The choice is kept."""
        if daemon != self.daemon:
            self.daemon = daemon
            _keep(daemon)
        self._ask()

    def hear(self) -> Dict[str, Any]:
        """What has changed of the page's state; nothing most of the time."""
        change = self._hear_presets()
        if self._search.poll():
            change.update(self.seen())
        return change

    def seen(self) -> Dict[str, Any]:
        """The choice, as the page shows it."""
        return {
            "daemon": self.daemon,
            "daemons": [choice._asdict() for choice in self._search.choices(self.daemon)],
            "daemons_note": "Others cannot be listed: {}".format(self._search.why) if self._search.why else "",
            "finding": self._search.running,
        }

    def close(self) -> None:
        """Nobody wants to know any more."""
        self._search.close()
        if self._presets is not None:
            self._presets.cancel()

    def _ask(self) -> None:
        self._search.begin()
        if self._presets is not None:
            self._presets.cancel()
        # May start a daemon, which takes its time.
        self._presets = hostkit.Run(["presets", *hostkit.daemons.option(self.daemon)], None, (), False)
        self._found = []

    def _hear_presets(self) -> Dict[str, Any]:
        if self._presets is None:
            return {}
        self._found += [event for event in self._presets.poll() if event["event"] == "preset"]
        if self._presets.running:
            return {}
        presets, self._presets = self._presets, None
        self.broken = []
        try:
            presets.result()
        except (hostkit.CommandFailed, hostkit.Cancelled) as error:
            self.broken = [_notice(error)]
        return {"presets": self._found}


def _notice(error: Exception) -> Dict[str, Any]:
    if isinstance(error, hostkit.CommandFailed):
        where = " ({})".format(error.where) if error.where else ""
        return {"message": error.message + where, "hint": error.hint, "bad": True}
    return {"message": hostkit.report.text_of(error), "bad": True}


def _file() -> str:
    return os.path.join(os.path.expanduser("~"), _KEPT)


def _read_kept() -> str:
    try:
        with open(_file(), encoding="utf-8") as file:
            return str(json.load(file).get("daemon") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _keep(daemon: str) -> None:
    try:
        os.makedirs(os.path.dirname(_file()), exist_ok=True)
        with open(_file(), "w", encoding="utf-8") as file:
            json.dump({"daemon": daemon}, file)
    except OSError:
        pass  # then it is chosen anew next time

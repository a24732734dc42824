"""Which daemons a person can choose from: what `anyportal discover` finds, looked for beside the host.

    search = daemons.Search()
    search.begin()
    ...                                     # now and then, while search.running:
    if search.poll():
        show(search.choices(chosen), search.why)

What is chosen stands behind `--daemon`: an address, or one of three words. There is always something to choose, whether
the others were found, or could not be looked for.
"""

import collections
import os
import time

from anyportal_hostkit import report
from anyportal_hostkit.command import CommandNotFound
from anyportal_hostkit.run import Cancelled, CommandFailed, Run

NAMED, LOCAL, ANY = "", "local", "any"
"""The one that the environment or client.toml names; that of this machine; the one that will be done first."""

Choice = collections.namedtuple("Choice", ["daemon", "text"])
"""What stands behind `--daemon`, and how a person reads it."""

_LISTEN = 2.0  # seconds for announcements; queues are asked after it
_PATIENCE = 30.0  # seconds for all of it
_PORT = ":29571"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_LONGEST = 48  # letters of what others announce about themselves


class Search(object):
    """What was found last, and a look for more that makes nobody wait. Used by one thread at a time.

    Attributes:
        why: why not everything could be looked for, in a line; empty where it could.
    """

    def __init__(self):
        self.why = ""
        self._rows, self._named = [], os.environ.get("ANYPORTAL_DAEMON", "")
        self._run, self._heard, self._until = None, [], 0.0
        self._looked = self._news = False

    @property
    def running(self):
        """Whether it is being looked for."""
        return self._run is not None

    def begin(self, command=None):
        """Look, or look again; what was found before stays until then. Where it goes on already nothing is done.

        Args:
            command: the command as a list, instead of the one that is found.
        """
        if self._run is not None:
            return
        self._heard, self._until = [], time.monotonic() + _PATIENCE
        try:
            self._run = Run(["discover", "--seconds={:g}".format(_LISTEN)], command, (), False)
        except CommandNotFound as error:
            self._end(error)

    def poll(self):
        """Hear what was found; gives whether there is something new to show. Waits for nothing."""
        if self._run is not None:
            self._hear(self._run)
        news, self._news = self._news, False
        return news

    def close(self):
        """Nobody wants to know any more."""
        if self._run is not None:
            self._run.cancel()
            self._run = None

    def choices(self, chosen=NAMED):
        """What can be chosen, each once: what is configured, this machine, any, then who was found.

        Args:
            chosen: what is chosen by now; it is among them, found or not.
        """
        listed = [Choice(NAMED, self._configured()), Choice(LOCAL, self._this_machine())]
        listed.append(Choice(ANY, "any: the one done first"))
        for row in self._rows:
            if not _is_local(row):
                listed.append(Choice(chosen if _same(chosen, row["address"]) else row["address"], _told(row)))
        if chosen not in [choice.daemon for choice in listed]:
            listed.append(Choice(chosen, chosen + (", not found now" if self._looked else "")))
        return listed

    def _hear(self, run):
        self._heard += run.poll()
        if run.running:
            if time.monotonic() > self._until:
                run.kill()
                self._end(CommandFailed("anyportal discover did not answer within {:.0f} s".format(_PATIENCE)))
            return
        try:
            run.result()
            self._end(None)
        except (CommandFailed, Cancelled) as error:
            self._end(error)

    def _configured(self):
        if self._named:
            return "as configured: {}".format(_short(self._named))
        return "as configured: this machine" if self._looked else "as configured"

    def _this_machine(self):
        own = [row for row in self._rows if _is_local(row)]
        if own:
            return ", ".join(["this machine", *_facts(own[0])])
        return "this machine, started for each call" if self._looked else "this machine"

    def _end(self, error):
        """Take over what was heard; after an error what was known before stays."""
        self._run, self.why, self._news = None, "", True
        for event in self._heard:
            if event["event"] == "log" and event["severity"] == "warning":
                self.why = event["text"]
        if error is not None:
            self.why = " ".join(report.text_of(error).split("\n"))
            return
        self._looked = True
        self._rows = [event for event in self._heard if event["event"] == "discovered"]
        self._named = "".join(event["daemon"] for event in self._heard if event["event"] == "named")


def is_loopback(address):
    """Whether an address, HOST:PORT, is of this machine alone."""
    return address.rpartition(":")[0] in _LOOPBACK


def option(daemon):
    """The words that name a daemon on a command line; none for the configured one."""
    return ["--daemon={}".format(daemon)] if daemon else []


def _told(row):
    """A daemon for a person: its name, where it is if that says more, and what is known of it."""
    address = row["address"]
    where = address[: -len(_PORT)] if address.endswith(_PORT) else address
    name = _short(row["name"])
    same = name == address.rpartition(":")[0]
    return ", ".join([where if same else "{} ({})".format(name, where), *_facts(row)])


def _facts(row):
    """What it works on, its queue, its version, and what stands in the way."""
    facts = [_short(row["gpu"])]
    if row["queued_jobs"] is not None:
        facts.append("{} waiting, {} running".format(row["queued_jobs"], row["running_jobs"]))
    return [fact for fact in [*facts, _short(row["version"]), _short(row["note"])] if fact]


def _is_local(row):
    return not row["tls"] and is_loopback(row["address"])


def _same(chosen, address):
    return chosen in (address, address[: -len(_PORT)] if address.endswith(_PORT) else address)


def _short(text):
    """What others say of themselves, on one line and not too long."""
    plain = "".join(letter if letter.isprintable() else " " for letter in str(text)).strip()
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."

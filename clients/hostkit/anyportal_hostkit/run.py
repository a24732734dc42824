"""Run the command `anyportal` and follow what it says."""

import atexit
import collections
import contextlib
import json
import queue
import subprocess
import threading
import time
import weakref

from anyportal_hostkit.command import CommandNotFound, clean_environment, find_command
from anyportal_hostkit.handshake import NO_WINDOW, SCHEMA, command_version, misfit, schema_misfit

_CANCELLED = 130
_USAGE = 2
_TICK = 0.2  # seconds between two looks at whether somebody asked for the end
_GRACE = 2.0  # seconds for what a process that has ended may still have said
_PATIENCE = 30.0  # seconds for a command that is to end by itself, before it is killed
_LULL = 0.02  # seconds between the end of what it says and its own
_AT_EXIT = 5.0  # the same, when the host itself ends
_LINES = 200  # of what the command says beside its events
_live = weakref.WeakSet()


class CommandFailed(Exception):
    """The command ended with an error; the text says what, where, and what to do."""

    def __init__(self, message, code="", where="", hint="", exit_code=1, job=""):
        super(CommandFailed, self).__init__("\n".join(filter(None, [message, where, hint])))
        self.message = message
        self.code = code
        self.where = where
        self.hint = hint
        self.exit_code = exit_code
        self.job = job


class Cancelled(Exception):
    """Somebody asked for the end."""


class Run(object):
    """The command at work, beside the host: nothing it does or fails to do makes the host wait.

    Either call `follow`, in any thread, or `poll` now and then while `running`, and then `result`. When the host ends,
    so does the command: by the end of its standard input, and where it hangs it is killed.

    Args:
        arguments: what follows `anyportal`; `--json` is added.
        command: the command as a list, instead of the one that is found.
        last: names of the events of which one must come for the command to have done its work; empty for any.
        listens: whether it hears a wish to cancel on its standard input.

    Raises:
        CommandNotFound: there is no command, or it does not start.
    """

    def __init__(self, arguments, command=None, last=("done",), listens=True):
        self._command = list(command or find_command())
        self._last_names, self._listens = last, listens
        try:
            self._process = subprocess.Popen(
                self._command + list(arguments) + ["--json"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=clean_environment(),
                creationflags=NO_WINDOW,
            )
        except OSError as error:
            raise CommandNotFound("{} does not start: {}".format(self._command[0], error)) from None
        self._lines = queue.Queue()
        self._said = collections.deque(maxlen=_LINES)
        self._last, self._error, self._misfit = None, None, None
        self._asked = self._ended = self._silent = None  # since when
        self._killed = False
        # Threads of their own: a full pipe that nobody reads would stop the command.
        self._readers = [
            threading.Thread(target=_read, args=(self._process.stdout, self._lines.put, True), daemon=True),
            threading.Thread(target=_read, args=(self._process.stderr, self._said.append, False), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        _live.add(self)

    @property
    def running(self):
        """Whether there may be more to poll."""
        self._tend()
        return self._silent is None or self._ended is None

    @property
    def said(self):
        """The last lines of what the command said beside its events."""
        return [line.decode("utf-8", "replace").rstrip() for line in list(self._said)]

    def poll(self, wait=0.0):
        """The events that came since the last call. Raises nothing: `result` does.

        Args:
            wait: for so many seconds at most, where there is none yet.
        """
        events = []
        if self._silent is not None:
            time.sleep(min(wait, _LULL))  # it is about to end
        while self._silent is None:
            try:
                line = self._lines.get(timeout=wait) if wait and not events else self._lines.get_nowait()
            except queue.Empty:
                break
            if line is None:
                self._silent = time.monotonic()
                break
            event = self._parse(line)
            if event is not None:
                self._note(event)
                events.append(event)
        self._tend()
        return events

    def follow(self, on_event=None, cancelled=None):
        """Wait for the end.

        Args:
            on_event: called with each event, a dict.
            cancelled: asked several times a second, in this thread; once it says true the command is cancelled.

        Returns:
            The event `done`.

        Raises:
            CommandFailed: the command's own error.
            Cancelled: somebody asked for the end.
        """
        try:
            while self.running:
                for event in self.poll(_TICK):
                    if on_event:
                        on_event(event)
                if cancelled and self._asked is None and cancelled():
                    self.cancel()
        except BaseException:
            self.cancel()
            self._abandon()
            raise
        return self.result()

    def result(self):
        """How it ended: the last event. Waits for the end where something is `running` yet.

        Raises:
            CommandFailed: the command's own error, or it ended without a word.
            Cancelled: somebody asked for the end.
        """
        while self.running:
            self.poll(_TICK)
        if self._misfit is not None:
            raise self._misfit
        code = self._process.returncode
        if code == _CANCELLED or (self._asked is not None and (self._killed or not self._listens)):
            raise Cancelled("cancelled; the command hung and was killed" if self._killed else "cancelled")
        if self._error is not None:
            texts = {key: str(self._error.get(key) or "") for key in ("message", "code", "where", "hint", "job")}
            if code == _USAGE:  # an option, say, that only a later command knows
                texts["hint"] = "\n".join(filter(None, [texts["hint"], misfit(command_version(self._command))]))
            raise CommandFailed(exit_code=code, **texts)
        if self._last is not None and (code == 0 or self._killed):  # it hung after its work was done
            return self._last
        if code == 0 and not self._last_names:
            return {}
        raise CommandFailed(self._last_words(code), exit_code=code)

    def cancel(self):
        """Ask for the end: the job is cancelled, then the command ends by itself, or is killed where it hangs."""
        if self._asked is None:
            self._asked = time.monotonic()
        try:
            self._process.stdin.write(b'{"cancel": true}\n')
            self._process.stdin.close()
        except (OSError, ValueError):
            pass  # it has ended already
        if not self._listens:
            self._process.terminate()

    def kill(self):
        """End the command at once. Its job may go on: `cancel` is the better way."""
        self._killed = True
        self._process.kill()

    def _tend(self):
        """Look after the process: see that it ends, and do not wait for one that cannot."""
        now = time.monotonic()
        if self._ended is None and self._process.poll() is not None:
            self._ended = now
        if self._ended is not None:
            if self._silent is None and now - self._ended > _GRACE and self._lines.empty():
                self._silent = now  # a child of its own holds the pipe open
            if self._silent is not None and self in _live:
                self._close()
        elif any(since is not None and now - since > _PATIENCE for since in (self._asked, self._silent)):
            self.kill()

    def _close(self):
        _live.discard(self)
        self._readers[1].join(_TICK)  # its last words
        for pipe, reader in zip((self._process.stdout, self._process.stderr), self._readers):
            if not reader.is_alive():  # closing what a thread reads would wait for it
                pipe.close()
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _abandon(self):
        """Nobody follows any more; the command has been asked to end."""

    def _note(self, event):
        """Called with each event, in the thread that polls."""
        if event["event"] == "error":
            self._error = event
        elif not self._last_names or event["event"] in self._last_names:
            self._last = event

    def _parse(self, line):
        """A line as an event; None for what is none."""
        try:
            event = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            return None
        if not isinstance(event, dict) or "event" not in event:
            return None
        if event.get("schema") == SCHEMA:
            return event
        if self._misfit is None:
            message, hint = schema_misfit(event.get("schema"))
            self._misfit = CommandFailed(message, code="INCOMPATIBLE", hint=hint)
            self.cancel()
        return None

    def _last_words(self, code):
        how = "was ended by signal {}".format(-code) if code < 0 else "ended with {}".format(code)
        said = [line for line in self.said if line]
        return "anyportal {} and said nothing more{}".format(how, ": " + said[-1] if said else "")


def ask(arguments, command=None, timeout=60.0, any_code=False):
    """The events of a command that answers at once: `presets`, `jobs`, `explain`, `doctor`, `discover`.

    Args:
        timeout: seconds after which it is given up.
        any_code: give what it says also where it ends with another code than 0, as `doctor` does.

    Raises:
        CommandFailed: its own error, or no answer in time.
        CommandNotFound: there is no command.
    """
    run, events, until = Run(arguments, command, (), False), [], time.monotonic() + timeout
    while run.running:
        events += run.poll(_TICK)
        if time.monotonic() > until:
            run.kill()
            words = "anyportal {} did not answer within {:.0f} s".format(" ".join(arguments[:1]), timeout)
            raise CommandFailed(words, code="TIMEOUT", hint="Try it in a terminal, and see what it says there.")
    if not any_code or not events:
        run.result()
    return events


def _read(pipe, put, end):
    try:
        for line in pipe:
            put(line)
    except (OSError, ValueError):
        pass  # closed under us
    if end:
        put(None)


@atexit.register
def _end_with_the_host():
    """A host that ends takes its commands with it, the hanging ones too."""
    runs, until = list(_live), time.monotonic() + _AT_EXIT
    for run in runs:
        run.cancel()
    for run in runs:
        try:
            run._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            run._process.kill()

"""Run the command `anyportal` and follow what it says."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading

from anyportal_hostkit.command import clean_environment, find_command

SCHEMA = 1
_CANCELLED = 130
_TICK = 0.2  # seconds between two looks at whether somebody asked for the end


class CommandFailed(Exception):
    """The command ended with an error; the text says what, where, and what to do."""

    def __init__(self, message, code="", where="", hint="", exit_code=1):
        super(CommandFailed, self).__init__("\n".join(filter(None, [message, where, hint])))
        self.message = message
        self.code = code
        self.where = where
        self.hint = hint
        self.exit_code = exit_code


class Cancelled(Exception):
    """Somebody asked for the end."""


class Run(object):
    """The command at work. Keep it for as long as its events are wanted.

    Args:
        arguments: what follows `anyportal`; `--json` is added.
        command: the command as a list, instead of the one that is found.
    """

    def __init__(self, arguments, command=None):
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process)
        self._process = subprocess.Popen(
            list(command or find_command()) + list(arguments) + ["--json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,  # a file: a full pipe that nobody reads would stop the command
            env=clean_environment(),
            creationflags=0x08000000 if sys.platform == "win32" else 0,  # no console window
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

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
        done, error, asked = None, None, False
        try:
            for event in self._events():
                if event is None:
                    if cancelled and not asked and cancelled():
                        asked = True
                        self.cancel()
                    continue
                done = event if event.get("event") == "done" else done
                error = event if event.get("event") == "error" else error
                if on_event:
                    on_event(event)
        except BaseException:
            self.cancel()
            raise
        return self._end(done, error)

    def cancel(self):
        """Ask for the end: the job is cancelled, then the command ends by itself."""
        try:
            self._process.stdin.write(b'{"cancel": true}\n')
            self._process.stdin.close()
        except (OSError, ValueError):
            pass  # it has ended already

    def _end(self, done, error):
        code = self._process.wait()
        if not self._process.stdin.closed:
            self._process.stdin.close()
        if code == _CANCELLED:
            raise Cancelled("cancelled")
        if code == 0 and done:
            return done
        if error:
            texts = [str(error.get(key) or "") for key in ("message", "code", "where", "hint")]
            raise CommandFailed(*texts, exit_code=code)
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        raise CommandFailed(
            "anyportal ended with {} and said nothing more{}".format(code, ": " + said[-1] if said else ""),
            exit_code=code,
        )

    def _events(self):
        """Events as they come, None in between whenever a moment passed without one."""
        while True:
            try:
                line = self._lines.get(timeout=_TICK)
            except queue.Empty:
                yield None
                continue
            if line is None:
                return
            event = _parse(line)
            if event is not None:
                yield event
            if self._lines.empty():
                yield None

    def _read(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)


def submit(plate, backdrop, out, frames="", matte="", name="", more=(), command=None):
    """Start `anyportal submit`; the arguments are its options.

    Args:
        frames: in the plate's own numbers, `1001-1100`; movies count from 0.
        more: further options as they stand on a command line.
    """
    options = [("--backdrop", backdrop), ("--out", out), ("--range", frames), ("--matte", matte), ("--name", name)]
    # Said outright: a host that cancels, or dies, before the command listens must be heard as well.
    arguments = ["submit", os.fspath(plate), "--stdin-cancel"]
    for option, value in options:
        if value:
            # In one word: a range or a path may begin with a dash.
            arguments.append("{}={}".format(option, os.fspath(value)))
    return Run(arguments + list(more), command)


def _parse(line):
    """A line as an event; None for what is none.

    Raises:
        CommandFailed: the command speaks a later language than this script.
    """
    try:
        event = json.loads(line.decode("utf-8"))
    except ValueError:
        return None
    if not isinstance(event, dict) or "event" not in event:
        return None
    if event.get("schema") != SCHEMA:
        raise CommandFailed(
            "The installed anyportal speaks schema {}, this script knows {}.".format(event.get("schema"), SCHEMA),
            hint="Install the script and the command from the same version.",
        )
    return event

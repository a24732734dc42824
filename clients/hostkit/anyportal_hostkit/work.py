"""One version of a shot at work: its folder, its job, its record."""

import contextlib
import os

from anyportal_hostkit import daemons
from anyportal_hostkit import record as records
from anyportal_hostkit.request import BadWish, arguments_of
from anyportal_hostkit.run import Cancelled, CommandFailed, Run
from anyportal_hostkit.versions import free_version_folder, next_version_folder

_OVER = {"failed": records.FAILED, "cancelled": records.CANCELLED}
_UNKNOWN, _JOB_FAILED = "JOB_NOT_FOUND", 6


class _Recorded(Run):
    """A run whose record is kept in a version's folder: once the job is known, and at the end."""

    def __init__(self, folder, kept, *arguments, **options):
        self.folder = os.path.abspath(folder)
        self._kept, self._over = kept, ""
        super(_Recorded, self).__init__(*arguments, **options)
        records.at_work.add(self.folder)

    @property
    def job(self):
        """The job's name, `jobs/{id}`; empty until it is queued."""
        return self._kept["job"] if self._kept else ""

    def result(self):
        """How it ended, with everything put in order; see `Run.result`."""
        try:
            done = super(_Recorded, self).result()
        except (CommandFailed, Cancelled) as error:
            self._end_without(error)
            raise
        finally:
            records.at_work.discard(self.folder)
        if self._kept:
            self._keep(records.completed(self._kept, done))
        return done

    def _abandon(self):
        with contextlib.suppress(CommandFailed, Cancelled):  # somebody else's exception is on its way
            self.result()

    def _note(self, event):
        super(_Recorded, self)._note(event)
        if event["event"] == "state":
            self._over = _OVER.get(event["state"], "")

    def _keep(self, record):
        self._kept = record
        with contextlib.suppress(OSError):  # the results are worth more than what is noted about them
            records.write(self.folder, record)

    def _end_without(self, error):
        """Nothing came of it: give the version back, unless something lies in it or the job goes on."""
        over = self._over or (records.CANCELLED if self._cancels and isinstance(error, Cancelled) else "")
        if self._kept and not over:
            return self._keep(records.given_up(self._kept))
        records.remove(self.folder)
        if not free_version_folder(self.folder) and self._kept:
            self._keep(dict(self._kept, state=over))

    _cancels = True


class Work(_Recorded):
    """A wish being fulfilled in a version of its own. What comes to nothing uses up no version.

    As with every `Run`: either call `follow`, in any thread, or `poll` now and then while `running`, and then `result`.

    Args:
        folder: of the shot; the version's is made in it.
        wish: as in request.py; `{version}` in its name becomes the version's.
        host: kept in the record.
        more: further options as they stand on a command line.
        command: the command as a list, instead of the one that is found.

    Raises:
        BadWish: it cannot be put into words.
        CommandNotFound: there is no command.
        OSError: the folder cannot be made.
    """

    def __init__(self, folder, wish, host=None, more=(), command=None):
        arguments_of(wish, folder)  # what cannot be said is told before anything is made
        folder, self.version = next_version_folder(folder)
        self.wish, self._host, self._passing = dict(wish), host, False
        self._at = self.wish.get("daemon") or ""
        if wish.get("name"):
            self.wish["name"] = wish["name"].replace("{version}", self.version)
        try:
            arguments = arguments_of(self.wish, folder) + list(more)
            super(Work, self).__init__(folder, None, arguments, command)
        except BaseException:
            free_version_folder(folder)
            raise

    def _note(self, event):
        super(Work, self)._note(event)
        if event["event"] == "daemon":
            self._passing = bool(event.get("started"))
            # Whoever named it, its job is there. This machine's may have another port when it is started again.
            self._at = self._at if daemons.is_loopback(event["address"]) else event["address"]
        elif event["event"] == "submitted":
            self._keep(dict(records.new(self.wish, event, self._host), passing=self._passing, daemon=self._at))


class Fetch(_Recorded):
    """Bring the results of a version that nobody waits for any more; see `record.unfinished`. Used as `Work` is.

    To cancel it leaves the job alone.

    Args:
        folder: of the version.
        command: the command as a list, instead of the one that is found.

    Attributes:
        gone: it came to nothing, and always would: the job failed, was cancelled, or is no longer known. The version is
            `unfinished` no more.

    Raises:
        BadWish: the folder has no record.
        CommandNotFound: there is no command.
    """

    _cancels = gone = False

    def _end_without(self, error):
        self._over = self._over or self._end_of_the_job(error)
        self.gone = bool(self._over)
        super(Fetch, self)._end_without(error)

    def __init__(self, folder, command=None):
        kept = records.read(folder)
        if not kept or not kept.get("job"):
            raise BadWish("{} has no {} that says which job belongs there".format(folder, records.NAME))
        self.wish, self.version = kept["wish"], os.path.basename(os.path.abspath(folder))
        arguments = ["fetch", kept["job"], "--out={}".format(folder), *daemons.option(records.daemon_of(kept))]
        super(Fetch, self).__init__(folder, kept, arguments, command, listens=False)
        self._keep(records.claimed(kept))

    def _end_of_the_job(self, error):
        """How the job ended, where this says so: of one that has ended long ago there are no events."""
        if isinstance(error, Cancelled):
            return "" if self._asked is not None else records.CANCELLED
        # A daemon that was started for one call keeps its jobs where nobody serves them later.
        passed = error.code and self._kept.get("passing")
        return records.FAILED if passed or error.code == _UNKNOWN or error.exit_code == _JOB_FAILED else ""

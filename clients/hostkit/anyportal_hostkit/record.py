"""anyportal.json beside a version's files: what was asked for, which job it is, and what came of it.

Rerun, Compare with previous and Show job read it. It is written as soon as the job is known, so that a host that
crashed finds the job again, and completed at the end. Its fields:

    schema 1, wish, job, recipe_digest, seed, files {layer: path}, frames, host {name, version, ...}, created,
    state: `submitted`, `done`, `failed` or `cancelled`; by: the process that waits, and its machine; empty for none
    passing: the daemon was started for this call and ended with it, so that nobody knows the job later
    daemon: who has the job: an address, or what was asked for where that is of this machine
"""

import contextlib
import datetime
import json
import os
import socket
import sys
import threading
import time

from anyportal_hostkit import versions
from anyportal_hostkit.request import plain

NAME = "anyportal.json"
SCHEMA = 1
SUBMITTED, DONE, FAILED, CANCELLED = "submitted", "done", "failed", "cancelled"
_DEPTH = 4  # folders below which no version is looked for
_TRIES = 5
at_work = set()
"""Folders that this process waits for."""


def new(wish, submitted, host=None):
    """The record of a job that was just queued.

    Args:
        wish: as in request.py.
        submitted: the event `submitted`.
        host: what the host wants to know later: its name and version, the project, the clip.
    """
    record = {
        "schema": SCHEMA,
        "wish": plain(wish),
        "job": submitted["job"],
        "recipe_digest": submitted["recipe_digest"],
        "seed": wish.get("seed") or 0,
        "files": {},
        "frames": "",
        "host": dict(host or {}),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "state": SUBMITTED,
    }
    return claimed(record)


def daemon_of(record):
    """What names the daemon that has a record's job, behind `--daemon`; empty where nothing has to."""
    return str(record.get("daemon", record.get("wish", {}).get("daemon")) or "")


def claimed(record):
    """A record that says that this process waits for the job."""
    return dict(record, by={"pid": os.getpid(), "machine": socket.gethostname()})


def completed(record, done):
    """A record with what came of the job.

    Args:
        done: the event `done`.
    """
    more = {"state": DONE, "recipe_digest": done["recipe_digest"]}
    return dict(record, files=dict(done["files"]), frames=done["frames"], **more)


def given_up(record):
    """A record whose job nobody waits for any more, though it may go on."""
    return dict(record, by={})


def write(folder, record):
    """Keep a record in a version's folder: whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    aside = os.path.join(folder, ".anyportal.{}.{}.part".format(os.getpid(), threading.get_ident()))
    try:
        with open(aside, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        _replace(aside, os.path.join(folder, NAME))
    finally:
        if os.path.exists(aside):
            os.unlink(aside)


def read(folder):
    """A version's record; None where there is none that can be read."""
    try:
        with open(os.path.join(folder, NAME), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("schema") == SCHEMA else None


def remove(folder):
    """Take a version's record away, if there is one."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(folder, NAME))


def listed(folder):
    """The versions of a shot that have a record, the newest first, as (name, folder, record)."""
    found = [(name, os.path.join(folder, name)) for name in versions.names(folder)]
    records = [(name, path, read(path)) for name, path in found]
    return [(name, path, record) for name, path, record in records if record is not None]


def previous(version_folder, suits=None):
    """The folder of the newest version before this one that has files; None where there is none.

    Args:
        suits: asked of each record whether it counts: two projects may have their versions in one folder.
    """
    shot, name = os.path.split(os.path.abspath(version_folder))
    number = versions.number_of(name)
    for other, path, record in listed(shot):
        if number is not None and versions.number_of(other) >= number:
            continue
        if record.get("files") and (suits is None or suits(record)):
            return path
    return None


def unfinished(folder):
    """Folders of versions, at or below a folder, whose job nobody waits for and nobody knows the end of.

    A host that crashed leaves one. Bring its results with `work.fetch`.
    """
    found, depth = [], os.path.abspath(folder).count(os.sep) + _DEPTH
    for path, inner, files in os.walk(os.path.abspath(folder)):
        if NAME in files:
            record = read(path)
            if record is not None and record.get("state") == SUBMITTED and not _waited_for(path, record.get("by")):
                found.append(path)
        if NAME in files or path.count(os.sep) >= depth:
            del inner[:]
    return sorted(found)


def _waited_for(folder, by):
    """Whether somebody waits for a version. Of another machine's process nobody knows: it is taken for living."""
    if not by:
        return False
    if by.get("machine") != socket.gethostname():
        return True
    if by.get("pid") == os.getpid():
        return folder in at_work
    return _lives(by.get("pid"))


def _lives(pid):
    if not isinstance(pid, int) or pid <= 0:
        return False
    if sys.platform == "win32":
        return _lives_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is somebody else's
    return True


def _lives_on_windows(pid):
    """There os.kill would end the process."""
    import ctypes

    kernel = ctypes.windll.kernel32
    handle = kernel.OpenProcess(0x1000, False, pid)
    if not handle:
        return False
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return code.value == 259  # it has none yet


def _replace(source, target):
    for tries in range(_TRIES):
        try:
            return os.replace(source, target)
        except PermissionError:  # Windows, while somebody reads it
            if sys.platform != "win32" or tries == _TRIES - 1:
                raise
            time.sleep(0.05)

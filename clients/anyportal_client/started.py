"""A daemon for one call: started where none runs, ended with the client.

Its state lies in `calls/0` below the state directory (`calls/1` for a second call at the same time), apart from
that of a daemon somebody started: two calls never share one that the first to end would take away. It is kept, so
that the next call finds footage and stage results again.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from anyportal_client.discovery import Endpoint, process_gone, read_daemon_file
from anyportal_client.errors import DaemonError
from anyportal_client.extras import need_extra
from anyportal_client.locks import try_lock
from anyportal_client.storage import local_disk

START_SECONDS = 60.0
STOP_SECONDS = 15.0
_PLACES = 64
_LOG = "daemon.log"

SUBMIT_AGAIN = "its daemon was started for this call: submit it again, finished stages are reused"


class StartedDaemon:
    """A daemon in a process of its own, which ends with ours."""

    def __init__(self, process: subprocess.Popen[bytes], lock: IO[bytes], endpoint: Endpoint) -> None:
        self._process = process
        self._lock = lock
        self._log = endpoint.file.with_name(_LOG) if endpoint.file is not None else Path(_LOG)
        self.endpoint = replace(endpoint, file=None, token_of_file=False)

    @classmethod
    async def start(cls, state: Path) -> StartedDaemon:
        """Start one and wait until it listens.

        Raises:
            MissingExtraError: the packages it needs are not installed.
            DaemonError: START_FAILED, it ended or did not listen in time.
            StorageError: its state directory cannot be written.
        """
        another = "name a daemon on another machine: --daemon HOST:PORT or ANYPORTAL_DAEMON"
        need_extra("daemon", "no daemon is running, and to start one", another)
        folder, lock = await asyncio.to_thread(_free_place, state / "calls")
        process = _spawn(folder)
        try:
            endpoint = await _wait_for_file(process, folder)
        except BaseException:
            await asyncio.to_thread(_stop, process)
            lock.close()
            raise
        return cls(process, lock, endpoint)

    def renewed(self) -> Endpoint:
        """Where it still is.

        Raises:
            DaemonError: it has ended. Nobody starts it again, so there is nothing to wait for.
        """
        code = self._process.poll()
        if code is None:
            return self.endpoint
        raise DaemonError(f"the daemon has ended with {code}", where=str(self._log), hint=SUBMIT_AGAIN)

    async def stop(self) -> None:
        """End it, gracefully first."""
        await asyncio.to_thread(_stop, self._process)
        self._lock.close()


def _free_place(calls: Path) -> tuple[Path, IO[bytes]]:
    """The first place that no other call uses, locked."""
    for number in range(_PLACES):
        folder = calls / str(number)
        with local_disk(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = _open_private(folder / "call.lock", "a+b")
        if try_lock(lock):
            before = read_daemon_file(folder)
            # The daemon of a call that was killed takes a moment to follow it.
            if before is None or process_gone(before.pid) or os.name == "nt":
                (folder / "daemon.json").unlink(missing_ok=True)
                return folder, lock
        lock.close()
    raise DaemonError(f"{_PLACES} calls already run a daemon each", where=str(calls), hint="anyportal serve")


def _open_private(path: Path, mode: str) -> IO[bytes]:
    """A file that nobody else may read: a log tells of footage."""
    path.touch(mode=0o600)
    path.chmod(0o600)  # it may be there from before
    return path.open(mode)


def _spawn(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0"]
    command += ["--state", str(folder), "--stop-with-stdin"]
    # A group of its own: Ctrl-C in a terminal is ours to handle, the daemon must live to cancel the job.
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    with _open_private(folder / _LOG, "wb") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, **apart)


async def _wait_for_file(process: subprocess.Popen[bytes], folder: Path) -> Endpoint:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        endpoint = read_daemon_file(folder)
        if endpoint is not None:
            return endpoint
        if process.poll() is not None:
            raise _failed(f"the daemon ended with {process.returncode}", folder)
        await asyncio.sleep(0.02)
    raise _failed(f"the daemon did not listen within {START_SECONDS:g} seconds", folder)


def _failed(message: str, folder: Path) -> DaemonError:
    log = folder / _LOG
    lines = log.read_text("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return DaemonError(
        f"{message}: {last}" if last else message,
        code="START_FAILED",
        where=str(log),
        hint="look at this log; or start one by hand: anyportal serve",
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    for end in (process.terminate, process.kill):
        try:
            process.wait(STOP_SECONDS)
            return
        except subprocess.TimeoutExpired:
            end()
    process.wait()

"""A worker child lives no longer than its daemon, and leaves its stopping to it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie_to_parent(parent: int) -> None:
    """Die when the parent does, even while native code holds the interpreter.

    Linux only; elsewhere the end of the pipe must do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)


def leave_signals_to_parent() -> None:
    """Ctrl-C and service managers signal the whole group; the daemon decides what becomes of a job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def say_nothing_on_stdout() -> None:
    """The daemon's standard output is for programs; whatever a library prints goes to standard error."""
    sys.stdout.flush()
    os.dup2(2, 1)


def share_processors() -> None:
    """Have threads that compute together sleep while they wait for one another; before the first library that does.

    By default they spin. Alone on a machine that is a little faster; beside anything else that computes, a host on the
    artist's machine say, each waits for one that is not running: ten times slower, at several times the work.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def divide_processors(children: int) -> None:
    """Have OpenCV and torch take no more threads than are this child's part; before OpenCV is loaded.

    What the daemon's own environment says of them goes first. One child alone takes what it finds.
    """
    if children > 1:
        part = str(max(1, _processors() // children))
        os.environ.setdefault("OPENCV_FOR_THREADS_NUM", part)
        threads = os.environ.setdefault("OMP_NUM_THREADS", part)
        if "torch" in sys.modules and threads.isdecimal():  # too late for the environment
            sys.modules["torch"].set_num_threads(int(threads))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

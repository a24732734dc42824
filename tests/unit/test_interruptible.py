"""What the tests start can be interrupted, however they were started themselves."""

from __future__ import annotations

import signal
import subprocess
import sys

INSIDE = "test_a_child_hears_an_interrupt"


def test_a_child_hears_an_interrupt() -> None:
    ask = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stdout == "False\n"


def test_a_child_of_tests_in_the_background_does_too() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"{__file__}::{INSIDE}"]
    deaf = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
    )
    said, _ = deaf.communicate(timeout=60)
    assert deaf.returncode == 0, said

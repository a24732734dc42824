"""Fixtures that all tests share."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says something of the machine and who else uses it, not of the code.
settings.register_profile("anyportal", deadline=None)
settings.load_profile("anyportal")

REPOSITORY = Path(__file__).parent.parent
SEED = "ANYPORTAL_TEST_SEED"


def pytest_configure() -> None:
    # In the environment, where the processes of pytest-xdist find it too.
    os.environ.setdefault(SEED, str(secrets.randbits(31)))
    os.environ["ANYPORTAL_DAEMON_CONFIG"] = ""  # daemons that tests start read nobody's own configuration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"{SEED}={os.environ[SEED]}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; tests that need it are skipped without it."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the reference data beside the checkout (../shared) are not here")
    return folder


@pytest.fixture(scope="session")
def fresh_seed() -> int:
    """Another seed in every run, for what must hold with any; $ANYPORTAL_TEST_SEED repeats a run."""
    return int(os.environ[SEED])


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """Commands under test can be interrupted though the tests cannot: a shell starts what it sends to the background
    deaf to SIGINT, and so are that one's own children."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """A gigabyte more than what is taken already: the test fails before the machine does."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)

"""What a person reads while a command works."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import cast

import pytest

from anyportal_client.cli.bars import Bars
from anyportal_client.cli.failures import report
from anyportal_client.cli.output import PlainLines, show_results
from anyportal_client.errors import JobError
from anyportal_client.events import DaemonAway, DaemonBack, Done, LogLine, Progressed, Uploading


def test_a_file_of_many_layers_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    exr, movie = Path("/o/sh010.%04d.exr"), Path("/o/sh010_gain.mov")
    show_results(Done("jobs/1", {"comp": exr, "gain": movie, "matte": exr}, "1-9", "5" * 64, 1.0))
    assert capsys.readouterr().out.splitlines() == [f"comp,matte  {exr}", f"gain        {movie}"]


def test_little_footage_is_read_and_sent_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainLines()
    for total in (0, 3 << 20, 3 << 30):
        for phase in ("reading", "sending"):
            lines(Uploading(phase, total, total))
    assert capsys.readouterr().err.splitlines() == ["reading 3.0 GiB 100%", "sending 3.0 GiB 100%"]


def test_a_daemon_that_is_away_is_told_in_a_line_and_so_is_its_return(capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainLines()
    lines(DaemonAway("127.0.0.1:29571", 120.0))
    lines(DaemonBack("127.0.0.1:29572", 7.3))
    assert capsys.readouterr().err.splitlines() == [
        "the daemon is away; its jobs are safe with it: waiting for up to 2 min",
        "the daemon is back after 7 s (127.0.0.1:29572)",
    ]


OWNED = "\x1b]0;owned\x07\x9b31m\u202e"


def test_what_others_wrote_gives_the_terminal_no_orders(capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainLines()
    lines(LogLine("jobs/1", 1, "warning", f"space {OWNED}"))
    lines(Progressed("jobs/1", 2, OWNED, 0.5, 0.5))
    report(JobError(f"no space {OWNED}", where=OWNED, hint=OWNED), as_json=False)
    show_results(Done("jobs/1", {"comp": Path(OWNED)}, "1", "5" * 64, 1.0))
    shown = "".join(capsys.readouterr())
    assert "space ?]0;owned??31m?" in shown
    assert not set(OWNED) & set(shown) - set("]0;owned31m")


def test_bars_give_the_terminal_no_orders_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    bars = Bars()
    bars(LogLine("jobs/1", 1, "info", OWNED))
    bars(Progressed("jobs/1", 2, OWNED, 0.5, 0.5))
    bars.close()
    assert "?]0;owned" in (shown := cast(io.StringIO, sys.stderr).getvalue())
    assert not set("\x1b\x07\x9b\u202e") & set(shown)

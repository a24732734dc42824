"""What a person reads while a command works."""

from __future__ import annotations

from pathlib import Path

import pytest

from anyportal_client.cli.output import PlainLines, show_results
from anyportal_client.events import DaemonAway, DaemonBack, Done, Uploading


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

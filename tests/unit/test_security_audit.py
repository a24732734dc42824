"""The audit log: whole lines, rotated, without secrets; a disk that refuses stops nobody. And the buckets beside it."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from anyportal_daemon.security import audit
from anyportal_daemon.security.audit import AuditLog
from anyportal_daemon.security.rates import KEYS, Buckets, Rate


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_record_is_a_line_that_only_the_daemons_user_reads(tmp_path: Path) -> None:
    with closing(AuditLog(tmp_path, clock=lambda: 0.5)) as log:
        log.record("ann", "ipv4:10.0.0.5:1", "/s/CancelJob", "jobs/1", "OK")
        log.record("", "ipv4:10.0.0.6:1", "/s/GetJob", "a\nb\0\x1b[31m" + "x" * 5000, "UNAUTHENTICATED TOKEN", 7)
    first, second = lines(tmp_path / "audit.jsonl")
    assert first == {
        "time": "1970-01-01T00:00:00.500Z",
        "user": "ann",
        "peer": "ipv4:10.0.0.5:1",
        "rpc": "/s/CancelJob",
        "target": "jobs/1",
        "result": "OK",
    }
    assert second["count"] == 7 and len(second["target"]) == 200
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "audit.jsonl").stat().st_mode) == 0o600


def test_no_token_gets_into_it(tmp_path: Path) -> None:
    with closing(AuditLog(tmp_path)) as log:
        log.record("ann", "here", "/s/GetJob", "jobs/apt_" + "Q" * 43, "Bearer secret")
    text = (tmp_path / "audit.jsonl").read_text("utf-8")
    assert "QQQ" not in text and "secret" not in text


def test_it_is_put_aside_by_its_size_and_the_oldest_go(tmp_path: Path) -> None:
    with closing(AuditLog(tmp_path, rotate_bytes=500)) as log:
        for number in range(200):
            log.record("ann", "here", "/s/CancelJob", f"jobs/{number}", "OK")
            time.sleep(0.001)  # else they go in one piece
    files = sorted(tmp_path.iterdir(), key=lambda path: int(path.suffix[1:]) if path.suffix != ".jsonl" else 0)
    assert len(files) <= audit.KEPT + 1
    numbers = [each["target"] for path in reversed(files) for each in lines(path)]
    assert numbers[-1] == "jobs/199" and numbers == [f"jobs/{n}" for n in range(200 - len(numbers), 200)]


def test_a_disk_that_refuses_stops_nobody_and_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full, opened = threading.Event(), os.open

    def refuse(path: Any, *args: Any) -> int:
        if full.is_set() and str(path).endswith("audit.jsonl"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, *args)

    monkeypatch.setattr(os, "open", refuse)
    full.set()
    with closing(AuditLog(tmp_path)) as log, caplog.at_level(logging.ERROR):
        began = time.monotonic()
        for number in range(1000):
            log.record("ann", "here", "/s/CancelJob", f"jobs/{number}", "OK")
        assert time.monotonic() - began < 5
        while log._lost < 1000:
            time.sleep(0.01)
        full.clear()
        log.record("ann", "here", "/s/CancelJob", "jobs/after", "OK")
    assert len(caplog.records) == 1 and "No space left" in caplog.text, "once is enough"
    gap, after = lines(tmp_path / "audit.jsonl")
    assert (gap["lost"], after["target"]) == (1000, "jobs/after")


def test_what_comes_faster_than_it_is_written_is_lost_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "WAITING", 10)
    go_on = threading.Event()
    append = AuditLog._append

    def later(log: AuditLog, text: str) -> None:
        go_on.wait(20)
        append(log, text)

    monkeypatch.setattr(AuditLog, "_append", later)
    with closing(AuditLog(tmp_path)) as log:
        for number in range(100):
            log.record("ann", "here", "/s/CancelJob", f"jobs/{number}", "OK")
        go_on.set()
        while log._queue.qsize():
            time.sleep(0.01)
        log.record("ann", "here", "/s/CancelJob", "jobs/after", "OK")
    found = lines(tmp_path / "audit.jsonl")
    assert sum(each.get("lost", 0) for each in found) + sum("target" in each for each in found) == 101
    assert found[-1]["target"] == "jobs/after"


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.touch()
    (tmp_path / "audit.jsonl").symlink_to(other)
    with closing(AuditLog(tmp_path)) as log:
        log.record("ann", "here", "/s/CancelJob", "jobs/1", "OK")
    assert other.read_text("utf-8") == ""


def test_a_bucket_empties_and_fills() -> None:
    now = 0.0
    buckets = Buckets(Rate(burst=3, per_second=2), clock=lambda: now)
    assert [buckets.take("ann") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("bob") == 0
    now = 0.25
    assert buckets.take("ann") == 0.25
    now = 0.5
    assert buckets.take("ann") == 0
    now = 100
    assert [buckets.take("ann") for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_crowd_of_names_takes_no_more_room() -> None:
    buckets = Buckets(Rate(burst=1, per_second=1))
    for number in range(3 * KEYS):
        buckets.take(str(number))
    assert len(buckets._levels) == KEYS

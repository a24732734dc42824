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

from anyportal_daemon.security import ledger
from anyportal_daemon.security.audit import REFUSED, AuditLog, Entry
from anyportal_daemon.security.ledger import Ledger
from anyportal_daemon.security.rates import KEYS, Buckets, Rate
from anyportal_daemon.security.tally import SOURCES, Tally


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_record_is_a_line_that_only_the_daemons_user_reads(tmp_path: Path) -> None:
    with closing(AuditLog(tmp_path, clock=lambda: 0.5)) as log:
        log.record(Entry("ann", "ipv4:10.0.0.5:1", "/s/CancelJob", "jobs/1", "OK"))
        odd = "a\nb\0\x1b[31m" + "x" * 5000
        log.refused(Entry("", "ipv4:10.0.0.6:1", "/s/GetJob", odd, "UNAUTHENTICATED TOKEN"), "10.0.0.6")
    [first], [second] = lines(tmp_path / "audit.jsonl"), lines(tmp_path / "audit-refused.jsonl")
    assert first == {
        "time": "1970-01-01T00:00:00.500Z",
        "user": "ann",
        "peer": "ipv4:10.0.0.5:1",
        "rpc": "/s/CancelJob",
        "target": "jobs/1",
        "result": "OK",
    }
    assert second["result"] == "UNAUTHENTICATED TOKEN" and len(second["target"]) == 200
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_no_token_gets_into_it(tmp_path: Path) -> None:
    with closing(AuditLog(tmp_path)) as log:
        log.record(Entry("ann", "here", "/s/GetJob", "jobs/apt_" + "Q" * 43, "Bearer secret"))
    text = (tmp_path / "audit.jsonl").read_text("utf-8")
    assert "QQQ" not in text and "secret" not in text


def test_it_is_put_aside_by_its_size_and_the_oldest_go(tmp_path: Path) -> None:
    with closing(AuditLog(tmp_path, rotate_bytes=500)) as log:
        for number in range(200):
            log.record(Entry("ann", "here", "/s/CancelJob", f"jobs/{number}", "OK"))
            time.sleep(0.001)  # else they go in one piece
    files = sorted(tmp_path.iterdir(), key=lambda path: int(path.suffix[1:]) if path.suffix != ".jsonl" else 0)
    assert len(files) <= ledger.KEPT + 1
    numbers = [each["target"] for path in reversed(files) for each in lines(path)]
    assert numbers[-1] == "jobs/199" and numbers == [f"jobs/{n}" for n in range(200 - len(numbers), 200)]


def test_whoever_is_refused_pushes_nothing_out(tmp_path: Path) -> None:
    """However fast, and from however many places: what was done is in another file, and waits in another queue."""
    with closing(AuditLog(tmp_path, rotate_bytes=5000)) as log:
        log.record(Entry("ann", "here", "/s/DeleteJob", "jobs/1", "OK"))
        for number in range(20_000):
            log.refused(Entry("", f"ipv4:{number}", "/s/DeleteJob", "", "UNAUTHENTICATED TOKEN"), str(number))
        log.record(Entry("ann", "here", "/s/DeleteJob", "jobs/2", "OK"))
    assert [each["target"] for each in lines(tmp_path / "audit.jsonl")] == ["jobs/1", "jobs/2"]
    assert len(list(tmp_path.glob(f"{REFUSED}*"))) <= ledger.KEPT + 1


def test_of_a_flood_from_one_place_a_few_are_written_and_how_many_others_there_were(tmp_path: Path) -> None:
    with closing(AuditLog(tmp_path)) as log:
        log.set_rate(Rate(3, 0.001))
        for number in range(1000):
            log.refused(Entry("bob", "here", "/s/GetJob", f"jobs/{number}", "NOT_FOUND JOB_NOT_FOUND"), "bob")
        log.refused(Entry("", "there", "/s/GetJob", "", "UNAUTHENTICATED TOKEN"), "there")
    found = [(each["target"], each.get("count", 1)) for each in lines(tmp_path / REFUSED)]
    assert found == [("jobs/0", 1), ("jobs/1", 1), ("jobs/2", 1), ("", 1), ("jobs/999", 997)]


def test_what_was_only_counted_is_written_after_a_minute_and_no_source_is_lost() -> None:
    now, written = 0.0, list[tuple[str, int]]()
    tally = Tally[str](lambda event, count: written.append((event, count)), Rate(1, 0.001), clock=lambda: now)
    for event in "abc":
        tally.note("x", event)
    now = 59
    tally.settle()
    assert written == [("a", 1)]
    now = 61
    tally.settle()
    tally.settle()
    assert written == [("a", 1), ("c", 2)]
    for _ in range(2):
        for number in range(SOURCES + 50):  # so many that some share a count
            tally.note(f"s{number}", "e")
    tally.settle(least=0)
    assert sum(count for event, count in written if event == "e") == 2 * (SOURCES + 50)


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
            log.record(Entry("ann", "here", "/s/CancelJob", f"jobs/{number}", "OK"))
        assert time.monotonic() - began < 5
        while log._done._lost < 1000:
            time.sleep(0.01)
        full.clear()
        log.record(Entry("ann", "here", "/s/CancelJob", "jobs/after", "OK"))
    assert len(caplog.records) == 1 and "No space left" in caplog.text, "once is enough"
    gap, after = lines(tmp_path / "audit.jsonl")
    assert (gap["lost"], after["target"]) == (1000, "jobs/after")


def test_what_comes_faster_than_it_is_written_is_lost_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "WAITING", 10)
    go_on = threading.Event()
    append = Ledger._append

    def later(log: Ledger, text: str) -> None:
        go_on.wait(20)
        append(log, text)

    monkeypatch.setattr(Ledger, "_append", later)
    with closing(AuditLog(tmp_path)) as log:
        for number in range(100):
            log.record(Entry("ann", "here", "/s/CancelJob", f"jobs/{number}", "OK"))
        go_on.set()
        while log._done._queue.qsize():
            time.sleep(0.01)
        log.record(Entry("ann", "here", "/s/CancelJob", "jobs/after", "OK"))
    found = lines(tmp_path / "audit.jsonl")
    assert sum(each.get("lost", 0) for each in found) + sum("target" in each for each in found) == 101
    assert found[-1]["target"] == "jobs/after"


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.touch()
    (tmp_path / "audit.jsonl").symlink_to(other)
    with closing(AuditLog(tmp_path)) as log:
        log.record(Entry("ann", "here", "/s/CancelJob", "jobs/1", "OK"))
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

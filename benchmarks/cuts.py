"""Connections cut at random byte positions, a hundred in uploads and a hundred in downloads: what is sent again?

    python -m benchmarks.cuts [--cuts 100] [--mib 64]

Client and daemon are the real ones, a proxy between them closes both sockets after a random number of bytes. Every
transfer has to complete, and never more than one chunk and what was under way may be sent again; of a download
nothing that has arrived. Prints and keeps one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.transfer import daemon_at, process
from tests.unit.cut_transfers import Cuts, cut_download, cut_upload

RESULTS = Path(__file__).parent / "results"


def summary(runs: list[Cuts], size: int, seconds: float) -> dict[str, object]:
    again = [count for run in runs for count in run.again]
    way = [count for run in runs for count in run.under_way]
    return {
        "cuts": sum(run.made for run in runs),
        "transfers": len(runs),
        "completed": len(runs),
        "times_gone_on": len(again),
        "resent_bytes": {"most": max(again), "median": statistics.median(again)},
        "under_way_bytes": {"most": max(way), "median": statistics.median(way)},
        "within_bounds": all(run.within_bounds for run in runs),
        "wire_bytes_of_size": round(sum(run.wire_bytes for run in runs) / (size * len(runs)), 4),
        "seconds": round(seconds, 1),
    }


async def until_cut(cuts: int, transfer: Callable[[int, int], object]) -> tuple[list[Cuts], float]:
    """Transfers, one after the other, until as many cuts were made."""
    begun, runs = time.monotonic(), list[Cuts]()
    while (made := sum(run.made for run in runs)) < cuts:
        runs.append(await transfer(len(runs), cuts - made))  # type: ignore[misc]
    return runs, time.monotonic() - begun


async def measure(folder: Path, cuts: int, size: int) -> dict[str, object]:
    state = folder / "state"
    serve = ("-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--state", str(state), "--stop-with-stdin")
    most = 2 * size // 30  # about thirty cuts a transfer
    with process(*serve):
        connection = await daemon_at(state)
        endpoint = connection.endpoint
        up, up_seconds = await until_cut(
            cuts, lambda index, left: cut_upload(endpoint, state, folder, size, index, left, most)
        )
        digest = hashlib.sha256(random.Random(0).randbytes(size)).hexdigest()
        down, down_seconds = await until_cut(
            cuts, lambda index, left: cut_download(endpoint, digest, size, folder, index, left, most)
        )
        await connection.close()
    return {
        "mib": size >> 20,
        "upload": summary(up, size, up_seconds),
        "download": summary(down, size, down_seconds),
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--mib", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        result = asyncio.run(measure(Path(name), arguments.cuts, arguments.mib << 20))
    print(json.dumps(result, indent=1))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "cuts.json").write_text(json.dumps(result, indent=1) + "\n")
    ways = (result["upload"], result["download"])
    fine = all(isinstance(way, dict) and way["within_bounds"] and way["cuts"] >= arguments.cuts for way in ways)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())

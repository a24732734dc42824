"""Goodput of upload and download over loopback, beside a plain loop and the bare stream, in one run.

    python -m benchmarks.transfer [--mib 256] [--rounds 7]

Upload and download: the client's own functions against a daemon in a process of its own: resumable, hashed, checked,
written aside and renamed, on disk before it is said to be. The plain loop streams the same chunks over gRPC to a
process of its own, hashes and writes them, and no more. The bare stream neither reads, hashes nor writes. The three
take turns, round by round, so that what else the machine does falls on all alike; ratios are of the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil

from anyportal.v1 import media_pb2
from anyportal_client.channel import Connection
from anyportal_client.discovery import read_daemon_file
from anyportal_client.transfers import download, find_missing, upload
from benchmarks.plain_stream import PlainClient

RESULTS = Path(__file__).parent / "results"
LEAST_OF_PLAIN, LEAST_OF_BARE = 0.70, 0.20


@contextlib.contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A server that ends with its standard input."""
    server = subprocess.Popen([sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield server
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait()


async def daemon_at(state: Path) -> Connection:
    while (endpoint := read_daemon_file(state)) is None:
        await asyncio.sleep(0.05)
    return Connection(endpoint)


async def timed(work: Awaitable[object]) -> float:
    begun = time.perf_counter()
    await work
    return time.perf_counter() - begun


class Rounds:
    """Every kind of transfer once a round, each with bytes of its own, so that nothing is there already."""

    def __init__(self, folder: Path, connection: Connection, plain: PlainClient, size: int) -> None:
        self._folder, self._connection, self._plain, self._size = folder, connection, plain, size
        self._block = os.urandom(size)

    async def run(self, number: int) -> dict[str, float]:
        data = number.to_bytes(8, "big") + self._block[8:]
        source, target = self._folder / "source", self._folder / "target"
        source.write_bytes(data)
        (self._folder / "given").write_bytes(data)
        blob = media_pb2.Blob(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))

        async def up() -> None:
            assert await find_missing(self._connection, [blob])
            await upload(self._connection, source, blob)

        works: list[tuple[str, Callable[[], Awaitable[object]]]] = [
            ("upload", up),
            ("upload_plain", lambda: self._plain.upload(source)),
            ("upload_bare", lambda: self._plain.send_bare(self._size)),
            ("download", lambda: download(self._connection, blob, target)),
            ("download_plain", lambda: self._plain.download(self._folder / "plain")),
            ("download_bare", lambda: self._plain.receive_bare(self._size)),
        ]
        seconds = {}
        for name, work in works:
            os.sync()  # what an earlier turn left to be written is not this one's to wait for
            seconds[name] = await timed(work())
        assert target.read_bytes() == data
        for path in (target, self._folder / "plain"):
            path.unlink()
        return seconds


async def measure(folder: Path, size: int, rounds: int) -> dict[str, object]:
    state = folder / "state"
    serve = ("-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--state", str(state), "--stop-with-stdin")
    with process(*serve), process("-m", "benchmarks.plain_stream", str(folder)) as plain:
        assert plain.stdout is not None
        client = PlainClient(int(plain.stdout.readline()))
        connection = await daemon_at(state)
        turns = Rounds(folder, connection, client, size)
        await turns.run(0)  # to warm up
        taken = [await turns.run(number) for number in range(1, rounds + 1)]
        await connection.close()
        await client.close()
    speeds = {name: round(size / 2**20 / statistics.median(t[name] for t in taken)) for name in taken[0]}
    ratios = {
        f"{way}_of_{other}": round(speeds[way] / speeds[f"{way}_{other}"], 3)
        for way in ("upload", "download")
        for other in ("plain", "bare")
    }
    return {
        "mib": size >> 20,
        "rounds": rounds,
        "mib_per_second": speeds,
        "ratios": ratios,
        "least": {"of_plain": LEAST_OF_PLAIN, "of_bare": LEAST_OF_BARE},
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = asyncio.run(measure(Path(name), arguments.mib << 20, arguments.rounds))
    print(json.dumps(result, indent=1))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "transfer.json").write_text(json.dumps(result, indent=1) + "\n")
    ratios = result["ratios"]
    assert isinstance(ratios, dict)
    least = {"plain": LEAST_OF_PLAIN, "bare": LEAST_OF_BARE}
    return 0 if all(value >= least[name.rpartition("_")[2]] for name, value in ratios.items()) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Every message to every rpc of a real daemon: it answers with a status that it means, and serves on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import strategies as st

from anyportal.v1 import blobs_pb2, catalog_pb2, jobs_pb2, store_pb2
from anyportal_daemon.bootstrap import Served, daemon
from anyportal_daemon.config import Address, Config
from fuzz.strategies import Edit, edited, edits, messages
from fuzz.target import Target

METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for module in (blobs_pb2, jobs_pb2, catalog_pb2, store_pb2, health_pb2, reflection_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
ENDLESS = ("WatchJob", "Watch")
"""Rpcs that last as long as nothing happens."""

_NEVER = ("INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE")
"""Statuses of bugs, of hangs and of a daemon that is gone."""

SECONDS = 20.0
MOMENT = 0.2
MOST_ANSWERS = 50

Call = tuple[str, list[Any], list[Edit]]


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """A method, its requests, and what becomes of their bytes on the way."""
    path = draw(st.sampled_from(sorted(METHODS)))
    count = draw(st.integers(0, 3)) if METHODS[path].client_streaming else 1
    requests = [draw(messages(METHODS[path].input_type)) for _ in range(count)]
    return path, requests, draw(st.just([]) | edits(2))


class BackgroundDaemon:
    """A daemon on an event loop of a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="daemon", daemon=True)
        self._thread.start()
        self._context = daemon(Config(Address("127.0.0.1", 0), folder / "state"))
        self.served: Served = self._wait(self._context.__aenter__())

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    def close(self) -> None:
        self._wait(self._context.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[Call], None]]:
    with closing(BackgroundDaemon(folder)) as running, grpc.insecure_channel(running.served.address) as channel:
        metadata = (("authorization", f"Bearer {running.served.token}"),)

        def check(call: Call) -> None:
            path, requests, steps = call
            raw = [edited(request.SerializeToString(), steps) for request in requests]
            _answer(channel, path, raw, metadata)
            still = _answer(channel, "/anyportal.v1.JobService/ListJobs", [b""], metadata)
            assert still == "OK", f"it serves no more: {still}"

        yield check


def _answer(channel: grpc.Channel, path: str, requests: list[bytes], metadata: Any) -> str:
    """The status that an rpc ends with; OK where it has said enough."""
    method = METHODS[path]
    patience = MOMENT if method.name in ENDLESS else SECONDS
    answers = channel.stream_stream(path)(iter(requests), timeout=patience, metadata=metadata)
    try:
        for count, _ in enumerate(answers):
            if count >= MOST_ANSWERS:
                answers.cancel()
                break
        return "OK"
    except grpc.RpcError as error:
        code, said = error.code().name, error.details() or ""
        if code == "DEADLINE_EXCEEDED" and method.name in ENDLESS:
            return "OK"
        if code == "UNAVAILABLE" and "starting" in said:
            return "OK"
        assert code not in _NEVER or _is_undecodable(said), f"{path}: {code}: {said}"
        return code


def _is_undecodable(said: str) -> bool:
    """What gRPC itself says of bytes that are no message, and of too few or too many of them."""
    return "deserializ" in said.lower() or "parsing" in said.lower()


TARGET = Target("rpc", calls(), opened)

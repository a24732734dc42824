"""The window of the Resolve client, open: the host's script in a thread, and what a page does, by HTTP."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.hosts.resolve import house
from tests.hosts.resolve.app import Resolve

house.importable()
client = importlib.import_module("anyportal_resolve")

GO = {
    "action": "go", "backdrop_kind": "colour", "backdrop": "#405060", "matte_kind": "mask", "preset": "draft",
    "subject": "", "seed": 0, "handles": 2, "settings": "", "format": "auto", "placement": "take",
}  # fmt: skip


class Open:
    """A window that is open, in a thread of its own as the host's script is."""

    def __init__(self, resolve: Resolve, folder: Path) -> None:
        self.told: list[dict[str, Any]] = []
        self.window = client.Window(resolve, str(folder), False, self.told.append)
        self.thread = threading.Thread(target=self.window.run, daemon=True)
        self.thread.start()
        self.until(lambda: bool(self.told))
        self.address, self.url = self.told[0]["address"], self.told[0]["url"]
        self.key, self.revision = "", 0
        self.seen: dict[str, Any] = {}

    def until(self, true: Callable[[], bool], seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, self.seen
            time.sleep(0.02)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        connection = HTTPConnection(self.address, timeout=60)
        own = {"X-AnyPortal-Key": self.key, "Origin": f"http://{self.address}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), own)
        answer = connection.getresponse()
        data = answer.read()
        return data if answer.headers["Content-Type"] == "image/jpeg" else json.loads(data)

    def open(self) -> None:
        self.key = self.call("POST", "/session", {"token": self.url.partition("#")[2]})["key"]

    def look(self, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a state."""

        def found() -> bool:
            told = self.call("GET", f"/state?after={self.revision}")
            self.revision, self.seen = told["revision"], told["state"]
            return true(self.seen)

        self.until(found)
        return self.seen

    def close(self) -> None:
        self.window.close()
        self.thread.join(60)
        assert not self.thread.is_alive()


def ended(state: dict[str, Any]) -> bool:
    return state.get("working") is False and all(
        clip["refused"] or clip["state"] in ("done", "failed", "cancelled") for clip in state["clips"]
    )

"""A headless browser, told what to do over a pipe (the DevTools protocol), without a driver of its own."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find() -> str | None:
    """The browser's program; None where there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page. The pipe's messages end with a zero byte."""

    def __init__(self, program: str, folder: Path) -> None:
        inward, outward = os.pipe(), os.pipe()
        options = [
            "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars",
            f"--user-data-dir={folder}", "about:blank",
        ]  # fmt: skip

        def hand_over() -> None:
            # The browser reads from 3 and writes to 4; the ends may lie just there, so they are moved out of the way.
            read, write = os.dup(inward[0]), os.dup(outward[1])
            os.dup2(read, 3)
            os.dup2(write, 4)

        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [program, *options], close_fds=False, preexec_fn=hand_over, stdin=quiet, stdout=quiet, stderr=quiet
        )
        os.close(inward[0])
        os.close(outward[1])
        self._write, self._read = inward[1], outward[0]
        self._numbers, self._pending, self.events = itertools.count(1), b"", []  # type: Any
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command to the page."""
        return self._ask(method, self._session, **parameters)

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited."""
        told = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, condition: str, seconds: float = 60) -> None:
        """Until an expression is true."""
        until = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < until, (
                f"not within {seconds} s: {condition}\n{self.run('document.body.innerText')}"
            )
            time.sleep(0.05)

    def key(self, key: str, code: int, text: str = "", modifiers: int = 0) -> None:
        """A key pressed and let go."""
        own = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **own)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **own)

    def type(self, text: str) -> None:
        self.ask("Input.insertText", text=text)

    def size(self, width: int, height: int) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))

    def complaints(self) -> list[str]:
        """What the page's console holds of errors: a policy that was broken, a script that failed."""
        entries = [e["params"]["entry"] for e in self.events if e["method"] == "Log.entryAdded"]
        thrown = [
            e["params"]["exceptionDetails"]["text"] for e in self.events if e["method"] == "Runtime.exceptionThrown"
        ]
        return [entry["text"] for entry in entries if entry["level"] == "error"] + thrown

    def _ask(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == number:
                assert "error" not in told, f"{method}: {told['error']}"
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            chunk = os.read(self._read, 1 << 20)
            assert chunk, "the browser has ended"
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\0")
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        os.close(self._write)
        os.close(self._read)
        self.process.kill()
        self.process.wait(20)


@contextmanager
def browser(program: str, folder: Path) -> Iterator[Browser]:
    opened = Browser(program, folder)
    try:
        yield opened
    finally:
        opened.close()

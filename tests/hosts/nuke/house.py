"""A session of the fake Nuke with the client loaded into it, small real pictures, and a real daemon."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from anyportal_core.testing.clips import moving_scene
from tests.hosts.nuke.module import FakeNuke
from tests.hosts.nuke.nodes import Node

CLIENTS = Path(__file__).parents[3] / "clients"
FIRST, COUNT, WIDE, HIGH = 1001, 6, 96, 64
_COMMAND = [sys.executable, "-m", "anyportal_client.cli"]
_SERVE = [*_COMMAND, "serve", "--listen", "127.0.0.1:0", "--json", "--stop-with-stdin"]


@contextlib.contextmanager
def session(folder: Path, patch: pytest.MonkeyPatch, gui: bool = True, looks: bool = False) -> Iterator[FakeNuke]:
    """Nuke with a saved script, in which nothing may be trapped. `load` gives the client inside it.

    Args:
        looks: the client looks for daemons: a process at each panel, which most tests have no use for.
    """
    script = folder / "comp.json"
    script.touch()
    fake = FakeNuke(str(script), gui)
    patch.setitem(sys.modules, "nuke", fake)
    # As Nuke starts: whatever else found the scripts before, init.py is what adds their folders here.
    ours = {str(CLIENTS / name) for name in ("nuke", "hostkit")}
    patch.setattr(sys, "path", [folder for folder in sys.path if folder not in ours])
    patch.delenv("OCIO", raising=False)
    unload()
    runpy.run_path(str(CLIENTS / "nuke" / "init.py"))
    if not looks:
        patch.setattr(load("anyportal_hostkit.daemons").Search, "begin", lambda search: None)
    yield fake
    unload()
    assert fake.traps == []
    assert fake.live_tasks == [], "a bar that is kept stays on the screen"


def unload() -> None:
    if "anyportal_nuke.daemons" in sys.modules:
        sys.modules["anyportal_nuke.daemons"]._found.close()
    for name in [name for name in sys.modules if name.partition(".")[0] == "anyportal_nuke"]:
        del sys.modules[name]


def load(name: str = "anyportal_nuke") -> Any:
    """A module of the client, as the session sees it."""
    return importlib.import_module(name)


def look_for_daemons(look: Callable[[], object]) -> None:
    """Have the client look for daemons, and wait until it could know them; it hears of them when a panel opens."""
    look()
    run, until = load("anyportal_nuke.daemons")._found._run, time.monotonic() + 60
    while run is not None and run._process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    if run is not None:
        run._readers[0].join()


@contextlib.contextmanager
def daemon(folder: Path) -> Iterator[dict[str, str]]:
    """A real daemon, and the environment in which the command finds it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANYPORTAL_")}
    env |= {"ANYPORTAL_STATE": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
    process = subprocess.Popen(_SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["event"] == "serving"
    yield env
    process.communicate(timeout=60)


def command(folder: Path) -> Path:
    """The real `anyportal`, as a program of its own."""
    program = folder / "anyportal"
    if not program.exists():
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m anyportal_client.cli "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    return program


def pictures() -> Iterator[tuple[int, Any, Any]]:
    """Frame number, colours as sRGB code values, and the matte of a small scene."""
    scene = moving_scene(COUNT, HIGH, WIDE)
    for index in range(COUNT):
        yield FIRST + index, scene.plate[index], scene.matte[index]


def write_sequence(folder: Path, name: str = "plate", kind: str = "png", **more: Any) -> Path:
    """`folder/name.1001.png`...; gives the pattern. `kind` is png, or exr for linear light with the matte as alpha."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, colours, matte in pictures():
        path = folder / f"{name}.{number}.{kind}"
        if kind == "png":
            write_image(path, np.round(colours * 255).astype(np.uint8), "RGB", "uint8")
        else:
            write_image(path, np.dstack([colours**2.2, matte]).astype(np.float32), "RGBA", "half", **more)
    return folder / f"{name}.%04d.{kind}"


def write_image(path: Path, pixels: Any, names: str, kind: str, window: Any = None, shot: str = "sh010") -> None:
    """A file; `window` is the display window (x, y, width, height) where it is another one than the pixels'."""
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    spec.channelnames = tuple(names)
    if window is not None:
        spec.full_x, spec.full_y, spec.full_width, spec.full_height = window
    spec.attribute("shot", shot)
    file = oiio.ImageOutput.create(str(path))
    assert file.open(str(path), spec), file.geterror()
    assert file.write_image(np.ascontiguousarray(pixels))
    file.close()


def make_read(nuke: FakeNuke, pattern: Path, **knobs: Any) -> Node:
    """A Read of a sequence, as a person makes it."""
    read = nuke.make("Read")
    read["file"].fromUserText(f"{pattern} {FIRST}-{FIRST + COUNT - 1}")
    for name, value in knobs.items():
        read[name].setValue(value)
    return read


def settle(nuke: FakeNuke, act: Callable[[], object], between: Callable[[], object] = lambda: None) -> None:
    """Do something in the main thread, then run the main loop until every thread that it began has ended."""
    before = set(threading.enumerate())
    act()
    mine = [thread for thread in threading.enumerate() if thread not in before and thread.name == "AnyPortal"]
    until = time.monotonic() + 120
    nuke.pump(lambda: not any(thread.is_alive() for thread in mine) or time.monotonic() > until, between)
    assert not any(thread.is_alive() for thread in mine), "the worker did not end"

"""A real daemon, a real command, and small real footage for the fake Resolve."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from anyportal_core.testing.clips import numbered_frames, write_images, write_movie

CLIENTS = Path(__file__).parents[3] / "clients"
EXACT = {"relight_strength": 0.0}
"""With a white matte the result then shows the plate's own frames, whose numbers can be read."""


def importable() -> None:
    """Make the host's scripts importable, as AnyPortal.py does."""
    for folder in ("resolve", "hostkit"):
        if str(CLIENTS / folder) not in sys.path:
            sys.path.append(str(CLIENTS / folder))


@contextmanager
def daemon(folder: Path) -> Iterator[dict[str, str]]:
    """A daemon of its own; gives the environment in which the host's scripts find it and the command."""
    command = folder / "anyportal"
    body = "from anyportal_client.cli import main\n\nif __name__ == '__main__':\n    main()\n"
    command.write_text(f"#!{sys.executable}\n{body}", encoding="utf-8")
    command.chmod(0o755)
    env = {"ANYPORTAL_STATE": str(folder / "state"), "ANYPORTAL_COMMAND": str(command), "HOME": str(folder)}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ANYPORTAL_")}
    serve = [str(command), "serve", "--listen", "127.0.0.1:0", "--json", "--stop-with-stdin"]
    process = subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean | env)
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "serving"
        yield env
    finally:
        process.communicate(timeout=60)


def movie(folder: Path, name: str, numbers: range, rate: Fraction = Fraction(24), **how: Any) -> str:
    """Footage whose frames carry these numbers."""
    frames = numbered_frames(numbers.stop)[numbers.start :]
    return str(write_movie(folder / name, frames, rate=rate, **how))


def white(folder: Path) -> str:
    """A mask that keeps everything, on whichever frame."""
    return str(write_images(folder / "white.png", np.ones((1, 64, 96, 3), np.float32))[0])

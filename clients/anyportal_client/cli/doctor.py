"""`anyportal doctor`: what works here, what does not, and how to mend it."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from anyportal_client.cli.failures import arrow
from anyportal_client.cli.hosts import in_words
from anyportal_client.cli.options import Daemon, Debug, Json
from anyportal_client.discovery import find_endpoint, state_directory
from anyportal_client.errors import ClientError, MissingExtraError, StorageError
from anyportal_client.events import Checked
from anyportal_client.extras import DISTRIBUTION, known_extras, missing_packages
from anyportal_client.messages import WorkerInfo
from anyportal_client.version import __version__

_LOW_DISK = 2 << 30
_PURPOSES = {
    "daemon": "a daemon can be started on this machine",
    "diffusion": "the presets that need a GPU can run on this machine",
}
_ELSEWHERE = f"name one: --daemon HOST:PORT or ANYPORTAL_DAEMON; or pip install '{DISTRIBUTION}[daemon]'"
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
            print(f"{_SIGNS[check.status]} {check.name}: {check.message}", flush=True)
            if check.hint:
                print(f"        {arrow(sys.stdout)} {check.hint}", flush=True)
    raise typer.Exit(code)


Result = tuple[Checked, type[ClientError] | None]


def _checks(daemon: str | None) -> Iterator[Result]:
    yield _python()
    yield _packages()
    yield _movies()
    yield _state()
    yield _hosts()
    for extra, purpose in _PURPOSES.items():
        if extra in known_extras():
            yield _extra(extra, purpose)
    yield _daemon(daemon)


def _ok(name: str, message: str) -> Result:
    return Checked(name, "ok", message), None


def _broken(name: str, message: str, hint: str, kind: type[ClientError]) -> Result:
    return Checked(name, "broken", message, hint), kind


def _python() -> Result:
    return _ok("python", f"{platform.python_version()} on {platform.platform()} ({sys.executable})")


def _packages() -> Result:
    missing = missing_packages()
    if missing:
        hint = f"pip install --force-reinstall {DISTRIBUTION}"
        return _broken("packages", f"missing: {', '.join(missing)}", hint, MissingExtraError)
    return _ok("packages", f"{DISTRIBUTION} {__version__} with all it needs")


def _movies() -> Result:
    try:
        import av
    except ImportError as error:
        hint = "pip install --force-reinstall av"
        return _broken("movies", f"FFmpeg's libraries do not load: {error}", hint, MissingExtraError)
    version = ".".join(map(str, av.library_versions["libavcodec"]))
    lacking = [name for name in ("libx264", "prores_ks") if name not in av.codecs_available]
    if lacking:
        note = f"av {av.__version__} lacks the encoders {', '.join(lacking)}"
        return Checked("movies", "warning", note, "install av from PyPI: it brings them"), None
    return _ok("movies", f"av {av.__version__}, libavcodec {version}")


def _state() -> Result:
    folder = state_directory()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    message = f"{folder}, {free / (1 << 30):.1f} GiB free"
    if free < _LOW_DISK:
        return _broken("state", message, "free space, or set ANYPORTAL_STATE to another disk", StorageError)
    if not _writable(there):
        return _broken("state", f"{folder} cannot be written", "set ANYPORTAL_STATE to a folder of yours", StorageError)
    return _ok("state", message)


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
    return _ok("hosts", message)


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
    return _ok(extra, purpose)


def _daemon(address: str | None) -> Result:
    from anyportal_client.client import Client

    try:
        named = find_endpoint(address) is not None
        with Client.connect(address, start=False) as client:
            info, where = client.daemon(), client.address
    except ClientError as error:
        if error.code == "UNREACHABLE" and not address and not missing_packages("daemon"):
            stale = " (daemon.json is of one that has ended)" if named else ""
            return _ok("running", f"none{stale}: each call starts one, anyportal serve keeps one")
        hint = error.hint if address or error.code != "UNREACHABLE" else _ELSEWHERE
        return _broken("running", error.message, hint, type(error))
    broken = "; ".join(f"{name}: {reason}" for name, reason in info.broken_plugins.items())
    if broken:
        return Checked("running", "warning", f"{where}: plug-ins that cannot be read: {broken}", "reinstall them"), None
    if info.version != __version__:
        note = f"{where} is version {info.version}, this is {__version__}"
        return Checked("running", "warning", note, "install the same version on both sides"), None
    workers = ", ".join(map(_worker, info.workers))
    free = info.free_disk_bytes / (1 << 30)
    return _ok("running", f"{where}, version {info.version}, {workers}, {free:.1f} GiB free")


def _worker(worker: WorkerInfo) -> str:
    trouble = f" ({worker.trouble})" if worker.trouble else ""
    return f"{worker.device or worker.name} {worker.state}{trouble}"

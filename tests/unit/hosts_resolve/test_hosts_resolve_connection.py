"""Resolve is reached, or said why not. In quotation marks: rows of ../shared/hosts.md."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.resolve import house
from tests.hosts.resolve.app import Resolve
from tests.hosts.resolve.pool import MediaPoolItem

house.importable()
client = importlib.import_module("anyportal_resolve")
choosing = importlib.import_module("anyportal_resolve.choosing")
connection = importlib.import_module("anyportal_resolve.connection")
doctor = importlib.import_module("anyportal_resolve.doctor")
outside = importlib.import_module("anyportal_resolve.outside")

Refused = client.Refused


def seen(resolve: Resolve, scope: str = "timeline", mark: str = "Orange") -> list[Any]:
    found: list[Any] = choosing.look(connection.desk(resolve), scope, mark).clips
    return found


# "is it alive": `GetCurrentDatabase()` is not None; other calls may answer while it is wedged


def test_a_wedged_resolve_is_told_though_it_answers(resolve: Resolve) -> None:
    resolve.manager.wedged = True
    assert resolve.GetProjectManager().GetCurrentProject() is not None
    with pytest.raises(Refused, match="does not answer"):
        connection.desk(resolve)


def test_without_a_project_or_a_timeline_it_says_so(resolve: Resolve) -> None:
    resolve.project.current = None  # type: ignore[assignment]
    with pytest.raises(Refused, match="No timeline is open"):
        connection.desk(resolve)
    resolve.manager.project = None
    with pytest.raises(Refused, match="No project is open"):
        connection.desk(resolve)


# "capability": `name in dir(obj)`; `hasattr` is always True


def test_what_an_older_resolve_lacks_is_found_by_dir(resolve: Resolve, plate: str) -> None:
    item = resolve.clip(MediaPoolItem(plate), 7, 8)
    item.lack("GetSourceStartFrame", "GetSourceEndFrame", "GetClipEnabled")
    resolve.timeline.lack("GetMarkInOut")
    resolve.lack("EXPORT_OTIO")
    assert hasattr(item, "GetSourceStartFrame") and hasattr(item, "GetAnything")
    [clip] = seen(resolve)
    assert (clip.shown.first, clip.shown.sure) == (7, 8)
    with pytest.raises(Refused, match="No clip is marked"):
        seen(resolve, "marked")


# "External scripting needs Studio and its preference"; from 21.1 Python is Studio only (`GetProductName()`)


def test_the_edition_is_told() -> None:
    assert connection.editions_note(Resolve()) == ""
    assert "works from its Scripts menu" in connection.editions_note(Resolve(studio=False))
    assert "needs Resolve Studio" in connection.editions_note(Resolve(studio=False, version=(21, 1)))
    given = Resolve()
    assert connection.connect(given) is given

    class App:
        def GetResolve(self) -> Resolve:
            return given

    assert connection.connect(None, App()) is given


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Resolve's own scripting module, as its installer places it: make it with these lines."""

    def make(text: str) -> None:
        (tmp_path / "Modules").mkdir()
        (tmp_path / "Modules" / "DaVinciResolveScript.py").write_text(text, "utf-8")

    monkeypatch.setenv("RESOLVE_SCRIPT_API", str(tmp_path))
    yield make
    sys.modules.pop("DaVinciResolveScript", None)


def test_from_outside_the_module_is_found_where_it_lies(module: Any) -> None:
    module("def scriptapp(name):\n    return [name]\n")
    before = list(sys.path)
    assert connection.connect(None, None) == ["Resolve"]
    assert sys.path == before


def test_from_outside_a_resolve_that_does_not_answer_may_not_be_allowed_to(module: Any) -> None:
    module("def scriptapp(name):\n    return None\n")
    with pytest.raises(Refused, match=r"does not answer.*Resolve Studio.*External scripting using: Local.*21\.1"):
        connection.connect(None, None)


@pytest.mark.parametrize("text", ["", "raise ImportError('Could not locate module dependencies')\n"])
def test_a_module_that_cannot_be_imported_is_no_matter_of_preferences(module: Any, text: str) -> None:
    if text:
        module(text)
    with pytest.raises(Refused) as caught:
        connection.connect(None, None)
    said = str(caught.value)
    assert "cannot be imported: " + (text[19:-3] or "No module named") in said and "Preferences" not in said
    assert all(name in said for name in ("RESOLVE_SCRIPT_API=", "RESOLVE_SCRIPT_LIB=", "PYTHONPATH="))
    assert ("FUSION_PYTHON3_HOME" in said) == (sys.platform == "win32")


def test_where_the_module_lies_is_what_the_table_of_hosts_says(shared: Path) -> None:
    rows = (shared / "hosts.md").read_text("utf-8").splitlines()
    table = {cells[1].strip(): cells[2:4] for cells in (row.split("|") for row in rows) if len(cells) > 4}
    for name, platform in (("macOS", "darwin"), ("Windows", "win32"), ("Linux", "linux")):
        for said, ours in zip(table[name], outside.usual(platform), strict=True):
            wanted = said.strip().replace("%PROGRAMDATA%", r"C:\ProgramData")
            assert ours.endswith(wanted.replace("...", "").strip())


def test_the_doctor_says_what_is_missing(resolve: Resolve, plate: str) -> None:
    resolve.clip(MediaPoolItem(plate), 0, 8)
    assert [(name, status) for name, status, _, _ in doctor.checks(resolve)] == [("resolve", "ok"), ("project", "ok")]
    resolve.studio, resolve.version = False, (18, 1)
    resolve.project.presets.clear()
    resolve.timeline.tracks[0].items[0].lack("GetSourceStartFrame")
    found = {name: status for name, status, _, _ in doctor.checks(resolve)}
    assert found == {
        "resolve": "warning", "version": "warning", "project": "ok", "rendering": "warning", "source frames": "warning",
    }  # fmt: skip
    resolve.manager.wedged = True
    assert doctor.checks(resolve)[-1][:2] == ("project", "broken")
    text = client.doctor(resolve, [sys.executable, "-c", "raise SystemExit(3)"])
    assert "Restart Resolve" in text and "BROKEN  version" in text

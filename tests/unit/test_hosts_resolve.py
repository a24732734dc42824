"""The Resolve script on a fake Resolve that has the traps of ../shared/hosts.md (section Resolve), quoted at each."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CLIENTS = Path(__file__).parents[2] / "clients"
SAY = "import json, sys\ndef say(**e): print(json.dumps({'schema': 1, **e}), flush=True)\n"
OUT = "out = next(a for a in sys.argv if a.startswith('--out=')).split('=', 1)[1]\n"


class Host:
    """An object of Resolve's: every attribute is there for `hasattr`, only `dir` tells ("`hasattr` is always True")."""

    def __getattr__(self, name: str) -> Any:
        return None


class Media(Host):
    def __init__(self, path: str, frames: int = 0, colour: str = "", stubborn: bool = False) -> None:
        self.properties = {"File Path": path, "Frames": str(frames or ""), "Input Color Space": colour}
        self.stubborn = stubborn

    def GetClipProperty(self, name: str) -> str:
        return self.properties.get(name, "")

    def SetClipProperty(self, name: str, value: str) -> bool:
        if not self.stubborn:
            self.properties[name] = value
        return True  # "verify by reading back"


class Item(Host):
    """A clip of the timeline; `source` is what Resolve says of its source frames."""

    def __init__(self, media: Media | None, source: tuple[int, int], duration: int, offset: int = 0) -> None:
        self.media, self.source, self.duration, self.offset = media, source, duration, offset
        self.takes: list[Any] = []
        self.selected = 0

    def GetName(self) -> str:
        return "sh 010.mov"

    def GetMediaPoolItem(self) -> Media | None:
        return self.media

    def GetDuration(self) -> int:
        return self.duration

    def GetSourceStartFrame(self) -> int:
        return self.source[0]

    def GetSourceEndFrame(self) -> int:
        return self.source[1]

    def GetLeftOffset(self) -> int:
        return self.offset

    def AddTake(self, media: Media, start: int, end: int) -> bool:
        self.takes = self.takes or [self.media]
        self.takes.append((media, start, end))
        return True

    def GetTakesCount(self) -> int:
        return len(self.takes)

    def SelectTakeByIndex(self, index: int) -> bool:
        self.selected = index
        return True

    def GetSelectedTakeIndex(self) -> int:
        return self.selected

    def FinalizeTake(self) -> None:
        raise AssertionError("`FinalizeTake()` destroys the alternatives: never call it")


class Folder(Host):
    def __init__(self, name: str) -> None:
        self.name = name
        self.children: list[Folder] = []

    def GetName(self) -> str:
        return self.name

    def GetSubFolderList(self) -> list[Folder]:
        return self.children


class Pool(Host):
    def __init__(self) -> None:
        self.root = self.current = Folder("Master")
        self.imported: list[Any] = []
        self.refuses = False

    def GetRootFolder(self) -> Folder:
        return self.root

    def GetCurrentFolder(self) -> Folder:
        return self.current

    def SetCurrentFolder(self, folder: Folder) -> bool:
        self.current = folder
        return True

    def AddSubFolder(self, parent: Folder, name: str) -> Folder:
        parent.children.append(Folder(name))
        return parent.children[-1]

    def ImportMedia(self, what: list[Any]) -> list[Media]:
        self.imported.append((self.current.name, what))
        return [] if self.refuses else [Media(str(what[0]))]


class Resolve(Host):
    """The application with one project, one timeline and the playhead on one clip."""

    def __init__(self, item: Item | None, wedged: bool = False) -> None:
        self.item, self.wedged, self.pool = item, wedged, Pool()

    def GetProjectManager(self) -> Resolve:
        return self

    def GetCurrentDatabase(self) -> dict[str, str] | None:
        return None if self.wedged else {"DbName": "x"}  # "is it alive"

    def GetCurrentProject(self) -> Resolve:
        return self

    def GetCurrentTimeline(self) -> Resolve:
        return self

    def GetMediaPool(self) -> Pool:
        return self.pool

    def GetCurrentVideoItem(self) -> Item | None:
        return self.item

    def GetName(self) -> str:
        return "Cut 3"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    for folder in ("resolve", "hostkit"):
        monkeypatch.syspath_prepend(str(CLIENTS / folder))
    sys.modules.pop("anyportal_resolve", None)
    return importlib.import_module("anyportal_resolve")


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stand a program in for `anyportal` and give what it was called with."""
    program, record = tmp_path / "anyportal", tmp_path / "called"
    name = "'/r.%04d.exr' if '%' in sys.argv[2] else '/r.mp4'"
    body = f"open({str(record)!r}, 'w').write(json.dumps(sys.argv[1:]))\n{OUT}"
    body += f"say(event='done', files={{'comp': out + ({name})}})"
    program.write_text(f"#!{sys.executable}\n{SAY}{body}", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("ANYPORTAL_COMMAND", str(program))
    return lambda: json.loads(record.read_text())


@pytest.mark.parametrize(
    ("source", "duration", "frames", "take"),
    [
        ((20, 29), 10, "16-33", (4, 13)),
        ((20, 30), 10, "16-33", (4, 13)),  # "off by one on some items"
        ((29, 20), 10, "16-33", (4, 13)),  # "reversed means start > end"
        ((20, 40), 10, "16-43", (4, 23)),  # double speed: source frames, "return media at source timing, as a take"
        ((0, 0), 10, "3-20", (4, 13)),  # "0/0 on XML imports means unknown": GetLeftOffset, here 7
        ((0, 9), 10, "0-13", (0, 9)),
        ((90, 99), 10, "86-99", (4, 13)),
    ],
)
def test_the_frames_shown_are_sent_with_handles_and_come_back_as_a_take(
    script: Any, called: Any, tmp_path: Path, source: Any, duration: int, frames: str, take: Any
) -> None:
    item = Item(Media("/p/plate.mov", 100), source, duration, offset=7)
    resolve = Resolve(item)
    script.process(resolve, "#102030", folder=str(tmp_path / "r"), handles=4)
    assert f"--range={frames}" in called()
    assert item.takes[-1][1:] == take
    assert item.selected == 2
    assert resolve.pool.imported == [("AnyPortal", [f"{tmp_path}/r/sh_010/v001/r.mp4"])]
    assert resolve.pool.current.name == "Master"  # "no destination parameter: restore the folder"


def test_a_sequence_is_sent_and_imported_by_its_own_numbers(script: Any, called: Any, tmp_path: Path) -> None:
    resolve = Resolve(Item(Media("/p/plate.[0990-1100].exr", 111), (20, 29), 10))
    script.process(resolve, "#102030", folder=str(tmp_path), handles=2)
    assert called()[1] == "/p/plate.%04d.exr"
    assert "--range=1008-1021" in called()
    [(_, [entry])] = resolve.pool.imported
    assert (entry["StartIndex"], entry["EndIndex"]) == (1008, 1021)


def test_an_older_resolve_without_source_frames_uses_the_offset(script: Any, called: Any, tmp_path: Path) -> None:
    class Older(Item):
        def __dir__(self) -> list[str]:
            return [name for name in super().__dir__() if not name.startswith("GetSource")]

    script.process(Resolve(Older(Media("/p/plate.mov", 100), (50, 59), 10, offset=7)), "#1", folder=str(tmp_path))
    assert "--range=7-16" in called()


@pytest.mark.parametrize(
    ("resolve", "word"),
    [
        (Resolve(None), "playhead"),
        (Resolve(Item(None, (0, 9), 10)), "title"),  # "None for titles and transitions"
        (Resolve(Item(Media(""), (0, 9), 10)), "compound"),
        (Resolve(Item(Media("/p/a.mov", 100), (0, 9), 10), wedged=True), "does not answer"),
        (Resolve(Item(Media("/p/a.mov", 50), (45, 60), 15)), "more than its media have"),
    ],
)
def test_what_cannot_be_processed_is_refused(script: Any, called: Any, resolve: Resolve, word: str) -> None:
    with pytest.raises(script.Refused, match=word):
        script.process(resolve, "#102030")
    with pytest.raises(FileNotFoundError):
        called()


def test_an_import_that_fails_is_told_and_the_folder_restored(script: Any, called: Any, tmp_path: Path) -> None:
    resolve = Resolve(Item(Media("/p/plate.mov", 100), (20, 29), 10))
    resolve.pool.refuses = True
    with pytest.raises(script.Refused, match="would not import"):
        script.process(resolve, "#102030", folder=str(tmp_path))
    assert resolve.pool.current.name == "Master"


def test_a_take_that_changes_the_length_is_told(script: Any, called: Any, tmp_path: Path) -> None:
    class Trimmed(Item):
        def SelectTakeByIndex(self, index: int) -> bool:
            self.duration -= 1
            return super().SelectTakeByIndex(index)

    with pytest.raises(script.Refused, match="changed the clip's length"):
        script.process(Resolve(Trimmed(Media("/p/plate.mov", 100), (20, 29), 10)), "#1", folder=str(tmp_path))


def test_the_colour_space_is_copied_and_read_back(
    script: Any, called: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resolve = Resolve(Item(Media("/p/plate.mov", 100, colour="Rec.709 Gamma 2.4"), (20, 29), 10))
    made = script.process(resolve, "#102030", folder=str(tmp_path))
    assert made.GetClipProperty("Input Color Space") == "Rec.709 Gamma 2.4"
    plate = Media("/p", colour="ACES")
    script._copy_colour(plate, Media("/r", stubborn=True))
    assert "by hand" in capsys.readouterr().out


@pytest.fixture
def menu(tmp_path: Path) -> Any:
    """Run the menu script as Resolve does, with nothing importable but what it finds; gives what it prints."""

    def run(file: Path, *, named: bool = True, argument: str = "", **environment: str) -> str:
        code = (
            "import os, sys\n"
            f"path, sys.argv = {str(file)!r}, [{argument!r}]\n"
            "source = open(path, encoding='utf-8').read()\n"
            f"names = {{'__name__': '__main__', **({{'__file__': path}} if {named} else {{}})}}\n"
            f"exec(compile(source, path if {named} else '<string>', 'exec'), names)\n"
        )
        env = {**os.environ, "HOME": str(tmp_path / "home"), **environment}
        env.pop("PYTHONPATH", None)
        run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, env=env)
        assert run.returncode == 0, run.stderr
        return run.stdout

    return run


FOUND = "Resolve does not answer. Scripts from outside need Resolve Studio"


def utility(home: Path) -> Path:
    """The user's own folder of menu scripts."""
    if sys.platform == "darwin":
        return home / "Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion/Scripts/Utility"
    return home / ".local/share/DaVinciResolve/Fusion/Scripts/Utility"


def copied(folder: Path) -> Path:
    """All files as docs/hosts.md has them copied."""
    shutil.copytree(CLIENTS / "resolve", folder)
    shutil.copytree(CLIENTS / "hostkit", folder / "hostkit")
    return folder / "AnyPortal.py"


def test_the_menu_script_finds_its_files_beside_it_and_through_a_link(menu: Any, tmp_path: Path) -> None:
    link = tmp_path / "Utility" / "AnyPortal.py"
    link.parent.mkdir()
    link.symlink_to(CLIENTS / "resolve/AnyPortal.py")
    for file in (CLIENTS / "resolve/AnyPortal.py", link, copied(tmp_path / "Utility/AnyPortal")):
        assert FOUND in menu(file)


def test_the_menu_script_finds_its_files_without_a_file_of_its_own(menu: Any, tmp_path: Path) -> None:
    alone = tmp_path / "AnyPortal.py"
    shutil.copy(CLIENTS / "resolve/AnyPortal.py", alone)
    assert "Set ANYPORTAL_HOSTS to the folder" in menu(alone, named=False)
    assert "Set ANYPORTAL_HOSTS to the folder" in menu(alone)
    assert FOUND in menu(alone, named=False, ANYPORTAL_HOSTS=str(CLIENTS))
    assert FOUND in menu(alone, named=False, argument=str(CLIENTS / "resolve/AnyPortal.py"))
    copied(utility(tmp_path / "home") / "AnyPortal")
    assert FOUND in menu(alone, named=False)

"""`anyportal hosts`, as a process, on home folders as the hosts make them: installs, updates and leaves no trace."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from anyportal_client.placing.block import with_block, without_block
from anyportal_client.placing.hands import Hands
from anyportal_client.placing.places import System, place_at, places
from anyportal_client.placing.scripts import find_scripts
from anyportal_client.version import __version__

CLIENTS = Path(__file__).parents[2] / "clients"
UTILITY = ".local/share/DaVinciResolve/Fusion/Scripts/Utility"
ADDONS = ".config/blender/5.0/scripts/addons"


class Desk:
    """A user's machine."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {name: value for name, value in os.environ.items() if name not in ("NUKE_PATH", "XDG_CONFIG_HOME")}
        self.environment = {**kept, "HOME": str(home)}

    def run(self, *arguments: object, code: int = 0) -> list[dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-m", "anyportal_client.cli", "hosts", *map(str, arguments), "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def states(self) -> dict[str, str]:
        return {event["name"]: event["state"] for event in self.run("list")}

    def tree(self) -> dict[str, bytes | str]:
        """All that lies there: contents of files, ends of links."""
        found = [path for path in self.home.rglob("*") if path.is_symlink() or path.is_file()]
        return {
            str(path.relative_to(self.home)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
            for path in found
        }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A home where every host was started once; the user's init.py ends without a newline."""
    home = tmp_path / "home"
    for folder in (".nuke", ".local/share/DaVinciResolve", ".config/blender/4.2", ".config/blender/5.0"):
        (home / folder).mkdir(parents=True)
    (home / ".config/blender/3.6").mkdir()
    (home / ".nuke/init.py").write_bytes(b"import mine\nmine.begin()")
    return Desk(home)


ALL = ("nuke", "resolve", "blender")


def test_what_is_installed_follows_updates_and_leaves_no_trace(desk: Desk) -> None:
    before = desk.tree()
    assert set(desk.states().values()) == {"absent"}
    done = desk.run("install", *ALL)
    assert {event["name"]: event["state"] for event in done} == {
        "Nuke": "linked",
        "DaVinci Resolve": "linked",
        "Blender 4.2": "linked",
        "Blender 5.0": "linked",
    }
    assert {event["version"] for event in desk.run("list")} == {__version__}
    assert (desk.home / UTILITY / "AnyPortal.py").resolve() == CLIENTS / "resolve/AnyPortal.py"
    assert (desk.home / ADDONS / "anyportal_blender").resolve() == CLIENTS / "blender/anyportal_blender"
    installed = desk.tree()
    again = desk.run("install", *ALL)
    assert desk.tree() == installed
    assert again[0]["steps"] == []  # not even written again
    desk.run("uninstall", *ALL)
    assert desk.tree() == before
    assert all(event["steps"] == [] for event in desk.run("uninstall", *ALL))


def test_a_copy_is_known_as_old_and_is_taken_away_whole(desk: Desk) -> None:
    before = desk.tree()
    desk.run("install", *ALL, "--copy")
    assert set(desk.states().values()) == {"copied"}
    assert not any(path.is_symlink() for path in desk.home.rglob("*"))
    addon = desk.home / ADDONS / "anyportal_blender"
    assert (addon / "hostkit/anyportal_hostkit/run.py").is_file()
    for copied in (desk.home / ".nuke/anyportal/nuke/init.py", addon / "__init__.py"):
        copied.with_name("__pycache__").mkdir()
        (copied.with_name("__pycache__") / "x.cpython-37.pyc").touch()  # the host has read them
    mark = desk.home / ".nuke/anyportal/anyportal_copy.json"
    kept = json.loads(mark.read_text())
    kept["version"] = "0.0.1"
    kept["files"]["nuke/gone.py"] = "of an older version"
    mark.write_text(json.dumps(kept))
    (mark.parent / "nuke/gone.py").touch()
    found = {event["name"]: event for event in desk.run("list")}
    assert found["Nuke"]["outdated"] and found["Nuke"]["version"] == "0.0.1"
    assert "hosts install nuke" in found["Nuke"]["hint"]
    assert not found["Blender 5.0"]["outdated"]
    desk.run("install", "nuke", "--copy")
    assert not (mark.parent / "nuke/gone.py").exists()
    assert not desk.run("list", "nuke")[0]["outdated"]
    desk.run("uninstall", *ALL)
    assert desk.tree() == before
    assert not (desk.home / ".nuke/anyportal").exists() and not addon.exists()


def test_from_link_to_copy_and_back(desk: Desk) -> None:
    for options, state in ((), "linked"), (("--copy",), "copied"), ((), "linked"):
        desk.run("install", *ALL, *options)
        assert set(desk.states().values()) == {state}
        assert (desk.home / ".nuke/anyportal").exists() == (state == "copied")
        assert (desk.home / ".local/share/DaVinciResolve/Fusion/AnyPortal").exists() == (state == "copied")


@pytest.mark.parametrize("options", [(), ("--copy",)])
def test_a_dry_run_says_everything_and_does_nothing(desk: Desk, options: tuple[str, ...]) -> None:
    before = desk.tree()
    done = desk.run("install", *ALL, "--dry-run", *options)
    assert desk.tree() == before
    assert all(event["steps"] and event["dry_run"] and event["state"] == "absent" for event in done)
    desk.run("install", *ALL, *options)
    there = desk.tree()
    assert all(event["steps"] for event in desk.run("uninstall", *ALL, "--dry-run"))
    assert desk.tree() == there


@pytest.mark.parametrize("options", [(), ("--copy",)])
def test_what_was_installed_works_as_the_host_reads_it(desk: Desk, options: tuple[str, ...]) -> None:
    """The scripts are found from where they were put, and they find the kit and the command."""
    desk.run("install", *ALL, *options)
    answer = "\nimport anyportal_hostkit as kit\nprint(kit.find_command()[0], kit.__file__)"
    for code in (AS_NUKE, AS_RESOLVE, AS_BLENDER):
        # A copy knows the command; who links from a checkout may have it on the path alone.
        command, kit = bare(code + answer, desk, "" if options else f"{Path(sys.executable).parent}").split()
        assert Path(command).name.startswith("anyportal")
        assert kit.startswith(str(desk.home if options else CLIENTS))


READ = "import os, sys, types\ndef read(file): exec(compile(open(file).read(), file, 'exec'), {'__file__': file})\n"
AS_NUKE = (
    READ + "added = []\nhere = os.path.expanduser('~/.nuke')\n"
    "sys.modules['nuke'] = types.SimpleNamespace(pluginAddPath=added.append)\n"
    "sys.modules['mine'] = types.SimpleNamespace(begin=lambda: None)\n"
    "read(os.path.join(here, 'init.py'))\n"
    "read(os.path.join(os.path.normpath(os.path.join(here, added[0])), 'init.py'))"  # './' is beside the init.py
)
AS_RESOLVE = READ + f"read(os.path.expanduser('~/{UTILITY}/AnyPortal.py'))"
AS_BLENDER = f"import os, sys\nsys.path.append(os.path.expanduser('~/{ADDONS}/anyportal_blender'))\nimport kit"


def bare(code: str, desk: Desk, path: str) -> str:
    """What a Python prints that knows nothing of this installation: as that of a host."""
    environment = {"HOME": str(desk.home), "PATH": path}
    return subprocess.check_output([sys.executable, "-I", "-S", "-c", code], env=environment, text=True).strip()


# What belongs to the user


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a = 1\n",
        b"a = 1",
        b"a = 1\r\nb = 2\r\n",
        b"a = 1\r\nb",
        "# -*- coding: latin-1 -*-\nä = 1\n".encode("latin-1"),
        b"\n\n",
    ],
)
def test_the_block_is_taken_out_without_a_trace(content: bytes) -> None:
    once = with_block(content, ["x = 1"])
    assert once.startswith(content)
    twice = with_block(once, ["y = 2", "z = 3"])
    assert b"x = 1" not in twice and twice.count(b"anyportal hosts install") == 1
    assert without_block(once) == without_block(twice) == content
    assert once.count(b"\n") == once.count(b"\r\n") or b"\r\n" not in content  # one kind of line's end
    compile(once.decode("latin-1"), "init.py", "exec")


def test_lines_that_the_user_adds_around_the_block_stay() -> None:
    content = with_block(b"a = 1", ["x = 1"]) + b"\nb = 2\n"
    assert without_block(content) == b"a = 1\nb = 2\n"
    assert with_block(content, ["y = 2"]).endswith(b"\nb = 2\n")


def test_an_init_that_was_made_for_the_block_goes_with_it(desk: Desk) -> None:
    init = desk.home / ".nuke/init.py"
    init.unlink()
    desk.run("install", "nuke")
    desk.run("install", "nuke", "--copy")
    assert init.is_file()
    desk.run("uninstall", "nuke")
    assert not init.exists()
    desk.run("install", "nuke")
    init.write_bytes(b"mine = 1\n" + init.read_bytes())
    desk.run("uninstall", "nuke")
    assert init.read_bytes() == b"mine = 1\n"


def test_an_init_that_is_a_link_stays_one_and_keeps_its_rights(desk: Desk) -> None:
    init, real = desk.home / ".nuke/init.py", desk.home / "dotfiles.py"
    init.rename(real)
    real.chmod(0o640)
    init.symlink_to(real)
    desk.run("install", "nuke")
    assert init.is_symlink() and b"pluginAddPath" in real.read_bytes()
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "content", [b"# >>> anyportal >>>\nx\n", b"# <<< anyportal <<<\n# >>> anyportal >>>\n", b"a\0b"]
)
def test_an_init_that_is_not_in_order_is_left_alone(desk: Desk, content: bytes) -> None:
    (desk.home / ".nuke/init.py").write_bytes(content)
    before = desk.tree()
    [error] = desk.run("install", "nuke", code=2)
    assert error["event"] == "error" and error["hint"]
    assert desk.tree() == before
    assert desk.states()["Nuke"] == ("absent" if b"\0" in content else "broken")


def test_what_is_not_ours_is_not_replaced(desk: Desk) -> None:
    (desk.home / UTILITY).mkdir(parents=True)
    (desk.home / UTILITY / "AnyPortal.py").write_text("mine")
    (desk.home / ADDONS / "anyportal_blender").mkdir(parents=True)
    (desk.home / ADDONS / "anyportal_blender/mine.py").touch()
    (desk.home / ".nuke/anyportal").mkdir()
    (desk.home / ".nuke/anyportal/mine.gizmo").touch()
    before = desk.tree()
    assert desk.states()["DaVinci Resolve"] == desk.states()["Blender 5.0"] == "foreign"
    for arguments in ("resolve",), ("resolve", "--copy"), ("nuke", "--copy"):
        [error] = desk.run("install", *arguments, code=2)
        assert error["code"] == "FILE_EXISTS"
    assert desk.run("install", "blender", code=2)[-1]["code"] == "FILE_EXISTS"
    desk.run("uninstall", *ALL)
    assert {name: desk.tree().get(name) for name in before} == before


def test_files_that_were_put_into_a_copy_stay(desk: Desk) -> None:
    desk.run("install", "nuke", "--copy")
    mine = desk.home / ".nuke/anyportal/nuke/mine.py"
    mine.touch()
    desk.run("install", "nuke", "--copy")
    desk.run("uninstall", "nuke")
    assert [path for path in (desk.home / ".nuke/anyportal").rglob("*") if path.is_file()] == [mine]


# Where hosts are not, or elsewhere


def test_a_host_that_is_not_there_is_told_with_where_it_was_looked_for(desk: Desk) -> None:
    shutil.rmtree(desk.home)
    desk.home.mkdir()
    assert set(desk.states().values()) == {"no_host"}
    for host, place in ("nuke", ".nuke"), ("resolve", "DaVinciResolve"), ("blender", "blender/X.Y"):
        [error] = desk.run("install", host, code=2)
        assert error["code"] == "HOST_NOT_FOUND"
        assert place in error["where"] and "--to DIR" in error["hint"]
    assert desk.tree() == {}


def test_a_studio_s_own_folders(desk: Desk, tmp_path: Path) -> None:
    for host in ALL:
        folder = tmp_path / "studio" / host
        if host != "nuke":  # whose folder is made: any will do, on NUKE_PATH
            folder.mkdir(parents=True)
        [done] = desk.run("install", host, "--to", folder, "--copy")
        assert done["state"] == "copied"
        assert desk.run("list", host, "--to", folder)[0]["state"] == "copied"
    assert (tmp_path / "studio/nuke/init.py").is_file()
    assert b"/" not in (tmp_path / "studio/nuke/init.py").read_bytes().split(b"pluginAddPath('.")[0]  # it may be moved
    for host in ALL:
        desk.run("uninstall", host, "--to", tmp_path / "studio" / host)
    assert [path for path in (tmp_path / "studio").rglob("*") if path.is_file()] == []
    assert set(desk.states().values()) == {"absent"}
    assert desk.run("install", *ALL, "--to", tmp_path, code=2)[0]["where"] == "--to"
    (tmp_path / "file").touch()
    assert desk.run("install", "nuke", "--to", tmp_path / "file", code=2)[0]["code"] == "FILE_EXISTS"
    assert desk.run("install", code=2)[0]["message"] == "which host?"


def test_a_link_that_leads_nowhere_and_one_to_an_older_installation(desk: Desk, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(CLIENTS / "hostkit", old / "hostkit")
    shutil.copytree(CLIENTS / "resolve", old / "resolve")
    version = old / "hostkit/anyportal_hostkit/version.py"
    version.write_text('VERSION = "0.0.1"\n')
    script = desk.home / UTILITY / "AnyPortal.py"
    script.parent.mkdir(parents=True)
    script.symlink_to(old / "resolve/AnyPortal.py")
    [found] = desk.run("list", "resolve")
    assert (found["state"], found["version"], found["outdated"]) == ("linked", "0.0.1", True)
    shutil.rmtree(old)
    [found] = desk.run("list", "resolve")
    assert (found["state"], "leads nowhere" in found["hint"]) == ("broken", True)
    doctor = subprocess.run(
        [sys.executable, "-m", "anyportal_client.cli", "doctor"], env=desk.environment, capture_output=True, text=True
    )
    assert "warning hosts:" in doctor.stdout and "anyportal hosts install resolve" in doctor.stdout
    desk.run("install", "resolve")
    assert desk.run("list", "resolve")[0]["hint"] == ""


def test_scripts_on_nuke_path_are_seen(desk: Desk) -> None:
    desk.environment["NUKE_PATH"] = f"/nowhere{os.pathsep}{CLIENTS / 'nuke'}"
    [found] = desk.run("list", "nuke")
    assert (found["state"], found["name"], found["version"]) == ("linked", "Nuke, NUKE_PATH", __version__)


def test_where_links_are_not_allowed_a_copy_is_made(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows without the right to link, and disks that have no links."""

    def refused(*arguments: object, **options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refused)
    for place in places(System("linux", desk.home, {}), find_scripts()):
        said = place.install(Hands(), copy=False)
        assert place.look().state == ("linked" if place.host == "nuke" else "copied")
        assert ("install again after an update" in said) == (place.host != "nuke")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_is_not_the_user_s_is_told(desk: Desk) -> None:
    (desk.home / ".nuke").chmod(0o500)
    [error] = desk.run("install", "nuke", code=7)
    assert error["code"] == "STORAGE"


@pytest.mark.parametrize(
    ("system", "all_users", "expected"),
    [
        (
            System("darwin", Path("/Users/a"), {}),
            False,
            [
                "/Users/a/.nuke",
                "/Users/a/Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion/Scripts/Utility",
                "/Users/a/Library/Application Support/Blender/X.Y/scripts/addons",
            ],
        ),
        (
            System("win32", Path("/u"), {"APPDATA": "/r", "PROGRAMDATA": "/p", "HOME": "/h"}),
            False,
            [
                "/h/.nuke",
                "/r/Blackmagic Design/DaVinci Resolve/Support/Fusion/Scripts/Utility",
                "/r/Blender Foundation/Blender/X.Y/scripts/addons",
            ],
        ),
        # The table of hosts.md, section Resolve: "scripts (all users)".
        (
            System("darwin", Path("/Users/a"), {}),
            True,
            ["", "/Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion/Scripts/Utility", ""],
        ),
        (
            System("win32", Path("/u"), {"PROGRAMDATA": "/p"}),
            True,
            ["", "/p/Blackmagic Design/DaVinci Resolve/Fusion/Scripts/Utility", ""],
        ),
        (System("linux", Path("/home/a"), {}), True, ["", "/opt/resolve/Fusion/Scripts/Utility", ""]),
    ],
)
def test_where_each_system_s_hosts_look(system: System, all_users: bool, expected: list[str]) -> None:
    found = [str(place.folder) for place in places(system, CLIENTS, all_users)]  # type: ignore[attr-defined]
    assert [each for each, wanted in zip(found, expected, strict=True) if wanted] == [each for each in expected if each]


def test_a_named_place_is_of_the_host(tmp_path: Path) -> None:
    assert [place_at(host, tmp_path, CLIENTS).host for host in ALL] == list(ALL)


def lines_of_the_documentation() -> list[str]:
    text = (Path(__file__).parents[2] / "docs/hosts.md").read_text("utf-8")
    blocks = re.findall(r"<!-- tested.*?```sh\n(.*?)```", text, re.DOTALL)
    return [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]


def test_the_commands_of_the_documentation(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "studio/nuke").mkdir(parents=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    lines = lines_of_the_documentation()
    assert len(lines) >= 6
    for line in lines:
        subprocess.run(
            line,
            shell=True,
            check=True,
            cwd=tmp_path,
            env={**desk.environment, "PATH": path},
            stdout=subprocess.DEVNULL,
        )
    assert (tmp_path / "studio/nuke/init.py").is_file()

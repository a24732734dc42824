"""What hosts keep in files: versions, records, frame numbers, paths; and a wish at work in a version of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[2] / "clients/hostkit"))
import anyportal_hostkit as hostkit
from anyportal_hostkit import frames, paths, record

CLIENTS = Path(__file__).parents[2] / "clients"
HEAD = (
    "import json, os, sys, time\ndef say(**e): print(json.dumps({'schema': 1, **e}), flush=True)\n"
    "out = next(a for a in sys.argv if a.startswith('--out=')).split('=', 1)[1]\n"
)
SUBMITTED = "say(event='submitted', job='jobs/7', name='n', recipe_digest='abc')\n"
DONE = "say(event='done', job='jobs/7', files={'comp': out + '/a.mp4'}, frames='1-4', recipe_digest='abc')\n"
WISH = {"plate": "p.mov", "backdrop": "#102030", "name": "sh_{version}", "seed": 3, "matte": ""}


@pytest.fixture
def command(tmp_path: Path) -> Any:
    """Make a program that speaks as `anyportal` does; gives the command to run it."""

    def make(body: str) -> list[str]:
        path = tmp_path / "fake_anyportal.py"
        path.write_text(HEAD + body, encoding="utf-8")
        return [sys.executable, str(path)]

    return make


# Frames


@pytest.mark.parametrize(
    ("text", "numbers", "again"),
    [
        ("1005,1009-1010", [1005, 1009, 1010], "1005,1009-1010"),
        ("3 1-2\t4", [1, 2, 3, 4], "1-4"),
        ("-5--3, 0", [-5, -4, -3, 0], "-5--3,0"),
        ("1001 - 1003", [1001, 1002, 1003], "1001-1003"),
        ("1-9x4", [1, 5, 9], "1,5,9"),
        (" ", [], ""),
    ],
)
def test_frame_numbers_are_read_and_written(text: str, numbers: list[int], again: str) -> None:
    assert frames.parse(text) == numbers
    assert frames.text_of(reversed(numbers)) == again
    assert frames.parse(again) == numbers


def test_runs_and_gaps_of_frames() -> None:
    assert frames.runs([4, 1, 2, 2, 7]) == [(1, 2), (4, 4), (7, 7)]
    assert frames.gaps([4, 1, 2, 7]) == [3, 5, 6]
    assert (frames.runs([]), frames.gaps([])) == ([], [])


@pytest.mark.parametrize("text", ["a", "1-", "5-1", "1--", "1.5", "1-10x0", "1-99999999999"])
def test_what_names_no_frames_is_told(text: str) -> None:
    with pytest.raises(hostkit.BadFrames):
        frames.parse(text)


# Paths


@pytest.mark.parametrize("name", ["Take #3.mov", "A001 [1-2].mov", "50%d.mov"])
def test_a_file_that_is_called_just_so_is_no_sequence(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    assert paths.has_counter(path) or paths.bracketed(path)
    Path(path).touch()
    assert not paths.has_counter(path) and paths.bracketed(path) is None
    assert paths.file_of(path, 7) == paths.printf(path) == path


@pytest.mark.parametrize(
    ("path", "frame_7"),
    [
        ("/a/p.%04d.exr", "/a/p.0007.exr"),
        ("/a/p_%d.exr", "/a/p_7.exr"),
        ("/a/p.####.exr", "/a/p.0007.exr"),
        ("/a/50%off.%03d.exr", "/a/50%off.007.exr"),
        ("/a%04d/100%.jpg", ""),
        ("/a/p.1001.exr", ""),
    ],
)
def test_patterns_are_told_from_files(path: str, frame_7: str) -> None:
    assert hostkit.has_counter(path) == bool(frame_7)
    assert hostkit.file_of(path, 7) == (frame_7 or path)


def test_notations_of_sequences() -> None:
    assert paths.printf("/a#/p.####.exr") == "/a#/p.%04d.exr"
    assert paths.printf("/a/p.exr") == "/a/p.exr"
    assert paths.bracketed("/a/p.[0998-1100].exr") == ("/a/p.%04d.exr", 998, 1100)
    assert paths.bracketed("/a/p.[v2].exr") is None
    assert paths.forward("C:\\a\\b") == "C:/a/b"
    assert (paths.safe_name("A: B/c.1?"), paths.safe_name("///")) == ("A_B_c.1", "clip")


def test_the_frames_that_are_there_are_counted(tmp_path: Path) -> None:
    for name in ("p.0998.exr", "p.1001.exr", "p.10000.exr", "p.7.exr", "p.1002.exr.part", "q.1003.exr"):
        (tmp_path / name).touch()
    assert paths.present(str(tmp_path / "p.%04d.exr")) == [998, 1001, 10000]
    assert paths.present(str(tmp_path / "p.mov")) == paths.present(str(tmp_path / "gone" / "p.%d.exr")) == []


# Versions


def test_versions_go_on_by_path(tmp_path: Path) -> None:
    assert hostkit.next_version_folder(str(tmp_path / "new")) == (str(tmp_path / "new" / "v001"), "v001")
    for name in ("v001", "v007", "v9x", "notes"):
        (tmp_path / name).mkdir()
    assert hostkit.next_version_folder(str(tmp_path)) == (str(tmp_path / "v008"), "v008")
    assert hostkit.free_version_folder(str(tmp_path / "v008"))
    assert hostkit.next_version_folder(str(tmp_path)) == (str(tmp_path / "v008"), "v008")
    (tmp_path / "v008" / "a.exr").touch()
    assert not hostkit.free_version_folder(str(tmp_path / "v008"))


def test_two_hosts_at_once_never_share_a_version(tmp_path: Path) -> None:
    taken: list[str] = []
    start = threading.Barrier(8)

    def take() -> None:
        start.wait()
        taken.extend(hostkit.next_version_folder(str(tmp_path / "shot"))[1] for _ in range(20))

    hosts = [threading.Thread(target=take) for _ in range(8)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert sorted(taken) == [f"v{number:03d}" for number in range(1, 161)]


# Wishes


def test_a_wish_becomes_a_command_line() -> None:
    wish = {
        "plate": Path("/p/plate.%04d.exr"), "backdrop": "-a beach", "range": [1001, 1003, 1002], "mask_frame": 0,
        "layers": ["comp", "matte"], "seed": 0, "subject": None, "matte": "", "handles": 8, "rate": "23.976",
        "settings": {"relight_strength": 0.5, "matte.plugin": "draft.key", "t1": {"1001": 0.2}, "text": "0.5"},
        "maps": {"shows": Path("/mnt/shows")}, "colour_space": "ACES - ACEScg", "daemon": "gpu:29571", "priority": -3,
    }  # fmt: skip
    assert hostkit.arguments_of(wish, Path("/o")) == [
        "submit", "/p/plate.%04d.exr", "--stdin-cancel", "--backdrop=-a beach", "--range=1001-1003", "--mask-frame=0",
        "--seed=0", "--handles=8", "--layers=comp,matte", "--rate=23.976", "--colour-space=ACES - ACEScg",
        "--priority=-3", "--daemon=gpu:29571", "--out=/o", '--set=matte.plugin="draft.key"',
        "--set=relight_strength=0.5", '--set=t1={"1001": 0.2}', '--set=text="0.5"',
        "--map=shows=/mnt/shows",
    ]  # fmt: skip
    assert hostkit.arguments_of({"plate": "-p.mov", "range": "-5-10"}, "o")[1:4:2] == ["./-p.mov", "--range=-5-10"]


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"plate": "p", "frames": "1-2"}, "frames"),
        ({"backdrop": "b"}, "no plate"),
        ({"plate": "p", "settings": {"a": [1]}}, "setting a"),
        ({"plate": "p", "settings": {"a": float("nan")}}, "setting a"),
    ],
)
def test_a_wish_that_cannot_be_said_makes_nothing(wish: Any, word: str, tmp_path: Path) -> None:
    with pytest.raises(hostkit.BadWish, match=word):
        hostkit.Work(str(tmp_path / "shot"), wish)
    assert not (tmp_path / "shot").exists()


def test_the_real_command_knows_every_option_of_a_wish() -> None:
    said = subprocess.check_output(
        [sys.executable, "-m", "anyportal_client.cli", "submit", "--help"],
        env={**os.environ, "COLUMNS": "200", "TERM": "dumb"},
        text=True,
    )
    wish = {"plate": "p", **{key: "1" for key in hostkit.request.KEYS if key not in ("plate", "settings", "maps")}}
    for argument in hostkit.arguments_of({**wish, "settings": {"a": 1}, "maps": {"a": "b"}}, "o")[2:]:
        assert argument.partition("=")[0] in said


# A version at work


def test_a_version_is_taken_recorded_and_completed(command: Any, tmp_path: Path) -> None:
    body = SUBMITTED + "sys.stdin.readline()\n" + DONE
    work = hostkit.Work(str(tmp_path / "shot"), WISH, {"name": "nuke", "node": "Read1"}, command=command(body))
    folder = tmp_path / "shot" / "v001"
    assert (work.folder, work.version, work.job) == (str(folder), "v001", "")
    while not work.poll(0.1):
        pass
    kept = record.read(str(folder))
    assert (kept["job"], kept["state"], kept["files"], work.job) == ("jobs/7", "submitted", {}, "jobs/7")
    assert kept["wish"] == {"plate": "p.mov", "backdrop": "#102030", "name": "sh_v001", "seed": 3}
    assert record.unfinished(str(tmp_path)) == []  # this process waits for it
    work._process.stdin.write(b"\n")
    work._process.stdin.flush()
    done = work.follow()
    kept = record.read(str(folder))
    assert (kept["state"], kept["files"], kept["frames"], kept["seed"]) == ("done", done["files"], "1-4", 3)
    assert kept["host"] == {"name": "nuke", "node": "Read1"}
    assert sorted(path.name for path in folder.iterdir()) == ["anyportal.json"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("say(event='error', code='INPUT', message='m', where='', hint='')\nsys.exit(3)", hostkit.CommandFailed),
        (SUBMITTED + "say(event='state', job='jobs/7', state='failed')\nsys.exit(6)", hostkit.CommandFailed),
        (SUBMITTED + "sys.stdin.readline()\nsys.exit(130)", hostkit.Cancelled),
        ("sys.exit(1)", hostkit.CommandFailed),
    ],
)
def test_what_comes_to_nothing_uses_up_no_version(command: Any, tmp_path: Path, body: str, error: Any) -> None:
    work = hostkit.Work(str(tmp_path / "shot"), WISH, command=command(body))
    with pytest.raises(error):
        work.follow(cancelled=lambda: error is hostkit.Cancelled and work.job != "")
    assert list((tmp_path / "shot").iterdir()) == []


def test_a_version_with_files_is_kept_and_says_that_it_failed(command: Any, tmp_path: Path) -> None:
    body = SUBMITTED + "open(out + '/a.1.exr', 'w')\nsay(event='state', job='jobs/7', state='failed')\nsys.exit(6)"
    with pytest.raises(hostkit.CommandFailed):
        hostkit.Work(str(tmp_path / "shot"), WISH, command=command(body)).follow()
    kept = record.read(str(tmp_path / "shot/v001"))
    assert (kept["state"], record.unfinished(str(tmp_path))) == ("failed", [])


def test_a_job_that_may_go_on_is_found_again_and_fetched(command: Any, tmp_path: Path) -> None:
    """The daemon was lost, or the command died: the job may be done by now."""
    lost = SUBMITTED + "say(event='error', code='UNREACHABLE', message='gone', where='', hint='')\nsys.exit(5)"
    with pytest.raises(hostkit.CommandFailed):
        hostkit.Work(str(tmp_path / "shot"), {**WISH, "daemon": "gpu:1"}, command=command(lost)).follow()
    folder = str(tmp_path / "shot" / "v001")
    assert record.unfinished(str(tmp_path)) == [folder]
    assert record.read(folder)["by"] == {}  # other hosts find it, too, while this one lives
    asked = "assert sys.argv[1:] == ['fetch', 'jobs/7', '--out=' + out, '--daemon=gpu:1', '--json']\n"
    fetch = hostkit.Fetch(folder, command(asked + "time.sleep(600)"))
    assert record.unfinished(str(tmp_path)) == []
    began = time.monotonic()
    with pytest.raises(hostkit.Cancelled):
        fetch.follow(cancelled=lambda: True)
    assert time.monotonic() - began < 20  # long before a command that hangs would be killed
    assert record.unfinished(str(tmp_path)) == [folder]  # to fetch was cancelled, not the job
    assert hostkit.Fetch(folder, command(asked + DONE)).follow()["frames"] == "1-4"
    assert record.read(folder)["state"] == "done"
    assert record.unfinished(str(tmp_path)) == []
    with pytest.raises(hostkit.BadWish, match="says which job"):
        hostkit.Fetch(str(tmp_path))


@pytest.mark.parametrize(
    ("asked", "address", "known"),
    [
        ("", "gpu:29571", "gpu:29571"),  # by the environment or client.toml, which may say something else later
        ("any", "gpu:29571", "gpu:29571"),
        ("any", "127.0.0.1:40000", "any"),  # another port when it is started again
        ("", "127.0.0.1:40000", ""),
        ("local", "127.0.0.1:40000", "local"),
    ],
)
def test_a_job_is_looked_for_where_it_is(command: Any, tmp_path: Path, asked: str, address: str, known: str) -> None:
    begun = f"say(event='daemon', address={address!r}, version='1', started=False)\n" + SUBMITTED + "os._exit(9)"
    with pytest.raises(hostkit.CommandFailed):
        hostkit.Work(str(tmp_path / "shot"), {**WISH, "daemon": asked}, command=command(begun)).follow()
    [folder] = record.unfinished(str(tmp_path))
    assert record.daemon_of(record.read(folder)) == known
    words = ["fetch", "jobs/7", f"--out={folder}", *([f"--daemon={known}"] if known else []), "--json"]
    assert hostkit.Fetch(folder, command(f"assert sys.argv[1:] == {words!r}\n" + DONE)).follow()["frames"] == "1-4"


FAILED = "say(event='error', code='{}', message='m')\nsys.exit({})"


@pytest.mark.parametrize(
    ("started", "end", "gone"),
    [
        (False, FAILED.format("JOB_NOT_FOUND", 2), True),
        (False, FAILED.format("WORKER", 6), True),  # the job itself
        (False, "sys.exit(130)", True),  # somebody cancelled it
        (False, FAILED.format("UNREACHABLE", 5), False),
        (True, FAILED.format("UNREACHABLE", 5), True),  # that daemon was there for the one call
    ],
)
def test_what_cannot_be_had_again_is_given_up_once(
    command: Any, tmp_path: Path, started: bool, end: str, gone: bool
) -> None:
    begun = f"say(event='daemon', address='a', version='1', started={started})\n" + SUBMITTED + "os._exit(9)"
    with pytest.raises(hostkit.CommandFailed):
        hostkit.Work(str(tmp_path / "shot"), WISH, command=command(begun)).follow()
    [folder] = record.unfinished(str(tmp_path))
    fetch = hostkit.Fetch(folder, command(end))
    with pytest.raises((hostkit.CommandFailed, hostkit.Cancelled)):
        fetch.follow()
    assert (fetch.gone, record.unfinished(str(tmp_path))) == (gone, [] if gone else [folder])


def test_a_host_that_was_killed_leaves_its_job_to_be_found(command: Any, tmp_path: Path) -> None:
    program = command(SUBMITTED + "sys.stdin.read()")
    host = (
        f"import os, sys\nsys.path.append({str(CLIENTS / 'hostkit')!r})\nimport anyportal_hostkit as h\n"
        f"work = h.Work({str(tmp_path / 'shot')!r}, {WISH!r}, command={program!r})\n"
        "while not work.job: work.poll(0.1)\nprint(h.record.unfinished(work.folder))\n"
        "print(flush=True)\nsys.stdin.readline()\nos.kill(os.getpid(), 9)"
    )
    process = subprocess.Popen([sys.executable, "-c", host], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "[]\n"
    assert record.unfinished(str(tmp_path)) == []  # the other host lives
    process.communicate("\n", timeout=60)
    assert record.unfinished(str(tmp_path)) == [str(tmp_path / "shot" / "v001")]


def test_a_reader_that_fails_leaves_nothing_behind(command: Any, tmp_path: Path) -> None:
    def broken(event: Any) -> None:
        raise ValueError("of the host")

    work = hostkit.Work(str(tmp_path / "shot"), WISH, command=command(SUBMITTED + "sys.stdin.read()\nsys.exit(130)"))
    with pytest.raises(ValueError, match="of the host"):
        work.follow(broken)
    assert list((tmp_path / "shot").iterdir()) == []


def test_a_command_that_is_not_there_uses_up_no_version(tmp_path: Path) -> None:
    with pytest.raises(hostkit.CommandNotFound):
        hostkit.Work(str(tmp_path / "shot"), WISH, command=["/nowhere/anyportal"])
    assert list((tmp_path / "shot").iterdir()) == []


# Records


def test_records_are_listed_the_newest_first(tmp_path: Path) -> None:
    done = {"files": {"comp": "x"}, "frames": "1", "recipe_digest": "abc"}
    for name, complete in (("v001", True), ("v002", False), ("v010", True), ("v9", True)):
        (tmp_path / name).mkdir()
        kept = record.new(WISH, {"job": "jobs/" + name, "recipe_digest": "abc"})
        record.write(str(tmp_path / name), record.completed(kept, done) if complete else kept)
    (tmp_path / "v003").mkdir()
    assert record.unfinished(str(tmp_path)) == [str(tmp_path / "v002")]  # of this process, which waits for none of them
    assert [name for name, _, _ in record.listed(str(tmp_path))] == ["v010", "v9", "v002", "v001"]
    assert record.previous(str(tmp_path / "v010")) == str(tmp_path / "v9")
    assert record.previous(str(tmp_path / "v9")) == str(tmp_path / "v001")  # v002 has no files
    assert record.previous(str(tmp_path / "v001")) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}', "\xff"])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "anyportal.json").write_text(text, encoding="latin-1")
    assert record.read(str(tmp_path)) is None


def test_a_record_is_whole_or_not_there_and_readable_by_others(tmp_path: Path) -> None:
    kept = record.new(WISH, {"job": "jobs/1", "recipe_digest": "abc"})
    record.write(str(tmp_path), kept)
    with pytest.raises(TypeError):
        record.write(str(tmp_path), {**kept, "host": object()})
    assert record.read(str(tmp_path)) == json.loads(json.dumps(kept))
    assert [path.name for path in tmp_path.iterdir()] == ["anyportal.json"]
    before = os.umask(0)
    os.umask(before)
    assert (tmp_path / "anyportal.json").stat().st_mode & 0o777 == 0o666 & ~before

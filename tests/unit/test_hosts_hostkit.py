"""What the host scripts share: the command is found, followed, cancelled; its environment is its own."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[2] / "clients/hostkit"))
import anyportal_hostkit as hostkit

HEAD = "import json, os, sys, time\ndef say(**e): print(json.dumps({'schema': 1, **e}), flush=True)\n"


@pytest.fixture
def command(tmp_path: Path) -> Any:
    """Make a program that speaks as `anyportal` does; gives the command to run it."""

    def make(body: str) -> list[str]:
        path = tmp_path / "fake_anyportal.py"
        path.write_text(HEAD + body, encoding="utf-8")
        return [sys.executable, str(path)]

    return make


def test_events_come_in_order_and_done_is_returned(command: Any) -> None:
    body = (
        "print('not json')\nsay(event='progress', fraction=.5)\nsay(event='done', files={'comp': 'x'}, a=sys.argv[1:])"
    )
    seen: list[Any] = []
    done = hostkit.Run(["submit", "x"], command(body)).follow(seen.append)
    assert [event["event"] for event in seen] == ["progress", "done"]
    assert done["files"] == {"comp": "x"}
    assert done["a"] == ["submit", "x", "--json"]


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


def test_options_with_a_leading_dash_stay_values(command: Any) -> None:
    run = hostkit.submit(
        "plate.mov", "#102030", "out", "-5-10", name="sh 1", command=command("say(event='done', a=sys.argv)")
    )
    assert run.follow()["a"][1:-1] == [
        "submit",
        "plate.mov",
        "--stdin-cancel",
        "--backdrop=#102030",
        "--out=out",
        "--range=-5-10",
        "--name=sh 1",
    ]


def test_an_error_says_what_where_and_what_to_do(command: Any) -> None:
    body = (
        "say(event='error', code='MEDIA_NOT_FOUND', message='no such file', where='a.mov', hint='check')\nsys.exit(3)"
    )
    with pytest.raises(hostkit.CommandFailed) as caught:
        hostkit.Run([], command(body)).follow()
    assert (caught.value.code, caught.value.exit_code) == ("MEDIA_NOT_FOUND", 3)
    assert str(caught.value) == "no such file\na.mov\ncheck"


def test_an_end_without_a_word_gives_the_last_line_of_the_errors(command: Any) -> None:
    with pytest.raises(hostkit.CommandFailed, match="boom"):
        hostkit.Run([], command("sys.stderr.write('x' * 300000 + '\\nboom\\n'); sys.exit(1)")).follow()


def test_a_later_schema_is_refused(command: Any) -> None:
    body = "print(json.dumps({'schema': 2, 'event': 'done'}), flush=True)\nsys.stdin.read()"
    with pytest.raises(hostkit.CommandFailed, match="schema 2"):
        hostkit.Run([], command(body)).follow()


def test_a_wish_to_cancel_reaches_a_silent_command(command: Any, tmp_path: Path) -> None:
    body = "line = sys.stdin.readline()\nopen(sys.argv[1], 'w').write(line)\nsys.exit(130)"
    began = time.monotonic()
    with pytest.raises(hostkit.Cancelled):
        hostkit.Run([str(tmp_path / "heard")], command(body)).follow(cancelled=lambda: True)
    assert json.loads((tmp_path / "heard").read_text()) == {"cancel": True}
    assert time.monotonic() - began < 5


def test_a_reader_that_fails_ends_the_command(command: Any, tmp_path: Path) -> None:
    body = "say(event='log')\nsys.stdin.read()\nopen(sys.argv[1], 'w').close()"

    def broken(event: Any) -> None:
        raise ValueError("of the host")

    with pytest.raises(ValueError, match="of the host"):
        hostkit.Run([str(tmp_path / "ended")], command(body)).follow(broken)
    until = time.monotonic() + 5
    while not (tmp_path / "ended").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert (tmp_path / "ended").exists()


def test_the_environment_of_the_host_stays_with_it(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # hosts.md: "environment scrubbed of PYTHONPATH, PYTHONHOME, LD_LIBRARY_PATH, QT_PLUGIN_PATH"
    scrubbed = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "QT_PLUGIN_PATH")
    for name in scrubbed:
        monkeypatch.setenv(name, "/host")
    monkeypatch.setenv("ANYPORTAL_STATE", "/mine")
    done = hostkit.Run([], command("say(event='done', env=dict(os.environ))")).follow()
    assert not set(scrubbed) & set(done["env"])
    assert done["env"]["ANYPORTAL_STATE"] == "/mine"


def test_the_command_is_found_and_its_absence_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "anyportal"
    program.touch(0o755)
    monkeypatch.setenv("ANYPORTAL_COMMAND", str(program))
    assert hostkit.find_command() == [str(program)]
    monkeypatch.setenv("ANYPORTAL_COMMAND", str(tmp_path / "gone"))
    with pytest.raises(hostkit.CommandNotFound, match="which is not there"):
        hostkit.find_command()


def test_a_real_command_s_error_arrives(tmp_path: Path) -> None:
    out = tmp_path / "out"
    real = [sys.executable, "-c", "from anyportal_client.cli import main; main()"]
    with pytest.raises(hostkit.CommandFailed) as caught:
        hostkit.submit(str(tmp_path / "gone.mov"), "#102030", str(out), command=real).follow()
    assert (caught.value.code, caught.value.exit_code) == ("MEDIA_NOT_FOUND", 3)
    assert "gone.mov" in caught.value.where


def test_versions_go_on_by_path(tmp_path: Path) -> None:
    assert hostkit.next_version_folder(str(tmp_path / "new")) == (str(tmp_path / "new" / "v001"), "v001")
    for name in ("v001", "v007", "v9x", "notes"):
        (tmp_path / name).mkdir()
    assert hostkit.next_version_folder(str(tmp_path)) == (str(tmp_path / "v008"), "v008")

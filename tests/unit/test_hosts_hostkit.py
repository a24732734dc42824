"""What the host scripts share: the command is found, followed, cancelled; its environment is its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import anyportal_client.version

sys.path.append(str(Path(__file__).parents[2] / "clients/hostkit"))
import anyportal_hostkit as hostkit

CLIENTS = Path(__file__).parents[2] / "clients"
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


@pytest.mark.parametrize(("schema", "age"), [(2, "newer"), (0, "older"), (None, "older")])
def test_another_language_is_refused_and_the_command_ended(
    command: Any, tmp_path: Path, schema: int | None, age: str
) -> None:
    body = f"print(json.dumps({{'schema': {schema}, 'event': 'done'}}), flush=True)\nsys.stdin.read()\n"
    body += "open(sys.argv[1], 'w').close()"
    with pytest.raises(hostkit.CommandFailed, match=f"schema {schema}.* it is {age}") as caught:
        hostkit.Run([str(tmp_path / "ended")], command(body)).follow()
    assert "anyportal hosts install" in caught.value.hint
    assert (tmp_path / "ended").exists()


def test_an_option_that_the_command_does_not_know_says_that_it_is_of_another_version(command: Any) -> None:
    body = "if '--version' in sys.argv: print('anyportal 0.0.7'); sys.exit()\n"
    body += "say(event='error', code='USAGE', message='no such option: --maps', hint='see --help')\nsys.exit(2)"
    with pytest.raises(hostkit.CommandFailed) as caught:
        hostkit.Run(["submit"], command(body)).follow()
    assert caught.value.hint.startswith("see --help\n")
    assert "0.0.7" in caught.value.hint


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
    scrubbed = {"PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "QT_PLUGIN_PATH", "PYTHONSTARTUP", "PYTHONUSERBASE"}
    for name in [*scrubbed, "PYTHONINSPECT", "DYLD_INSERT_LIBRARIES"]:
        monkeypatch.setenv(name, "/host")
    monkeypatch.setenv("ANYPORTAL_STATE", "/mine")
    monkeypatch.setenv("OCIO", "/show/config.ocio")
    done = hostkit.Run([], command("say(event='done', env=dict(os.environ))")).follow()
    assert not (scrubbed | {"PYTHONINSPECT", "DYLD_INSERT_LIBRARIES"}) & set(done["env"])
    assert (done["env"]["ANYPORTAL_STATE"], done["env"]["OCIO"]) == ("/mine", "/show/config.ocio")


def test_what_the_host_preloads_is_not_loaded_and_a_studio_keeps_what_it_needs() -> None:
    given = {
        "LD_PRELOAD": "/host/x.so",
        "PYTHONPATH": "/rez",
        "OCIO": "c",
        "Path": "/bin",
        "ANYPORTAL_KEEP_ENV": "PYTHONPATH",
    }
    kept = hostkit.clean_environment(given, without=["OCIO"])
    assert kept == {
        "PYTHONPATH": "/rez",
        "Path": "/bin",
        "ANYPORTAL_KEEP_ENV": "PYTHONPATH",
        "PYTHONIOENCODING": "utf-8",
    }


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
        wish = {"plate": str(tmp_path / "gone.mov"), "backdrop": "#102030"}
        hostkit.Run(hostkit.arguments_of(wish, str(out)), real).follow()
    assert (caught.value.code, caught.value.exit_code) == ("MEDIA_NOT_FOUND", 3)
    assert "gone.mov" in caught.value.where


def test_a_command_that_does_not_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "anyportal").write_text("no program")
    with pytest.raises(hostkit.CommandNotFound, match="does not start"):
        hostkit.Run([], [str(tmp_path / "anyportal")])


def test_a_copy_finds_the_command_it_was_installed_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "env" / "anyportal"
    program.parent.mkdir()
    program.touch(0o755)
    copy = tmp_path / "anyportal_hostkit"
    shutil.copytree(CLIENTS / "hostkit/anyportal_hostkit", copy)
    (copy / "installed.json").write_text(json.dumps({"command": str(program)}))
    code = "import anyportal_hostkit; print(anyportal_hostkit.find_command())"
    bare = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    assert run_python(code, bare) == f"[{str(program)!r}]"
    (copy / "installed.json").unlink()
    (tmp_path / "pyvenv.cfg").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/anyportal").touch(0o755)
    assert run_python(code, bare) == f"[{str(tmp_path / 'bin/anyportal')!r}]"


def run_python(code: str, environment: dict[str, str]) -> str:
    return subprocess.check_output([sys.executable, "-c", code], env=environment, text=True).strip()


def test_a_run_is_polled_without_waiting(command: Any) -> None:
    """For hosts that have a timer instead of a thread."""
    run = hostkit.Run([], command("sys.stdin.readline()\nsay(event='log')\nsay(event='done', files={})"))
    began = time.monotonic()
    assert (run.poll(), run.running) == ([], True)
    assert time.monotonic() - began < 0.5
    run._process.stdin.write(b"\n")
    run._process.stdin.flush()
    events: list[Any] = []
    while run.running:
        events += run.poll(0.1)
    assert [event["event"] for event in events] == ["log", "done"]
    assert run.result()["event"] == "done"


def test_nobody_who_listens_is_no_hindrance(command: Any, tmp_path: Path) -> None:
    body = "for i in range(20000): say(event='log', text='x' * 100); print('y' * 100, file=sys.stderr)\n"
    run = hostkit.Run([str(tmp_path / "ended")], command(body + "open(sys.argv[1], 'w').close()\nsay(event='done')"))
    until = time.monotonic() + 60
    while not (tmp_path / "ended").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert (tmp_path / "ended").exists()
    assert run.follow()["event"] == "done"
    assert run.said[-1] == "y" * 100


def test_a_command_that_hangs_is_killed_when_cancelled(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostkit.run, "_PATIENCE", 0.3)
    run = hostkit.Run([], command("say(event='log')\ntime.sleep(600)"))
    with pytest.raises(hostkit.Cancelled, match="hung and was killed"):
        run.follow(cancelled=lambda: True)
    assert run._process.returncode is not None


def test_a_command_that_hangs_after_its_work_is_killed_and_the_work_kept(
    command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostkit.run, "_PATIENCE", 0.3)
    run = hostkit.Run([], command("say(event='done', files={})\nos.close(1)\ntime.sleep(600)"))
    assert run.follow()["files"] == {}


def test_a_child_of_the_command_that_holds_its_output_open_is_not_waited_for(command: Any) -> None:
    body = "import subprocess\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    run = hostkit.Run([], command(body + "say(event='done', pid=child.pid)"))
    began = time.monotonic()
    done = run.follow()
    assert time.monotonic() - began < 30
    os.kill(done["pid"], signal.SIGKILL)


def test_a_signal_that_ended_it_is_told(command: Any) -> None:
    with pytest.raises(hostkit.CommandFailed, match="ended by signal 9"):
        hostkit.Run([], command("os.kill(os.getpid(), 9)")).follow()


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"])
def test_a_hanging_command_ends_with_its_host(command: Any, end: str) -> None:
    """By the end of its input where the host is killed; by a signal where the host ends in order and it hangs."""
    hangs = "time.sleep(600)" if not end else "sys.stdin.read()"
    program = command(f"say(event='log', pid=os.getpid())\n{hangs}")
    host = (
        f"import os, sys\nsys.path.append({str(CLIENTS / 'hostkit')!r})\nimport anyportal_hostkit as h\n"
        f"h.run._AT_EXIT = 0.3\nrun = h.Run([], {program!r})\n"
        f"print(run.poll(60)[0]['pid'], flush=True)\n{end}"
    )
    said = subprocess.run([sys.executable, "-c", host], capture_output=True, text=True, timeout=120)
    pid, until = int(said.stdout), time.monotonic() + 20
    while _lives(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_question_is_answered_or_given_up(command: Any) -> None:
    body = "say(event='preset', name='draft')\nsay(event='preset', name='anyportal')"
    assert [event["name"] for event in hostkit.ask(["presets"], command(body))] == ["draft", "anyportal"]
    assert hostkit.ask(["jobs"], command("")) == []
    with pytest.raises(hostkit.CommandFailed, match="did not answer within"):
        hostkit.ask(["jobs"], command("time.sleep(600)"), timeout=0.5)
    failing = "say(event='check', name='running')\nsys.exit(5)"
    assert len(hostkit.ask(["doctor"], command(failing), any_code=True)) == 1
    with pytest.raises(hostkit.CommandFailed, match="ended with 5"):
        hostkit.ask(["jobs"], command(failing))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            hostkit.CommandFailed("no such file", "MEDIA_NOT_FOUND", "a.mov", "look at it", 3, "jobs/7"),
            "No such file.\nWhere: a.mov\nWhat to do: look at it\nJob: jobs/7",
        ),
        (hostkit.Cancelled("cancelled"), "Cancelled."),
        (hostkit.CommandNotFound("there is none"), "There is none."),
        (PermissionError(13, "Permission denied", "/shots"), "The disk refuses: Permission denied."),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
)
def test_what_went_wrong_is_told_in_a_few_lines(error: Exception, text: str) -> None:
    assert hostkit.report.text_of(error).startswith(text)


def test_the_version_is_that_of_the_package() -> None:
    assert anyportal_client.version.__version__ == hostkit.VERSION


def test_the_doctor_asks_the_real_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYPORTAL_STATE", str(tmp_path / "state"))
    found = hostkit.doctor.checks(
        [("nuke", "warning", "no window", "start one")], [sys.executable, "-m", "anyportal_client.cli"]
    )
    by_name = {check[0]: check for check in found}
    assert found[0][0] == "nuke"
    assert by_name["version"][1:] == ("ok", hostkit.VERSION, "")
    assert {"command", "python", "packages", "hosts", "running"} <= set(by_name)
    assert hostkit.doctor.worst(found) == "warning"
    assert "warning  nuke: no window\n    what to do: start one" in hostkit.doctor.text_of(found)


def test_the_doctor_says_what_hinders(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    old = "if '--version' in sys.argv: print('anyportal 0.0.7')\n"
    old += "else: say(event='check', name='x', status='ok', message='m')"
    version = next(check for check in hostkit.doctor.checks(command=command(old)) if check[0] == "version")
    assert (version[1], "0.0.7" in version[2], "from the same version" in version[3]) == ("warning", True, True)
    assert [check[1] for check in hostkit.doctor.checks(command=command("sys.exit(1)"))] == ["ok", "broken"]
    monkeypatch.setenv("ANYPORTAL_COMMAND", "/nowhere/anyportal")
    [check] = hostkit.doctor.checks()
    assert (check[1], "which is not there" in check[3]) == ("broken", True)

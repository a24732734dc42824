"""The command `anyportal` as users and hosts meet it: a real daemon in one process, the command in another."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import psutil
import pytest

from anyportal_client import Client
from anyportal_client.cli.app import commands
from tests.e2e.cli_house import (
    COMMAND,
    COUNT,
    GREY,
    LONG,
    VALIDATOR,
    Ended,
    Shell,
    daemons_of,
    pictures,
    running,
    write_movies,
)
from tests.unit.client_fakes import CuttingProxy


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell beside a daemon that runs all the time."""
    shell = Shell(tmp_path_factory.mktemp("cli"))
    serve = shell.start("serve", "--listen", "127.0.0.1:0", "--json", "--stop-with-stdin")
    assert serve.stdout is not None and json.loads(serve.stdout.readline())["event"] == "serving"
    yield shell
    serve.communicate(timeout=30)
    assert serve.returncode == 0


@pytest.fixture
def alone(tmp_path: Path) -> Shell:
    """A shell on a machine where no daemon runs."""
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`plate.mp4`, `matte.mp4`, `long.mp4` with `long_matte.mp4`, a PNG sequence `seq` and its matte `seq_matte`."""
    folder = tmp_path_factory.mktemp("media")
    write_movies(folder / "plate.mp4", folder / "matte.mp4", COUNT)
    write_movies(folder / "long.mp4", folder / "long_matte.mp4", LONG)
    for name, which in (("seq", 0), ("seq_matte", 1)):
        (folder / name).mkdir()
        for number in range(COUNT):
            path = folder / name / f"{name}.{1001 + number}.png"
            cv2.imwrite(str(path), pictures(number)[which][..., ::-1])
    write_movies(folder / "other.mp4", folder / "short.mp4", 5)
    (folder / "not_media.mov").write_text("no movie")
    return folder


def frame_count(path: str | Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def plate(media: Path) -> list[str | Path]:
    return ["submit", media / "plate.mp4", "--matte", media / "matte.mp4"]


def long(media: Path, first: int) -> list[str | Path]:
    """A call that lasts; with a range of its own, so that no stage of it is done already."""
    chosen = ["--range", f"{first}-{LONG - 1}", *GREY]
    return ["submit", media / "long.mp4", "--matte", media / "long_matte.mp4", *chosen]


def test_a_movie_comes_back_as_a_movie(shell: Shell, media: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "übung"
    done = shell.process(*plate(media), *GREY, "--out", out, "--layers", "comp,matte", "--json")
    assert done.code == 0 and done.err == "", done.out + done.err
    names = [event["event"] for event in done.events]
    assert names[0] == "daemon" and names[-1] == "done" and {"upload", "submitted", "state", "progress"} <= set(names)
    assert not done.events[0]["started"]
    last = done.last
    assert list(last["files"]) == ["comp", "matte"] and last["frames"] == f"0-{COUNT - 1}"
    for path in last["files"].values():
        assert Path(path).parent == out and frame_count(path) == COUNT
    assert {event["path"] for event in done.events if event["event"] == "file"} == set(last["files"].values())
    fractions = [event["fraction"] for event in done.events if event["event"] == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] > 0.9
    assert sorted(path.name for path in out.iterdir()) == sorted(Path(path).name for path in last["files"].values())


def test_what_is_odd_about_a_shot_is_told_each_time(shell: Shell, tmp_path: Path) -> None:
    """A cut, frames without a foreground, a small backdrop: as events, and in words to a person."""
    (tmp_path / "cut").mkdir()
    for number in range(8):
        plate, matte = pictures(number)
        cv2.imwrite(str(tmp_path / f"cut/plate.{1001 + number}.png"), plate if number < 4 else 255 - plate[::-1])
        cv2.imwrite(str(tmp_path / f"cut/matte.{1001 + number}.png"), matte * np.uint8(number > 1))
    cv2.imwrite(str(tmp_path / "small.png"), np.full((6, 10, 3), 90, np.uint8))
    given = ["submit", tmp_path / "cut/plate.####.png", "--matte", tmp_path / "cut/matte.####.png"]
    given += ["--backdrop", tmp_path / "small.png"]
    first, again = (shell.run(*given, "--out", tmp_path / name, "--json") for name in ("first", "again"))
    assert list(first.last["stage_seconds"]) != list(again.last["stage_seconds"]) == ["finish"]
    told = [
        [(event["severity"], event["text"]) for event in ended.events if event["event"] == "log"]
        for ended in (first, again)
    ]
    assert told[0] == told[1]
    warned = "\n".join(text for severity, text in told[0] if severity == "warning")
    assert "frame 1005 begins another shot" in warned and "small.png is 10x6" in warned
    assert any("no foreground on frames 1001-1002" in text for severity, text in told[0] if severity == "info")
    words = shell.run(*given, "--out", tmp_path / "words")
    assert all(text in " ".join((words.out + words.err).split()) for _, text in told[0])


def test_results_are_not_replaced_unless_asked(shell: Shell, media: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = shell.run(*plate(media), *GREY, "--out", out, "--json").last["files"]
    comp = Path(files["comp"])
    before = (comp.read_bytes(), comp.stat().st_mtime_ns)

    again = shell.run(*plate(media), *GREY, "--out", out, "--json")
    assert again.last["files"] == files and comp.stat().st_mtime_ns == before[1]
    assert not [event for event in again.events if event["event"] == "upload" and event["phase"] == "sending"]

    other = shell.run(*plate(media), "--backdrop", "#ff0000", "--out", out, "--json")
    assert (other.code, other.last["code"]) == (2, "FILE_EXISTS")
    assert comp.read_bytes() == before[0] and len(list(out.iterdir())) == 1
    job = other.last["job"]
    assert job in other.last["hint"]

    assert shell.run("fetch", job, "--out", out, "--overwrite").code == 0
    assert comp.read_bytes() != before[0]

    beside = shell.run(*plate(media), *GREY, "--out", media, "--overwrite", "--json")
    assert (beside.code, beside.last["code"]) == (2, "FILE_EXISTS")


def test_a_sequence_keeps_its_numbers(shell: Shell, media: Path, tmp_path: Path) -> None:
    done = shell.run(
        "submit", media / "seq", "--matte", media / "seq_matte" / "seq_matte.####.png", *GREY, "--range", "1003-1006",
        "--handles", "1", "--rate", "25", "--set", "relight_strength=0.25", "--name", "shot", "--out", tmp_path / "o",
        "--json",
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    assert done.last["frames"] == "1002-1007"
    assert done.last["files"] == {"comp": str(tmp_path / "o" / "shot.%04d.png")}
    found = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert found == [f"shot.{number}.png" for number in range(1002, 1008)]
    assert sorted(event["frame"] for event in done.events if event["event"] == "file") == list(range(1002, 1008))
    with Client.connect(state_dir=shell.state, start=False) as client:
        job = client.job(done.last["job"])
    assert json.loads(job.resolved_recipe)["finish"]["relight_strength"] == 0.25 and job.frame_rate == 25


def test_a_still_that_is_a_frame_keeps_its_number(shell: Shell, media: Path, tmp_path: Path) -> None:
    submit = ["submit", media / "seq" / "seq.1003.png", "--mask", media / "seq_matte" / "seq_matte.1003.png", *GREY]
    done = shell.run(*submit, "--range", "1003", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.out + done.err
    assert (done.last["frames"], done.last["files"]) == ("1003", {"comp": str(tmp_path / "out" / "seq.%04d.png")})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["seq.1003.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every file name is Unicode")
def test_file_names_that_are_no_utf8(shell: Shell, media: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    for name in ("plate", "matte"):
        shutil.copy(media / f"{name}.mp4", tmp_path / f"{odd}_{name}.mp4")
    done = shell.run(
        "submit", tmp_path / f"{odd}_plate.mp4", "--matte", tmp_path / f"{odd}_matte.mp4", *GREY, "--range", "0-1",
        "--out", tmp_path / odd, "--json",
    )  # fmt: skip
    assert done.code == 0, done.out + done.err
    assert os.listdir(tmp_path / odd) == ["caf__plate.mp4"]  # noqa: PTH208
    for option in ("--subject", "--name"):
        told = shell.run(*plate(media), *GREY, option, odd, "--out", tmp_path / "out", "--json")
        assert (told.code, told.last["code"]) == (2, "USAGE")


def test_a_folder_that_stayed_empty_is_taken_away_and_no_other(shell: Shell, media: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for out in (tmp_path / "mine", tmp_path / "shots" / "sh010" / "v001"):
        assert shell.run(*plate(media), *GREY, "--preset", "drafty", "--out", out).code == 4
        assert shell.run("fetch", "nosuchjob", "--out", out).code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


CONTRACT = [
    (2, "USAGE", ["submit"]),
    (2, "USAGE", ["submit", "{media}/plate.mp4", "--out", "{out}"]),
    (2, "USAGE", ["submit", "{media}/plate.mp4", *GREY]),
    (2, "USAGE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--set", "novalue"]),
    (2, "USAGE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--rate", "fast"]),
    (2, "USAGE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--seeed", "1"]),
    (2, "USAGE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--daemon", "host:port"]),
    (2, "USAGE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{media}/matte.mp4"]),
    (2, "USAGE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--mask-frame", "5"]),
    (2, "USAGE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--layers", ","]),
    (2, "USAGE", ["submitt"]),
    (2, "JOB_NOT_FOUND", ["fetch", "nosuchjob", "--out", "{out}"]),
    (2, "JOB_NOT_FOUND", ["watch", "jobs/nosuchjob"]),
    (3, "MEDIA_NOT_FOUND", ["submit", "{media}/plaet.mp4", *GREY, "--out", "{out}"]),
    (3, "MEDIA_NOT_FOUND", ["submit", "{media}/plate.mp4", "--backdrop", "{media}/beach.jpg", "--out", "{out}"]),
    (3, "MEDIA_UNREADABLE", ["submit", "{media}/not_media.mov", *GREY, "--out", "{out}"]),
    (3, "FRAME_RANGE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--range", "10-5"]),
    (3, "FRAME_RANGE", ["submit", "{media}/seq", *GREY, "--out", "{out}", "--range", "990-1003"]),
    (3, "LENGTH_MISMATCH", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--matte", "{media}/short.mp4"]),
    (4, "UNKNOWN_NAME", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--preset", "drafty"]),
    (4, "UNKNOWN_NAME", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--set", "relight_strenght=1"]),
    (4, "UNKNOWN_NAME", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--layers", "comb"]),
    (4, "RECIPE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--set", "relight_strength=2"]),
    (4, "RECIPE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--set", "relight_strength=abc"]),
    (4, "RECIPE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--seed", "99999999999999999999"]),
    (4, "RECIPE", ["submit", "{media}/plate.mp4", "--backdrop", "#12345", "--out", "{out}"]),
    (4, "UNSUPPORTED_BACKDROP", ["submit", "{media}/plate.mp4", "--backdrop", "a beach", "--out", "{out}"]),
    (5, "UNREACHABLE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{out}", "--daemon", "127.0.0.1:9"]),
    (7, "STORAGE", ["submit", "{media}/plate.mp4", *GREY, "--out", "{media}/plate.mp4/out"]),
]  # fmt: skip


@pytest.mark.parametrize(("code", "word", "arguments"), CONTRACT)
def test_the_contract_of_exit_codes(
    shell: Shell, media: Path, tmp_path: Path, code: int, word: str, arguments: list[str]
) -> None:
    filled = [text.replace("{media}", str(media)).replace("{out}", str(tmp_path / "out")) for text in arguments]
    done = shell.run(*filled, "--json")
    said = done.last
    assert (done.code, said["event"], said["code"], said["exit_code"]) == (code, "error", word, code)
    assert said["message"] and (said["hint"] or word == "STORAGE") and done.err == ""
    assert not (tmp_path / "out").exists()


EVERY = {
    "submit": ["submit", "{media}/plate.mp4", *GREY, "--range", "0", "--no-wait"],
    "batch": ["batch", "{media}/gone.otio", "--out", "{out}"],
    "watch": ["watch", "nosuchjob"],
    "fetch": ["fetch", "nosuchjob", "--out", "{out}"],
    "jobs": ["jobs"],
    "cancel": ["cancel", "nosuchjob"],
    "explain": ["explain", "nosuchjob"],
    "presets": ["presets"],
    "store": ["store", "show"],
    "verify": ["store", "verify"],
    "prune": ["store", "prune", "--keep", "1TiB"],
    "hosts": ["hosts", "list"],
    "login": ["login", "127.0.0.1:1"],
    "logout": ["logout", "nobody"],
    "discover": ["discover", "--seconds", "0.1"],
    "doctor": ["doctor"],
    "serve": ["serve", "--listen", "127.0.0.1:0", "--config", "{media}/gone.toml"],
    "config": ["config", "check", "{media}/gone.toml"],
    "drain": ["drain", "--state", "{out}"],
    "backup": ["backup", "{out}/copy", "--state", "{out}"],
    "health": ["health"],
    "tls": ["tls", "show"],
    "users": ["users", "revoke", "nobody"],
    "models": ["models", "list"],
    "make-tiny": ["models", "make-tiny", "{media}"],
    "demo": ["demo", "--out", "{media}/plate.mp4"],
}


@pytest.mark.parametrize("name", EVERY)
def test_every_command_speaks_by_the_schema(shell: Shell, media: Path, tmp_path: Path, name: str) -> None:
    assert {command.name for command in commands()} - {"window"} == EVERY.keys() - {"make-tiny", "verify", "prune"}
    filled = [text.replace("{media}", str(media)).replace("{out}", str(tmp_path / "out")) for text in EVERY[name]]
    done = shell.run(*filled, "--json")
    assert done.events and done.err == ""
    for event in done.events:
        VALIDATOR.validate(event)
    assert (done.code == 0) == (done.last["event"] != "error")


def test_a_person_reads_what_and_where_and_what_to_do(shell: Shell, media: Path, tmp_path: Path) -> None:
    submit = ["submit", media / "plate.mp4", *GREY, "--out", tmp_path]
    done = shell.run(*submit, "--set", "relight_strenght=1")
    error, hint = done.err.splitlines()[-2:]
    assert done.out == "" and error.startswith("error: there is no setting 'relight_strenght' (recipe.settings")
    assert hint == "→ did you mean relight_strength?"
    assert "Traceback" in shell.run(*submit, "--range", "5-1", "--debug").err


def test_a_wrong_token_is_told(shell: Shell, media: Path) -> None:
    done = shell.run("jobs", "--json", ANYPORTAL_TOKEN="wrong")
    assert (done.code, done.last["code"]) == (5, "TOKEN") and "set ANYPORTAL_TOKEN" in done.last["hint"]
    doctor = shell.run("doctor", "--json", ANYPORTAL_TOKEN="wrong")
    assert doctor.code == 5 and [event for event in doctor.events if event["status"] == "broken"]


def test_doctor_and_presets(shell: Shell) -> None:
    doctor = shell.run("doctor", "--json")
    assert doctor.code == 0, doctor.out
    assert {"python", "packages", "movies", "state", "daemon", "running"} <= {event["name"] for event in doctor.events}
    (hosts,) = [event["message"].partition(":")[0] for event in doctor.events if event["name"] == "hosts"]
    assert {"hostkit", "nuke", "resolve"} <= {path.name for path in Path(hosts).iterdir()}
    assert "draft" in {event["name"] for event in shell.run("presets", "--json").events}
    assert any(line.startswith("draft: ") for line in shell.run("presets").out.splitlines())


def test_a_job_can_be_left_and_found_again(shell: Shell, media: Path, tmp_path: Path) -> None:
    left = shell.run(*plate(media), *GREY, "--no-wait", "--json", "--name", "later")
    assert left.code == 0 and left.last["event"] == "submitted"
    job = left.last["job"].removeprefix("jobs/")
    watched = shell.run("watch", job, "--json")
    assert watched.code == 0 and watched.last["state"] == "succeeded"
    numbers = [event["sequence"] for event in watched.events if "sequence" in event]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1
    fetched = shell.run("fetch", job, "--out", tmp_path / "out")
    assert fetched.code == 0 and fetched.out == f"comp  {tmp_path / 'out' / 'later.mp4'}\n"
    listed = shell.run("jobs", "--json", "--limit", "50").events
    assert f"jobs/{job}" in {event["job"] for event in listed if event["state"] == "succeeded"}
    ended = shell.run("cancel", job, "--json")
    assert (ended.code, ended.last["code"]) == (2, "JOB_STATE")


def test_a_job_has_a_place_and_is_explained(shell: Shell, media: Path) -> None:
    jobs = []
    for more in ([], ["--set", "exposure=0.5"]):
        queued = shell.run(*plate(media), "--backdrop", "#102030", "--no-wait", "--json", "--priority", "3", *more)
        jobs.append(queued.last["job"])
        assert (queued.last["event"], queued.last["queue_position"] >= 0) == ("submitted", True)
        watched = shell.run("watch", jobs[-1], "--json")
        assert watched.last["state"] == "succeeded"
        assert any(event["event"] in ("expected", "progress") and "end_seconds" in event for event in watched.events)
    (listed,) = [event for event in shell.run("jobs", "--json").events if event["job"] == jobs[1]]
    assert (listed["priority"], listed["queue_position"], listed["end_seconds"]) == (3, 0, None)
    stages = {event["stage"]: event for event in shell.run("explain", jobs[1], "--json").events}
    assert stages["matte"]["reason"] == "same" and stages["matte"]["reused"]
    assert stages["harmonise"]["reason"] == "changed" and stages["harmonise"]["compared_with"] == jobs[0]
    change = {"kind": "setting", "name": "exposure", "before": "0.0", "after": "0.5"}
    assert stages["harmonise"]["differences"] == [change]
    told = shell.run("explain", jobs[1])
    lines = {line.split()[0]: line for line in told.out.splitlines()}
    assert lines.keys() == stages.keys()
    assert lines["harmonise"].endswith(f"setting exposure: 0.0 -> 0.5 (compared with {jobs[0]})")
    assert lines["refine"].endswith(f"stage harmonise changed (compared with {jobs[0]})")
    assert "reused" in lines["matte"] and lines["matte"].endswith(f"all that decides it is as in {jobs[0]}")


@pytest.mark.parametrize(
    ("first", "how"), [(1, "line"), (2, "end of file"), (3, "SIGINT"), (4, "SIGTERM"), (5, "command")]
)
def test_every_way_to_cancel(shell: Shell, media: Path, tmp_path: Path, first: int, how: str) -> None:
    process = shell.start(*long(media, first), "--out", tmp_path / "out", "--json")
    job = running(process)
    assert process.stdin is not None
    if how == "line":
        process.stdin.write('{"other": 1}\nnonsense\n{"cancel": true}\n')
        process.stdin.flush()
    elif how == "end of file":
        process.stdin.close()
        process.stdin = None
    elif how == "command":
        assert shell.run("cancel", job).code == 0
    else:
        process.send_signal(getattr(signal, how))
    assert process.stdout is not None
    last = Ended(0, process.stdout.read(), "").last
    assert process.wait(30) == 130
    assert last["event"] == "cancelled" and last["job"] == job
    newest = shell.run("jobs", "--state", "cancelled", "--limit", "1", "--json").last
    assert newest["job"] == job
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP on this system")
def test_a_second_interrupt_leaves_at_once(shell: Shell, media: Path, tmp_path: Path) -> None:
    process = shell.start(*long(media, 6), "--out", tmp_path / "out", "--json")
    job = running(process)
    serve = psutil.Process(json.loads((shell.state / "daemon.json").read_text())["pid"])
    serve.suspend()  # a daemon that does not answer
    try:
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        while "cancelling" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
    finally:
        serve.resume()
    assert shell.run("cancel", job).code in (0, 2)  # 2: the first wish has reached it


@pytest.mark.parametrize("seed", [1, 2])
def test_a_call_survives_a_bad_connection(shell: Shell, media: Path, tmp_path: Path, seed: int) -> None:
    found = json.loads((shell.state / "daemon.json").read_text())
    proxy = CuttingProxy(int(found["address"].rpartition(":")[2]), seed, cuts=6, most_bytes=12_000)
    request = ["submit", media / "seq", "--matte", media / "seq_matte", "--backdrop", f"#00000{seed}"]
    out = ["--out", tmp_path / "out", "--layers", "comp,matte"]
    done = shell.run(*request, *out, "--json", "--daemon", proxy.address, ANYPORTAL_TOKEN=found["token"])
    proxy.stop()
    assert done.code == 0 and proxy.made >= 3, done.out
    numbers = [event["sequence"] for event in done.events if event.get("sequence")]
    assert numbers == sorted(set(numbers))
    assert len(list((tmp_path / "out").iterdir())) == 2 * COUNT


def test_an_end_of_file_that_nobody_meant_cancels_nothing(shell: Shell, media: Path, tmp_path: Path) -> None:
    ended_before, writer = os.pipe()
    os.close(writer)  # as cron hands it over
    for stdin in (subprocess.DEVNULL, ended_before):
        process = shell.start(*plate(media), *GREY, "--out", tmp_path / "out", "--json", stdin=stdin)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, out + err
    closed = ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, *map(str, plate(media)), *GREY, "--out", tmp_path / "out"]
    assert subprocess.run([*map(str, closed), "--json"], env=shell.env, capture_output=True).returncode == 0


def test_the_third_lost_worker_is_exit_code_6(shell: Shell, media: Path, tmp_path: Path) -> None:
    process = shell.start(*long(media, 10), "--out", tmp_path / "out", "--json", stdin=subprocess.DEVNULL)
    job = running(process)
    (serve,) = [p for p in psutil.Process().children() if "serve" in p.cmdline()]
    assert process.stdout is not None
    for lost in (1, 2, 3):
        for child in serve.children(recursive=True):
            child.kill()
        if lost < 3:  # the job is begun again by itself
            assert any(json.loads(line).get("state") == "running" for line in process.stdout)
    last = Ended(0, process.stdout.read(), "").last
    process.wait(30)
    assert (process.returncode, last.get("code"), last["job"]) == (6, "WORKER_LOST", job), last
    assert shell.run(*plate(media), *GREY, "--out", tmp_path / "next").code == 0  # and the daemon goes on


def test_where_no_daemon_runs_one_is_started_for_the_call(alone: Shell, media: Path, tmp_path: Path) -> None:
    """Two calls at once: each has a daemon of its own, and neither leaves anything running."""
    calls = [
        alone.start(*plate(media), *GREY, "--out", tmp_path / f"out{number}", "--json", stdin=subprocess.DEVNULL)
        for number in range(2)
    ]
    ended = []
    for call in calls:
        out, err = call.communicate(timeout=60)
        ended.append(Ended(call.returncode, out, err))
    assert [done.code for done in ended] == [0, 0], [done.out + done.err for done in ended]
    assert all(done.events[0]["started"] for done in ended)
    assert ended[0].events[0]["address"] != ended[1].events[0]["address"]
    assert Path(ended[0].last["files"]["comp"]).read_bytes() == Path(ended[1].last["files"]["comp"]).read_bytes()
    assert daemons_of(alone) == [] and not (alone.state / "daemon.json").exists()
    private = [path for name in ("call.lock", "daemon.log") for path in (alone.state / "calls").rglob(name)]
    assert len(private) == 4
    if os.name == "posix":
        assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    for arguments in (["jobs"], [*plate(media), *GREY, "--no-wait"]):
        assert alone.run(*arguments, "--json").last["code"] == "UNREACHABLE"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_started_daemon_does_not_outlive_a_killed_call(alone: Shell, media: Path, tmp_path: Path) -> None:
    process = alone.start(*long(media, 0), "--out", tmp_path / "out", "--json")
    running(process)
    assert daemons_of(alone)
    process.kill()
    process.wait()
    until = time.monotonic() + 20
    while daemons_of(alone) and time.monotonic() < until:
        time.sleep(0.05)
    assert daemons_of(alone) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals on Windows")
def test_a_person_sees_bars_and_a_log_sees_lines(shell: Shell, media: Path, tmp_path: Path) -> None:
    import pty

    logged = shell.process(*plate(media), *GREY, "--out", tmp_path / "out")
    assert logged.code == 0 and "\x1b" not in logged.err and "finish 100%" in logged.err
    assert logged.out == f"comp  {tmp_path / 'out' / 'plate.mp4'}\n"

    leader, follower = pty.openpty()
    command = [*COMMAND, *map(str, [*plate(media), *GREY, "--out", tmp_path / "out"])]
    process = subprocess.Popen(
        command, env=shell.env | {"TERM": "xterm"}, stdin=follower, stdout=subprocess.PIPE, stderr=follower
    )
    os.close(follower)
    seen = b""
    try:
        while chunk := os.read(leader, 65536):
            seen += chunk
    except OSError:  # how Linux says that the terminal is gone
        pass
    assert process.wait(30) == 0 and process.stdout is not None
    assert process.stdout.read().decode() == logged.out
    assert b"\x1b[?25l" in seen and seen.count(b"\x1b[?25h") >= 1  # the cursor was hidden, and is back
    assert "━".encode() in seen

"""The systemd unit and the container file: what can be checked of them where neither systemd nor a builder runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anyportal_client.cli.app import run
from anyportal_daemon.config import load

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "anyportal.service"
CONTAINER = ROOT / "deploy" / "Containerfile"
COMMAND = "/opt/anyportal/bin/anyportal"


def directives() -> list[tuple[str, str]]:
    lines = [line for line in UNIT.read_text("utf-8").splitlines() if "=" in line and not line.startswith("#")]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", CONTAINER.read_text("utf-8"))
    lines = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, rest in lines]


def test_the_unit_calls_commands_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    called = [value.split() for name, value in directives() if name in ("ExecStart", "ExecStop")]
    assert [words[:2] for words in called] == [[COMMAND, "serve"], [COMMAND, "drain"]]
    for words in called:
        assert run([*words[1:], "--help"]) == 0, "an unknown option would be refused before the help"
    assert ("ExecReload", "/bin/kill -HUP $MAINPID") in directives()


def test_the_unit_gives_a_drain_the_time_it_takes() -> None:
    found = dict(directives())
    within = int(found["ExecStop"].split("--within ")[1])
    assert within + 20 <= int(found["TimeoutStopSec"])
    assert found["Type"] == "notify"


def test_the_unit_names_no_group_that_a_machine_may_lack() -> None:
    """The service would not start there (216/GROUP). ``render`` is one that a small Debian has not."""
    assert not {"SupplementaryGroups", "Group"} & {name for name, _ in directives()}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    there = tmp_path / UNIT.name
    there.write_text(UNIT.read_text("utf-8").replace(COMMAND, sys.executable), "utf-8")
    said = subprocess.run(["systemd-analyze", "verify", str(there)], capture_output=True, text=True)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
    judged = ["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", str(there)]
    said = subprocess.run(judged, capture_output=True, text=True)
    if "unrecognized option" in said.stderr:
        pytest.skip("this systemd judges no file")
    assert said.returncode == 0, said.stdout[-200:]


def test_the_container_has_two_stages_and_runs_as_nobody_special(capsys: pytest.CaptureFixture[str]) -> None:
    found = instructions()
    stages = [index for index, (name, _) in enumerate(found) if name == "FROM"]
    assert len(stages) == 2
    assert all("latest" not in rest and ":" in rest for name, rest in found if name == "FROM")
    last = dict(found[stages[-1] :])
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last["USER"]), "a number, so that it is seen to be no root"
    users = re.search(r"--uid (\d+)", " ".join(rest for name, rest in found if name == "RUN"))
    group = re.search(r"groupadd --system --gid (\d+)", " ".join(rest for name, rest in found if name == "RUN"))
    assert users and group and last["USER"] == f"{users[1]}:{group[1]}"
    assert not {"ADD", "SHELL"} & {name for name, _ in found}
    for call in (last["HEALTHCHECK"].partition("CMD ")[2], last["CMD"]):
        words = [word for word in re.findall(r'"([^"]+)"', call) if word != "anyportal"]
        assert run([*words, "--help"]) == 0


def test_the_container_is_built_from_what_is_there_and_of_nothing_else() -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    needed = [
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]
    assert sorted(sent) == sorted(needed)
    assert all((ROOT / path).exists() for path in needed)


def test_the_configuration_that_comes_with_it_is_good() -> None:
    assert load(ROOT / "deploy" / "daemon.toml").jobs.queued == 1000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_container_can_be_built() -> None:
    builder = next((name for name in ("podman", "docker", "buildah") if shutil.which(name)), None)
    if builder is None or subprocess.run([builder, "info"], capture_output=True).returncode:
        pytest.skip("no builder of containers runs here")
    command = [builder, "build", "--file", str(CONTAINER), "--tag", "anyportal-test", str(ROOT)]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr[-2000:]

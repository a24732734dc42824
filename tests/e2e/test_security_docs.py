"""Every command of docs/security.md is run, on two machines that are folders; and what the daemon wrote meanwhile is
searched for everything that is secret."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest

from anyportal.v1 import jobs_pb2, jobs_pb2_grpc
from anyportal_core.testing.clips import moving_scene, write_movie
from anyportal_daemon.config import load
from anyportal_daemon.security.accounts import Accounts

DOCS = Path(__file__).parents[2] / "docs" / "security.md"
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)


@dataclass
class Told:
    """What came of the commands of the page.

    Args:
        lines: what each has printed, by the line of the page.
        token: Ann's.
        running: the daemon and its worker.
        log: what the daemon has written to its log.
    """

    lines: dict[str, str]
    token: str
    owner: str
    running: list[str]
    state: Path
    log: str
    said: str
    listed: list[dict[str, Any]]


class Machines:
    """The daemon's machine and Ann's workstation."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANYPORTAL_")}
        kept |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "ANYPORTAL_DAEMON_CONFIG": ""}
        self.box = kept | {"ANYPORTAL_STATE": str(self.state)}
        self.desk = kept | {
            "ANYPORTAL_STATE": str(folder / "nothing"),
            "ANYPORTAL_CLIENT_CONFIG": str(folder / "client" / "client.toml"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        self.port = 0

    def run(self, line: str) -> str:
        client = line.startswith(("anyportal login", "anyportal submit"))
        line = line.replace("anyportal-gpu-box.pem", f"anyportal-{socket.gethostname()}.pem")
        line = line.replace("gpu-box", f"localhost:{self.port}")
        env = self.desk if client else self.box
        done = subprocess.run(
            line,
            shell=True,
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=150,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def serve(self, line: str) -> subprocess.Popen[str]:
        command = [*line.replace(":29571", ":0").split(), "--json", "--debug", "--stop-with-stdin"]
        command[0] = str(BIN / "anyportal")
        with (self.folder / "daemon.log").open("w") as log:
            process = subprocess.Popen(
                command, env=self.box, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert process.stdout and json.loads(process.stdout.readline())["event"] == "serving"
        self.port = int(json.loads((self.state / "daemon.json").read_text())["lan"].rpartition(":")[2])
        return process


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("security")
    machines, lines = Machines(folder), {}
    scene = moving_scene(4, 64, 96, seed=3)
    write_movie(folder / "plate.mp4", scene.plate)
    write_movie(folder / "matte.mp4", np.repeat(scene.matte, 3, -1) if scene.matte.shape[-1] == 1 else scene.matte)
    process, token, running = None, "", []
    try:
        for line in [line for block in blocks("sh") for line in block.splitlines()]:
            if line.startswith("anyportal serve"):
                process = machines.serve(line)
                continue
            lines[line] = machines.run(line)
            if line == "anyportal users add ann":
                token = lines[line].splitlines()[0]
                (folder / "token.txt").write_text(f"{token}\n")
        assert process and process.stdin and process.stdout
        owner = str(json.loads((machines.state / "daemon.json").read_text())["token"])
        strangers(machines, token)
        listed = everybodys_jobs(machines)
        daemon = psutil.Process(process.pid)
        for each in (daemon, *daemon.children(recursive=True)):
            running.append(" ".join([each.name(), *each.cmdline()]))
        said = process.communicate(timeout=60)[0]
        yield Told(lines, token, owner, running, machines.state, (folder / "daemon.log").read_text(), said, listed)
    finally:
        if process and process.poll() is None:
            process.kill()
            process.wait()


def everybodys_jobs(machines: Machines) -> list[dict[str, Any]]:
    """What Ann sees of them at first, and with the scope for it."""
    command = [BIN / "anyportal", "jobs", "--all-users", "--json", "--daemon", f"localhost:{machines.port}"]
    said = ""
    for scope in ("submit", "read-all"):
        machines.run(f"anyportal users scopes ann --scope {scope}")
        said += subprocess.run(command, env=machines.desk, capture_output=True, text=True, timeout=60).stdout
    return [json.loads(line) for line in said.splitlines()]


def strangers(machines: Machines, token: str) -> None:
    """Calls that are refused, and name a token where none belongs."""
    authority = (machines.state / "tls" / "ca.pem").read_bytes()
    with grpc.secure_channel(f"localhost:{machines.port}", grpc.ssl_channel_credentials(authority)) as channel:
        jobs = jobs_pb2_grpc.JobServiceStub(channel)
        shown = [f"Bearer {token}", f"Bearer {token}x", token, "Bearer apt_wrongwrongwrong", f"Basic {token}"]
        for value in shown:
            with pytest.raises(grpc.RpcError) as caught:
                request = jobs_pb2.GetJobRequest(name=f"jobs/{token}")
                jobs.GetJob(request, metadata=(("authorization", value),), timeout=20)
            details = str(caught.value.details()) + str(caught.value.trailing_metadata())  # type: ignore[attr-defined]
            assert value != shown[0] or "JOB_NOT_FOUND" in details
            assert value == shown[0] or token not in details


def test_the_page_names_commands_to_run() -> None:
    assert len([line for block in blocks("sh") for line in block.splitlines()]) >= 11


def test_what_the_commands_of_the_page_do(told: Told) -> None:
    assert re.fullmatch(r"apt_[\w-]{43}", told.token)
    listed = told.lines["anyportal users list"]
    assert re.search(r"^ann +active +submit$", listed, re.MULTILINE) and "apt_" not in listed
    assert "revoked" in told.lines["anyportal users revoke bob"]
    submitted = next(said for line, said in told.lines.items() if line.startswith("anyportal submit"))
    assert "plate" in submitted
    refused, job = told.listed
    assert (refused["code"], refused["exit_code"], job["user"]) == ("SCOPE", 5, "ann")
    with closing(Accounts(told.state)) as accounts:
        assert {account.name for account in accounts.all()} == {"ann", "bob"}
    records = [json.loads(line) for line in (told.state / "audit.jsonl").read_text().splitlines()]
    assert {"CreateJob", "WriteBlob"} <= {each["rpc"].rpartition("/")[2] for each in records if each["user"] == "ann"}
    refused = [json.loads(line) for line in (told.state / "audit-refused.jsonl").read_text().splitlines()]
    assert "UNAUTHENTICATED TOKEN" in {each["result"] for each in refused}


def test_the_configuration_of_the_page_is_one(tmp_path: Path) -> None:
    for number, block in enumerate(blocks("toml")):
        (tmp_path / f"{number}.toml").write_text(block)
        assert str(load(tmp_path / f"{number}.toml").tls.key) == tomllib.loads(block)["tls"]["key"]


def test_nothing_secret_is_in_what_the_daemon_wrote(told: Told) -> None:
    keys = [path.read_bytes() for path in (told.state / "tls").rglob("*.key")]
    body = [line for key in keys for line in key.splitlines() if not line.startswith(b"-----")]
    tokens = [told.token.encode(), told.token.removeprefix("apt_").encode(), told.owner.encode()]
    assert len(keys) == 2 and len(body) >= 4
    written = {path: path.read_bytes() for path in told.state.rglob("*") if path.is_file() and path.suffix != ".key"}
    written |= {Path(name): text.encode() for name, text in (("log", told.log), ("output", told.said))}
    written |= {Path(f"process {number}"): title.encode() for number, title in enumerate(told.running)}
    assert {"users.db", "journal.db", "audit.jsonl", "log"} <= {path.name for path in written}
    assert len(told.running) >= 2
    found = {(str(path), secret) for path, data in written.items() for secret in (*tokens, *body) if secret in data}
    assert not found

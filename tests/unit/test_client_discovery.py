"""Where the daemon is looked for, and what becomes of stale, broken and foreign daemon.json files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyportal_client import Client
from anyportal_client.discovery import complete, find_endpoint, named_address
from anyportal_client.errors import DaemonError, MissingExtraError, UsageError
from anyportal_client.extras import known_extras, missing_packages
from tests.unit.client_fakes import TOKEN, FakeDaemon


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ANYPORTAL_STATE", str(tmp_path / "state"))
    for name in ("ANYPORTAL_DAEMON", "ANYPORTAL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "state"


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    fake = FakeDaemon()
    yield fake
    fake.stop()


def announce(state: Path, address: str, token: str = TOKEN, pid: int | None = None) -> None:
    state.mkdir(exist_ok=True)
    said = {"address": address, "token": token, "pid": pid or os.getpid(), "version": "0.1.0"}
    (state / "daemon.json").write_text(json.dumps(said))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_local_daemon_is_found_by_its_file(daemon: FakeDaemon, own_folders: Path) -> None:
    announce(own_folders, daemon.address)
    with Client.connect(start=False) as client:
        assert client.address == daemon.address and not client.started_daemon


def test_what_is_said_wins_over_the_environment_over_the_file(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_endpoint() is None
    announce(own_folders, "127.0.0.1:1111", "of-the-file")
    found = find_endpoint()
    assert found is not None and (found.address, found.token) == ("127.0.0.1:1111", "of-the-file")
    monkeypatch.setenv("ANYPORTAL_DAEMON", "box:2222")
    monkeypatch.setenv("ANYPORTAL_TOKEN", "of-the-environment")
    found = find_endpoint()
    assert found is not None and (found.address, found.token) == ("box:2222", "of-the-environment")
    found = find_endpoint("gpu:3333", "given")
    assert found is not None and (found.address, found.token) == ("gpu:3333", "given")


def test_this_machine_can_be_meant_whoever_else_is_named(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(own_folders, "127.0.0.1:1111", "of-the-file")
    monkeypatch.setenv("ANYPORTAL_DAEMON", "box:2222")
    assert named_address() == ("box:2222", "ANYPORTAL_DAEMON")
    assert named_address("local") == ("", "")
    found = find_endpoint("local")
    assert found is not None and (found.address, found.token) == ("127.0.0.1:1111", "of-the-file")
    monkeypatch.setenv("ANYPORTAL_DAEMON", "local")  # before a configuration that names another
    (own_folders / "client.toml").write_text('daemon = "box"')
    monkeypatch.setenv("ANYPORTAL_CLIENT_CONFIG", str(own_folders / "client.toml"))
    assert find_endpoint() == found
    monkeypatch.delenv("ANYPORTAL_DAEMON")
    assert named_address() == ("box", "configuration")


def test_the_local_token_is_shown_to_nobody_else(own_folders: Path) -> None:
    announce(own_folders, "127.0.0.1:1111", "secret")
    for address, token in [("localhost:1111", "secret"), ("127.0.0.1:2222", ""), ("box:1111", "")]:
        found = find_endpoint(address)
        assert found is not None and found.token == token


@pytest.mark.parametrize("text", [":1", "host:", "host:x", "host:0", "host:65536", "host:-1"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        complete(text)


@pytest.mark.parametrize(("text", "address"), [("box", "box:29571"), ("[::1]", "[::1]:29571"), ("[::1]:5", "[::1]:5")])
def test_the_usual_port_is_filled_in(text: str, address: str) -> None:
    assert complete(text) == address


@pytest.mark.parametrize("text", ["", "{", "[]", '{"address": "x"}'])
def test_a_broken_file_is_told(own_folders: Path, text: str) -> None:
    own_folders.mkdir()
    (own_folders / "daemon.json").write_text(text)
    with pytest.raises(DaemonError, match=r"cannot be read") as caught:
        Client.connect(start=False)
    assert str(own_folders / "daemon.json") in caught.value.where and caught.value.exit_code == 5


def test_a_stale_file_is_as_good_as_none(own_folders: Path) -> None:
    for pid in (dead_pid(), os.getpid()):  # the process is gone; another one has its number, the port is closed
        announce(own_folders, "127.0.0.1:9", pid=pid)
        with pytest.raises(DaemonError, match="no daemon is running") as caught:
            Client.connect(start=False)
        assert "anyportal serve" in caught.value.hint


def test_a_wrong_token_in_the_file_starts_no_second_daemon(daemon: FakeDaemon, own_folders: Path) -> None:
    announce(own_folders, daemon.address, "old")
    with pytest.raises(DaemonError) as caught:
        Client.connect()
    assert caught.value.code == "TOKEN"
    assert not (own_folders / "calls").exists()


def test_a_named_daemon_that_is_away_is_not_replaced(own_folders: Path) -> None:
    with pytest.raises(DaemonError, match="cannot be reached"):
        Client.connect("127.0.0.1:9")
    assert not own_folders.exists()


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anyportal_client.extras._installed", lambda name: name not in ("numpy", "h5py"))
    assert missing_packages() == [] and set(missing_packages("daemon")) == {"numpy", "h5py"}
    with pytest.raises(MissingExtraError, match="the extra 'daemon' is needed") as caught:
        Client.connect()
    assert "numpy" in caught.value.where and "h5py" in caught.value.where
    assert "--daemon HOST:PORT" in caught.value.hint
    assert "pip install 'anyportal[daemon]'" in caught.value.hint and caught.value.exit_code == 8


def test_extras_are_read_from_the_distribution() -> None:
    assert {"daemon", "dev"} <= set(known_extras())
    assert missing_packages() == [] and missing_packages("daemon") == []

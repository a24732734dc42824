"""The configuration, the address rule, ``daemon.json`` and the lock of the state directory."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from anyportal_core.errors import StorageError
from anyportal_daemon.config import Address, default_file, load
from anyportal_daemon.errors import AddressError, ConfigError, StateInUseError, TokenError
from anyportal_daemon.jobs.scheduler import Rules
from anyportal_daemon.security.announcement import Announcement, new_token
from anyportal_daemon.security.users import TokenAuthenticator
from anyportal_daemon.state import StateDirectory
from anyportal_daemon.worker.limits import Limits


def write(folder: Path, text: str) -> Path:
    file = folder / "daemon.toml"
    file.write_text(text, "utf-8")
    return file


def test_without_a_file_it_listens_on_loopback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANYPORTAL_STATE", str(tmp_path))
    config = load(None)
    assert str(config.listen) == "127.0.0.1:29571"
    assert config.state == tmp_path


def test_a_file_is_read_and_options_override_it(tmp_path: Path) -> None:
    text = f'listen = "[::1]:4000"\nstate = "{tmp_path}/a"\n[mappings]\nfootage = "{tmp_path}"\n'
    config = load(write(tmp_path, text))
    assert (str(config.listen), config.state) == ("[::1]:4000", tmp_path / "a")
    assert config.mappings == {"footage": tmp_path.resolve()}
    config = load(write(tmp_path, text), listen="localhost:0", state=tmp_path / "b")
    assert (str(config.listen), config.state) == ("127.0.0.1:0", tmp_path / "b")


def test_what_users_and_workers_may_take_is_read(tmp_path: Path) -> None:
    text = "[jobs]\nqueued = 7\nrunning = 2\n[worker]\nmemory_gigabytes = 1.5\njob_seconds = 60\n"
    config = load(write(tmp_path, text))
    assert config.jobs == Rules(queued=7, running=2)
    assert config.worker == Limits(memory_gigabytes=1.5, job_seconds=60)
    assert (load(None).jobs, load(None).worker) == (Rules(), Limits())


def test_the_devices_of_workers_are_named_or_found(tmp_path: Path) -> None:
    named = load(write(tmp_path, '[worker]\ndevices = ["cuda:0", "cuda:1", "cpu"]\njob_seconds = 60\n')).worker
    assert named == Limits(job_seconds=60, devices=("cuda:0", "cuda:1", "cpu"))
    assert load(write(tmp_path, '[worker]\ndevices = "auto"\n')).worker == Limits() == Limits(devices=())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lisen = 'x'", "did you mean listen"),
        ("listen = 5", "is not HOST:PORT"),
        ("state = ''", "is not a path"),
        ("listen = ", "is no TOML"),
        ("x = " + "[" * 5000, "is no TOML"),
        ("mappings = 5", "is not names and absolute paths"),
        *(
            (f"budget = {value}", "is not bytes, or a text with a unit")
            for value in ("true", "0", "-5", "'0 GB'", "'much'", "1.5", "'1 PB'")
        ),
        ("jobs = 5", "is not a table"),
        ("[jobs]\nqueues = 5", "did you mean queued"),
        ("[jobs]\nqueued = 0", "a whole number of 1 or more"),
        ("[jobs]\nqueued = 1.5", "a whole number of 1 or more"),
        ("[worker]\nheartbeat_seconds = true", "a number above 0"),
        ("[worker]\nmemory_gigabytes = inf", "a number above 0"),
        ("[worker]\ndevices = []", 'is not "auto" or a list of devices'),
        ("[worker]\ndevices = 'cuda:0'", 'is not "auto" or a list of devices'),
        ("[worker]\ndevices = ['gpu0']", 'is not "auto" or a list of devices'),
        ("[worker]\ndevices = ['cuda:01']", 'is not "auto" or a list of devices'),
        ("[worker]\ndevices = [0, 1]", 'is not "auto" or a list of devices'),
        ("[worker]\ndevice = ['cpu']", "did you mean devices"),
        ("[mappings]\nfootage = 'relative/path'", "is not an absolute path"),
        ("[mappings]\nfootage = '/no/such/folder'", "there is no folder"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text))
    assert says in str(caught.value)
    assert "daemon.toml" in caught.value.where


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", None),
        ("budget = 5000", 5000),
        ("budget = '5000'", 5000),
        ("budget = '200 GiB'", 200 * 2**30),
        ("budget = '1.5tb'", 1_500_000_000_000),
        ("budget = '10MB'", 10_000_000),
        ("budget = '2 kib'", 2048),
    ],
)
def test_the_stores_budget(tmp_path: Path, text: str, size: int | None) -> None:
    assert load(write(tmp_path, text)).budget == size


def test_the_key_at_fault_is_named_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, "[jobs]\nqueued = 'many'"))
    assert caught.value.where == f"{tmp_path}/daemon.toml: jobs.queued"
    assert caught.value.hint == "write queued = 200, or leave it out"
    with pytest.raises(AddressError) as refused:
        load(write(tmp_path, "listen = '0.0.0.0'"))
    assert refused.value.where == f"{tmp_path}/daemon.toml: listen"


def test_the_users_own_file_goes_before_the_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    system, own = tmp_path / "etc.toml", tmp_path / "home" / "daemon.toml"
    own.parent.mkdir()
    monkeypatch.delenv("ANYPORTAL_DAEMON_CONFIG", raising=False)
    monkeypatch.setattr("anyportal_daemon.config.SYSTEM_FILE", system)
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *_, **__: str(own.parent))
    assert default_file() is None
    system.touch()
    assert default_file() == system
    own.touch()
    assert default_file() == own
    monkeypatch.setenv("ANYPORTAL_DAEMON_CONFIG", str(system))
    assert default_file() == system
    monkeypatch.setenv("ANYPORTAL_DAEMON_CONFIG", "")
    assert default_file() is None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize("address", ["0.0.0.0:29571", "192.168.1.5:1", "[::]:1", "example.com:1", "10.0.0.1:29571"])
def test_other_machines_would_reach_it(address: str) -> None:
    assert not Address.parse(address).is_loopback


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "127.9.9.9:1"])
def test_only_this_machine_would_reach_it(address: str) -> None:
    assert Address.parse(address).is_loopback


NO_ADDRESSES = ["", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":29571", "127.0.0.1:-1"]


@pytest.mark.parametrize("address", [*NO_ADDRESSES, "[[7.0.0.1:1", "[::1:1", "::1]:1", "a b:1", "http://gpu:1"])
def test_no_address(address: str) -> None:
    with pytest.raises(AddressError, match="is no address"):
        Address.parse(address)


def test_only_its_user_can_read_the_announcement(tmp_path: Path) -> None:
    for token in ("first", "second"):  # a stale one is replaced
        Announcement("127.0.0.1:1", token, 1, "0").write(tmp_path)
    found = tmp_path / "daemon.json"
    said = {"address": "127.0.0.1:1", "token": "second", "pid": 1, "version": "0", "lan": ""}
    assert json.loads(found.read_text()) == said
    if os.name == "posix":
        assert stat.S_IMODE(found.stat().st_mode) == 0o600
    Announcement.remove(tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_daemon_has_a_state_directory(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    lock = state.lock()
    with pytest.raises(StateInUseError) as caught:
        state.lock()
    assert caught.value.where == str(tmp_path / "state")
    lock.close()
    state.lock().close()


def test_a_state_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "state" / "daemon.lock").mkdir(parents=True)
    for root in (tmp_path / "file" / "state", tmp_path / "state"):
        with pytest.raises(StorageError) as caught:
            StateDirectory(root).lock()
        assert str(root) in caught.value.where


def test_tokens() -> None:
    assert new_token() != new_token()
    authenticator = TokenAuthenticator("secret")
    assert authenticator.principal({"authorization": "Bearer secret"}).user == "local"
    for value in ("secret", "Bearer ", "Bearer secre", "Bearer secret ", "bearer secret", "Bearer sécret"):
        with pytest.raises(TokenError) as caught:
            authenticator.principal({"authorization": value})
        assert "secret" not in str(caught.value).replace(value, "")
    with pytest.raises(TokenError):
        authenticator.principal({})

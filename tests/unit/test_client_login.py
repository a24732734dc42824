"""To log in, and what a client makes of servers that are not what they should be. The servers speak real TLS."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import jsonschema
import pytest

from anyportal_client import Client
from anyportal_client.cli.app import run
from anyportal_client.credentials import hosts_file, saved_hosts
from anyportal_client.discovery import Endpoint, Tls, find_endpoint
from anyportal_client.errors import ClientError, UsageError
from anyportal_client.network_tls import fingerprint, same_fingerprint, served_authority
from tests.unit.client_fakes import TOKEN, FakeDaemon
from tests.unit.tls_house import Authority, authority, stranger

SCHEMA = Path(sys.modules[Client.__module__].__file__ or "").with_name("cli") / "events.schema.json"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANYPORTAL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ANYPORTAL_CLIENT_CONFIG", str(tmp_path / "config" / "client.toml"))
    for name in ("ANYPORTAL_DAEMON", "ANYPORTAL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "keyring", None)  # that of whoever runs this is none of our business
    return tmp_path


Serve = Callable[..., FakeDaemon]


@pytest.fixture
def serve() -> Iterator[Serve]:
    daemons: list[FakeDaemon] = []

    def start(credentials: grpc.ServerCredentials | None = None) -> FakeDaemon:
        daemons.append(FakeDaemon(credentials=credentials))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.stop()


Ended = tuple[int, dict[str, Any]]


@pytest.fixture
def login(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs `anyportal login` with a token on standard input."""
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))

    def call(*arguments: str | Path, token: str = TOKEN, command: str = "login") -> Ended:
        reading, writing = os.pipe()
        os.write(writing, f"{token}\n".encode())
        os.close(writing)
        with os.fdopen(reading) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            code = run([command, *map(str, arguments), "--json"])
        said = capsys.readouterr()
        assert token not in said.out + said.err
        last = json.loads(said.out.splitlines()[-1])
        validator.validate(last)
        return code, last

    return call


def file_of(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_login_pins_the_authority_and_keeps_the_token(serve: Serve, login: Callable[..., Ended]) -> None:
    daemon, print_of = serve(authority().serve()), fingerprint(authority().pem)
    code, said = login(daemon.address, "--token-stdin", "--fingerprint", print_of)
    assert code == 0 and said["event"] == "login" and same_fingerprint(said["fingerprint"], print_of)
    assert hosts_file().stat().st_mode & 0o777 == 0o600 and not said["keyring"]

    with Client.connect(daemon.address) as client:
        assert client.daemon().version == "0.1.0"
    assert saved_hosts()[daemon.address].token == TOKEN and TOKEN not in repr(saved_hosts())

    code, said = login("--list")
    assert code == 0 and said["address"] == daemon.address
    assert login(daemon.address, command="logout")[0] == 0 and saved_hosts() == {}
    code, said = login(daemon.address, command="logout")
    assert (code, said["code"]) == (2, "USAGE")


def test_a_saved_daemon_is_used_wherever_it_is_named(
    serve: Serve, login: Callable[..., Ended], own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = serve(authority().serve())
    address = f"localhost:{daemon.port}"
    assert login(address, "--token-stdin", "--ca", file_of(own_folders, "ca.pem", authority().pem))[0] == 0
    config = own_folders / "config" / "client.toml"
    config.write_text('daemon = "localhost"')  # the only one of that host: its port is known
    for named, environment in (("localhost", ""), (None, "localhost"), (None, "")):
        monkeypatch.setenv("ANYPORTAL_DAEMON", environment)
        found = find_endpoint(named)
        assert found is not None and (found.address, found.token) == (address, TOKEN)
        assert found.tls is not None and found.tls.pinned
    with Client.connect() as client:
        assert client.address == address


def test_nobody_is_trusted_unseen(serve: Serve, login: Callable[..., Ended]) -> None:
    daemon = serve(authority().serve())
    code, said = login(daemon.address, "--token-stdin")
    assert code == 2 and fingerprint(authority().pem) in said["hint"]
    code, said = login(daemon.address, "--token-stdin", "--fingerprint", "AB:CD")
    assert (code, said["code"]) == (5, "UNTRUSTED") and fingerprint(authority().pem) in said["message"]
    assert saved_hosts() == {} and daemon.calls == []


def test_a_person_compares_the_fingerprint_and_types_the_token_unseen(serve: Serve) -> None:
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    daemon = serve(authority().serve())
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "anyportal_client.cli", "login", daemon.address]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = ""
    for asked, answer in (("[y/N]", "y"), ("Token:", TOKEN), ("the token is in a file", "")):
        while asked not in seen:
            seen += os.read(ours, 1024).decode()
        os.write(ours, f"{answer}\n".encode())
    assert process.wait(30) == 0
    os.close(ours)
    assert fingerprint(authority().pem) in seen and TOKEN not in seen
    assert saved_hosts()[daemon.address].token == TOKEN


def test_a_token_that_is_not_taken_is_not_kept(serve: Serve, login: Callable[..., Ended]) -> None:
    daemon = serve(authority().serve())
    code, said = login(
        daemon.address, "--token-stdin", "--fingerprint", fingerprint(authority().pem), token="apt_another"
    )
    assert (code, said["code"]) == (5, "TOKEN") and f"anyportal login {daemon.address}" in said["hint"]
    assert saved_hosts() == {}


def test_another_authority_later_is_refused_loudly(
    serve: Serve, login: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = serve(authority().serve())
    assert login(daemon.address, "--token-stdin", "--fingerprint", fingerprint(authority().pem))[0] == 0
    other = serve(stranger().serve())
    kept = json.loads(hosts_file().read_text())
    hosts_file().write_text(json.dumps({other.address: kept[daemon.address]}))

    with pytest.raises(ClientError) as refused:
        Client.connect(other.address)
    said = refused.value
    assert said.code == "CA_CHANGED" and fingerprint(stranger().pem) in said.message
    assert fingerprint(authority().pem) in said.message and "anyportal logout" in said.hint
    code, again = login(other.address, "--token-stdin", "--fingerprint", fingerprint(stranger().pem))
    assert (code, again["code"]) == (5, "CA_CHANGED")
    assert other.calls == []  # the token never went there


@pytest.mark.parametrize(
    ("names", "days", "said"),
    [
        (("127.0.0.1",), (-10.0, -1.0), "has expired"),
        (("127.0.0.1",), (1.0, 10.0), "not valid yet"),
        (("gpu-box", "10.1.2.3"), (-1.0, 10.0), "not for '127.0.0.1'"),
    ],
)
def test_a_bad_certificate_is_told_of_in_words(
    serve: Serve, names: tuple[str, ...], days: tuple[float, float], said: str
) -> None:
    daemon = serve(authority().serve(authority().sign(names, days)))
    with pytest.raises(ClientError, match=said) as refused:
        Client.connect(Endpoint(daemon.address, TOKEN, tls=Tls(authority().pem)))
    assert refused.value.code == "UNTRUSTED" and refused.value.hint and daemon.calls == []


def test_an_authority_that_was_given_and_is_another(serve: Serve) -> None:
    daemon = serve(stranger().serve())
    with pytest.raises(ClientError, match="another authority") as refused:
        Client.connect(Endpoint(daemon.address, TOKEN, tls=Tls(authority().pem)))
    assert refused.value.code == "UNTRUSTED"


def test_a_daemon_that_does_not_show_its_authority(
    serve: Serve, login: Callable[..., Ended], own_folders: Path
) -> None:
    """One with a certificate of the studio's own authority, as it may be configured."""
    pair = authority().sign()
    daemon = serve(grpc.ssl_server_credentials([(pair.key.encode(), pair.certificate.encode())]))
    code, said = login(daemon.address, "--token-stdin", "--fingerprint", fingerprint(pair.certificate))
    assert (code, said["code"]) == (5, "UNTRUSTED") and "--ca FILE" in said["hint"] and saved_hosts() == {}
    assert login(daemon.address, "--token-stdin", "--ca", file_of(own_folders, "ca.pem", authority().pem))[0] == 0


def test_plain_where_tls_is_expected_and_the_reverse(serve: Serve) -> None:
    plain, secure = serve(), serve(authority().serve())
    with pytest.raises(ClientError, match="does not speak TLS") as refused:
        Client.connect(Endpoint(plain.address, TOKEN, tls=Tls(authority().pem)))
    assert refused.value.code == "NOT_SECURE" and plain.calls == []
    with pytest.raises(ClientError, match="speaks TLS, and was called without") as refused:
        Client.connect(secure.address, TOKEN)
    assert refused.value.code == "NOT_SECURE" and "anyportal login" in refused.value.hint


def test_a_token_never_leaves_the_machine_in_clear_text() -> None:
    heard: list[bytes] = []
    with socket.create_server(("", 0)) as listener:
        listener.settimeout(0.3)
        address = f"{socket.gethostbyname(socket.gethostname())}:{listener.getsockname()[1]}"
        if address.startswith("127."):
            address = address.replace("127.", "10.", 1)  # then it is a stranger's, and still nothing is sent
        with pytest.raises(ClientError, match="nothing was sent") as refused:
            Client.connect(address, TOKEN)
        with pytest.raises(TimeoutError):
            heard.append(listener.accept()[0].recv(100))
    assert refused.value.code == "NOT_SECURE" and heard == []


def test_mutual_tls(serve: Serve, login: Callable[..., Ended], own_folders: Path) -> None:
    daemon, print_of = serve(authority().serve(clients=True)), fingerprint(authority().pem)
    known = (daemon.address, "--token-stdin", "--fingerprint", print_of)
    code, said = login(*known)
    assert (code, said["code"]) == (5, "UNTRUSTED") and "--certificate" in said["hint"]

    own, foreign = authority().sign(("ann",), client=True), Authority().sign(("eve",), client=True)
    for name, pair in (("own", own), ("foreign", foreign)):
        file_of(own_folders, f"{name}.pem", pair.certificate)
        file_of(own_folders, f"{name}.key", pair.key)
    code, said = login(*known, "--certificate", own_folders / "foreign.pem", "--key", own_folders / "foreign.key")
    assert (code, said["code"]) == (5, "UNTRUSTED") and "does not take" in said["message"]
    assert login(*known, "--certificate", own_folders / "own.pem", "--key", own_folders / "own.key")[0] == 0
    with Client.connect(daemon.address) as client:
        assert client.daemon().platform == "fake"
    (own_folders / "own.key").unlink()
    with pytest.raises(UsageError, match="certificate cannot be read"):
        Client.connect(daemon.address)


def test_a_list_that_others_can_read_is_not_used(serve: Serve, login: Callable[..., Ended]) -> None:
    daemon = serve()
    assert login(daemon.address, "--token-stdin")[0] == 0  # on loopback, without TLS
    hosts_file().chmod(0o644)
    with pytest.raises(UsageError, match="others can read"):
        Client.connect(daemon.address)
    hosts_file().chmod(0o600)
    hosts_file().write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        saved_hosts()


class Ring:
    """A keyring with a backend behind it."""

    priority = 5

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_keyring(self) -> Ring:
        return self

    def recommended(self, backend: Ring) -> bool:
        return backend.priority >= 1

    def set_password(self, service: str, name: str, password: str) -> None:
        self._open()
        self.kept[service, name] = password

    def get_password(self, service: str, name: str) -> str | None:
        self._open()
        return self.kept.get((service, name))

    def delete_password(self, service: str, name: str) -> None:
        del self.kept[service, name]

    def _open(self) -> None:
        if self.locked:
            raise RuntimeError("locked")


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    ring = Ring()
    monkeypatch.setitem(sys.modules, "keyring", ring)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "keyring.core", ring)  # type: ignore[arg-type]
    return ring


def test_the_keyring_keeps_the_token_where_there_is_one(serve: Serve, login: Callable[..., Ended], ring: Ring) -> None:
    daemon = serve(authority().serve())
    code, said = login(daemon.address, "--token-stdin", "--fingerprint", fingerprint(authority().pem))
    assert code == 0 and said["keyring"] and TOKEN not in hosts_file().read_text()
    with Client.connect(daemon.address) as client:
        assert client.daemon().version == "0.1.0"
    ring.locked = True
    with pytest.raises(ClientError, match="keyring does not give the token"):
        Client.connect(daemon.address)
    ring.locked = False
    assert login(daemon.address, command="logout")[0] == 0 and ring.kept == {}


@pytest.mark.parametrize("trouble", ["locked", "no backend"])
def test_a_keyring_that_is_none_is_passed_over(
    serve: Serve, login: Callable[..., Ended], ring: Ring, trouble: str
) -> None:
    ring.locked, ring.priority = trouble == "locked", 0 if trouble == "no backend" else 5
    daemon = serve()
    code, said = login(daemon.address, "--token-stdin")
    assert code == 0 and not said["keyring"] and saved_hosts()[daemon.address].token == TOKEN


def test_the_configuration_is_checked(own_folders: Path) -> None:
    config = own_folders / "config" / "client.toml"
    config.parent.mkdir()
    for text, said in (
        ('deamon = "x"', "did you mean daemon"),
        ("daemon = 3", "daemon is no address"),
        ("daemon =", "cannot be read"),
        ("[mappings]\na = 1", "no table of folders"),
    ):
        config.write_text(text)
        with pytest.raises(UsageError) as refused:
            find_endpoint()
        assert said in f"{refused.value.message} {refused.value.hint}" and refused.value.where == str(config)


def test_the_token_stands_in_no_process_title() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "anyportal_client.cli", "login", "--help"], capture_output=True, text=True, check=True
    )
    assert "--token-stdin" in ended.stdout and "--token " not in ended.stdout


def test_nobody_is_there(login: Callable[..., Ended]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    for options in ((), ("--fingerprint", "AB:CD")):
        code, said = login(address, "--token-stdin", *options)
        assert (code, said["code"], said["where"]) == (5, "UNREACHABLE", address)


def test_who_takes_a_connection_and_hangs_up_speaks_no_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        closing = threading.Thread(target=lambda: listener.accept()[0].close())
        closing.start()
        with pytest.raises(ClientError, match="does not speak TLS"):
            served_authority(address)
        closing.join()

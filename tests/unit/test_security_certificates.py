"""Certificates that `anyportal tls` makes: for which names, how long, who can read the keys."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import ClientVerifier, PolicyBuilder, Store

import anyportal_client
from anyportal_client.cli.app import run
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from anyportal_daemon.errors import CertificateError
from anyportal_daemon.security.accounts import Accounts
from anyportal_daemon.security.scopes import Scope
from anyportal_daemon.security.tls import authority, setup
from anyportal_daemon.security.tls.credentials import TlsFiles, _Renewed, server_credentials
from anyportal_daemon.security.tls.folder import TlsFolder, write_private
from anyportal_daemon.security.tls.keys import TlsKeys
from tests.unit.tls_house import Pair
from tests.unit.tls_house import authority as trusted

SCHEMA = Path(anyportal_client.__file__).parent / "cli" / "events.schema.json"


@pytest.fixture
def folder(tmp_path: Path) -> TlsFolder:
    found = TlsFolder.of(tmp_path)
    setup.init(found, ["gpu-box.studio", "10.1.2.3", "fd00::7"], 100)
    return found


def chain(path: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(path.read_bytes())


def test_the_certificate_is_for_all_names_of_the_machine(folder: TlsFolder) -> None:
    server, own = chain(folder.server)
    names = set(authority.names_of(server))
    assert {"localhost", "127.0.0.1", "::1", socket.gethostname(), "gpu-box.studio", "10.1.2.3", "fd00::7"} <= names
    builder = PolicyBuilder().store(Store([own]))
    for name in ("gpu-box.studio", "localhost"):
        builder.build_server_verifier(x509.DNSName(name)).verify(server, [])  # as strict as a browser
    assert 99 < authority.days_left(server) <= 100
    assert own == chain(folder.ca)[0] and authority.days_left(own) > 3600
    assert isinstance(own.public_key(), ec.EllipticCurvePublicKey)
    limits = own.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 0)


def test_nobody_else_reads_the_keys(folder: TlsFolder) -> None:
    setup.client(folder, "edit-1", 30)
    if os.name == "posix":
        for path in folder.root.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    assert not list(folder.root.glob(".*")), "what was written aside is gone"


def test_renewing_keeps_the_names_and_the_authority(folder: TlsFolder) -> None:
    before, own = chain(folder.server)[0], folder.ca.read_bytes()
    setup.renew(folder, ["other.studio"], 300)
    after = chain(folder.server)[0]
    assert {*authority.names_of(before), "other.studio"} <= set(authority.names_of(after))
    assert folder.ca.read_bytes() == own and before.serial_number != after.serial_number
    TlsFiles(folder.server, folder.server_key).check()


def test_an_authority_is_never_replaced(folder: TlsFolder) -> None:
    before = folder.ca.read_bytes()
    with pytest.raises(CertificateError, match="already"):
        setup.init(folder, [], 100)
    assert folder.ca.read_bytes() == before


def test_a_clients_certificate_is_no_servers(folder: TlsFolder) -> None:
    certificate, _ = setup.client(folder, "edit-1", 30)
    [client] = chain(certificate)
    builder = PolicyBuilder().store(Store(chain(folder.ca)))
    with pytest.raises(x509.verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("edit-1")).verify(client, [])
    usage = client.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert isinstance(builder.build_client_verifier(), ClientVerifier)
    for name in ("", "../x", "a/b", ".hidden", "a" * 65):
        with pytest.raises(CertificateError):
            setup.client(folder, name, 30)


@pytest.mark.parametrize("spoil", ["certificate", "key", "pair", "gone"])
def test_files_that_cannot_be_served_with_are_named(folder: TlsFolder, spoil: str) -> None:
    if spoil == "certificate":
        folder.server.write_bytes(b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n")
    elif spoil == "key":
        folder.server_key.write_bytes(b"nothing")
    elif spoil == "pair":
        write_private(folder.server_key, authority.sign_server(setup.load(folder), ["localhost"]).key)
    else:
        folder.server.unlink()
    with pytest.raises(CertificateError) as caught:
        TlsFiles(folder.server, folder.server_key).check()
    assert str(folder.root) in caught.value.where


def files_of(folder: Path, pair: Pair) -> TlsFiles:
    """What tests sign, laid where a daemon reads it."""
    files = TlsFiles(folder / "a.pem", folder / "a.key")
    files.certificate.write_text(pair.certificate)
    files.key.write_text(pair.key)
    return files


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (lambda: trusted().sign(client=True), "for clients alone"),
        (lambda: trusted().sign(days=(2, 30)), "not valid before"),
        (lambda: trusted().sign(days=(-30, -2)), "expired 2 days ago"),
        (lambda: Pair(trusted().sign().certificate, trusted().sign().key), "does not belong to the certificate"),
    ],
)
def test_what_every_client_would_refuse_is_not_served_with(tmp_path: Path, pair: Callable[[], Pair], said: str) -> None:
    """At the start, and where it is put in the place of a good one: that is served on with."""
    files = files_of(tmp_path, pair())
    with pytest.raises(CertificateError, match=said) as caught:
        server_credentials(files)
    assert caught.value.where in (str(files.certificate), str(files.key)) and caught.value.hint


async def test_a_daemon_does_not_start_with_a_clients_certificate(tmp_path: Path) -> None:
    files = files_of(tmp_path, trusted().sign(client=True))
    keys = TlsKeys(files.certificate, files.key)
    config = Config(listen=Address("0.0.0.0", 0), state=tmp_path / "state", announce=False, tls=keys)
    config.state.mkdir()
    with closing(Accounts(config.state)) as accounts:
        accounts.add("ann", frozenset({Scope.SUBMIT}), None)
    with pytest.raises(CertificateError, match="for clients alone"):
        async with daemon(config):
            pass


def test_another_in_the_place_of_a_good_one_is_not_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = files_of(tmp_path, trusted().sign())
    renewed = _Renewed(files)
    files_of(tmp_path, trusted().sign(client=True))
    os.utime(files.certificate, (1, 1))
    assert renewed() is None and "for clients alone" in caplog.text  # type: ignore[func-returns-value]


def test_a_key_with_a_passphrase_is_not_asked_for_on_a_terminal(tmp_path: Path) -> None:
    files = files_of(tmp_path, trusted().sign())
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, secret))
    with pytest.raises(CertificateError, match="has a passphrase"):
        files.check()


@pytest.mark.parametrize(
    ("names", "host", "warned"),
    [
        (("127.0.0.1", "localhost"), "10.1.2.3", True),
        (("10.1.2.3",), "10.1.2.3", False),
        (("fd00::7",), "fd00:0:0::7", False),
        (("other.studio",), "0.0.0.0", True),
        ((socket.gethostname(),), "0.0.0.0", False),
        (("*.studio",), "gpu-box.studio", False),
        (("*.studio",), "a.gpu-box.studio", True),
        ((), "0.0.0.0", True),
    ],
)
def test_names_that_clients_do_not_call_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, names: tuple[str, ...], host: str, warned: bool
) -> None:
    files = files_of(tmp_path, trusted().sign(names))
    files.check()
    files.warn_of_names(host)
    assert bool(caplog.records) is warned
    if warned:
        assert "anyportal tls renew --name" in caplog.text


def test_one_that_ends_soon_is_warned_of(folder: TlsFolder, caplog: pytest.LogCaptureFixture) -> None:
    files = TlsFiles(folder.server, folder.server_key)
    files.warn()
    assert not caplog.records
    setup.renew(folder, [], 29)
    files.warn()
    assert "expires in 29 days" in caplog.text and "anyportal tls renew" in caplog.text


def test_the_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def tls(*words: str) -> tuple[int, list[dict[str, Any]]]:
        code = run(["tls", *words, "--state", str(tmp_path / "state"), "--json"])
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        for each in found:
            jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(each)
        return code, found

    assert tls("show")[0] == tls("renew")[0] == 2
    code, (own, server) = tls("init", "--name", "gpu-box.studio")
    assert (code, own["kind"], server["kind"]) == (0, "authority", "server")
    assert "gpu-box.studio" in server["names"] and 396 < server["days_left"] <= 397 and server["warning"] == ""
    assert tls("init")[1][-1]["code"] == "CERTIFICATE"
    assert tls("renew", "--days", "20")[1][1]["warning"] == "expires soon"
    assert "gpu-box.studio" in tls("show")[1][1]["names"]
    _, (bundle,) = tls("bundle")
    assert Path(bundle["path"]).read_bytes() == (tmp_path / "state" / "tls" / "ca.pem").read_bytes()
    assert Path(bundle["path"]).name == f"anyportal-{socket.gethostname()}.pem"
    assert bundle["fingerprint"] == own["fingerprint"]
    _, (client,) = tls("client", "edit-1")
    assert Path(client["certificate"]).is_file() and Path(client["key"]).is_file()
    assert tls("client")[0] == tls("show", "edit-1")[0] == 2
    assert tls("renew", "--name", "no host name")[0] == 2

"""What the daemon speaks with other machines: protocols and suites, for which names, and when it starts at all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from grpc import aio

from anyportal.v1 import jobs_pb2, jobs_pb2_grpc
from anyportal_daemon.bootstrap import daemon
from anyportal_daemon.config import Address, Config
from anyportal_daemon.errors import CertificateError, UnsafeError
from anyportal_daemon.security.tls import authority, setup
from anyportal_daemon.security.tls.credentials import TlsFiles, server_credentials
from anyportal_daemon.security.tls.folder import TlsFolder, write_private
from anyportal_daemon.security.tls.keys import TlsKeys
from tests.integration.security_house import House, add, bearer, house

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODERN = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384")
WEAK = (
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256",
    "AES128-GCM-SHA256",
    "AES256-SHA",
    "NULL-SHA256:ECDHE-RSA-NULL-SHA:ECDHE-ECDSA-NULL-SHA",
    "AECDH-AES128-SHA",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house(tmp_path_factory.mktemp("tls") / "state") as found:
        yield found


@pytest.fixture(scope="module")
def rsa_files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate with an RSA key, as a studio's own may have: more suites fit that."""
    folder = tmp_path_factory.mktemp("rsa")
    key = rsa.generate_private_key(65537, 2048)
    name, now = x509.Name([]), datetime.now(UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    (folder / "pem").write_bytes(built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key").write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    return TlsFiles(folder / "pem", folder / "key")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def with_rsa(rsa_files: TlsFiles) -> AsyncIterator[int]:
    """The port of a server that has it."""
    server = aio.server()
    port = server.add_secure_port("127.0.0.1:0", server_credentials(rsa_files))
    await server.start()
    yield port
    await server.stop(0)


@pytest.fixture(scope="module")
def permissive(rsa_files: TlsFiles) -> Iterator[int]:
    """The port of a server that takes anything: it shows that the careless client really offers what it should."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(rsa_files.certificate, rsa_files.key)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with context.wrap_socket(listening.accept()[0], server_side=True):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def shaken(port: int, context: ssl.SSLContext, name: str = "localhost") -> tuple[str, str]:
    """Protocol and suite that a handshake agrees on."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    with context.wrap_socket(plain, server_hostname=name) as secure:
        suite = secure.cipher()
        assert suite
        return str(secure.version()), suite[0]


def careless(*, newest: ssl.TLSVersion, suites: str = "ALL:@SECLEVEL=0") -> ssl.SSLContext:
    """A client that would take anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    context.set_ciphers(suites)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = newest
    return context


async def refused(port: int, context: ssl.SSLContext) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(shaken, port, context)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_protocols_are_refused(
    served: House, with_rsa: int, permissive: int, version: ssl.TLSVersion
) -> None:
    context = careless(newest=version)
    assert (await asyncio.to_thread(shaken, permissive, context))[0] == version.name.replace("_", ".")
    await refused(served.port, context)
    await refused(with_rsa, context)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("suites", WEAK)
async def test_weak_suites_are_refused(served: House, with_rsa: int, permissive: int, suites: str) -> None:
    context = careless(newest=ssl.TLSVersion.TLSv1_2, suites=f"{suites}:@SECLEVEL=0")
    assert (await asyncio.to_thread(shaken, permissive, context))[1] in suites.split(":")
    await refused(served.port, context)
    await refused(with_rsa, context)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_modern_protocols_and_suites_are_spoken(served: House) -> None:
    newest = await asyncio.to_thread(shaken, served.port, served.context())
    assert newest[0] == "TLSv1.3"
    assert (await asyncio.to_thread(shaken, served.port, careless(newest=ssl.TLSVersion.TLSv1_2)))[1] in MODERN
    for suite in MODERN:
        context = served.context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(suite)
        assert await asyncio.to_thread(shaken, served.port, context) == ("TLSv1.2", suite)


async def ask(channel: aio.Channel, token: str) -> grpc.StatusCode:
    jobs: jobs_pb2_grpc.JobServiceAsyncStub = jobs_pb2_grpc.JobServiceStub(channel)
    try:
        await jobs.ListJobs(jobs_pb2.ListJobsRequest(), metadata=bearer(token), timeout=20)
    except aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_a_user_calls_over_tls_and_the_owner_on_loopback(served: House) -> None:
    async with served.channel() as secure, aio.insecure_channel(served.local) as local:
        assert await ask(secure, served.tokens["ann"]) is grpc.StatusCode.OK
        assert await ask(secure, "wrong") is grpc.StatusCode.UNAUTHENTICATED
        assert await ask(local, served.owner) is grpc.StatusCode.OK
    assert served.local.startswith("127.0.0.1:")
    async with aio.insecure_channel(served.address) as plain:
        assert await ask(plain, served.tokens["ann"]) is grpc.StatusCode.UNAVAILABLE


async def test_a_wrong_host_name_is_refused(served: House) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await asyncio.to_thread(shaken, served.port, served.context(), "elsewhere.example")
    own = socket.gethostname()
    assert (await asyncio.to_thread(shaken, served.port, served.context(), own))[0] == "TLSv1.3"


async def test_another_authority_is_not_trusted(served: House, tmp_path: Path) -> None:
    pair = authority.make_authority("elsewhere")
    (tmp_path / "ca.pem").write_bytes(pair.certificate)
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        await asyncio.to_thread(shaken, served.port, ssl.create_default_context(cafile=tmp_path / "ca.pem"))


async def test_a_new_certificate_is_served_without_a_restart_and_a_useless_one_is_not(tmp_path: Path) -> None:
    async with house(tmp_path / "state") as served:
        folder = TlsFolder.of(served.state)
        before = folder.server.read_bytes()
        setup.renew(folder, ["gpu-box.studio"], 397)
        assert folder.server.read_bytes() != before
        await asyncio.to_thread(shaken, served.port, served.context(), "gpu-box.studio")
        expired = authority.sign_server(setup.load(folder), ["localhost"], -2)
        write_private(folder.server_key, expired.key)
        write_private(folder.server, expired.certificate)
        await asyncio.to_thread(shaken, served.port, served.context(), "gpu-box.studio")  # the last good one
        write_private(folder.server_key, b"spoilt")
        await asyncio.to_thread(shaken, served.port, served.context(), "gpu-box.studio")


async def test_an_expired_certificate_keeps_the_daemon_from_starting(tmp_path: Path) -> None:
    setup.init(TlsFolder.of(tmp_path), [], -3)
    add(tmp_path, "ann")
    with pytest.raises(CertificateError, match="expired 3 days ago") as caught:
        async with daemon(Config(Address("0.0.0.0", 0), tmp_path)):
            pass
    assert "anyportal tls renew" in caught.value.hint


async def test_mutual_tls_wants_a_certificate_beside_the_token(tmp_path: Path) -> None:
    folder = TlsFolder.of(tmp_path / "state")
    async with house(tmp_path / "state", tls=TlsKeys(clients=folder.ca)) as served:
        setup.client(folder, "edit-1", 30)
        async with served.channel() as without, served.channel(client="edit-1") as shown:
            assert await ask(without, served.tokens["ann"]) is grpc.StatusCode.UNAVAILABLE
            assert await ask(shown, "wrong") is grpc.StatusCode.UNAUTHENTICATED
            assert await ask(shown, served.tokens["ann"]) is grpc.StatusCode.OK


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_other_machines_are_kept_out_until_there_are_tls_and_a_user(tmp_path: Path, host: str) -> None:
    async def refused() -> UnsafeError:
        with pytest.raises(UnsafeError) as caught:
            async with daemon(Config(Address(host, 0), tmp_path)):
                pass
        return caught.value

    error = await refused()
    assert "no certificate and no user" in error.message
    assert "anyportal tls init, then anyportal users add NAME" in error.hint
    setup.init(TlsFolder.of(tmp_path), [], 397)
    error = await refused()
    assert "no user" in error.message and "tls init" not in error.hint
    add(tmp_path, "ann", days=0)
    await refused()  # one who is let in no more does not count
    add(tmp_path, "bob")
    async with daemon(Config(Address(host, 0), tmp_path)) as found:
        assert found.lan

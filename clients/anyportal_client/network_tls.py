"""What a server shows of itself when a TLS connection begins, and why one cannot be made.

gRPC tells nobody why a handshake failed; so whoever could not connect asks here, which makes one connection to see.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from anyportal_client.discovery import Endpoint, host_and_port
from anyportal_client.errors import ClientError, DaemonError

SECONDS = 5.0
"""For one connection. Who does not answer within this is as good as away."""

_SPEAKS = 1.0
"""Seconds in which a server that has taken a certificate, or the lack of one, says its first word or objects."""

_LOOK_AGAIN = 0.5
"""Seconds after which a server that hung up is called once more."""

_EXPIRED, _NOT_YET, _WRONG_NAMES = 10, 9, (62, 64)


@dataclass(frozen=True)
class Certificate:
    """A server's certificate that was checked.

    Args:
        names: the hosts and addresses that it is for.
        expires: the last moment of its life.
    """

    names: tuple[str, ...]
    expires: datetime

    @property
    def days_left(self) -> float:
        """Until it expires."""
        return (self.expires - datetime.now(UTC)).total_seconds() / 86400


def fingerprint(pem: str) -> str:
    """The SHA-256 of a certificate, written as openssl does: AB:CD:..."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two are the same however they are written."""

    def plain(text: str) -> str:
        return text.strip().upper().removeprefix("SHA256").lstrip(":= ").replace(":", "").replace(" ", "")

    return plain(one) == plain(other)


def served_authority(address: str) -> str:
    """The certificate at the end of the chain that a server shows, as PEM: that of its authority. Nothing is checked.

    Raises:
        DaemonError: UNREACHABLE, nobody answers; NOT_SECURE, who answers does not speak TLS.
    """
    context = _context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        plain = _connected(address)
    except OSError as error:
        raise _unreachable(address, error) from error
    try:
        with plain, context.wrap_socket(plain) as line:
            chain = _chain(line)
    except TimeoutError as error:
        raise _unreachable(address, error) from error
    except OSError as error:  # of the handshake, or it hung up
        raise _no_tls(address) from error
    return ssl.DER_cert_to_PEM_cert(chain[-1])


def certificate_of(endpoint: Endpoint) -> Certificate:
    """The certificate of a server, checked against the authority that is pinned.

    Raises:
        DaemonError: what is wrong with it, or with the server.
    """
    for wait in (_LOOK_AGAIN, 0.0):
        found, welcome = _shown(endpoint)
        if welcome:
            return found
        time.sleep(wait)  # one that is going down does so too, and is gone then
    raise _unwelcome(endpoint)


def _shown(endpoint: Endpoint) -> tuple[Certificate, bool]:
    """The certificate, and whether the server goes on talking after it."""
    try:
        with _connected(endpoint.address) as plain, _handshake(endpoint, plain) as line:
            found = cast(dict[str, Any], line.getpeercert())
            welcome = _speaks(line)
    except ssl.SSLCertVerificationError as error:
        raise _refused(endpoint, error) from error
    except ssl.SSLError as error:
        raise _alert(endpoint, error) from error
    except OSError as error:
        raise _unreachable(endpoint.address, error) from error
    names = tuple(str(name) for _, name in found.get("subjectAltName", ()))
    return Certificate(names, datetime.fromtimestamp(ssl.cert_time_to_seconds(found["notAfter"]), UTC)), welcome


def trouble(endpoint: Endpoint) -> ClientError | None:
    """Why no connection can be made, where that is about security, so that to wait is no use."""
    if endpoint.tls is None:
        return _expects_tls(endpoint.address)
    try:
        certificate_of(endpoint)
    except ClientError as error:
        return error if error.code != "UNREACHABLE" else None
    return None


def _expects_tls(address: str) -> ClientError | None:
    try:
        served_authority(address)
    except ClientError:
        return None
    hint = f"log in, to know it again by its certificate: anyportal login {address}"
    return DaemonError("the daemon speaks TLS, and was called without", code="NOT_SECURE", where=address, hint=hint)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return context


def _connected(address: str) -> socket.socket:
    return socket.create_connection(host_and_port(address), timeout=SECONDS)


def _handshake(endpoint: Endpoint, plain: socket.socket) -> ssl.SSLSocket:
    assert endpoint.tls is not None
    context = _context()
    try:
        context.load_verify_locations(cadata=endpoint.tls.authority)
        if endpoint.tls.certificate is not None:
            context.load_cert_chain(endpoint.tls.certificate, endpoint.tls.key)
    except (ssl.SSLError, OSError, ValueError) as error:
        hint = f"log in again: anyportal login {endpoint.address}"
        raise DaemonError(
            f"the certificates kept for it cannot be read: {error}",
            code="UNTRUSTED",
            where=endpoint.address,
            hint=hint,
        ) from error
    return context.wrap_socket(plain, server_hostname=host_and_port(endpoint.address)[0])


def _speaks(line: ssl.SSLSocket) -> bool:
    """Whether the server says anything. In TLS 1.3 it judges the caller's certificate only after the handshake, and
    gRPC's hangs up then without a word."""
    line.settimeout(_SPEAKS)
    try:
        return bool(line.recv(1))
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def _chain(line: ssl.SSLSocket) -> list[bytes]:
    if hasattr(line, "get_unverified_chain"):  # Python 3.13
        return cast(list[bytes], line.get_unverified_chain())
    import _ssl

    # Before that it is there for urllib3 and others, under the object that the socket wraps.
    shown = cast(Any, line)._sslobj.get_unverified_chain()
    return [each.public_bytes(cast(Any, _ssl).ENCODING_DER) for each in shown]


def _refused(endpoint: Endpoint, error: ssl.SSLCertVerificationError) -> DaemonError:
    """What is wrong with a certificate, for a person."""
    code, host = error.verify_code, host_and_port(endpoint.address)[0]
    if code == _EXPIRED:
        message, hint = "the daemon's certificate has expired", "renew it on its machine: anyportal tls renew"
    elif code == _NOT_YET:
        message = "the daemon's certificate is not valid yet"
        hint = "set the clock of this machine, or of the daemon's, right"
    elif code in _WRONG_NAMES:
        message = f"the daemon's certificate is not for '{host}'"
        hint = "call it by a name that is in the certificate, or make one with this name there: anyportal tls init"
    else:
        return _another_authority(endpoint)
    return DaemonError(message, code="UNTRUSTED", where=endpoint.address, hint=hint)


def _another_authority(endpoint: Endpoint) -> DaemonError:
    assert endpoint.tls is not None
    pinned, shown = fingerprint(endpoint.tls.authority), "unknown"
    with suppress(ClientError):
        shown = fingerprint(served_authority(endpoint.address))
    if shown == pinned:
        message = "the daemon does not show the certificate of its authority, by which it could be known"
        hint = f"have a copy of it sent to you: anyportal login {endpoint.address} --ca FILE"
        return DaemonError(message, code="UNTRUSTED", where=endpoint.address, hint=hint)
    code = "CA_CHANGED" if endpoint.tls.pinned else "UNTRUSTED"
    message = f"the daemon's certificate comes from another authority ({shown}) than the one that is trusted ({pinned})"
    hint = "somebody may be in between: ask whoever runs it. Only if it was made anew: " + (
        f"anyportal logout {endpoint.address}, then anyportal login {endpoint.address}"
        if endpoint.tls.pinned
        else "give its new one with --ca"
    )
    return DaemonError(message, code=code, where=endpoint.address, hint=hint)


def _alert(endpoint: Endpoint, error: ssl.SSLError) -> DaemonError:
    reason = str(error.reason or error)
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return _unwelcome(endpoint)
    if "EOF" in reason:  # it went away amid the handshake
        return _unreachable(endpoint.address, error)
    if "ALERT" in reason:
        hint = "install the same version on both sides"
        return DaemonError(f"no TLS that both speak ({reason})", code="UNTRUSTED", where=endpoint.address, hint=hint)
    return _no_tls(endpoint.address)


def _unwelcome(endpoint: Endpoint) -> DaemonError:
    given = endpoint.tls is not None and endpoint.tls.certificate is not None
    message = "the daemon does not take this client's certificate" if given else "the daemon wants a certificate"
    hint = f"anyportal login {endpoint.address} --certificate client.pem --key client.key, as its admin gave you"
    return DaemonError(message, code="UNTRUSTED", where=endpoint.address, hint=hint)


def _no_tls(address: str) -> DaemonError:
    hint = "on its machine: anyportal tls init, then restart it; or something else listens at this port"
    return DaemonError("who answers there does not speak TLS", code="NOT_SECURE", where=address, hint=hint)


def _unreachable(address: str, error: OSError) -> DaemonError:
    return DaemonError(
        f"the daemon cannot be reached ({error})", where=address, hint="is it running? is this its address?"
    )

"""Whether clients will take a certificate: what they would all refuse is refused here, at the start, in words."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from anyportal_daemon.errors import CertificateError
from anyportal_daemon.security.tls.authority import days_left, names_of

RENEW = "to make a new one: anyportal tls renew"

_FOR_SERVERS = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_ANY_ADDRESS = ("0.0.0.0", "::")  # nosec B104: to recognise it


def require(certificate: x509.Certificate, path: Path, now: datetime | None = None) -> None:
    """Make sure that a server may show it, now.

    Raises:
        CertificateError: it has expired, is not valid yet, or is for something else than a server.
    """
    left = days_left(certificate, now)
    if left <= 0:
        raise CertificateError(f"the certificate has expired {-left:.0f} days ago", where=str(path), hint=RENEW)
    begins = certificate.not_valid_before_utc
    if begins > (now or datetime.now(UTC)):
        raise CertificateError(
            f"the certificate is not valid before {begins:%Y-%m-%d %H:%M} UTC",
            where=str(path),
            hint=f"look at this machine's clock; {RENEW}",
        )
    _require_purpose(certificate, path)


def _require_purpose(certificate: x509.Certificate, path: Path) -> None:
    """Extensions that are not there forbid nothing."""
    hint = "have one made for a server (extended key usage serverAuth), or take anyportal's own: anyportal tls init"
    extensions = certificate.extensions
    try:
        purposes = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        purposes = set(_FOR_SERVERS)
    if not purposes & _FOR_SERVERS:
        said = "for clients" if ExtendedKeyUsageOID.CLIENT_AUTH in purposes else "for other purposes"
        raise CertificateError(
            f"the certificate is {said} alone, and every client would refuse a server that shows it",
            where=str(path),
            hint=hint,
        )
    try:
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        signs = True
    if not signs:
        message = "the certificate's key may not sign (key usage digitalSignature), as TLS has it do"
        raise CertificateError(message, where=str(path), hint=hint)


def lacking(certificate: x509.Certificate, host: str) -> str:
    """What is wrong with the names a certificate is for, where the daemon listens on ``host``; empty: nothing.

    That is no reason not to serve: clients may know the machine by a name that it does not know itself.
    """
    names = names_of(certificate)
    if not names:
        return "it is for no name or address (no subject alternative name), and clients refuse it"
    wanted = _own_names() if host in _ANY_ADDRESS else [host]
    if any(covers(names, name) for name in wanted):
        return ""
    return f"it is for {', '.join(names)}; clients that call {' or '.join(wanted)} refuse it"


def covers(names: Sequence[str], host: str) -> bool:
    """Whether one of a certificate's names is a host's, ``*.`` standing for one label."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        plain = host.lower().rstrip(".")
        wild = f"*.{plain.partition('.')[2]}"
        return any(name.lower() in (plain, wild) for name in names)
    return str(address) in names


def _own_names() -> list[str]:
    host = socket.gethostname()
    return list(dict.fromkeys([host, socket.getfqdn(), f"{host.partition('.')[0]}.local"]))

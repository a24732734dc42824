"""A private authority: its certificate, and those it signs. ECDSA on P-256 throughout."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from anyportal_daemon.database import file_errors
from anyportal_daemon.errors import CertificateError

CA_DAYS = 3650
"""Ten years: every client has to be given a new one by hand."""

SERVER_DAYS = 397
"""What clients in general take at most; renewing it troubles nobody."""

_HOST = re.compile(r"(?!.{254})(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_CLOCKS = timedelta(hours=1)
"""By so much a client's clock may be slow."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


def make_authority(name: str, days: float = CA_DAYS) -> Pair:
    """An authority that may sign servers and clients, and no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"AnyPortal CA of {name}")
    builder = _builder(subject, subject, key.public_key(), days).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return Pair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def sign_server(authority: Pair, names: Sequence[str], days: float = SERVER_DAYS) -> Pair:
    """A server's certificate for host names and addresses, the authority's after it."""
    host = names[0]
    alternatives = x509.SubjectAlternativeName([_general(name) for name in dict.fromkeys(names)])
    signed = _sign(authority, host, days, ExtendedKeyUsageOID.SERVER_AUTH, alternatives)
    return Pair(signed.certificate + authority.certificate, signed.key)


def sign_client(authority: Pair, name: str, days: float = SERVER_DAYS) -> Pair:
    """A client's certificate: it shows that its machine was set up by whoever holds the authority."""
    return _sign(authority, name, days, ExtendedKeyUsageOID.CLIENT_AUTH, None)


def read(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file.

    Raises:
        CertificateError: there is none in it.
        StorageError: it cannot be read.
    """
    with file_errors(path):
        data = path.read_bytes()
    try:
        return x509.load_pem_x509_certificates(data)[0]
    except ValueError:
        raise CertificateError("this is no certificate", where=str(path), hint="it should be a PEM file") from None


def names_of(certificate: x509.Certificate) -> list[str]:
    """Host names and addresses that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def days_left(certificate: x509.Certificate, now: datetime | None = None) -> float:
    """Until it expires; below 0: since."""
    return (certificate.not_valid_after_utc - (now or datetime.now(UTC))) / timedelta(days=1)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, to read out to somebody who has got the certificate by another way."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _sign(
    authority: Pair,
    name: str,
    days: float,
    purpose: x509.ObjectIdentifier,
    alternatives: x509.SubjectAlternativeName | None,
) -> Pair:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    signer = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(name), issuer.subject, key.public_key(), days)
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=False), True),
        (x509.ExtendedKeyUsage([purpose]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
        *([(alternatives, False)] if alternatives else []),
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Pair(_pem(builder.sign(signer, hashes.SHA256())), _key_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - max(_CLOCKS, timedelta(days=-days) + _CLOCKS))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        plain = name.encode("idna").decode()
    except UnicodeError:
        plain = ""
    if not _HOST.fullmatch(plain):
        raise CertificateError(f"'{name[:80]}' is no host name", where="--name", hint="such as gpu-box.studio")
    return x509.DNSName(plain)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

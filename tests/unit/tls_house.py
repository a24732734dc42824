"""Authorities and certificates for tests, good and bad ones."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str


class Authority:
    """Signs certificates. Each has a key of its own; all have the same name, as two of `tls init` do."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AnyPortal")])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=400))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(Encoding.PEM).decode()

    def sign(
        self, names: tuple[str, ...] = LOOPBACK, days: tuple[float, float] = (-1, 30), client: bool = False
    ) -> Pair:
        """A certificate for hosts and addresses, valid from and until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now, usage = datetime.now(UTC), ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        unsigned = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's")]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_named(name) for name in names])
            unsigned = unsigned.add_extension(alternatives, critical=False)
        signed = unsigned.sign(self._key, hashes.SHA256())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Pair(signed.public_bytes(Encoding.PEM).decode(), private.decode())

    def serve(self, pair: Pair | None = None, clients: bool = False) -> grpc.ServerCredentials:
        """What a server with such a certificate shows: the chain up to this authority.

        Args:
            clients: it wants a certificate of this authority from whoever calls.
        """
        pair = pair or self.sign()
        chain = pair.certificate + self.pem
        return grpc.ssl_server_credentials(
            [(pair.key.encode(), chain.encode())], self.pem.encode() if clients else None, clients
        )


def _named(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@lru_cache
def authority() -> Authority:
    """The usual one."""
    return Authority()


@lru_cache
def stranger() -> Authority:
    """Another of the same name."""
    return Authority()

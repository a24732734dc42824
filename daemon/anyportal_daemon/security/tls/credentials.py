"""What the server speaks TLS with: the files, and what to do when they change.

TLS 1.2 and 1.3 alone, and of 1.2 the suites with forward secrecy and authenticated encryption: that is what gRPC is
built with, and tests/integration/test_security_tls.py holds it to that.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc

from anyportal_daemon.database import file_errors
from anyportal_daemon.errors import CertificateError
from anyportal_daemon.security.tls import authority, fitness
from anyportal_daemon.security.tls.folder import TlsFolder

log = logging.getLogger(__name__)

SOON = 30
"""Days before its end from which a certificate is warned of."""


@dataclass(frozen=True)
class TlsFiles:
    """What to serve with.

    Args:
        clients: the authority of the certificates that clients have to show; None: they show a token alone.
    """

    certificate: Path
    key: Path
    clients: Path | None = None

    @classmethod
    def of(cls, state: Path, certificate: Path | None, key: Path | None, clients: Path | None) -> TlsFiles:
        """Those that are configured, and for the rest those of the state directory."""
        folder = TlsFolder.of(state)
        return cls(certificate or folder.server, key or folder.server_key, clients)

    def check(self) -> None:
        """Raises CertificateError where they cannot be served with."""
        if missing := [path for path in self._all() if not path.is_file()]:
            raise CertificateError("the file is not there", where=str(missing[0]), hint="anyportal tls init")
        self._load()

    def warn(self) -> None:
        """Say in the log where the certificate expires soon."""
        left = authority.days_left(authority.read(self.certificate))
        if left < SOON:
            log.warning("the certificate %s expires in %.0f days; %s", self.certificate, left, fitness.RENEW)

    def warn_of_names(self, host: str) -> None:
        """Say in the log where the certificate is for other names than those of ``host``, on which is listened."""
        if said := fitness.lacking(authority.read(self.certificate), host):
            hint = "to make one for more names: anyportal tls renew --name HOST"
            log.warning("the certificate %s may not be taken: %s; %s", self.certificate, said, hint)

    def seen(self) -> tuple[int, ...]:
        """Changes when one of the files does."""
        with file_errors(self.certificate):
            return tuple(path.stat().st_mtime_ns for path in self._all())

    def _all(self) -> list[Path]:
        return [self.certificate, self.key, *([self.clients] if self.clients else [])]

    def _load(self) -> grpc.ServerCertificateConfiguration:
        """Raises CertificateError where they do not fit together, or no client would take them."""
        fitness.require(authority.read(self.certificate), self.certificate)
        if self.clients:
            authority.read(self.clients)
        try:
            # Without a password OpenSSL would ask for one on a terminal, for ever.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except (ssl.SSLError, OSError) as error:
            raise _misfit(self.certificate, self.key, error) from None
        with file_errors(self.certificate):
            pair = (self.key.read_bytes(), self.certificate.read_bytes())
            clients = self.clients.read_bytes() if self.clients else None
        return grpc.ssl_server_certificate_configuration([pair], clients)


def _misfit(certificate: Path, key: Path, error: OSError) -> CertificateError:
    """Why a certificate and a key cannot be served with."""
    reason = getattr(error, "reason", "") or ""
    if reason == "KEY_VALUES_MISMATCH":
        message = f"the key does not belong to the certificate {certificate}"
        return CertificateError(message, where=str(key), hint="name the key that the certificate was made for")
    with contextlib.suppress(OSError):
        if b"ENCRYPTED" in key.read_bytes():
            hint = f"name one without, as openssl pkey -in {key.name} makes it, that the daemon alone can read"
            return CertificateError("the key has a passphrase, which nobody can type here", where=str(key), hint=hint)
    hint = "both have to be PEM files, and belong together"
    return CertificateError(f"certificate and key cannot be used: {error}", where=str(key), hint=hint)


class _Renewed:
    """Reads the files again when they have changed, so that a new certificate is served without a restart."""

    def __init__(self, files: TlsFiles) -> None:
        self._files, self._seen = files, files.seen()
        self.first = files._load()

    def __call__(self) -> grpc.ServerCertificateConfiguration:
        """What to serve the next connection with; None: as before. Called for each of them."""
        try:
            seen = self._files.seen()
            if seen == self._seen:
                return None  # type: ignore[return-value]  # the stubs do not know of it
            found = self._files._load()
        except Exception as error:
            log.error("the certificate has changed and cannot be used; the last one is served: %s", error)
            return None  # type: ignore[return-value]
        self._seen = seen
        log.warning("the certificate was read anew at %s", datetime.now(UTC).isoformat(timespec="seconds"))
        return found


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """How to speak with other machines.

    Raises:
        CertificateError: the files cannot be used.
    """
    files.check()
    renewed = _Renewed(files)
    return grpc.dynamic_ssl_server_credentials(renewed.first, renewed, files.clients is not None)

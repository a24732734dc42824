"""Whether it is safe to serve on an address."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from anyportal_daemon.config import Config
from anyportal_daemon.errors import UnsafeError
from anyportal_daemon.security.accounts import Accounts
from anyportal_daemon.security.tls.credentials import TlsFiles, server_credentials


@dataclass(frozen=True)
class Exposure:
    """What other machines are served with."""

    files: TlsFiles
    credentials: grpc.ServerCredentials


def credentials(config: Config, accounts: Accounts) -> Exposure | None:
    """What to serve other machines with; None: the address is on loopback, nobody else reaches it.

    Raises:
        UnsafeError: others could reach it, and there is no certificate, or no user.
        CertificateError: the certificate cannot be used.
    """
    if config.listen.is_loopback:
        return None
    files = TlsFiles.of(config.state, config.tls.certificate, config.tls.key, config.tls.clients)
    missing = []
    if not files.certificate.exists():
        missing.append(("certificate", "anyportal tls init"))
    if not accounts.anybody():
        missing.append(("user", "anyportal users add NAME"))
    if missing:
        what, commands = (" and no ".join(each) for each in zip(*missing, strict=True))
        raise UnsafeError(
            f"other machines can reach {config.listen}, and there is no {what}: the daemon serves them with TLS, and"
            " nobody but known users",
            where="listen",
            hint=f"set it up: {commands.replace(' and no ', ', then ')}; or listen on 127.0.0.1",
        )
    exposure = Exposure(files, server_credentials(files))
    files.warn_of_names(config.listen.host)
    return exposure

"""``tls/`` of the state directory: what lies where, and who can read it."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from anyportal_daemon.database import file_errors
from anyportal_daemon.errors import CertificateError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class TlsFolder:
    """Paths below the folder."""

    root: Path

    @classmethod
    def of(cls, state: Path) -> TlsFolder:
        return cls(state / "tls")

    @property
    def ca(self) -> Path:
        """The certificate of the authority: what clients trust."""
        return self.root / "ca.pem"

    @property
    def ca_key(self) -> Path:
        return self.root / "ca.key"

    @property
    def server(self) -> Path:
        """The server's certificate, and that of the authority after it."""
        return self.root / "server.pem"

    @property
    def server_key(self) -> Path:
        return self.root / "server.key"

    def client(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of a client.

        Raises:
            CertificateError: it cannot be called so.
        """
        if not _NAME.fullmatch(name):
            hint = "take letters, digits, '.', '-' and '_', at most 64"
            raise CertificateError(f"'{name[:80]}' is no name for a client", where="NAME", hint=hint)
        return self.root / "clients" / f"{name}.pem", self.root / "clients" / f"{name}.key"


def write_private(path: Path, data: bytes) -> None:
    """Write aside, then rename: whoever reads it gets all of it or what was there before. Its folder is made.

    Raises:
        StorageError: it cannot be written.
    """
    with file_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

"""Setting TLS up: an authority of this machine's own, and certificates that it signs."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path

from anyportal_daemon.database import file_errors
from anyportal_daemon.errors import CertificateError
from anyportal_daemon.security.tls import authority
from anyportal_daemon.security.tls.authority import Pair
from anyportal_daemon.security.tls.folder import TlsFolder, write_private


def init(folder: TlsFolder, extra: Sequence[str], days: float) -> None:
    """Make an authority and a server certificate.

    Raises:
        CertificateError: there is an authority already, or a name is none.
    """
    if folder.ca.exists() or folder.ca_key.exists():
        raise CertificateError(
            "there is an authority already",
            where=str(folder.root),
            hint="anyportal tls renew makes a new server certificate; to begin anew remove the folder: every client has"
            " to be given the new ca.pem then",
        )
    pair = authority.make_authority(socket.gethostname())
    server = authority.sign_server(pair, own_names(extra), days)
    write_private(folder.ca_key, pair.key)
    _write(server, folder.server, folder.server_key)
    write_private(folder.ca, pair.certificate)  # the last, so that what was cut short can be done again


def renew(folder: TlsFolder, extra: Sequence[str], days: float) -> None:
    """Make a new server certificate: for the names of the last one, those that the machine has by now, and ``extra``.

    Raises:
        CertificateError: there is no authority.
    """
    before = authority.names_of(authority.read(folder.server)) if folder.server.exists() else []
    server = authority.sign_server(load(folder), [*own_names(extra), *before], days)
    _write(server, folder.server, folder.server_key)


def client(folder: TlsFolder, name: str, days: float) -> tuple[Path, Path]:
    """Make a client's certificate; gives its file and that of its key.

    Raises:
        CertificateError: there is no authority, or the name is none.
    """
    certificate, key = folder.client(name)
    _write(authority.sign_client(load(folder), name, days), certificate, key)
    return certificate, key


def load(folder: TlsFolder) -> Pair:
    """The authority.

    Raises:
        CertificateError: there is none.
    """
    if not (folder.ca.exists() and folder.ca_key.exists()):
        raise CertificateError("there is no authority yet", where=str(folder.root), hint="anyportal tls init")
    with file_errors(folder.ca_key):
        return Pair(folder.ca.read_bytes(), folder.ca_key.read_bytes())


def own_names(extra: Sequence[str]) -> list[str]:
    """What this machine may be called: its name first, then those given, its addresses, and loopback."""
    host = socket.gethostname()
    names = [host, socket.getfqdn(), *extra, f"{host.partition('.')[0]}.local", *_addresses(host), "localhost"]
    return [name for name in dict.fromkeys([*names, "127.0.0.1", "::1"]) if name and "localhost." not in name]


def _addresses(host: str) -> list[str]:
    """Its own addresses: those that its name stands for, and those it would use to reach others."""
    found = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:  # it sends nothing: a route is looked up
                probe.connect((elsewhere, 9))
                found.append(probe.getsockname()[0])
        except OSError:
            continue
    with contextlib.suppress(OSError):
        found += [str(place[4][0]).partition("%")[0] for place in socket.getaddrinfo(host, None)]
    return [address for address in found if not ipaddress.ip_address(address).is_unspecified]


def _write(pair: Pair, certificate: Path, key: Path) -> None:
    # A server between the two would find a key that does not fit, and goes on with what it has; see credentials.py.
    write_private(key, pair.key)
    write_private(certificate, pair.certificate)

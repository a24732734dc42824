"""To log in to a daemon on another machine: pin who signs its certificate, try the token, keep both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from anyportal_client.credentials import SavedHost, find_saved, save
from anyportal_client.discovery import DEFAULT_PORT, complete, endpoint_of, is_loopback
from anyportal_client.errors import DaemonError, UsageError
from anyportal_client.messages import DaemonInfo
from anyportal_client.network_tls import certificate_of, fingerprint, same_fingerprint, served_authority

Trusts = Callable[[str, str], bool]
"""Whether a person trusts a daemon, asked with its address and the fingerprint of its authority."""


def pin(address: str, authority: Path | None, expected: str, trusts: Trusts) -> SavedHost:
    """A daemon, checked, with the authority that is to be trusted from now on. Nothing is kept yet.

    Args:
        authority: a file with its certificate, instead of the one that the daemon shows.
        expected: the fingerprint that the one shown must have.
        trusts: is asked where neither says and no earlier login did.

    Raises:
        UsageError: no address, no certificate in the file, or nobody trusts it.
        DaemonError: CA_CHANGED, another one is pinned; or whatever is wrong with its certificate.
    """
    before = find_saved(address, DEFAULT_PORT)
    address = before.address if before is not None else complete(address)
    if authority is None and not expected and is_loopback(address) and not _speaks_tls(address):
        return SavedHost(address)
    if before is not None and before.authority:
        certificate_of(endpoint_of(before, token="none"))  # refuses another than the pinned one, loudly
        pem = before.authority
    else:
        pem = _read(authority) if authority is not None else served_authority(address)
        if authority is None and not expected and not trusts(address, fingerprint(pem)):
            hint = f"compare it with what anyportal tls show says there; then: --fingerprint {fingerprint(pem)}"
            raise UsageError("nobody has said that this daemon is to be trusted", where=address, hint=hint)
    if expected and not same_fingerprint(fingerprint(pem), expected):
        message = f"the authority's fingerprint is {fingerprint(pem)}, not what was given"
        hint = "give the fingerprint of ca.pem on its machine; if that is what you did, somebody is in between"
        raise DaemonError(message, code="UNTRUSTED", where=address, hint=hint)
    return SavedHost(address, pem)


def with_certificate(host: SavedHost, certificate: Path | None, key: Path | None) -> SavedHost:
    """The daemon, with the certificate that this client is to show; a server that wants one is told of here.

    Raises:
        UsageError, DaemonError: as `certificate_of`.
    """
    shown = replace(
        host,
        certificate=str(certificate.absolute()) if certificate else "",
        key=str(key.absolute()) if key else "",
    )
    if shown.authority:
        certificate_of(endpoint_of(shown, token="none"))
    return shown


def prove(host: SavedHost, token: str) -> DaemonInfo:
    """Show the token to the daemon, and keep both where it takes it; gives what the daemon says of itself.

    Raises:
        DaemonError: it does not take the token, or is away.
        StorageError: the list of daemons cannot be written.
    """
    from anyportal_client.client import Client

    with Client.connect(endpoint_of(host, token)) as client:
        info = client.daemon()
    save(replace(host, user=info.user), token)
    return info


def _speaks_tls(address: str) -> bool:
    try:
        served_authority(address)
    except DaemonError as error:
        if error.code == "UNREACHABLE":
            raise
        return False
    return True


def _read(file: Path) -> str:
    try:
        pem = file.read_text("ascii")
        fingerprint(pem)
    except (OSError, ValueError) as error:
        hint = "give the ca.pem that anyportal tls init made on the daemon's machine"
        raise UsageError(f"no certificate can be read: {error}", where=str(file), hint=hint) from error
    return pem

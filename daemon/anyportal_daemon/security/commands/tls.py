"""``anyportal tls``. Imports next to nothing, since every ``anyportal`` command loads it to know its options."""

from __future__ import annotations

import socket
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anyportal_daemon.security.commands.common import (
    ConfigFile,
    Debug,
    Json,
    State,
    hand_over,
    note,
    say,
    state_directory,
)

if TYPE_CHECKING:
    from anyportal_daemon.security.tls.folder import TlsFolder


class Action(StrEnum):
    init = "init"
    renew = "renew"
    show = "show"
    client = "client"
    bundle = "bundle"


def tls(
    action: Annotated[
        Action,
        typer.Argument(
            help="Make an authority and a certificate; a new certificate; show them; make a client's, for mutual TLS;"
            " write the file that clients are given."
        ),
    ],
    client: Annotated[str, typer.Argument(metavar="[NAME]", help="With client: its name.")] = "",
    name: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="Another host name or address of this machine.")
    ] = None,
    days: Annotated[float, typer.Option(help="How long a certificate is good for.")] = 397,
    out: Annotated[Path, typer.Option(metavar="DIR", help="With bundle: where to.")] = Path(),
    state: State = None,
    config: ConfigFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """The daemon's certificates. A daemon that runs serves a new one without a restart.

    init makes a private authority, which is good for ten years, and a certificate for all names and addresses of this
    machine. Clients trust the authority: `anyportal login HOST` pins it, or give them the file that bundle writes.
    """
    from anyportal_daemon.security.tls import setup
    from anyportal_daemon.security.tls.folder import TlsFolder

    if (action is Action.client) != bool(client):
        raise typer.BadParameter("say whose: anyportal tls client NAME" if not client else f"{action} takes no name")
    root = state_directory(state, config)
    folder, names = TlsFolder.of(root), name or []
    if action is Action.init:
        setup.init(folder, names, days)
    elif action is Action.renew:
        setup.renew(folder, names, days)
    if action is Action.client:
        certificate, key = setup.client(folder, client, days)
        say(as_json, "tls_client", f"{certificate}\n{key}", certificate=str(certificate), key=str(key))
    elif action is Action.bundle:
        _bundle(folder, out, as_json)
    else:
        _show(folder, as_json)
    if action not in (Action.show, Action.bundle):
        note(root, f"tls {action}", client)
    hand_over(root)


def _bundle(folder: TlsFolder, out: Path, as_json: bool) -> None:
    from anyportal_daemon.database import file_errors
    from anyportal_daemon.security.tls import authority, setup

    setup.load(folder)
    path = out / f"anyportal-{socket.gethostname()}.pem"
    with file_errors(path):
        path.write_bytes(folder.ca.read_bytes())
        path.chmod(0o644)  # it is no secret
    said = authority.fingerprint(authority.read(path))
    say(as_json, "tls_bundle", f"{path}\nSHA-256 {said}", path=str(path), fingerprint=said)


def _show(folder: TlsFolder, as_json: bool) -> None:
    from anyportal_daemon.security.tls import authority, setup
    from anyportal_daemon.security.tls.credentials import SOON

    setup.load(folder)
    for kind, path in (("authority", folder.ca), ("server", folder.server)):
        certificate = authority.read(path)
        left, names = authority.days_left(certificate), authority.names_of(certificate)
        until = certificate.not_valid_after_utc.date().isoformat()
        warning = "" if left >= SOON else "expired" if left <= 0 else "expires soon"
        said = authority.fingerprint(certificate)
        text = f"{kind:<10} until {until} ({left:.0f} days)" + (f"  WARNING: {warning}" if warning else "")
        text += f"\n{'':<10} {', '.join(names)}" if names else f"\n{'':<10} SHA-256 {said}"
        fields = {"kind": kind, "path": str(path), "names": names, "expires": until, "days_left": round(left, 1)}
        say(as_json, "tls_certificate", text, **fields, warning=warning, fingerprint=said)

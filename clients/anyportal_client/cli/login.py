"""`anyportal login` and `logout`: daemons on other machines, and the tokens for them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from anyportal_client.cli.options import Debug, Json
from anyportal_client.cli.saying import say
from anyportal_client.errors import UsageError
from anyportal_client.events import Event, HostForgotten, HostSaved

_MOST = 4096
"""Characters of a token: more is a file that was given by mistake."""

Host = Annotated[str | None, typer.Argument(metavar="HOST[:PORT]", help="The daemon, by a name in its certificate.")]


def login(
    host: Host = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from standard input. Else it is asked for.")
    ] = False,
    ca: Annotated[Path | None, typer.Option(metavar="FILE", help="The daemon's ca.pem, to know it by.")] = None,
    fingerprint: Annotated[
        str, typer.Option(metavar="SHA256", help="The fingerprint that its ca.pem must have, for scripts.")
    ] = "",
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="This client's certificate, where the daemon wants one.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="The key of --certificate.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the daemons that were logged in to.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Log in to a daemon on another machine.

    Its certificate's authority is pinned: another one later is refused. The token, as anyportal users add NAME there
    printed it, is tried and kept in the platform's keyring, or in a file that only you can read.
    """
    if listed:
        return _list(as_json)
    if host is None:
        raise UsageError("which daemon?", where="HOST", hint="anyportal login gpu-box; anyportal discover finds them")
    from anyportal_client.login import pin, prove, with_certificate

    pinned = with_certificate(pin(host, ca, fingerprint, _trusts), certificate, key)
    info = prove(pinned, _token(token_stdin))
    event = _saved(pinned.address)
    where = "the keyring" if event.keyring else "a file that only you can read"
    _say(event, f"logged in to {event.address}, version {info.version}; the token is in {where}", as_json)


def logout(
    host: Annotated[str, typer.Argument(metavar="HOST[:PORT]")], as_json: Json = False, debug: Debug = False
) -> None:
    """Forget a daemon, its authority and the token. The daemon still takes the token until it is revoked there."""
    from anyportal_client.credentials import find_saved, forget, saved_hosts
    from anyportal_client.discovery import DEFAULT_PORT

    found = find_saved(host, DEFAULT_PORT)
    if found is None:
        known = ", ".join(saved_hosts()) or "none"
        raise UsageError("nobody is logged in there", where=host, hint=f"daemons that were logged in to: {known}")
    forget(found.address)
    _say(HostForgotten(found.address), f"{found.address} is forgotten", as_json)


def _list(as_json: bool) -> None:
    from anyportal_client.credentials import saved_hosts

    for address in saved_hosts():
        event = _saved(address)
        place = "keyring" if event.keyring else "file"
        _say(event, f"{address}  {event.user or '-'}  {place}  {event.fingerprint or 'this machine'}", as_json)
    if not as_json and not saved_hosts():
        say("no daemon was logged in to")


def _saved(address: str) -> HostSaved:
    from anyportal_client.credentials import saved_hosts
    from anyportal_client.network_tls import fingerprint

    found = saved_hosts()[address]
    shown = fingerprint(found.authority) if found.authority else ""
    return HostSaved(address, found.user, shown, found.keyring)


def _trusts(address: str, fingerprint: str) -> bool:
    """Ask a person whether that is the right daemon."""
    if not sys.stdin.isatty():
        return False
    say(f"{address} is not known yet. The fingerprint of its authority is\n  {fingerprint}", aside=True)
    say("On its machine, anyportal tls show must say the same.", aside=True)
    return typer.confirm("Is it the right one?", err=True)


def _token(from_stdin: bool) -> str:
    """Never from the command line, where everybody on this machine could read it."""
    if from_stdin:
        token = sys.stdin.readline(_MOST + 2).strip()
    elif sys.stdin.isatty():
        import getpass

        token = getpass.getpass("Token: ").strip()
    else:
        raise UsageError(
            "nobody is here to ask for the token",
            where="--token-stdin",
            hint="anyportal login HOST --token-stdin < file",
        )
    if not token or len(token) > _MOST or not token.isascii() or not token.isprintable():
        raise UsageError("this is no token", where="the token", hint="give the line that anyportal users add printed")
    return token


def _say(event: Event, text: str, as_json: bool) -> None:
    say(json.dumps(event.as_json()) if as_json else text)

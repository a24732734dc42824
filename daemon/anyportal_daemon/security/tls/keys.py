"""The table ``[tls]`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anyportal_daemon.config_keys import key as config_key
from anyportal_daemon.config_keys import path

_OWN = "`{}` of the state directory, as `anyportal tls init` makes it"


@dataclass(frozen=True)
class TlsKeys:
    """Files to serve other machines with."""

    certificate: Path | None = config_key(
        path("/etc/anyportal/server.pem"),
        "The server's certificate as PEM, with those of its authorities after it.",
        None,
        unset=_OWN.format("tls/server.pem"),
    )
    key: Path | None = config_key(
        path("/etc/anyportal/server.key"),
        "Its key as PEM, without a passphrase.",
        None,
        unset=_OWN.format("tls/server.key"),
    )
    clients: Path | None = config_key(
        path("/var/lib/anyportal/tls/ca.pem"),
        "Mutual TLS: clients have to show a certificate that this authority has signed, beside their token.",
        None,
        unset="a token is enough",
    )

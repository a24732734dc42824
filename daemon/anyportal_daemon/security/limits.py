"""What callers may take of the daemon's time."""

from __future__ import annotations

from dataclasses import dataclass

from anyportal_daemon.config_keys import key, whole


@dataclass(frozen=True)
class CallLimits:
    """The table ``[limits]``."""

    calls_per_second: int = key(
        whole(200),
        "Calls a second that a user may make in the long run. The daemon's owner may make any number.",
        200,
        reloads=True,
    )
    calls_at_once: int = key(whole(1000), "Calls that a user may make at once, after a pause.", 1000, reloads=True)
    wrong_tokens_per_minute: int = key(
        whole(30),
        "Wrong tokens a minute that are answered one by one from one address; further ones are refused unheard.",
        30,
        reloads=True,
    )
    streams_per_connection: int = key(whole(100), "Calls that may run at the same time on one connection.", 100)
    connections: int = key(whole(512), "Connections that may be open at the same time.", 512)
    idle_seconds: int = key(
        whole(300),
        "Seconds after which a connection without a call, and an upload of which nothing comes, is ended.",
        300,
    )

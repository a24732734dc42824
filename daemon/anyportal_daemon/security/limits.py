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
    open_calls: int = key(
        whole(256),
        "Calls of a user that may run at the same time, on all connections. The daemon's owner may have any number.",
        256,
        reloads=True,
    )
    wrong_tokens_per_minute: int = key(
        whole(30),
        "Wrong tokens a minute that are answered one by one from one address; further ones are refused unheard. So many"
        " refusals of one user or address are written down one by one; further ones as a number.",
        30,
        reloads=True,
    )
    streams_per_connection: int = key(whole(100), "Calls that may run at the same time on one connection.", 100)
    connections: int = key(whole(512), "Connections that may be open at the same time.", 512)
    idle_seconds: int = key(
        whole(300),
        "Seconds after which a connection without a call, and a call whose next message does not come, is ended.",
        300,
    )
    stalled_seconds: int = key(
        whole(300),
        "Seconds after which a call is ended whose caller takes nothing more of what it is sent.",
        300,
        reloads=True,
    )

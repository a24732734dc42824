"""What `anyportal hosts` finds and does, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from anyportal_client.errors import UsageError
from anyportal_client.events import Event
from anyportal_client.placing.hands import Hands
from anyportal_client.version import __version__

State = Literal["no_host", "absent", "linked", "copied", "broken", "foreign"]


@dataclass(frozen=True)
class Placed(Event):
    """A place where a host looks for scripts, and what lies there.

    `state` is `no_host` (the host was never started here), `absent`, `linked` (it follows an update by itself),
    `copied`, `broken` (it leads nowhere) or `foreign` (something else that is called so). `steps` is what was done, or
    with `dry_run` would be.
    """

    event = "host"
    host: str
    name: str
    place: Path
    state: State
    version: str = ""
    outdated: bool = False
    hint: str = ""
    steps: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def installed(self) -> bool:
        """Whether the host finds scripts there, of whatever version."""
        return self.state in ("linked", "copied")

    @property
    def wrong(self) -> bool:
        """Whether something should be done about it."""
        return self.outdated or self.state == "broken"


class Place(Protocol):
    """A place where one host looks for scripts."""

    @property
    def host(self) -> str:
        """`nuke`, `resolve` or `blender`."""
        ...

    def look(self) -> Placed:
        """What lies there."""
        ...

    def install(self, hands: Hands, copy: bool) -> str:
        """Put the scripts there, in place of older ones. Gives what the user is to do next.

        Raises:
            UsageError: the host is not there, or something else lies in the way.
            StorageError: the folder cannot be written.
        """
        ...

    def uninstall(self, hands: Hands) -> None:
        """Take away what was installed, and nothing else.

        Raises:
            StorageError: the folder cannot be written.
        """
        ...


def judged(found: Placed) -> Placed:
    """With what to do about it, where something should be."""
    again = f"anyportal hosts install {found.host}"
    if found.state == "broken":
        return _with(found, hint=f"it leads nowhere: {again}")
    if found.installed and (found.version != __version__ or found.outdated):
        return _with(found, outdated=True, hint=f"not what this version brings: {again}")
    return found


def _with(found: Placed, **changes: object) -> Placed:
    return replace(found, **changes)  # type: ignore[arg-type]


def no_host(host: str, name: str, looked: Sequence[Path]) -> UsageError:
    """The error for a host that is not there."""
    return UsageError(
        f"{name} was not found here",
        code="HOST_NOT_FOUND",
        where=", ".join(map(str, looked)),
        hint=f"start {name} once, which makes it; or name a folder of yours: anyportal hosts install {host} --to DIR",
    )


UNLINKED = "; links are not allowed here, so it is a copy: install again after an update"
"""Added to what to do next where a copy was made for want of a link."""


def in_the_way(place: Path) -> UsageError:
    """The error for something that is not ours to replace."""
    return UsageError(
        "something else lies there, which is left alone",
        code="FILE_EXISTS",
        where=str(place),
        hint="move it away, then install again; or install elsewhere with --to DIR",
    )

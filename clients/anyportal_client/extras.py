"""Which packages of an extra are installed. Asked of the distribution itself: no list to keep here."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from anyportal_client.errors import MissingExtraError

DISTRIBUTION = "anyportal"
_NAME = re.compile(r"[\w.-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")


def known_extras() -> list[str]:
    """The extras that this version has."""
    return metadata(DISTRIBUTION).get_all("Provides-Extra") or []


def missing_packages(extra: str = "") -> list[str]:
    """Packages that an extra asks for and that are not there; without an extra: what the client asks for."""
    missing = []
    for requirement in requires(DISTRIBUTION) or ():
        name = _NAME.match(requirement)
        belongs = _EXTRA.search(requirement)
        if name and (belongs[1] if belongs else "") == extra and not _installed(name[0]):
            missing.append(name[0])
    return missing


def need_extra(extra: str, purpose: str, instead: str = "") -> None:
    """Go on only where an extra is installed; `purpose` begins the sentence that says what it is needed for.

    Args:
        instead: what else would do, for the hint.

    Raises:
        MissingExtraError: it is not; the hint says how to install it.
    """
    missing = missing_packages(extra)
    if missing:
        shown = ", ".join(missing[:3]) + ", ..." * (len(missing) > 3)
        raise MissingExtraError(
            f"{purpose} the extra '{extra}' is needed",
            where=f"missing: {shown}",
            hint=f"pip install '{DISTRIBUTION}[{extra}]'" + (f"; or {instead}" if instead else ""),
        )


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True

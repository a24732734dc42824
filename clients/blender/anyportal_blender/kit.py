"""Find what all host clients share: the package `anyportal_hostkit`, which lies beside this add-on or in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

_HERE = Path(__file__)


def _places() -> Iterator[Path]:
    """Folders that may hold `anyportal_hostkit`: of a copy, of a link or a checkout, and where the user says."""
    for package in (_HERE.absolute().parent, _HERE.resolve().parent):
        yield package / "hostkit"
        yield package.parent / "hostkit"
        yield package.parent.parent / "hostkit"
    if os.environ.get("ANYPORTAL_HOSTS"):
        yield Path(os.environ["ANYPORTAL_HOSTS"]) / "hostkit"


def _find() -> None:
    for folder in _places():
        if (folder / "anyportal_hostkit").is_dir():
            sys.path.append(str(folder))  # appended: nothing of the host is shadowed
            return
    raise ImportError(
        "AnyPortal: the folder 'hostkit' was not found beside the add-on. Install it with "
        "'anyportal hosts install blender', or set ANYPORTAL_HOSTS to the folder that holds hostkit/."
    )


try:
    import anyportal_hostkit as hostkit
except ImportError:
    _find()
    import anyportal_hostkit as hostkit

__all__ = ["hostkit"]

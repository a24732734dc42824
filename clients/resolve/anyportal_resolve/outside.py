"""Resolve's own scripting module, for a Python outside: found where it usually lies, else told how to name it."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, NamedTuple

from anyportal_resolve.refusal import Refused

_MODULE = "DaVinciResolveScript"
_HINT = (
    "From inside, start AnyPortal from Workspace > Scripts. From outside Resolve must be installed on this machine; "
    "where it does not lie in the usual place, set RESOLVE_SCRIPT_API={api}, RESOLVE_SCRIPT_LIB={lib} and "
    "PYTHONPATH=$RESOLVE_SCRIPT_API/Modules"
)
_WINDOWS = ", and FUSION_PYTHON3_HOME to the folder of this Python"


class Usual(NamedTuple):
    """Where Resolve's installer puts things: the folder that holds Modules, and the library."""

    api: str
    lib: str


def usual(platform: str) -> Usual:
    """The places of a system, as `sys.platform` calls it."""
    if platform == "win32":
        data = os.environ.get("PROGRAMDATA", r"C:\ProgramData")
        api = r"\Blackmagic Design\DaVinci Resolve\Support\Developer\Scripting"
        return Usual(data + api, r"C:\Program Files\Blackmagic Design\DaVinci Resolve\fusionscript.dll")
    if platform == "darwin":
        return Usual(
            "/Library/Application Support/Blackmagic Design/DaVinci Resolve/Developer/Scripting",
            "/Applications/DaVinci Resolve/DaVinci Resolve.app/Contents/Libraries/Fusion/fusionscript.so",
        )
    return Usual("/opt/resolve/Developer/Scripting", "/opt/resolve/libs/Fusion/fusionscript.so")


def scripting() -> Any:
    """The module, from Python's path, else from RESOLVE_SCRIPT_API or the usual place.

    Raises:
        Refused: it is nowhere, or does not find its library.
    """
    there = usual(sys.platform)
    if sys.platform == "win32":  # the library takes whatever Python the registry names, and crashes with another
        os.environ.setdefault("FUSION_PYTHON3_HOME", sys.base_prefix)
    if os.path.isfile(there.lib):
        os.environ.setdefault("RESOLVE_SCRIPT_LIB", there.lib)
    modules = os.path.join(os.environ.get("RESOLVE_SCRIPT_API") or there.api, "Modules")
    sys.path.append(modules)  # at the end: what is on the path already comes first
    try:
        return importlib.import_module(_MODULE)
    except ImportError as error:
        hint = _HINT.format(api=there.api, lib=there.lib) + (_WINDOWS if sys.platform == "win32" else "")
        raise Refused("Resolve's module {} cannot be imported: {}".format(_MODULE, error), hint) from None
    finally:
        sys.path.remove(modules)

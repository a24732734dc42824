"""What of Nuke itself matters, before hostkit looks at the command and the daemon."""

from __future__ import annotations

import os
from typing import Any, List, Tuple

import anyportal_hostkit as hostkit

import nuke
from anyportal_nuke import colour, configuration, spaces
from anyportal_nuke.plan import results_folder

Check = Tuple[str, str, str, str]


def checks() -> List[Check]:
    """Everything looked at: name, status, message, hint."""
    return list(hostkit.doctor.checks([_nuke(), _colour(), _script(), _folder()]))


def _nuke() -> Check:
    version = str(nuke.NUKE_VERSION_STRING)
    if nuke.NUKE_VERSION_MAJOR < 13:
        return "nuke", "broken", "{} is older than these scripts can be".format(version), "Use Nuke 13 or later."
    if nuke.env.get("indie"):
        hint = "Select the nodes that are meant: scripts see ten others only."
        return "nuke", "warning", "{} Indie".format(version), hint
    return "nuke", "ok", version, ""


def _colour() -> Check:
    identity = configuration.identity()
    text = "{management}, {config}, working space {working_space}".format(**identity)
    if colour.sent_rendered("", configuration.to_send("")) is None:
        hint = "Reads in {} can be sent; nothing can be rendered in this working space.".format(spaces.names())
        return "colour", "warning", "{}, which anyportal does not know".format(text), hint
    return "colour", "ok", text, ""


def _script() -> Check:
    root = nuke.root()
    proxy: Any = root.knob("proxy")
    if not os.path.isfile(root.name()):
        return "script", "warning", "it was never saved", "Save it: results lie beside it, else in your home folder."
    on = proxy is not None and proxy.value()
    note = "; proxy mode is on, results are full size unless you choose proxy" if on else ""
    return "script", "ok", root.name() + note, ""


def _folder() -> Check:
    folder = results_folder()
    there = folder
    while not os.path.isdir(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    if not os.access(there, os.W_OK):
        return "results", "broken", "{} cannot be written".format(there), "Choose another folder in the panel."
    return "results", "ok", folder, ""

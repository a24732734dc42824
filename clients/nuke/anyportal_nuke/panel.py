"""The panel: Nuke's own, which needs no Qt and so no choice between PySide2 and PySide6."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import nuke
from anyportal_nuke import daemons
from anyportal_nuke.asked import COLOURS, MISSING, read_settings, write_settings
from anyportal_nuke.matte import ALPHA

_BACKDROP = "Backdrop (file, #rrggbb or words)"
_PLATE = "Plate"
_MATTE = "Matte"
_DETAIL = "Matte's channel or file"
_COLOURS = "The plate's colours are"
_FRAMES = "Frames"
_CONTEXT = "Context around a part"
_SIZE = "Size"
_MISSING = "Missing frames"
_SPACE = "Colour space"
_CONFIG = "Colour configuration"
_BACKDROP_SPACE = "Backdrop's colour space"
_PRESET = "Preset"
_SUBJECT = "Subject"
_SEED = "Seed"
_SETTINGS = "Settings (name=value)"
_FOLDER = "Results in"
_FOUND = "found by the preset"
_OWN = "the plate's alpha"
_CHANNEL = "a channel of the plate"
_FILE = "a file"
_MASK = "a picture of one frame"
_SAY = "say which"
_FULL = "full"
_PROXY = "proxy (a quick look)"
_FROM_SCRIPT = "as the script says"
_FROM_FILE = "as its file says"
_FROM_READ = "as the Read says"
_BY_ITSELF = "8, in a rerun the whole shot"


def choose_plate(nodes: List[nuke.Node]) -> Optional[nuke.Node]:
    """The plate among selected nodes: the only one, or which of two a person says. None: they changed their mind."""
    if len(nodes) == 1:
        return nodes[0]
    panel = nuke.Panel("AnyPortal: which is the plate?")
    names = [node.name() for node in nodes]
    panel.addEnumerationPulldown(_PLATE, _items(names))
    if not panel.show():
        return None
    return nodes[names.index(str(panel.value(_PLATE)))]


def ask(
    title: str, asked: Dict[str, Any], plate: nuke.Node, others: List[nuke.Node], frames: str, folder: str
) -> Optional[Dict[str, Any]]:
    """Ask a person; None where they changed their mind.

    Args:
        asked: what to begin with.
        others: nodes that may give the matte: the other selected one, the plate's second input.
        frames: the range there is, shown where none was asked for.
        folder: where results go, where nothing else was asked for.
    """
    mattes = _mattes(plate, others, str(asked["matte"]))
    daemon, offered = daemons.offered(str(asked["daemon"]))
    panel = nuke.Panel(title)
    panel.setWidth(640)
    panel.addFilenameSearch(_BACKDROP, str(asked["backdrop"]))
    panel.addEnumerationPulldown(_MATTE, _items(_first(list(mattes), _chosen_matte(asked, mattes))))
    panel.addFilenameSearch(_DETAIL, _detail(asked))
    panel.addEnumerationPulldown(_COLOURS, _items(_first([_SAY, *COLOURS], str(asked["colours"]) or _SAY)))
    panel.addSingleLineInput(_FRAMES, str(asked["frames"]) or frames)
    panel.addSingleLineInput(_CONTEXT, str(asked["context"]) or _BY_ITSELF)
    panel.addEnumerationPulldown(_MISSING, _items(_first([_FROM_READ, *MISSING], str(asked["missing"]) or _FROM_READ)))
    panel.addSingleLineInput(_PRESET, str(asked["preset"]))
    panel.addSingleLineInput(_SUBJECT, str(asked["subject"]))
    panel.addSingleLineInput(_SEED, str(asked["seed"]))
    panel.addSingleLineInput(_SETTINGS, write_settings(asked["settings"]))
    panel.addEnumerationPulldown(_SIZE, _items(_first([_FULL, _PROXY], _PROXY if asked["size"] == "proxy" else _FULL)))
    panel.addSingleLineInput(_SPACE, str(asked["colour_space"]) or _FROM_SCRIPT)
    panel.addSingleLineInput(_CONFIG, str(asked["colour_config"]) or _FROM_SCRIPT)
    panel.addSingleLineInput(_BACKDROP_SPACE, str(asked["backdrop_colour_space"]) or _FROM_FILE)
    panel.addFilenameSearch(_FOLDER, str(asked["folder"]) or folder)
    panel.addEnumerationPulldown(daemon, _items(list(offered)))
    if not panel.show():
        return None
    answers = _answers(panel, asked, mattes, frames, folder)
    return dict(answers, daemon=offered.get(str(panel.value(daemon)), str(asked["daemon"])))


def _answers(
    panel: nuke.Panel, asked: Dict[str, Any], mattes: Dict[str, str], frames: str, folder: str
) -> Dict[str, Any]:
    def said(name: str) -> str:
        return str(panel.value(name) or "").strip()

    def unless(name: str, usual: str) -> str:
        return "" if said(name) == usual else said(name)

    chosen, detail = said(_MATTE), said(_DETAIL)
    matte = {_CHANNEL: "channel:" + detail, _FILE: detail, _MASK: ""}.get(chosen, mattes.get(chosen, ""))
    answers = {
        "backdrop": said(_BACKDROP),
        "matte": matte,
        "mask": detail if chosen == _MASK else "",
        "colours": unless(_COLOURS, _SAY),
        "frames": unless(_FRAMES, frames),
        "context": unless(_CONTEXT, _BY_ITSELF),
        "missing": unless(_MISSING, _FROM_READ),
        "preset": said(_PRESET),
        "subject": said(_SUBJECT),
        "seed": said(_SEED) or "0",
        "settings": read_settings(said(_SETTINGS)),
        "size": "proxy" if said(_SIZE) == _PROXY else "full",
        "colour_space": unless(_SPACE, _FROM_SCRIPT),
        "colour_config": unless(_CONFIG, _FROM_SCRIPT),
        "backdrop_colour_space": unless(_BACKDROP_SPACE, _FROM_FILE),
        "folder": unless(_FOLDER, folder),
    }
    return dict(asked, **answers)


def _mattes(plate: nuke.Node, others: List[nuke.Node], before: str) -> Dict[str, str]:
    """What the matte may be: how a person reads it, and how matte.py does.

    Another node that was asked for before is among them, selected or not, and even where it has gone: OK alone never
    changes what is asked for, and a node that is not there is refused by its name.
    """
    found = {_FOUND: ""}
    if ALPHA in plate.channels():
        found[_OWN] = "alpha"
    for node in others:
        found["the alpha of {}".format(node.fullName())] = "node:{}".format(node.fullName())
    if before.startswith("node:") and before not in found.values():
        name, _, channel = before.partition(":")[2].partition(":")
        found["{} of {}".format(channel or "the alpha", name)] = before
    found.update({_CHANNEL: "channel:", _FILE: "", _MASK: ""})
    return found


def _chosen_matte(asked: Dict[str, Any], mattes: Dict[str, str]) -> str:
    """The item that stands for what was asked for before."""
    matte = str(asked["matte"])
    if asked["mask"]:
        return _MASK
    if matte.startswith("channel:"):
        return _CHANNEL
    named = [text for text, value in mattes.items() if value and value == matte]
    if named:
        return named[0]
    return _FILE if matte and matte != "alpha" and not matte.startswith("node:") else _FOUND


def _detail(asked: Dict[str, Any]) -> str:
    matte = str(asked["matte"])
    if matte.startswith("channel:"):
        return matte.partition(":")[2]
    plain = matte and matte != "alpha" and not matte.startswith("node:")
    return str(asked["mask"] or (matte if plain else ""))


def _first(items: List[str], chosen: str) -> List[str]:
    """A pulldown shows its first item."""
    return sorted(items, key=lambda item: item != chosen)


def _items(items: List[str]) -> str:
    """Parted by blanks, those with blanks in quotes."""
    return " ".join('"{}"'.format(item) if " " in item else item for item in items)

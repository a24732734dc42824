"""Colour: in which space a plate is sent, in which its results come back, and how the result's Read takes those.

Nothing is guessed. A space that neither the script's configuration explains nor the command knows is not sent under
another's name: the plate is rendered in the working space instead, or refused where the command does not know that.
"""

from __future__ import annotations

import os
from typing import Any, List, NamedTuple, Optional, Tuple

import nuke
from anyportal_nuke import configuration, spaces
from anyportal_nuke.configuration import Config, working
from anyportal_nuke.spaces import Space

Look = NamedTuple("Look", [("space", Space), ("out", str), ("raw", bool), ("entry", str), ("config", str)])
"""The plate's space as it is sent, the one that results are asked for in (empty: the plate's light), how the result's
Read takes them (as they are, or by an entry of its colour knob), and the configuration that explains it all."""

_SCENE_LINEAR = "scene_linear"
_LOG_FILES = (".cin", ".dpx")
_FLOAT_FILES = (".exr", ".hdr", ".sxr")


def known(name: str, knob: Optional[Any] = None) -> Optional[Space]:
    """The command's space of a name, or of another alias of it in a knob's list; None where it knows none."""
    entries = [name]
    if knob is not None:
        entries += [entry for entry in _list(knob) if set(spaces.aliases(name)) & set(spaces.aliases(entry))]
    return spaces.by_name(entries)


def of_read(read: nuke.Node) -> str:
    """What a Read's file is said to be in; the working space where its values are taken as they are."""
    if is_raw(read):
        return working()
    return _chosen(read)


def is_raw(read: nuke.Node) -> bool:
    """Whether a Read takes its file's values as they are."""
    return bool(configuration.value(read, "raw")) or spaces.is_data(_chosen(read))


def sent_as_it_is(read: nuke.Node, stated: str, config: Config) -> Optional[Look]:
    """How a Read's files go as they are; None where nobody could tell what they, or the results, are.

    Args:
        stated: the space that a person says the files are in.
    """
    knob, name = read["colorspace"], stated or of_read(read)
    if config.explains:
        return _unchanged(_space(_plain(name, knob)), config) if is_raw(read) else _explained(name, knob, config)
    space = known(name, None if stated else knob)
    if space is None:
        return _stated(name, config) if stated else None
    if is_raw(read):
        return _unchanged(space, config)
    if space.linear:
        return Look(space, "", False, spaces.aliases(of_read(read))[0], config.name)
    out, primaries = _light(space)
    entry = _linear_entry(primaries, knob)
    return Look(space, out, False, entry, config.name) if entry else None


def sent_rendered(stated: str, config: Config) -> Optional[Look]:
    """How rendered files go, which are in the working space; None where the command does not know that."""
    knob = nuke.root().knob("workingSpaceLUT")
    if config.explains:
        return _unchanged(_space(stated or _plain(working(), knob)), config)
    space = known(stated) or Space(stated, "", False, "") if stated else known(working(), knob)
    return _unchanged(space, config) if space else None


def default_of(path: str, bits: str) -> str:
    """What `default` stands for: the project's choice for such files."""
    ending = os.path.splitext(path)[1].lower()
    if ending in _FLOAT_FILES or "float" in bits:
        knob = "floatLut"
    elif ending in _LOG_FILES:
        knob = "logLut"
    else:
        knob = "int16Lut" if bits.startswith("16") else "int8Lut"
    return str(configuration.value(nuke.root(), knob) or "")


def _explained(name: str, knob: Any, config: Config) -> Look:
    """A space of the script's own configuration. Results are in it where it is light, else in that of the script.

    What a name is taken for here decides no pixel: results are asked for in the space by which the Read takes them.
    """
    space = _space(_plain(name, knob))
    if space.linear and space.name in {alias for entry in _list(knob) for alias in spaces.aliases(entry)}:
        return Look(space, space.name, False, space.name, config.name)
    entry = _scene_linear(knob)
    if entry:
        return Look(space, _SCENE_LINEAR, False, entry, config.name)
    # Nuke's own curves are no spaces of a configuration that somebody states.
    out = _SCENE_LINEAR if configuration.is_own() else _plain(working(), knob)
    return Look(space, out, True, "", config.name)


def _unchanged(space: Space, config: Config) -> Look:
    """Values that nobody converts: results are in the space of the plate, and taken as they are."""
    return Look(space, "" if space.linear and not config.explains else space.name, True, "", config.name)


def _stated(name: str, config: Config) -> Optional[Look]:
    """A space that the command may know though the script does not: results come in the working space."""
    into = known(working(), nuke.root().knob("workingSpaceLUT"))
    return Look(Space(name, "", False, ""), into.name, True, "", config.name) if into else None


def _light(space: Space) -> Tuple[str, str]:
    """The space that results are asked for in, where it is not the plate's own light; and its primaries.

    Nuke's own curves leave the light of a camera's log in the camera's gamut, without saying so: the result has to be
    there as well, or it would not lie over its plate.
    """
    if not space.light:
        return "", space.primaries
    return (space.light, "bt709") if configuration.is_own() else ("ACEScg", "ap1")


def _space(name: str) -> Space:
    """A space of the script's own configuration, under the name that it has there."""
    found = known(name)
    return Space(name, "", found is not None and found.linear, "")


def _linear_entry(primaries: str, knob: Any) -> str:
    """The entry of a knob's list that is linear light, under its first alias; empty where there is none."""
    for entry in _list(knob):
        found = known(entry)
        if found and found.linear and found.primaries == primaries:
            return spaces.aliases(entry)[0]
    return ""


def _scene_linear(knob: Any) -> str:
    """The entry of the role `scene_linear`; empty where the list has none."""
    for entry in _list(knob):
        if spaces.role_of(entry) == _SCENE_LINEAR or entry.strip() == _SCENE_LINEAR:
            return spaces.aliases(entry)[0]
    role = spaces.role_of(working()) == _SCENE_LINEAR or working() == _SCENE_LINEAR
    return spaces.without_role(working()) if role else ""


def _plain(name: str, knob: Any) -> str:
    """A space's own name in its configuration: an entry's first field, where the name is anything else in it."""
    bare = spaces.without_role(name.strip())
    for entry in _list(knob):
        fields = [field.strip() for part in entry.split("\t") for field in [part, *part.split(",")]]
        if bare in fields:
            return spaces.aliases(entry)[0]
    return bare.rpartition("/")[2] or bare


def _chosen(read: nuke.Node) -> str:
    name = str(read["colorspace"].value())
    if name.strip().lower() != "default":
        return name
    return default_of(nuke.filename(read) or "", str(read.metadata("input/bitsperchannel") or ""))


def _list(knob: Any) -> List[str]:
    try:
        return list(nuke.getColorspaceList(knob) or [])
    except Exception:  # a knob without such a list: ColorspaceLookupError, or whatever a version raises
        return []

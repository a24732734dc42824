"""Which OpenColorIO configuration explains the script's names, and which one is sent with them."""

from __future__ import annotations

import os
from typing import Any, Dict, NamedTuple

from anyportal_hostkit import colours

import nuke

NONE = "none"
"""Asked for: names are sent without a configuration."""

Config = NamedTuple("Config", [("name", str), ("explains", bool)])
"""What goes as `--colour-config`, and whether the script's own names are that configuration's."""

_OWN = "fn-nuke_"  # Nuke's copies of OpenColorIO's configurations have the same spaces under the same names
_BUILT_IN = frozenset(
    "{}-config-{}".format(kind, version)
    for kind in ("cg", "studio")
    for version in ("v1.0.0_aces-v1.3_ocio-v2.1", "v2.1.0_aces-v1.3_ocio-v2.3", "v2.2.0_aces-v1.3_ocio-v2.4")
)


def working() -> str:
    """The name of the working space."""
    return str(value(nuke.root(), "workingSpaceLUT") or "linear")


def identity() -> Dict[str, str]:
    """Which colour management the script's names belong to. The environment goes before the script's own choice."""
    root = nuke.root()
    if str(value(root, "colorManagement") or "Nuke") != "OCIO":
        return {"management": "Nuke", "config": "nuke-default", "working_space": working()}
    stock = str(value(root, "OCIO_config") or "")
    config = os.environ.get("OCIO", "")
    if not config:
        config = _custom(root) if stock == "custom" else stock
    return {"management": "OCIO", "config": config, "working_space": working()}


def is_own() -> bool:
    """Whether names are those of Nuke's own curves, which know no gamuts."""
    return identity()["config"] == "nuke-default"


def to_send(stated: str) -> Config:
    """The configuration to send.

    Args:
        stated: by a person: a path, a built-in one's name, or `none`; empty: the script's.
    """
    if stated and stated != NONE:
        return Config(stated, True)
    chosen = "" if stated or is_own() else identity()["config"]
    if chosen.startswith(_OWN):
        chosen = chosen[len(_OWN) :]
    if chosen and (_is_file(chosen) or chosen in _BUILT_IN):
        return Config(chosen, True)
    return Config(colours.config_of_own_names(), False)


def value(node: nuke.Node, name: str) -> Any:
    """A knob's value; None where the node has no such knob."""
    knob = node.knob(name)
    return knob.value() if knob is not None else None


def _custom(root: nuke.Node) -> str:
    """The custom configuration's file, with its expressions worked out."""
    knob: Any = root.knob("customOCIOConfigPath")
    path = str((knob.evaluate() or "") if knob is not None else "")
    folder: Any = root.knob("project_directory")
    if path and not os.path.isabs(path) and folder is not None:
        path = os.path.join(str(folder.evaluate() or ""), path)
    return path.replace("\\", "/")


def _is_file(config: str) -> bool:
    return config.lower().endswith((".ocio", ".ocioz")) or config.startswith("ocio://")

"""Everything that can be named in a recipe here: presets from TOML, plug-ins from entry points."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

from anyportal_core.registry import Catalogue, discover


def load_catalogue() -> Catalogue:
    """Read presets and plug-in specs. Imports no plug-in."""
    plugins, broken = discover()
    return Catalogue(plugins=plugins, presets=_presets(), broken=broken)


def _presets() -> dict[str, dict[str, Any]]:
    folder = resources.files("anyportal_core.presets")
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
    return {item.name.removesuffix(".toml"): tomllib.loads(item.read_text("utf-8")) for item in files}

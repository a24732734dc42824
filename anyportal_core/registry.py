"""Plug-ins, found by entry point, described by data, imported only when used."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Literal

from anyportal_core.errors import AnyPortalError, MissingExtraError, unknown_name
from anyportal_core.settings import Setting
from anyportal_core.sizes import ANY_SIZE, Limits

ENTRY_POINT_GROUP = "anyportal.plugins"

Role = Literal["matte", "clean_plate", "tracks", "motion", "first_frame", "background", "harmonise", "refine"]
ROLES: tuple[Role, ...] = (
    "matte",
    "clean_plate",
    "tracks",
    "motion",
    "first_frame",
    "background",
    "harmonise",
    "refine",
)
"""All roles, in the order their stages run."""

OPTIONAL_ROLES: frozenset[Role] = frozenset({"clean_plate", "tracks", "first_frame"})
"""Roles that a preset may leave out: their stages do not run then."""

BackdropKind = Literal["prompt", "still", "clip", "colour"]


@dataclass(frozen=True)
class ModelUse:
    """When a plug-in loads one of its models. What has no such entry is always loaded; of several, all must hold.

    Args:
        model: its name.
        setting: one of the plug-in's that must be on: neither false nor 0; empty for none.
        backdrops: what the backdrop must be one of; empty for any.
        text: whether there must be a prompt or a subject.
    """

    model: str
    setting: str = ""
    backdrops: tuple[BackdropKind, ...] = ()
    text: bool = False


@dataclass(frozen=True)
class PluginSpec:
    """What is known about a plug-in without importing it.

    Args:
        name: ``family.variant``, e.g. ``draft.person``.
        role: the slot it fills.
        version: changes whenever its results may change; part of every digest.
        factory: ``package.module:attribute``; called with no argument, gives an object of the role's Protocol.
        summary: one sentence for people.
        settings: what a recipe may set.
        makes: the kind of result it yields, e.g. ``homography`` or ``tracking_video`` for motion. A background
            plug-in that makes ``video`` paints frames.
        needs: per role, the kind of result it must be given.
        backdrops: for background plug-ins, the backdrops they can work from.
        as_they_are: for background plug-ins, the backdrops they take for the background as they are: neither motion
            nor a first frame is looked for then.
        prompted: whether it reads the context's prompts. They are empty otherwise, so that no other prompt makes it
            run again.
        models: the models it loads, by their names (see `anyportal_core.models`).
        model_uses: which of them it does not load for every recipe, and when it does.
        limits: the sizes of pictures that its networks take. The work size keeps to the most pixels of every plug-in
            that runs; what else they need, plug-ins see to (see `anyportal_core.method.fitting`).
        extra: the extra of this distribution to install when the import fails.
    """

    name: str
    role: Role
    version: str
    factory: str
    summary: str
    settings: tuple[Setting, ...] = ()
    makes: str = ""
    needs: tuple[tuple[Role, str], ...] = ()
    backdrops: tuple[BackdropKind, ...] = ()
    as_they_are: tuple[BackdropKind, ...] = ()
    prompted: bool = False
    models: tuple[str, ...] = ()
    model_uses: tuple[ModelUse, ...] = ()
    limits: Limits = ANY_SIZE
    extra: str = ""


@dataclass(frozen=True)
class Catalogue:
    """Everything a recipe can name: plain data, so it crosses the worker's pipe."""

    plugins: Mapping[str, PluginSpec]
    presets: Mapping[str, Mapping[str, Any]]
    broken: Mapping[str, str] = field(default_factory=dict)
    """Entry points that could not be read, and why."""

    def plugin(self, name: str, role: str, where: str = "") -> PluginSpec:
        """The plug-in of that name, which must fill ``role``.

        Raises:
            UnknownNameError: no such plug-in for that role; the nearest is offered.
        """
        spec = self.plugins.get(name)
        if spec is None or spec.role != role:
            fitting = [p.name for p in self.plugins.values() if p.role == role]
            raise unknown_name(f"{role} plug-in", name, fitting, where=where)
        return spec


def discover() -> tuple[dict[str, PluginSpec], dict[str, str]]:
    """Read the specs of all installed plug-ins: ``(specs by name, failures by entry point)``.

    A third-party package that fails to import is reported, not raised: it must not take the others down.
    """
    specs: dict[str, PluginSpec] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            found: Iterable[PluginSpec] = point.load()
            for spec in found:
                if spec.name in specs:
                    raise ValueError(f"the plug-in name {spec.name} is taken")
                specs[spec.name] = spec
        except Exception as error:  # whatever a foreign package raises while it is imported
            broken[point.name] = f"{type(error).__name__}: {error}"
    return specs, broken


def create(spec: PluginSpec) -> Any:
    """Import a plug-in's module and make its object.

    Raises:
        MissingExtraError: a package it needs is not installed; the hint names the extra.
    """
    module, _, attribute = spec.factory.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        extra = f"pip install 'anyportal[{spec.extra}]'" if spec.extra else "install the plug-in's dependencies"
        raise MissingExtraError(f"{error}", where=spec.name, hint=extra) from error
    except AttributeError as error:
        raise AnyPortalError(f"{error}", where=spec.name, hint="the plug-in's factory is misspelled") from error
    return factory()

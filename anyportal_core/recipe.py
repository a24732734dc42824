"""The recipe: every setting that decides the result, with a canonical form and a digest.

A person writes a RecipeRequest: a preset and what differs from it. ``resolve`` fills in the rest.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast, get_args

import tomli_w

from anyportal_core.errors import RecipeError, UnsupportedBackdropError, unknown_name
from anyportal_core.registry import OPTIONAL_ROLES, ROLES, BackdropKind, Catalogue, PluginSpec, Role
from anyportal_core.settings import Setting, Settings

SCHEMA = 1

WORK = (
    Setting(
        "long_side",
        "integer",
        640,
        "Long side of the pictures the models see, in pixels.",
        minimum=64,
        maximum=4096,
    ),
    Setting(
        "cuts",
        "choice",
        "found",
        "Cuts inside a shot: nothing is carried over those that are found; none takes it for one shot.",
        choices=("found", "none"),
    ),
)
FINISH = (
    Setting(
        "relight_strength",
        "number",
        1.0,
        "How far the foreground takes the new light: the exponent of the gain. 0 keeps the plate's own pixels.",
        minimum=0.0,
        maximum=1.0,
        animated=True,
    ),
    Setting(
        "shadow",
        "number",
        0.0,
        "How dark a shadow the foreground throws where it stands on ground that is seen.",
        minimum=0.0,
        maximum=1.0,
        animated=True,
    ),
    Setting(
        "shadow_size",
        "number",
        1.0,
        "How far that shadow spreads, beside what is usual for the foreground's size.",
        minimum=0.1,
        maximum=5.0,
        animated=True,
    ),
    Setting(
        "wrap",
        "number",
        0.0,
        "How much light of the new background scatters over the foreground's edges.",
        minimum=0.0,
        maximum=1.0,
        animated=True,
    ),
    Setting(
        "wrap_width",
        "number",
        0.8,
        "How far that light reaches in, in percent of the picture's height.",
        minimum=0.05,
        maximum=10.0,
        animated=True,
    ),
    Setting(
        "grain",
        "number",
        0.0,
        "How much of the plate's grain the background gets, as far as it lacks it: 1 makes them alike.",
        minimum=0.0,
        maximum=4.0,
        animated=True,
    ),
    Setting(
        "sharpness",
        "number",
        0.0,
        "How far a background that is sharper than the plate is softened: 1 makes them alike.",
        minimum=0.0,
        maximum=2.0,
        animated=True,
    ),
    Setting(
        "motion_blur",
        "number",
        0.0,
        "How much of the plate's motion blur, as its shutter is found to be, a moving backdrop gets.",
        minimum=0.0,
        maximum=2.0,
        animated=True,
    ),
    Setting(
        "edge_shift",
        "number",
        0.0,
        "How far the matte's edge is moved out, or in where below 0, in percent of the picture's height.",
        minimum=-5.0,
        maximum=5.0,
        animated=True,
    ),
    Setting(
        "edge_softness",
        "number",
        0.0,
        "How far the matte's edge is blurred, in percent of the picture's height.",
        minimum=0.0,
        maximum=5.0,
        animated=True,
    ),
    Setting(
        "despill",
        "number",
        1.0,
        "How much of a keyed screen's light is taken off the foreground; above 1 of its own such colour as well.",
        minimum=0.0,
        maximum=2.0,
        animated=True,
    ),
    Setting(
        "clean_edges",
        "boolean",
        True,
        "Take the old background out of soft edges; off: the colours are the foreground's.",
    ),
)
_CORE: dict[str, tuple[Setting, ...]] = {"work": WORK, "finish": FINISH}
SECTIONS = ("work", *ROLES, "finish")
_HEAD = ("schema", "preset", "subject", "seed", "backdrop")
_SEED = Setting("seed", "integer", 0, "Source of every random draw.", minimum=-(2**63), maximum=2**63 - 1)
_TEXT = Setting("text", "text", "", "Words.")
_COLOUR = Setting("colour", "colour", "#000000", "A colour in sRGB.")


@dataclass(frozen=True)
class BackdropChoice:
    """The backdrop as the recipe knows it: a prompt's text, ``#rrggbb``, or the SHA-256 of a still or clip."""

    kind: BackdropKind
    value: str


@dataclass(frozen=True)
class RecipeRequest:
    """What a person asks for.

    Args:
        settings: by section (``{"matte": {"plugin": "draft.key"}}``), by dotted name
            (``{"matte.plugin": "draft.key"}``) or by a setting's own name where only one section has it.
    """

    backdrop: BackdropChoice
    preset: str = "draft"
    subject: str = ""
    seed: int = 0
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class RoleChoice:
    """The plug-in that fills a role, with all its settings."""

    plugin: str
    settings: Settings


@dataclass(frozen=True)
class Recipe:
    """A recipe in full. Two recipes with equal digests give equal pixels from equal inputs."""

    preset: str
    backdrop: BackdropChoice
    subject: str
    seed: int
    work: Settings
    roles: Mapping[Role, RoleChoice]
    finish: Settings

    def as_json(self) -> dict[str, Any]:
        """Plain data; also the layout of a recipe file in TOML."""
        return {
            "schema": SCHEMA,
            "preset": self.preset,
            "subject": self.subject,
            "seed": self.seed,
            "backdrop": {"kind": self.backdrop.kind, "value": self.backdrop.value},
            "work": self.work.as_json(),
            **{r: {"plugin": c.plugin, **c.settings.as_json()} for r, c in self.roles.items()},
            "finish": self.finish.as_json(),
        }

    def canonical(self) -> str:
        """Canonical JSON: sorted keys, no spaces, shortest round-trip floats."""
        return canonical_json(self.as_json())

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def to_toml(self) -> str:
        """A recipe file that ``request_from_toml`` reads back."""
        return tomli_w.dumps(self.as_json())


def canonical_json(data: object) -> str:
    """The one text that stands for plain data: sorted keys, no spaces, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def request_from_toml(text: str, where: str = "recipe") -> RecipeRequest:
    """Read a recipe file; what it leaves out comes from its preset.

    Raises:
        RecipeError: no TOML, a newer schema, or no backdrop.
    """
    try:
        return _request(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"not readable as TOML: {error}", where=where) from error


def resolve_canonical(text: str, catalogue: Catalogue) -> Recipe:
    """The recipe whose canonical form is ``text``."""
    return resolve(_request(json.loads(text), "recipe"), catalogue)


def _request(data: dict[str, Any], where: str) -> RecipeRequest:
    if data.get("schema", SCHEMA) != SCHEMA:
        raise RecipeError(f"schema {data['schema']} is not known here", where=where, hint="update anyportal")
    backdrop = data.get("backdrop")
    if not isinstance(backdrop, dict) or set(backdrop) != {"kind", "value"}:
        raise RecipeError("a backdrop has kind and value", where=f"{where}.backdrop")
    return RecipeRequest(
        backdrop=BackdropChoice(backdrop["kind"], backdrop["value"]),
        preset=data.get("preset", "draft"),
        subject=data.get("subject", ""),
        seed=data.get("seed", 0),
        settings={name: value for name, value in data.items() if name not in _HEAD},
    )


def resolve(request: RecipeRequest, catalogue: Catalogue, given: frozenset[str] = frozenset()) -> Recipe:
    """Fill in a request from its preset and check everything in it.

    Args:
        catalogue: the presets and plug-ins there are.
        given: ``matte`` and ``mask``, where the shot brings them: a preset may choose another plug-in then.

    Raises:
        UnknownNameError: a preset, plug-in or setting that does not exist; the nearest is offered.
        UnsupportedBackdropError: the background plug-in cannot work from that backdrop.
        RecipeError: a value of the wrong kind or out of range, or plug-ins that do not fit together.
    """
    request = _checked(request)
    preset = catalogue.presets.get(request.preset)
    if preset is None:
        raise unknown_name("preset", request.preset, catalogue.presets, where="recipe.preset")
    asked, loose = _sections(request.settings)
    chosen = ((role, _choose(role, preset, asked, catalogue, given)) for role in ROLES)
    specs = {role: spec for role, spec in chosen if spec is not None}
    _place_loose(loose, asked, specs)
    _check_fit(request.backdrop, specs, request.preset)
    values = {role: _merge(preset, asked, role, spec.name) for role, spec in specs.items()}
    core = {name: _merge(preset, asked, name, "") for name in _CORE}
    return Recipe(
        preset=request.preset,
        backdrop=request.backdrop,
        subject=request.subject,
        seed=request.seed,
        work=Settings.check(WORK, core["work"], "recipe.settings.work"),
        roles={
            role: RoleChoice(
                spec.name, Settings.check(spec.settings, values[role], f"recipe.settings.{role}", "plugin")
            )
            for role, spec in specs.items()
        },
        finish=Settings.check(FINISH, core["finish"], "recipe.settings.finish"),
    )


def _checked(request: RecipeRequest) -> RecipeRequest:
    """The request with what stands at its head in canonical types."""
    backdrop = request.backdrop
    if backdrop.kind not in get_args(BackdropKind):
        raise unknown_name("kind of backdrop", str(backdrop.kind), get_args(BackdropKind), where="recipe.backdrop")
    value = (_COLOUR if backdrop.kind == "colour" else _TEXT).check(backdrop.value, "recipe.backdrop")
    return replace(
        request,
        backdrop=BackdropChoice(backdrop.kind, str(value)),
        preset=str(_TEXT.check(request.preset, "recipe.preset")),
        subject=str(_TEXT.check(request.subject, "recipe.subject")),
        seed=cast(int, _SEED.check(request.seed, "recipe.seed")),
    )


def _sections(settings: Mapping[str, object]) -> tuple[dict[str, dict[str, object]], dict[str, object]]:
    """Sort what was asked into sections, and names that stand alone."""
    asked: dict[str, dict[str, object]] = {name: {} for name in SECTIONS}
    loose: dict[str, object] = {}
    for name, value in settings.items():
        section, dot, rest = name.partition(".")
        if name in asked:
            if not isinstance(value, Mapping):
                raise RecipeError(f"'{name}' is a section, not a setting", where=f"recipe.settings.{name}")
            asked[name].update(value)
        elif dot:
            if section not in asked:
                raise unknown_name("section", section, SECTIONS, where=f"recipe.settings.{name}")
            asked[section][rest] = value
        else:
            loose[name] = value
    return asked, loose


def _choose(
    role: Role,
    preset: Mapping[str, Any],
    asked: Mapping[str, dict[str, object]],
    catalogue: Catalogue,
    given: frozenset[str],
) -> PluginSpec | None:
    """The plug-in of a role: the one asked for, else the preset's for what the shot brings; None leaves it out."""
    where = f"recipe.settings.{role}.plugin"
    name = asked[role].pop("plugin", None)
    if name is None:
        section = preset.get(role, {})
        keys = [f"plugin_with_{what}" for what in ("matte", "mask", "clean_plate") if what in given]
        name = next((section[key] for key in (*keys, "plugin") if key in section), None)
    if name is None and role in OPTIONAL_ROLES:
        return None
    if not isinstance(name, str):
        raise RecipeError("names no plug-in", where=where, hint=f"set {role}.plugin")
    return catalogue.plugin(name, role, where)


def _place_loose(
    loose: Mapping[str, object], asked: dict[str, dict[str, object]], specs: Mapping[Role, PluginSpec]
) -> None:
    """Give names that stand alone to the one section that has such a setting; refuse settings of an empty role."""
    for role in OPTIONAL_ROLES - specs.keys():
        if asked[role]:
            where = f"recipe.settings.{role}"
            raise RecipeError("no plug-in fills this role", where=where, hint=f"set {role}.plugin")
    sections: dict[str, tuple[Setting, ...]] = {**_CORE, **{role: spec.settings for role, spec in specs.items()}}
    for name, value in loose.items():
        homes = [section for section, known in sections.items() if any(s.name == name for s in known)]
        if not homes:
            names = {s.name for known in sections.values() for s in known}
            raise unknown_name("setting", name, names | {*SECTIONS, *_HEAD}, where="recipe.settings")
        if len(homes) > 1:
            options = " or ".join(f"{home}.{name}" for home in homes)
            raise RecipeError(f"'{name}' is in {len(homes)} sections", where="recipe.settings", hint=f"say {options}")
        asked[homes[0]].setdefault(name, value)


def _merge(
    preset: Mapping[str, Any], asked: Mapping[str, dict[str, object]], name: str, plugin: str
) -> dict[str, object]:
    """A section's settings: what was asked for over the preset's, which hold for the preset's own plug-in only."""
    section = preset.get(name, {})
    ours = {key: value for key, value in section.items() if not key.startswith("plugin")}
    return {**(ours if section.get("plugin", "") == plugin else {}), **asked[name]}


def _check_fit(backdrop: BackdropChoice, specs: Mapping[Role, PluginSpec], preset: str) -> None:
    background = specs["background"]
    if backdrop.kind not in background.backdrops:
        able = ", ".join(background.backdrops)
        hint = f"'{preset}' works from: {able}"
        if backdrop.kind == "prompt":
            hint = f"the preset 'anyportal' makes a place from text (extra: diffusion); {hint}"
        raise UnsupportedBackdropError(
            f"the preset '{preset}' cannot make a background from a {backdrop.kind}",
            where="recipe.backdrop",
            hint=hint,
        )
    if backdrop.kind == "prompt" and not backdrop.value.strip():
        hint = "say in a few words what is to be seen, such as: a beach at dusk"
        raise RecipeError("the prompt is empty", where="recipe.backdrop", hint=hint)
    for spec in specs.values():
        for role, kind in spec.needs:
            other = specs.get(role)
            if other is None or other.makes != kind:
                raise RecipeError(
                    f"{spec.name} needs a {role} plug-in that makes {kind}; {other.name if other else 'none'} does not",
                    where=f"recipe.settings.{role}.plugin",
                )

from typing import Any

import pytest

from anyportal_core.catalogue import load_catalogue
from anyportal_core.errors import RecipeError, UnknownNameError, UnsupportedBackdropError
from anyportal_core.recipe import BackdropChoice, RecipeRequest, request_from_toml, resolve, resolve_canonical
from anyportal_core.registry import ROLES, Catalogue, PluginSpec
from anyportal_core.settings import Setting

STRENGTH = Setting("strength", "number", 1.0, "How much.", minimum=0, maximum=2, animated=True)
CATALOGUE = Catalogue(
    plugins={
        spec.name: spec
        for spec in (
            PluginSpec("t.given", "matte", "1", "t:Given", "As supplied."),
            PluginSpec("t.found", "matte", "1", "t:Found", "Found.", (Setting("size", "integer", 8, "Size."),)),
            PluginSpec("t.carried", "matte", "1", "t:Carried", "Carried."),
            PluginSpec("t.plane", "motion", "1", "t:Plane", "Plane.", makes="homography"),
            PluginSpec("t.points", "motion", "1", "t:Points", "Points.", makes="tracking_video"),
            PluginSpec(
                "t.warp", "background", "1", "t:Warp", "Warp.", (STRENGTH,),
                needs=(("motion", "homography"),), backdrops=("still", "clip", "colour"),
            ),
            PluginSpec("t.light", "harmonise", "1", "t:Light", ".", (STRENGTH, Setting("warmth", "number", 0, "."))),
            PluginSpec("t.steady", "refine", "1", "t:Steady", "Steady."),
        )
    },
    presets={
        "quick": {
            "matte": {"plugin": "t.found", "plugin_with_matte": "t.given", "plugin_with_mask": "t.carried", "size": 16},
            "motion": {"plugin": "t.plane"},
            "background": {"plugin": "t.warp"},
            "harmonise": {"plugin": "t.light"},
            "refine": {"plugin": "t.steady"},
            "finish": {"relight_strength": 0.75},
        }
    },
)  # fmt: skip
COLOUR = BackdropChoice("colour", "#102030")


def ask(backdrop: BackdropChoice = COLOUR, preset: str = "quick", **settings: object) -> RecipeRequest:
    return RecipeRequest(backdrop, preset, settings=settings)


def test_the_preset_fills_in_what_was_not_asked() -> None:
    recipe = resolve(ask(), CATALOGUE)
    assert recipe.roles["matte"].plugin == "t.found"
    assert recipe.roles["matte"].settings["size"] == 16
    assert recipe.finish["relight_strength"] == 0.75


def test_a_preset_chooses_by_what_the_shot_brings() -> None:
    assert resolve(ask(), CATALOGUE, frozenset({"matte"})).roles["matte"].plugin == "t.given"
    assert resolve(ask(), CATALOGUE, frozenset({"mask"})).roles["matte"].plugin == "t.carried"
    both = frozenset({"matte", "mask"})
    assert resolve(ask(), CATALOGUE, both).roles["matte"].plugin == "t.given"
    assert resolve(ask(matte={"plugin": "t.found"}), CATALOGUE, both).roles["matte"].plugin == "t.found"


def test_settings_by_section_dotted_and_by_own_name_mean_the_same() -> None:
    by_section = resolve(ask(harmonise={"warmth": 0.5}), CATALOGUE)
    assert resolve(ask(**{"harmonise.warmth": 0.5}), CATALOGUE) == by_section
    assert resolve(ask(warmth=0.5), CATALOGUE).digest == by_section.digest


def test_a_name_in_two_sections_must_say_which() -> None:
    with pytest.raises(RecipeError, match=r"background\.strength or harmonise\.strength"):
        resolve(ask(strength=1), CATALOGUE)


def test_the_presets_values_do_not_reach_another_plugin() -> None:
    # t.given has no setting `size`: the preset's value for t.found must not be pushed on it.
    assert "size" not in resolve(ask(matte={"plugin": "t.given"}), CATALOGUE).roles["matte"].settings


@pytest.mark.parametrize(
    ("request_", "near"),
    [
        (ask(preset="quik"), "quick"),
        (ask(matte={"plugin": "t.fond"}), "t.found"),
        (ask(matte={"plugin": "t.plane"}), "t.given"),
        (ask(warmht=1), "warmth"),
        (ask(harmonise={"warmht": 1}), "warmth"),
        (ask(**{"harmonize.warmth": 1}), "harmonise"),
        (ask(**{"matte.plgin": "t.found"}), "plugin"),
        (ask(subjct="a man"), "subject"),
        (ask(sed=3), "seed"),
        (ask(BackdropChoice("colr", "#000000")), "colour"),  # type: ignore[arg-type]
    ],
)
def test_unknown_names_offer_near_ones(request_: RecipeRequest, near: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        resolve(request_, CATALOGUE)
    assert near in caught.value.hint


def test_a_prompt_is_refused_with_the_preset_that_can() -> None:
    with pytest.raises(UnsupportedBackdropError, match="'anyportal'"):
        resolve(ask(BackdropChoice("prompt", "a beach")), CATALOGUE)


def test_plugins_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(RecipeError, match="makes homography"):
        resolve(ask(motion={"plugin": "t.points"}), CATALOGUE)


def test_the_digest_changes_with_every_setting_and_with_nothing_else() -> None:
    plain = resolve(ask(), CATALOGUE)
    assert plain.digest == resolve(ask(matte={"plugin": "t.found"}, size=16), CATALOGUE).digest
    others = [
        ask(BackdropChoice("colour", "#102031")),
        ask(size=17),
        ask(warmth=0.1),
        ask(relight_strength={"10": 0.5}),
        RecipeRequest(COLOUR, "quick", seed=1),
        RecipeRequest(COLOUR, "quick", subject="a cat"),
    ]
    digests = {resolve(other, CATALOGUE).digest for other in others}
    assert len(digests) == len(others)
    assert plain.digest not in digests


def test_toml_and_canonical_form_come_back_the_same() -> None:
    recipe = resolve(ask(relight_strength={"1001": 0.25, "990": 1}, warmth=0.1), CATALOGUE)
    assert resolve(request_from_toml(recipe.to_toml()), CATALOGUE) == recipe
    assert resolve_canonical(recipe.canonical(), CATALOGUE) == recipe


@pytest.mark.parametrize("text", ["preset = ", 'schema = 99\n[backdrop]\nkind="colour"\nvalue="#000000"', "seed = 1"])
def test_a_recipe_file_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(RecipeError):
        request_from_toml(text)


@pytest.mark.parametrize("name", load_catalogue().presets)
def test_every_preset_names_plugins_that_exist(name: str) -> None:
    catalogue = load_catalogue()
    for role in ROLES:
        section = catalogue.presets[name].get(role, {})
        for key in (key for key in section if key.startswith("plugin")):
            assert catalogue.plugin(section[key], role)


@pytest.mark.parametrize("given", [frozenset(), frozenset({"matte"}), frozenset({"mask"})])
def test_the_draft_preset_resolves_whatever_the_shot_brings(given: frozenset[str]) -> None:
    assert resolve(RecipeRequest(COLOUR), load_catalogue(), given).preset == "draft"


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", "abc"), ("seed", 1.5), ("seed", True), ("seed", 2**63), ("subject", 5), ("preset", 3), ("preset", ["a"])],
)
def test_what_stands_at_the_head_has_its_kind(field: str, value: object) -> None:
    given: dict[str, Any] = {"backdrop": COLOUR, "preset": "quick", field: value}
    with pytest.raises(RecipeError) as caught:
        resolve(RecipeRequest(**given), CATALOGUE)
    assert caught.value.where == f"recipe.{field}"


@pytest.mark.parametrize("value", ["red", "#12345", 3])
def test_a_backdrops_colour_is_one(value: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        resolve(ask(BackdropChoice("colour", value)), CATALOGUE)
    assert caught.value.where == "recipe.backdrop"


def test_one_meaning_has_one_digest() -> None:
    upper, lower = (resolve(ask(BackdropChoice("colour", c)), CATALOGUE) for c in ("#FF00AA", "#ff00aa"))
    assert upper.digest == lower.digest
    assert resolve(ask(warmth=-0.0), CATALOGUE).digest == resolve(ask(warmth=0), CATALOGUE).digest

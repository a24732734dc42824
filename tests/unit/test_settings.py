import pytest

from anyportal_core.errors import RecipeError, UnknownNameError
from anyportal_core.settings import Setting, Settings, interpolate

SPECS = (
    Setting("strength", "number", 0.5, "How much.", minimum=0, maximum=1, animated=True),
    Setting("radius", "integer", 3, "How far, in pixels.", minimum=1),
    Setting("mode", "choice", "fast", "Which way.", choices=("fast", "fine")),
    Setting("screen", "colour", "#00ff00", "Colour of the screen."),
    Setting("invert", "boolean", False, "The other way round."),
)


def check(**given: object) -> Settings:
    return Settings.check(SPECS, given, "recipe.settings.matte")


def test_defaults_are_filled_in() -> None:
    assert check().as_json() == {
        "strength": 0.5,
        "radius": 3,
        "mode": "fast",
        "screen": "#00ff00",
        "invert": False,
    }


def test_whole_numbers_may_arrive_as_floats() -> None:
    assert check(radius=4.0).integer("radius") == 4


@pytest.mark.parametrize(
    "given",
    [
        {"strength": 1.1},
        {"strength": "0.5"},
        {"strength": True},
        {"strength": float("nan")},
        {"radius": 2.5},
        {"radius": {"1": 2}},
        {"mode": "slow"},
        {"screen": "green"},
        {"invert": 1},
        {"strength": {}},
        {"strength": {"a": 0.1}},
        {"strength": {"1": 2.0}},
        {"strength": {"01001": 0.1, "1001": 0.2}},
    ],
)
def test_wrong_values_are_refused_and_the_field_is_named(given: dict[str, object]) -> None:
    with pytest.raises(RecipeError) as caught:
        check(**given)
    assert caught.value.where.startswith(f"recipe.settings.matte.{next(iter(given))}")


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("strength", "abc", "allowed: numbers from 0 up to 1"),
        ("strength", float("nan"), "allowed: numbers from 0 up to 1"),
        ("strength", 2, "allowed: numbers from 0 up to 1"),
        ("strength", {"a": 1}, '{"1001": 0.5}'),
        ("strength", {"9" * 300: 1}, '{"1001": 0.5}'),
        ("strength", {"9" * 5000: 1}, '{"1001": 0.5}'),
        ("strength", {"1001": 0.1, " 1001": 0.2}, "give one"),
        ("radius", 2.5, "allowed: whole numbers from 1"),
        ("invert", "yes", "true or false"),
        ("mode", 3, "known: fast, fine"),
        ("screen", 3, "#rrggbb"),
    ],
)
def test_a_wrong_value_is_told_what_is_allowed(name: str, value: object, hint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check(**{name: value})
    assert hint in caught.value.hint


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean strength"):
        check(strenght=0.2)


def test_keys_are_linear_between_and_held_outside() -> None:
    settings = check(strength={"1010": 1.0, "1000": 0.0})
    assert [settings.number("strength", f) for f in (990, 1000, 1005, 1010, 1020)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert interpolate({1: 2.0, 2: 4.0, 4: 0.0}, 3) == 2.0


def test_an_animated_value_without_a_frame_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="animated"):
        check(strength={"1": 0.1}).number("strength")

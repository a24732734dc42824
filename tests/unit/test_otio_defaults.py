"""Whose mistake it is: the command line's, which spoils every shot, or one clip's own."""

from __future__ import annotations

import pytest

from anyportal_client.errors import RecipeError
from anyportal_client.otio.defaults import _blames_the_command_line
from anyportal_client.otio.plan import PlannedShot


@pytest.mark.parametrize(
    ("where", "message", "origins", "blamed"),
    [
        ("recipe.preset", "", {"preset": "command line"}, True),
        ("recipe.preset", "", {"preset": "clip"}, False),
        ("recipe.preset", "", {"backdrop": "command line"}, False),
        ("recipe.backdrop", "", {"backdrop": "command line"}, True),
        ("recipe.backdrop", "", {"backdrop": "command line", "preset": "marker x"}, False),
        ("recipe.settings", "no setting 'a'", {"settings.a": "command line", "settings.b": "clip"}, True),
        ("recipe.settings", "no setting 'b'", {"settings.a": "command line", "settings.b": "clip"}, False),
        ("recipe.settings.finish.a", "7 is above 1", {"settings.finish.a": "command line", "preset": "clip"}, False),
        ("recipe.settings.finish.a", "7 is above 1", {"settings.a": "command line", "backdrop": "clip"}, True),
        ("delivery.layers", "", {"layers": "command line"}, True),
        ("delivery.format", "", {"format": "clip", "layers": "command line"}, False),
        ("shot.plate", "", {"backdrop": "command line"}, False),
    ],
)
def test_the_command_line_is_to_blame_for_what_it_says_alone(
    where: str, message: str, origins: dict[str, str], blamed: bool
) -> None:
    shot = PlannedShot("sh010", None, origins=origins)
    assert _blames_the_command_line(RecipeError(message or "refused", where=where), shot) is blamed

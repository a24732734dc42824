"""Mistakes on the batch's own command line: told before anything is run, since they would spoil every shot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anyportal_client.aio import AsyncClient
from anyportal_client.clips import check_files, find_clip
from anyportal_client.errors import ClientError, RecipeError
from anyportal_client.otio.plan import COMMAND_LINE, Plan, PlannedShot
from anyportal_client.otio.run import to_request
from anyportal_client.request import read_backdrop

_CAUSES = {
    "recipe.preset": ("preset",),
    "recipe.backdrop": ("backdrop", "preset"),
    "recipe.settings": ("settings", "preset"),
    "delivery.layers": ("layers",),
    "delivery.format": ("format",),
}
"""The parts of a request that may be to blame for what the daemon refuses, by the field it names."""


def check_media(defaults: Mapping[str, Any]) -> None:
    """Make sure that a backdrop for all clips is there.

    Raises:
        MediaError: it is not, or cannot be read.
        RecipeError: it is empty, or a colour of another form than `#rrggbb`.
    """
    if "backdrop" in defaults:
        backdrop = read_backdrop(defaults["backdrop"])
        if backdrop.kind == "media":
            check_files(find_clip(Path(backdrop.value), "backdrop"), "backdrop")


async def check_recipe(client: AsyncClient, plan: Plan) -> None:
    """Have the daemon look at the shot that takes most from the command line.

    What only that shot is to blame for is left to the run: it stops no other.

    Raises:
        RecipeError: a preset, setting, layer or format of the command line that the daemon refuses.
    """
    shot = max(plan.jobs, key=_taken_over, default=None)
    if shot is None:
        return
    try:
        await client.check(to_request(shot, shot.name))
    except RecipeError as error:
        if _blames_the_command_line(error, shot):
            raise
    except ClientError:
        pass  # of this shot alone, or told once more when it is sent


def _taken_over(shot: PlannedShot) -> int:
    return sum(origin == COMMAND_LINE for origin in shot.origins.values())


def _blames_the_command_line(error: RecipeError, shot: PlannedShot) -> bool:
    causes = next((parts for field, parts in _CAUSES.items() if error.where.startswith(field)), ())
    given = [key for key in shot.origins if key.partition(".")[0] in causes]
    # `finish.relight_strength` may have been asked for as `relight_strength`, or not be there at all.
    said = f"{error.where} {error.message}"
    named = [key for key in given if key.startswith("settings.") and key.removeprefix("settings.") in said]
    suspects = [key for key in given if not key.startswith("settings.") or not named or key in named]
    return bool(suspects) and all(shot.origins[key] == COMMAND_LINE for key in suspects)

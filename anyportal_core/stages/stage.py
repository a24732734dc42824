"""What a stage is, the list of them, and which of them a recipe has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from anyportal_core.recipe import Recipe
from anyportal_core.registry import Role
from anyportal_core.roles import Chunk
from anyportal_core.stages import background, clean_plate, first_frame, harmonise, matte, motion, refine, tracks
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.material import Material


@dataclass(frozen=True)
class Stage:
    """One step of the method whose result is stored.

    Args:
        name: what it is called.
        role: the role whose plug-in it runs.
        code_version: of the stage's own file.
        media: the media of the shot that it reads.
        inputs: the earlier stages whose results it reads, where they run.
        share: its usual part of a job's time, compared with the others', for the progress bar.
        run: yields the result in chunks.
        single: the result is one frame, whatever the shot's length.
    """

    name: str
    role: Role
    code_version: int
    media: tuple[str, ...]
    inputs: tuple[str, ...]
    share: float
    run: Callable[[Material, Cast], Iterator[Chunk]]
    single: bool = False


_BACKGROUND = ("background", "clean_background")
STAGES = (
    Stage("matte", "matte", matte.CODE_VERSION, ("plate", "matte", "mask", "guides"), (), 0.35, matte.run),
    Stage("clean_plate", "clean_plate", clean_plate.CODE_VERSION, ("plate",), ("matte",), 0.3, clean_plate.run),
    Stage("tracks", "tracks", tracks.CODE_VERSION, ("plate",), ("clean_plate",), 0.05, tracks.run),
    Stage("motion", "motion", motion.CODE_VERSION, ("plate",), ("matte", "clean_plate", "tracks"), 0.1, motion.run),
    Stage(
        "first_frame",
        "first_frame",
        first_frame.CODE_VERSION,
        ("plate", "backdrop"),
        ("matte",),
        0.1,
        first_frame.run,
        single=True,
    ),
    Stage(
        "background",
        "background",
        background.CODE_VERSION,
        ("plate", "backdrop"),
        ("matte", "clean_plate", "motion", "first_frame"),
        0.02,
        background.run,
    ),
    Stage(
        "clean_background",
        "clean_plate",
        clean_plate.CODE_VERSION,
        ("plate", "backdrop"),
        ("matte", "background"),
        0.3,
        clean_plate.run_on_background,
    ),
    Stage(
        "harmonise",
        "harmonise",
        harmonise.CODE_VERSION,
        ("plate", "backdrop"),
        ("matte", *_BACKGROUND),
        0.1,
        harmonise.run,
    ),
    Stage(
        "refine",
        "refine",
        refine.CODE_VERSION,
        ("plate", "backdrop"),
        ("matte", *_BACKGROUND, "harmonise"),
        0.13,
        refine.run,
    ),
)
FINISH_SHARE = 0.3


def paints(recipe: Recipe, cast: Cast) -> bool:
    """Whether the background is painted by a video model."""
    background = cast.spec("background")
    return background.makes == "video" and recipe.backdrop.kind not in background.as_they_are


def stages(recipe: Recipe, cast: Cast) -> tuple[Stage, ...]:
    """The stages that a recipe runs, in order."""
    as_it_is = recipe.backdrop.kind in cast.spec("background").as_they_are
    left_out = {"motion"} if as_it_is else set()
    if as_it_is or not any(role == "tracks" for role, _ in cast.spec("motion").needs):
        left_out.add("tracks")
    if not paints(recipe, cast):
        left_out |= {"clean_plate", "first_frame", "clean_background"}
    cleaner = recipe.roles.get("clean_plate")
    paper = cleaner is not None and cleaner.settings.get("background_order") == "paper"
    left_out.add("clean_plate" if paper else "clean_background")
    return tuple(stage for stage in STAGES if stage.role in recipe.roles and stage.name not in left_out)

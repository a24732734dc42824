"""Shots rendered in process by the draft preset: what was reused, what was written, what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from anyportal_core.cache import DirectoryCache
from anyportal_core.catalogue import load_catalogue
from anyportal_core.delivery import Delivery
from anyportal_core.media.clip import open_clip
from anyportal_core.media.writers import Written
from anyportal_core.pipeline import render_shot
from anyportal_core.recipe import BackdropChoice, Recipe, RecipeRequest, resolve
from anyportal_core.record import Extent, StageRecord
from anyportal_core.shot import MediaRef, Shot


@dataclass
class Heard:
    """Keeps what a run says."""

    reused: dict[str, bool] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    written: list[Written] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    extent: Extent | None = None

    @property
    def ran(self) -> list[str]:
        """The stages that ran, and were not read back."""
        return [stage for stage, reused in self.reused.items() if not reused]

    def started(self, frames: object, rate: object) -> None: ...

    def opened(self, extent: Extent) -> None:
        self.extent = extent

    def record(self, stage: StageRecord) -> None:
        self.keys[stage.stage] = stage.key

    def progress(self, stage: str, stage_fraction: float, fraction: float) -> None: ...

    def stage_done(self, stage: str, seconds: float, reused: bool) -> None:
        self.reused[stage] = reused

    def files(self, written: Sequence[Written]) -> None:
        self.written.extend(written)

    def log(self, text: str, warning: bool = False) -> None:
        self.said.append(text)
        if warning:
            self.warned.append(text)

    def checkpoint(self) -> None: ...


def recipe_for(backdrop: Path, **settings: object) -> Recipe:
    """The draft preset before a still, for a shot that brings its matte."""
    with open_clip(MediaRef(backdrop)) as clip:
        request = RecipeRequest(BackdropChoice("still", clip.digest()), settings=settings)
    return resolve(request, load_catalogue(), frozenset({"matte"}))


def render(
    shot: Shot, recipe: Recipe, out: Path, delivery: Delivery | None = None, heard: Heard | None = None
) -> Heard:
    """Into ``out``; stage results are kept beside it."""
    heard = heard or Heard()
    out.mkdir(exist_ok=True)
    render_shot(shot, recipe, delivery or Delivery(), out, DirectoryCache(out.parent / "stages"), heard)
    return heard


def read(path: Path) -> np.ndarray:
    """All frames of a clip, ``(T, H, W, 3)``."""
    with open_clip(MediaRef(path)) as clip:
        return np.stack([frame.pixels for frame in clip.frames()])

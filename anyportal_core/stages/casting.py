"""Who plays which role in a job: plug-ins made when first needed, each with its context."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from anyportal_core.models import Models
from anyportal_core.recipe import Recipe
from anyportal_core.registry import Catalogue, ModelUse, PluginSpec, Role, create
from anyportal_core.roles import NeedsMemory, Part, Prompts, RoleContext
from anyportal_core.stages.notes import Tell


class Cast:
    """The plug-ins of one job.

    Args:
        checkpoint: raises Cancelled when the user asked for it.
        note: says something to the user.
        models: where the weights lie.
        device: where networks run.
    """

    def __init__(
        self,
        recipe: Recipe,
        catalogue: Catalogue,
        checkpoint: Callable[[], None],
        note: Tell,
        models: Models,
        device: str,
    ) -> None:
        self._recipe = recipe
        self._specs = {role: catalogue.plugin(choice.plugin, role) for role, choice in recipe.roles.items()}
        self._checkpoint = checkpoint
        self._note = note
        self._progress: Callable[[float], None] = lambda share: None
        self._part: Part = lambda number, make: make()
        self.models, self.device = models, device
        self._made: dict[Role, Any] = {}

    def at_work(self, progress: Callable[[float], None], part: Part, note: Tell) -> Cast:
        """The same plug-ins, which tell how far they are and keep the parts they have done (see `RoleContext`)."""
        other = copy.copy(self)
        other._progress, other._part, other._note = progress, part, note
        return other

    def spec(self, role: Role) -> PluginSpec:
        return self._specs[role]

    def used_models(self, role: Role) -> tuple[str, ...]:
        """The models that the role's plug-in loads for this recipe."""
        spec = self._specs[role]
        left_out = {use.model for use in spec.model_uses if not self._loads(role, use)}
        return tuple(name for name in spec.models if name not in left_out)

    def _loads(self, role: Role, use: ModelUse) -> bool:
        recipe = self._recipe
        return (
            (not use.setting or bool(recipe.roles[role].settings[use.setting]))
            and (not use.backdrops or recipe.backdrop.kind in use.backdrops)
            and (not use.text or bool(self.prompts(role).scene))
        )

    def plugin(self, role: Role) -> Any:
        """The role's plug-in; imported now if it was not yet."""
        if role not in self._made:
            self._made[role] = create(self._specs[role])
        return self._made[role]

    def check_memory(self, role: Role) -> None:
        """Raises GpuTooSmallError where the role's plug-in says that it would not fit. Imports it."""
        if self._specs[role].models and not self.used_models(role):
            return
        plugin = self.plugin(role)
        if isinstance(plugin, NeedsMemory):
            plugin.check_memory(self.context(role))

    def context(self, role: Role) -> RoleContext:
        """What the role's plug-in is given besides its inputs."""
        return RoleContext(
            settings=self._recipe.roles[role].settings,
            generator=lambda window: _generator(self._recipe.seed, role, window),
            checkpoint=self._checkpoint,
            note=self._note,
            prompts=self.prompts(role),
            models=self.models,
            device=self.device,
            progress=self._progress,
            part=self._part,
            warning=partial(self._note, warning=True),
        )

    def prompts(self, role: Role) -> Prompts:
        """What the user wrote, for a plug-in that reads it; nothing for others."""
        if not self._specs[role].prompted:
            return Prompts()
        backdrop, subject = self._recipe.backdrop, self._recipe.subject.strip()
        place = backdrop.value.strip() if backdrop.kind == "prompt" else ""
        return Prompts(place, ", ".join(filter(None, (subject, place))))


def _generator(seed: int, role: str, window: int) -> np.random.Generator:
    """A generator of its own for every role and window, from the recipe's seed alone."""
    digest = hashlib.sha256(f"{seed} {role} {window}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))

"""Who plays which role in a job: plug-ins made when first needed, each with its context."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from anyportal_core.models import Models
from anyportal_core.recipe import Recipe
from anyportal_core.registry import Catalogue, PluginSpec, Role, create
from anyportal_core.roles import Prompts, RoleContext


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
        note: Callable[[str], None],
        models: Models,
        device: str,
    ) -> None:
        self._recipe = recipe
        self._specs = {role: catalogue.plugin(choice.plugin, role) for role, choice in recipe.roles.items()}
        self._checkpoint = checkpoint
        self._note = note
        self.models, self.device = models, device
        self._made: dict[Role, Any] = {}

    def spec(self, role: Role) -> PluginSpec:
        return self._specs[role]

    def plugin(self, role: Role) -> Any:
        """The role's plug-in; imported now if it was not yet."""
        if role not in self._made:
            self._made[role] = create(self._specs[role])
        return self._made[role]

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

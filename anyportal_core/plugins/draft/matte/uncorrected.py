"""Masks and strokes that a plug-in has no use for are refused, not passed over."""

from __future__ import annotations

from anyportal_core.errors import ShotError
from anyportal_core.roles.matte import MatteHints


def refuse_masks(hints: MatteHints, plugin: str) -> None:
    """Raises ShotError where masks or corrections were given to a plug-in that takes none."""
    if not hints.masks():
        return
    given = "corrections (--correct)" if hints.corrections else "a mask (--mask)"
    raise ShotError(
        f"{plugin} does not take {given}: draft.person and draft.propagate do",
        where="shot.corrections" if hints.corrections else "shot.mask",
        hint="leave it out and give --garbage and --holdout, or a matte that is painted as it should be (--matte); "
        "or let the masks alone make the matte (--set matte.plugin=draft.propagate)",
    )

"""Role ``matte``: the foreground's alpha."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from anyportal_core.frames import FrameSource, Image
from anyportal_core.roles import Chunk, RoleContext, Stored


@dataclass(frozen=True)
class MatteHints:
    """What the user gave to find the foreground by.

    Args:
        matte: the supplied matte at work size, ``(T, H, W, 1)``, one frame for each of the plate's; or None.
        mask: the foreground on one frame, ``(H, W)`` 0..1 at work size; or None.
        mask_index: the index (not number) of the frame that ``mask`` belongs to.
        corrections: more masks like ``mask``, by the index of their frame. A mask with much mid-grey is strokes:
            white inside, black outside, grey undecided.
        clean_plate: the plate without its foreground at work size, ``(T, H, W, 3)``, or of one frame; or None.
        garbage: what is no foreground, whatever it looks like: ``(T, H, W, 1)`` at work size, or of one frame; or None.
        holdout: what is foreground, whatever it looks like, likewise.
    """

    matte: FrameSource | None = None
    mask: Image | None = None
    mask_index: int = 0
    corrections: Mapping[int, Image] = field(default_factory=dict)
    clean_plate: FrameSource | None = None
    garbage: FrameSource | None = None
    holdout: FrameSource | None = None

    def masks(self) -> dict[int, Image]:
        """All masks by the index of their frame, in order; a correction goes before ``mask``."""
        first = {} if self.mask is None else {self.mask_index: self.mask}
        return dict(sorted({**first, **self.corrections}.items()))


class MattePlugin(Protocol):
    """Finds the foreground and gives it soft edges."""

    def find(self, plate: FrameSource, hints: MatteHints, context: RoleContext) -> Iterator[Chunk]:
        """Yield ``alpha`` ``(t, H, W)`` float32 0..1 at the plate source's size, for all frames in order.

        Further arrays may be yielded beside it for ``render``. One has a meaning of its own: ``screen`` ``(t, 3)``, the
        colour of a green or blue screen as a monitor shows it, whose light the finish takes off the foreground.

        Raises:
            NoForegroundError: nothing found; the hint offers the other ways.
            ShotError: a hint that this plug-in needs is not there.
        """
        ...

    def render(self, frame: Image, stored: Stored, given: Image | None, context: RoleContext) -> Image:
        """Alpha ``(H, W)`` float32 0..1 at full size.

        Args:
            frame: the plate's frame, display-referred sRGB ``(H, W, 3)``, full size.
            stored: what ``find`` yielded for it.
            given: the supplied matte at full size ``(H, W)``, where there is one.
        """
        ...

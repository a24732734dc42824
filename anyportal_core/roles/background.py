"""Role ``background``: the new place, moving as the plate's camera moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from anyportal_core.frames import FrameSource, Image
from anyportal_core.registry import BackdropKind
from anyportal_core.roles import Chunk, RoleContext, Stored, StoredFrames


@dataclass(frozen=True)
class Backdrop:
    """What the user asked for as new surroundings.

    Args:
        kind: prompt, still, clip or colour.
        prompt: the text, for a prompt.
        frames: the picture or pictures at their own aspect, display-referred; a colour is one flat frame
            of the plate's shape; None for a prompt.
        rate: frames per second of a clip, as a float; 0 when unknown.
        aspect: width over height as it is shown, exactly; 0 when it is that of ``frames``.
    """

    kind: BackdropKind
    prompt: str = ""
    frames: FrameSource | None = None
    rate: float = 0.0
    aspect: float = 0.0


@dataclass(frozen=True)
class BackgroundInputs:
    """What a background is made from.

    Args:
        plate, matte: at work size.
        motion: what the motion plug-in yielded; None where the backdrop is taken as it is.
        backdrop: what the user asked for.
        plate_rate: frames per second.
        clean_plate: the plate without its foreground, where the recipe has it made before the background.
        first_frame: one frame: the background that the shot begins with, where the recipe has it painted.
        plate_aspect: width over height of the plate as it is shown, exactly; 0 when it is that of ``plate``.
    """

    plate: FrameSource
    matte: FrameSource
    motion: StoredFrames | None
    backdrop: Backdrop
    plate_rate: float
    clean_plate: StoredFrames | None = None
    first_frame: StoredFrames | None = None
    plate_aspect: float = 0.0

    def aspects(self) -> tuple[float, float]:
        """Width over height of plate and backdrop as they are shown. A prompt has the plate's."""
        plate = self.plate_aspect or self.plate.width / self.plate.height
        frames = self.backdrop.frames
        return plate, self.backdrop.aspect or (frames.width / frames.height if frames is not None else plate)


class BackgroundPlugin(Protocol):
    """Makes the moving background from the backdrop."""

    def make(self, inputs: BackgroundInputs, context: RoleContext) -> Iterator[Chunk]:
        """Yield what ``render`` needs for all frames in order.

        A plug-in that warps yields ``placement`` ``(t, 3, 3)`` float64 (plate unit coordinates to backdrop
        unit coordinates) and ``backdrop_index`` ``(t,)`` int64; one that paints yields ``frames``
        ``(t, H, W, 3)`` at work size.
        """
        ...

    def render(self, stored: Stored, backdrop: Image | None, height: int, width: int, context: RoleContext) -> Image:
        """The background ``(height, width, 3)`` float32 for one frame, in the encoding of ``backdrop``.

        Pixels of both may be oblong: what knows their shapes is `BackgroundInputs.aspects`.

        Args:
            stored: what ``make`` yielded for it.
            backdrop: frame ``stored["backdrop_index"]`` of the backdrop at its own size ``(h, w, 3)``.
        """
        ...

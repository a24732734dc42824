"""The slots of the method that models fill: one Protocol a file.

Every role works in two steps. The first passes over the shot at work resolution and yields **chunks**:
named arrays whose first axis is time, small or parametric, which the stage stores. The second (``render``,
only for what the plate's own size needs) gives one full-size frame from what was stored for it. So full
resolution exists only in the finish, and one frame at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from anyportal_core.frames import FrameSource
from anyportal_core.models import Models
from anyportal_core.settings import Settings

Array = NDArray[np.generic]
Chunk = dict[str, Array]
"""Named arrays ``(t, ...)`` for the next ``t`` frames; every chunk of a run has the same names and shapes."""

Part = Callable[[int, Callable[[], Chunk]], Chunk]
"""Gives what a plug-in makes as part ``number`` of its pass, or has made before it was cut short."""

Stored = dict[str, Array]
"""What was stored for one frame: the arrays of a chunk without their time axis."""


class StoredFrames(Protocol):
    """Results of an earlier stage, readable by run of frames."""

    @property
    def count(self) -> int: ...

    @property
    def names(self) -> frozenset[str]: ...

    def read(self, name: str, start: int, stop: int) -> Array: ...


@dataclass(frozen=True)
class Prompts:
    """What the user wrote. Both are empty where there is no text.

    Args:
        place: the new place alone: what inpainting and image-to-video are told.
        scene: who is in it, and the place: "subject, prompt".
    """

    place: str = ""
    scene: str = ""


@dataclass(frozen=True)
class RoleContext:
    """What every plug-in is given besides its inputs.

    Args:
        settings: checked values of the plug-in's own settings.
        generator: a random generator for a window's number; the only source of randomness allowed.
        checkpoint: raises Cancelled when the user asked for it; call it between expensive steps.
            (Every yielded chunk is a checkpoint already.)
        progress: tells what share of the whole shot is done, 0..1, while a window is worked on that takes long.
            (Every yielded chunk tells it already; a share below one that was told before is not passed on.)
        part: ``part(number, make)`` gives ``make()``, or the arrays that it gave when an earlier run of the same stage
            was cut short, bit for bit. A plug-in that works window by window makes each of them in such a call, with
            whatever the windows to come need of it among the arrays; then it goes on at the window it was at. One that
            does not begins anew. ``make`` must depend on nothing but the plug-in's inputs and parts before it.
        note: says something to the user that is no error ("no camera motion found: treated as static"). It is kept with
            the result, and said again whenever that is used again.
        warning: says what the user should look at or do; `warn` is how to call it.
        surroundings: for role ``harmonise``, the new place as far as the backdrop shows it, frame by frame, of any
            size: the background is often but a part of that. None where nothing more is known than the background.
        screened: for role ``harmonise``, whether the plate was taken before a screen and keyed. What it shows outside
            the matte is then no place but grey, as bright as the screen.
        prompts: what the user wrote; empty for a plug-in whose spec does not say that it reads them.
        models: where the weights lie.
        device: where networks run: ``cpu``, ``cuda:0``.
    """

    settings: Settings
    generator: Callable[[int], np.random.Generator]
    checkpoint: Callable[[], None]
    note: Callable[[str], None]
    prompts: Prompts = Prompts()
    models: Models = field(default_factory=Models.configured)
    device: str = "cpu"
    progress: Callable[[float], None] = lambda share: None
    part: Part = lambda number, make: make()
    warning: Callable[[str], None] | None = None
    surroundings: FrameSource | None = None
    screened: bool = False

    def warn(self, text: str) -> None:
        """Say what the user should look at or do ("the matte is doubtful on frames 12-17"); kept as a note is."""
        (self.warning or self.note)(text)


@runtime_checkable
class NeedsMemory(Protocol):
    """A plug-in, of any role, that knows what it needs of a GPU's memory. It is asked before the first stage runs."""

    def check_memory(self, context: RoleContext) -> None:
        """Raises GpuTooSmallError where ``context.device`` is smaller than what would lie there at once."""
        ...

"""Light is told from a keyed plate as if it had been taken before grey."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from anyportal_core.frames import ArraySource, FrameSource
from anyportal_core.roles import Chunk, RoleContext
from anyportal_core.settings import Settings
from anyportal_core.stages import harmonise
from anyportal_core.stages.takes import takes_between
from anyportal_core.stages.unscreened import unscreened

SCREEN = np.float32([0.1, 0.6, 0.2])


class Stored:
    """What a matte plug-in stored for two frames."""

    def __init__(self, **arrays: np.ndarray) -> None:
        self._arrays, self.names = arrays, frozenset(arrays)

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        return self._arrays[name][start:stop]


def plate() -> tuple[ArraySource, ArraySource]:
    """A red coat in a screen's light on the left, the screen on the right, and the matte."""
    alpha = np.zeros((2, 4, 6, 1), np.float32)
    alpha[:, :, :3] = 1
    return ArraySource(np.float32([0.5, 0.6, 0.1]) * alpha + SCREEN * (1 - alpha)), ArraySource(alpha)


def test_a_screen_is_grey_and_as_bright_and_spills_nothing() -> None:
    frames, alpha = plate()
    keyed = unscreened(frames, alpha, cast(Any, Stored(screen=np.stack([SCREEN] * 2))))
    assert (len(keyed), keyed.height, keyed.width, keyed.numbers) == (2, 4, 6, frames.numbers)
    made = keyed.read(1, 2)
    luma = SCREEN @ np.float32([0.2126, 0.7152, 0.0722])
    assert made.shape == (1, 4, 6, 3) and made.dtype == np.float32
    np.testing.assert_allclose(made[0, :, 3:], np.full((4, 3, 3), luma), atol=1e-4)
    np.testing.assert_allclose(made[0, :, :3], np.broadcast_to([0.5, 0.5, 0.1], (4, 3, 3)), atol=1e-6)


@pytest.mark.parametrize("stored", [Stored(alpha=np.zeros(2)), Stored(screen=np.full((2, 3), 0.5, np.float32))])
def test_other_plates_are_as_they_are(stored: Stored) -> None:
    frames, alpha = plate()
    assert unscreened(frames, alpha, cast(Any, stored)).read(0, 2).tobytes() == frames.read(0, 2).tobytes()


class Told:
    """Harmonises nothing, but keeps what it is told of its plate."""

    def relight(
        self, plate: FrameSource, matte: FrameSource, behind: FrameSource, context: RoleContext
    ) -> Iterator[Chunk]:
        self.screened = context.screened
        yield {"log_gain": np.zeros((len(plate), 1, 1, 3), np.float32)}


@pytest.mark.parametrize("keyed", [True, False])
def test_whoever_tells_light_knows_whether_there_was_a_screen(keyed: bool) -> None:
    frames, alpha = plate()
    stored = Stored(screen=np.stack([SCREEN] * 2)) if keyed else Stored(alpha=np.zeros(2))
    material = SimpleNamespace(
        plate=lambda: frames,
        matte=lambda: alpha,
        background=lambda plugin, context: frames,
        background_frame=lambda index: {},
        results={"matte": stored},
        takes=takes_between([], 2),
    )
    plugin, context = Told(), RoleContext(Settings({}), np.random.default_rng, lambda: None, print)
    list(
        harmonise.run(
            cast(Any, material), cast(Any, SimpleNamespace(plugin=lambda role: plugin, context=lambda role: context))
        )
    )
    assert plugin.screened is keyed

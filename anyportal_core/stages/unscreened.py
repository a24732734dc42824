"""A plate that was keyed, as if it had been taken before grey: a screen is no place whose light tells anything."""

from __future__ import annotations

from typing import cast as typed

import numpy as np

from anyportal_core.frames import FrameSource, Image
from anyportal_core.media.work import luminance
from anyportal_core.method.screens import excess
from anyportal_core.stages.results import Result


def unscreened(plate: FrameSource, matte: FrameSource, keyed: Result) -> FrameSource:
    """The plate for what tells light from it; itself where no screen was keyed. All at work size.

    Args:
        keyed: the matte stage's result.
    """
    return _Unscreened(plate, matte, keyed) if is_screened(keyed) else plate


def is_screened(keyed: Result) -> bool:
    """Whether the matte stage keyed a screen."""
    return "screen" in keyed.names


class _Unscreened:
    """Outside the matte grey, as bright as the screen is; inside without its light."""

    def __init__(self, plate: FrameSource, matte: FrameSource, keyed: Result) -> None:
        self._plate, self._matte, self._keyed = plate, matte, keyed
        self.numbers, self.height, self.width = plate.numbers, plate.height, plate.width

    def __len__(self) -> int:
        return len(self._plate)

    def read(self, start: int, stop: int) -> Image:
        frames, alpha = self._plate.read(start, stop), self._matte.read(start, stop)
        screens = self._keyed.read("screen", start, stop)
        return np.stack([_grey(*frame) for frame in zip(frames, alpha, screens, strict=True)])


def _grey(frame: Image, alpha: Image, screen: Image) -> Image:
    """``frame`` ``(H, W, 3)``, ``alpha`` ``(H, W, 1)``, ``screen`` ``(3,)``."""
    channel = int(np.argmax(screen))
    if not excess(screen, channel) > 0:
        return frame
    light = luminance(frame)[..., None]
    own = frame.copy()
    own[..., channel] -= np.maximum(typed(Image, excess(frame, channel)), 0)
    return np.asarray(own * alpha + light * (1 - alpha), np.float32)

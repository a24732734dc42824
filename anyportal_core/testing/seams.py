"""How much a shot shows of the windows that it was made in: its second difference in time at their borders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyportal_core.windows import Window

Numbers = NDArray[np.float64]


def seam(frames: Any, windows: Sequence[Window]) -> float:
    """The mean second difference at the borders of windows over that elsewhere: 1 where nothing is to be seen.

    Args:
        frames: ``(T, ...)``.
        windows: what they were made in.
    """
    found, at = second_differences(frames), borders(windows)
    return float(found[at[1:-1]].mean() / found[~at[1:-1]].mean())


def second_differences(frames: Any) -> Numbers:
    """The mean of ``|f[t-1] - 2 f[t] + f[t+1]|`` over each frame but the first and the last, ``(T-2,)``."""
    triples = zip(frames[:-2], frames[1:-1], frames[2:], strict=True)
    return np.array([float(np.abs(before - 2.0 * now + after).mean()) for before, now, after in triples])


def borders(windows: Sequence[Window]) -> NDArray[np.bool_]:
    """Where a shot goes from one window to the next: the frames that both show, and one on either side, ``(T,)``."""
    at = np.zeros(windows[-1].stop, bool)
    for before, after in pairwise(windows):
        at[min(after.start, before.stop) - 1 : before.stop + 1] = True
    return at

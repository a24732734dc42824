"""The finish: what the plate's own pixels go through."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from anyportal_core.delivery import Delivery
from anyportal_core.media.clip import Frame
from anyportal_core.media.encoding import SRGB, from_linear, to_linear
from anyportal_core.ops import opencv
from anyportal_core.recipe import FINISH
from anyportal_core.settings import Settings
from anyportal_core.stages.finish import Finish

HEIGHT, WIDTH = 64, 96


def finish(log_gain: np.ndarray, **settings: object) -> Finish:
    """A finish whose refine stage has found a gain."""
    material = SimpleNamespace(
        info=SimpleNamespace(encoding=SRGB, width=WIDTH, height=HEIGHT),
        backdrop_reader=lambda encoding, long_side: None,
        recipe=SimpleNamespace(finish=Settings.check(FINISH, settings, "finish")),
        results={"refine": SimpleNamespace(read=lambda name, start, stop: log_gain[None])},
    )
    return Finish(cast(Any, material), cast(Any, None), Delivery(("comp", "gain")), opencv)


def test_where_the_light_does_not_change_nor_does_the_pixel() -> None:
    """At full strength too: the way to linear light and back moves every third value by a bit."""
    pixels = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.float32) / np.float32(255)
    assert (from_linear(to_linear(pixels, SRGB), SRGB) != pixels).mean() > 0.05
    gain = np.zeros((16, 24, 3), np.float32)
    gain[:, 16:] = 0.5
    relit, shown = finish(gain, clean_edges=False)._relit(Frame(7, pixels), 0, np.ones((HEIGHT, WIDTH), np.float32))
    np.testing.assert_array_equal(relit[:, : WIDTH // 2], pixels[:, : WIDTH // 2])
    np.testing.assert_array_equal(shown[:, : WIDTH // 2], 1)
    brighter = relit[:, -8:] > pixels[:, -8:]
    assert brighter[pixels[:, -8:] > 0].all()

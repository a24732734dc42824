"""What an HDR movie says of the monitor that it was graded on (SMPTE ST 2086) and of its light (CTA-861.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

# The units of ST 2086 as video streams store them: 0.00002 of chromaticity, 0.0001 cd/m².
_COLOUR, _LIGHT = 50_000, 10_000


@dataclass(frozen=True)
class Mastering:
    """As the encoders x264 and x265 are told it.

    Args:
        display: ``G(x,y)B(x,y)R(x,y)WP(x,y)L(most,least)``; empty where the movie does not say.
        light: the brightest pixel and the brightest frame's mean, in cd/m²: ``1000,400``; empty likewise.
    """

    display: str = ""
    light: str = ""


NOTHING_SAID = Mastering()


def mastering_of(frame: VideoFrame) -> Mastering:
    """What a decoded frame carries; to be asked once, see ``movie._orientation``."""
    side_data: Any = frame.side_data  # typed as a mapping, but iterates over the data themselves
    found = {data.type: np.frombuffer(bytes(data), np.int32) for data in side_data if data.type in _READ}
    display, light = found.get(Type.MASTERING_DISPLAY_METADATA), found.get(Type.CONTENT_LIGHT_LEVEL)
    return Mastering("" if display is None else _display(display), "" if light is None else f"{light[0]},{light[1]}")


_READ = (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL)


def _display(fields: Any) -> str:
    """libav's structure: x and y of red, green, blue and white, least and most light, as fractions; what is known."""
    if not (fields[20] and fields[21]) or not fields[1:20:2].all():
        return ""
    values = fields[0:20:2] / fields[1:20:2].astype(np.float64)
    red, green, blue, white = np.rint(values[:8] * _COLOUR).astype(int).reshape(4, 2)
    least, most = np.rint(values[8:10] * _LIGHT).astype(int)
    points = {"G": green, "B": blue, "R": red, "WP": white, "L": (most, least)}
    return "".join(f"{name}({one},{other})" for name, (one, other) in points.items())

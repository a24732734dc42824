"""Results in formats that know no overscan: they end with the display window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.output import Writer, Written
from anyportal_core.media.windows import NO_MARGINS


def without_overscan(info: ClipInfo) -> ClipInfo:
    width, height = info.shown_size
    return replace(info, width=width, height=height, margins=NO_MARGINS, data_window=info.display_window)


class CroppedWriter:
    """Hands what is shown of each layer to another writer, which knows of ``without_overscan(info)``."""

    def __init__(self, writer: Writer, info: ClipInfo) -> None:
        self._writer = writer
        left, above = info.margins[:2]
        width, height = info.shown_size
        self._shown = slice(above, above + height), slice(left, left + width)

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        return self._writer.write(
            number, {name: np.ascontiguousarray(image[self._shown]) for name, image in layers.items()}
        )

    def close(self) -> list[Written]:
        return self._writer.close()

    def abort(self) -> None:
        self._writer.abort()

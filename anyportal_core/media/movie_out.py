"""Layers as movies, one a layer: in the plate's encoding, tagged so, the plate's sound beside the first of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from anyportal_core.frames import Image
from anyportal_core.media import h273, timecode, yuv
from anyportal_core.media.clip import ClipInfo
from anyportal_core.media.encoding import Encoding
from anyportal_core.media.mastering import NOTHING_SAID
from anyportal_core.media.movie_formats import movie_encoding
from anyportal_core.media.movie_target import Movie, Picture, Tags
from anyportal_core.media.output import Written, result_name
from anyportal_core.media.shown import DATA, shown
from anyportal_core.media.sound import Sound

# A QuickTime timecode track counts frames in one byte.
_MOST_TIMECODE_RATE = 240


class MovieWriter:
    """One movie a layer, begun with the first frame.

    Pixels are in the plate's encoding with the plate's tags (scene-linear and film log plates become sRGB), or in the
    one that is wanted. A ``foreground`` carries the matte as straight alpha in ProRes 4444, and in ProRes 422 where the
    matte is delivered too; a ``comp`` in ProRes 4444 has the alpha 1, as it has in EXR. Sound goes with the first
    layer, the comp where it is delivered, so that layers laid over each other are heard once.
    """

    def __init__(
        self,
        form: str,
        folder: Path,
        stem: str,
        layers: Sequence[str],
        info: ClipInfo,
        rate: Fraction,
        sound: Sound | None = None,
        wanted: Encoding | None = None,
    ) -> None:
        self._form, self._folder, self._stem = form, folder, stem
        self._layers, self._info, self._rate = tuple(layers), info, rate
        self._sound = sound
        self._encoding = movie_encoding(info, form, wanted)
        self._movies: dict[str, Movie] = {}

    def write(self, number: int, layers: Mapping[str, Image]) -> list[Written]:
        if not self._movies:
            for layer in self._layers:
                self._movies[layer] = self._begin(layer, number, layers)
        for layer, movie in self._movies.items():
            image = layers[layer]
            cover = (np.ones_like(image[..., 0]) if layer == "comp" else layers["matte"]) if movie.has_alpha else None
            movie.write(self._pixels(layer, image), cover)
        return []

    def close(self) -> list[Written]:
        try:
            for movie in self._movies.values():
                movie.finish()
            for movie in self._movies.values():
                movie.publish()
        except BaseException:
            self.abort()
            raise
        written = [Written((layer,), movie.path, None) for layer, movie in self._movies.items()]
        self._movies = {}
        return written

    def abort(self) -> None:
        for movie in self._movies.values():
            movie.drop()
        self._movies = {}

    def _begin(self, layer: str, number: int, layers: Mapping[str, Image]) -> Movie:
        height, width = layers[layer].shape[:2]
        picture = Picture(
            self._form,
            (height, width),
            self._encoding,
            _tags(self._encoding, self._info),
            self._rate,
            self._info.pixel_aspect,
            self._has_alpha(layer),
            self._start(number),
            self._info.mastering if layer not in DATA and _is_own(self._encoding, self._info) else NOTHING_SAID,
        )
        path = self._folder / result_name(self._stem, layer, self._form)
        return Movie(path, picture, self._sound if layer == self._layers[0] else None)

    def _has_alpha(self, layer: str) -> bool:
        if self._form == "prores4444":
            return layer in ("comp", "foreground")
        return self._form == "prores" and layer == "foreground" and "matte" in self._layers

    def _start(self, number: int) -> str | None:
        """The timecode of the first frame delivered.

        A part of a plate that has none counts from the plate's beginning, else hosts would take it for that.
        """
        later = number - self._info.numbers[0]
        own = self._info.timecode
        if own is None or not timecode.countable(own, self._rate):
            own = "00:00:00:00" if later else None
        if own is None or self._rate > _MOST_TIMECODE_RATE:
            return None
        return timecode.shifted(own, later, self._rate)

    def _pixels(self, layer: str, image: Image) -> Image:
        pixels = shown(layer, image, self._info.encoding, self._encoding)
        if layer in DATA:
            return pixels
        # Clipped here, colours keep their hue; in Y'CbCr one channel's excess would spill into the others.
        return yuv.bounded(pixels, self._encoding) if pixels is image else np.clip(pixels, 0, 1)


def _tags(encoding: Encoding, info: ClipInfo) -> Tags:
    """Codes of H.273; primaries and transfer exactly as the plate's stream has them where they are its own."""
    primaries, transfer, matrix, span = h273.tags_of(encoding)
    if info.kind == "movie" and _is_own(encoding, info):
        primaries, transfer = info.colour_tags
    return primaries, transfer, matrix, span


def _is_own(encoding: Encoding, info: ClipInfo) -> bool:
    """Whether a picture's light is encoded as in the plate."""
    return (info.encoding.transfer, info.encoding.primaries) == (encoding.transfer, encoding.primaries)

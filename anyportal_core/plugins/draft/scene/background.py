"""The backdrop moved by the plate's camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from anyportal_core.errors import ShotError
from anyportal_core.frames import Image, chunks
from anyportal_core.method.sharpness import missing_blur
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.draft.scene.defocus import defocus, plate_defocus, samples
from anyportal_core.plugins.draft.scene.framing import Framing, Look, place
from anyportal_core.plugins.draft.scene.mesh import between, depth_line, draw
from anyportal_core.roles import Chunk, RoleContext, Stored
from anyportal_core.roles.background import BackgroundInputs
from anyportal_core.settings import Settings
from anyportal_core.windows import reflect

_Key = tuple[object, ...]


class Warp:
    """Role ``background``: a still, clip or colour, framed to cover the plate and moved by its camera."""

    def __init__(self) -> None:
        self._picture: tuple[_Key, Image] | None = None  # what the two below were made from
        self._shrunk: Image | None = None
        self._drawn: tuple[_Key, Image] | None = None

    def make(self, inputs: BackgroundInputs, context: RoleContext) -> Iterator[Chunk]:
        """Yield ``placement`` ``(t, 3, 3)``, ``backdrop_index`` ``(t,)`` and ``blur`` ``(t,)`` (part of the height).

        With parallax also ``nearer`` ``(t, 3, 3)``, which takes a place of the plate to where ``placement`` finds what
        the nearest ground shows there, and ``depth`` ``(t, 3)`` (see `mesh.depth_line`).
        """
        plate, motion, backdrop = inputs.plate, inputs.motion, inputs.backdrop
        frames = backdrop.frames
        if motion is None or frames is None or not len(frames):
            raise ShotError(
                "the backdrop has no picture", where="shot.backdrop", hint="give a still, a clip or a colour"
            )
        settings = context.settings
        looks = [Look.read(settings, number) for number in plate.numbers]
        framing, layers = _framed(inputs, looks, settings)
        placement = framing.placement[0]
        if framing.note:
            context.note(framing.note)
        rates = backdrop.kind == "clip" and backdrop.rate and inputs.plate_rate
        speed = backdrop.rate / inputs.plate_rate if rates else 1.0
        times = np.floor(np.arange(len(looks)) * speed + 1e-6).astype(np.int64)
        index = _clip_frames(times, len(frames), settings.text("clip_end"))
        blur = np.array([settings.number("blur", number) / 100 for number in plate.numbers])
        shares = np.array([settings.number("defocus", number) for number in plate.numbers])
        if shares.any():
            blur = np.hypot(blur, shares * self._lacking(inputs, placement, index, context))
        for start, stop in chunks(len(looks), 256):
            yield {
                "placement": placement[start:stop],
                "backdrop_index": index[start:stop],
                "blur": blur[start:stop],
                **{name: values[start:stop] for name, values in layers.items()},
            }

    def _lacking(
        self,
        inputs: BackgroundInputs,
        placement: NDArray[np.float64],
        index: NDArray[np.int64],
        context: RoleContext,
    ) -> float:
        """The blur that the backdrop, as it is seen, lacks beside the plate's own background, in heights."""
        plate, pictures = inputs.plate, inputs.backdrop.frames
        assert pictures is not None
        shown = []
        for at in samples(len(plate)):
            picture = pictures.read(int(index[at]), int(index[at]) + 1)[0]
            stored = {"placement": placement[at], "backdrop_index": index[at], "blur": np.float64(0)}
            shown.append(self.render(stored, picture, plate.height, plate.width, context))
        wanted = plate_defocus(plate, inputs.matte)
        lacking = missing_blur(wanted, defocus(shown, [np.ones(image.shape[:2], np.float32) for image in shown]))
        if lacking:
            context.note(f"the plate's background is softer than the backdrop by {100 * lacking:.2f} % of its height")
        else:
            context.note("the backdrop is not sharper than the plate's background, as far as its edges tell")
        return lacking

    def render(self, stored: Stored, backdrop: Image | None, height: int, width: int, context: RoleContext) -> Image:
        """The background ``(height, width, 3)``, read-only: a frame that stands still is drawn once."""
        if backdrop is None:
            raise ShotError(
                "the backdrop has no picture", where="shot.backdrop", hint="give a still, a clip or a colour"
            )
        self._look_at(backdrop, int(stored["backdrop_index"]))
        matrix, blur = np.asarray(stored["placement"], np.float64), float(stored["blur"])
        near = matrix @ np.asarray(stored["nearer"]) if "nearer" in stored else matrix
        key = (matrix.tobytes(), near.tobytes(), blur, height, width)
        if self._drawn is None or self._drawn[0] != key:
            small = self._small(backdrop, matrix, height, width)
            if np.array_equal(near, matrix):
                image = ops.warp(small, matrix, height, width)
            else:
                image = draw(small, matrix, near, np.asarray(stored["depth"]), height, width)
            if blur > 0:
                image = ops.gaussian(image, blur * height)
            image.flags.writeable = False
            self._drawn = key, image
        return self._drawn[1]

    def _look_at(self, backdrop: Image, index: int) -> None:
        """Forget what was made from another picture.

        A picture is known by its place in memory, which stays taken while it is held here, and by its index,
        since a reader may use one buffer for all frames of a clip.
        """
        key = (backdrop.__array_interface__["data"][0], backdrop.shape, backdrop.strides, index)
        if self._picture is None or self._picture[0] != key:
            self._picture, self._shrunk, self._drawn = (key, backdrop), None, None

    def _small(self, backdrop: Image, matrix: NDArray[np.float64], height: int, width: int) -> Image:
        """The backdrop at the size it is sampled at; that of a still is kept from frame to frame."""
        size = ops.shrunk_size(backdrop, matrix, height, width)
        if size == backdrop.shape[:2]:
            return backdrop
        if self._shrunk is None or self._shrunk.shape[:2] != size:
            self._shrunk = ops.resize(backdrop, *size, "area")
        return self._shrunk


def _framed(inputs: BackgroundInputs, looks: Sequence[Look], settings: Settings) -> tuple[Framing, Chunk]:
    """Where the backdrop lies, and what is to be stored of its second layer, where it has one."""
    motion, count = inputs.motion, len(looks)
    assert motion is not None
    paths = [np.asarray(motion.read("homography", 0, motion.count), np.float64)]
    shares = np.array([settings.number("parallax", number) for number in inputs.plate.numbers])
    if "near" in motion.names and shares.any():
        layers = [np.asarray(motion.read(name, 0, motion.count), np.float64) for name in ("far", "near")]
        if not np.array_equal(layers[1], paths[0]):
            paths = [between(paths[0], layer, shares) for layer in layers]
    framing = place(
        np.array(paths),
        looks,
        inputs.aspects(),
        settings.text("beyond"),
        settings.number("largest_zoom"),
    )
    far, near = framing.placement[0], framing.placement[-1]
    if np.array_equal(far, near):
        return framing, {}
    line = depth_line(far[0], float(motion.read("horizon", 0, 1)[0]))
    stored: Chunk = {"nearer": np.linalg.inv(far) @ near, "depth": np.tile(line, (count, 1))}
    return framing, stored


def _clip_frames(times: NDArray[np.int64], count: int, end: str) -> NDArray[np.int64]:
    """The frame of a clip of ``count`` frames for each of ``times``, which count on beyond its end."""
    if end == "loop":
        return times % count
    if end == "pingpong":
        return np.array([reflect(int(time), count) for time in times], np.int64)
    return np.minimum(times, count - 1)

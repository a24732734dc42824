"""Stage ``finish``: from what the models found to the plate's own size, frame by frame.

Everything happens in the plate's own encoding, except the gain, which acts on linear light. The foreground keeps
the plate's own pixels: with strength 0 they come back bit for bit where the matte is 1.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import compress
from typing import cast as typed

import cv2
import numpy as np

from anyportal_core.delivery import Delivery
from anyportal_core.errors import RecipeError
from anyportal_core.frames import Image
from anyportal_core.hands import in_order
from anyportal_core.media.ahead import ahead
from anyportal_core.media.clip import Frame
from anyportal_core.media.encoding import (
    SRGB,
    Encoding,
    convert,
    from_display,
    from_linear,
    is_display_referred,
    to_display,
    to_linear,
)
from anyportal_core.media.exr import composed
from anyportal_core.method.enlarging import enlarge, patched
from anyportal_core.method.matting import estimate_foreground
from anyportal_core.method.upsampling import stripes
from anyportal_core.ops import ImageOps
from anyportal_core.roles import Stored
from anyportal_core.stages.accents import Accents
from anyportal_core.stages.casting import Cast
from anyportal_core.stages.edges import Edges
from anyportal_core.stages.matching import Matching
from anyportal_core.stages.material import Material
from anyportal_core.stages.relighting import relight

CODE_VERSION = 13

_SOLID = np.float32(1 - 2**-12)
"""What half float rounds to 1: there the delivered matte says that the foreground is the plate's own."""


def check_layers(delivery: Delivery, stages: Iterable[str]) -> None:
    """Raises RecipeError where a layer is asked for that none of the stages makes."""
    if "clean_plate" in delivery.layers and "clean_plate" not in stages:
        raise RecipeError(
            "nothing in this recipe makes a clean plate",
            where="delivery.layers",
            hint="leave out clean_plate, or choose a preset that paints its background",
        )


_FAINT = np.float32(1e-3)
"""Alpha below it is noise: divided by it, colours would be too."""


_AT_ONCE = 4_500_000
"""Pixels of frames that are worked on at once: memory has a bound, and larger ones take turns in it faster."""


@dataclass(frozen=True)
class _Begun:
    """A frame as far as the plug-ins see it: they work in one thread, on one frame after the other.

    Args:
        display: the plate as it is shown, ``(H, W, 3)``.
        given: the supplied matte, ``(H, W)``.
        alpha: the matte, ``(H, W)``.
        background: ``(H, W, 3)``.
    """

    frame: Frame
    index: int
    display: Image
    given: Image | None
    alpha: Image
    background: Image


class Finish:
    """Makes the delivered layers of every frame."""

    def __init__(self, material: Material, cast: Cast, delivery: Delivery, ops: ImageOps) -> None:
        self._material = material
        self._cast = cast
        self._wants_comp = "comp" in delivery.layers
        self._wants_gain = "gain" in delivery.layers
        self._wants_clean_plate = "clean_plate" in delivery.layers
        self._ops = ops
        self._encoding = material.info.encoding
        long_side = 2 * max(material.info.width, material.info.height)
        self._backdrop = material.backdrop_reader(self._encoding, long_side)
        self._matching = Matching(material, cast, self._drawn, ops)
        self._accents = Accents(material.recipe.finish, self._encoding, ops)
        self._edges = Edges(material.recipe.finish, self._encoding, ops)
        self._informs = {"shadow", "wrap"}.intersection(delivery.layers)

    def frames(self, skipped: Container[int] = ()) -> Generator[tuple[int, dict[str, Image]]]:
        """``(frame number, layer to image)`` for every delivered frame that is not ``skipped``, in order.

        The parts of the comp come along even where only the comp is wanted: an EXR makes its comp from the
        parts as it stores them, so that the comp is the same whichever layers are delivered beside it. Threads are
        at work on the frames that come next: to be closed where it is given up.
        """
        info, deliver = self._material.info, self._material.deliver.numbers
        wanted = [number not in skipped for number in deliver]
        if not any(wanted):
            return
        hands = min(cv2.getNumThreads(), _AT_ONCE // (info.height * info.width))
        with closing(self._begun(wanted)) as begun:
            yield from in_order(self._made, begun, hands if hands > 1 else 0)

    def _begun(self, wanted: list[bool]) -> Generator[_Begun]:
        material = self._material
        frames = material.plate_clip.frames(list(compress(material.deliver.numbers, wanted)))
        with ExitStack() as stack:
            if material.info.kind == "movie":  # of files, headers and windows are asked for while theirs are read
                frames = stack.enter_context(closing(ahead(frames)))
            for frame, given in zip(frames, compress(material.full_matte(), wanted), strict=False):
                index = frame.number - material.numbers[0]
                display = to_display(frame.pixels, self._encoding)
                alpha = self._matte(frame, display, index, given)
                yield _Begun(frame, index, display, given, alpha, self._matching.background(index))

    def _made(self, begun: _Begun) -> tuple[int, dict[str, Image]]:
        """The number and the layers of a frame; of what other frames need, nothing is touched."""
        frame, index, background = begun.frame, begun.index, begun.background
        alpha = _within(frame, self._edges.moved(frame.number, begun.alpha))
        layers = {"foreground": self._own(begun, alpha), "background": background, "matte": alpha}
        gain = self._relight(frame.number, index, layers["foreground"], alpha, begun.display)
        if gain is not None:
            layers["gain"] = gain
        layers |= self._accented(frame.number, layers["foreground"], background, alpha)
        if self._wants_clean_plate:
            layers["clean_plate"] = self._clean_plate(frame, index, begun.alpha)
        if self._wants_comp:
            layers["comp"] = _composed(layers["foreground"], layers["background"], alpha, self._encoding)
        return frame.number, layers

    def _accented(self, number: int, foreground: Image, background: Image, alpha: Image) -> dict[str, Image]:
        """Those layers that shadow and wrap change, and the two themselves where they are wanted."""
        made = {}
        shadow = self._accents.shadow(number, alpha)
        if shadow is not None:
            made["background"] = background = self._accents.shaded(background, shadow)
        wrap = self._accents.wrap(number, background, alpha)
        if wrap is not None:
            made["foreground"] = self._accents.wrapped(foreground, wrap)
        if "shadow" in self._informs:
            made["shadow"] = np.ones_like(alpha) if shadow is None else shadow
        if "wrap" in self._informs:
            made["wrap"] = np.zeros_like(foreground) if wrap is None else wrap
        return made

    def _matte(self, frame: Frame, display: Image, index: int, given: Image | None) -> Image:
        stored = self._material.results["matte"].frame(index)
        plugin = self._cast.plugin("matte")
        alpha = typed(Image, plugin.render(display, stored, given, self._cast.context("matte")))
        return _within(frame, np.where(alpha >= _SOLID, np.float32(1), alpha))

    def _drawn(self, index: int, stored: Stored) -> Image:
        """The background of a frame from what is stored for it, in the plate's encoding."""
        info = self._material.info
        plugin, context = self._cast.plugin("background"), self._cast.context("background")
        if "backdrop_index" in stored:
            picture = self._backdrop.read(int(stored["backdrop_index"]))
            return typed(Image, plugin.render(stored, picture, info.height, info.width, context))
        painted = plugin.render(stored, None, info.height, info.width, context)
        return convert(painted, SRGB, self._encoding)

    def _own(self, begun: _Begun, alpha: Image) -> Image:
        """The straight foreground without a screen's light, as far as ``alpha`` reaches."""
        found, matte = self._foreground(begun.frame, begun.alpha, begun.given), self._material.results["matte"]
        if "screen" in matte.names:
            screen = matte.read("screen", begun.index, begun.index + 1)[0]
            self._edges.despill(begun.frame.number, found, begun.alpha, screen)
        return self._edges.continued(found, begun.alpha, alpha)

    def _foreground(self, frame: Frame, alpha: Image, given: Image | None) -> Image:
        """The straight foreground as it was taken: 0 far from it."""
        colours = self._material.colours if self._material.recipe.finish.flag("clean_edges") else "straight"
        if colours == "premultiplied" and given is not None:
            return _divided(frame.pixels, given)
        if colours == "straight":
            return np.where(alpha[..., None] > 0, frame.pixels, np.float32(0))
        if not _mixes_by_light(self._encoding):
            return typed(Image, estimate_foreground(frame.pixels, alpha, self._ops))
        # A lens mixes light: what lies in an edge is told apart there, as the comp mixes it again.
        light = to_linear(frame.pixels, self._encoding)
        found = typed(Image, estimate_foreground(light, alpha, self._ops))
        for rows in stripes(0, len(found)):
            same = found[rows] == light[rows]
            found[rows] = np.where(same, frame.pixels[rows], from_linear(found[rows], self._encoding))
        return found

    def _relight(self, number: int, index: int, foreground: Image, alpha: Image, display: Image) -> Image | None:
        """Relight the foreground, in place; the gain where it is wanted, 1 where nothing is relit."""
        gain = np.ones_like(foreground) if self._wants_gain else None
        strength = np.float32(self._material.recipe.finish.number("relight_strength", number))
        refined = self._material.results["refine"]
        log_gain = refined.read("log_gain", index, index + 1)[0] * strength
        veil = refined.read("veil", index, index + 1)[0] * strength if "veil" in refined.names else None
        if veil is not None and not veil.any():
            veil = None
        if log_gain.any() or veil is not None:
            relight(foreground, log_gain, display, alpha, self._encoding, self._ops, gain, veil)
        return gain

    def _clean_plate(self, frame: Frame, index: int, alpha: Image) -> Image:
        """The plate without its foreground: its own pixels, and in their midst what was painted, enlarged."""
        painted = np.asarray(self._material.results["clean_plate"].frame(index)["frames"], np.float32)
        height, width = alpha.shape
        large = typed(Image, enlarge(painted, height, width, self._ops))
        return typed(Image, patched(frame.pixels, from_display(large, self._encoding), alpha, self._ops))


def _within(frame: Frame, alpha: Image) -> Image:
    """Where the plate has no pixels, there is no foreground either."""
    if frame.extent is None:
        return alpha
    there = np.zeros_like(alpha)
    there[frame.extent] = alpha[frame.extent]
    return there


def _mixes_by_light(encoding: Encoding) -> bool:
    """Whether pixels are neither light already nor what a monitor shows: log, PQ, HLG."""
    return not is_display_referred(encoding) and encoding.transfer != "linear"


def _divided(pixels: Image, cover: Image) -> Image:
    """What was multiplied by its alpha, straight: 0 where there is none, bit for bit the same where it is solid."""
    divisor = np.where(cover >= _SOLID, np.float32(1), np.maximum(cover, _FAINT))[..., None]
    return np.where(cover[..., None] > 0, pixels / divisor, np.float32(0))


def _composed(foreground: Image, background: Image, alpha: Image, encoding: Encoding) -> Image:
    """Foreground over background: of what a monitor shows by its code values, as hosts do; else by its light."""
    comp = np.empty_like(foreground)
    by_light = _mixes_by_light(encoding)
    for rows in stripes(0, len(comp)):
        front, behind, cover = foreground[rows], background[rows], alpha[rows]
        if by_light:
            mixed = composed(to_linear(front, encoding), to_linear(behind, encoding), cover)
            full, none = (cover == 1)[..., None], (cover == 0)[..., None]
            comp[rows] = np.where(full, front, np.where(none, behind, from_linear(mixed, encoding)))
        else:
            comp[rows] = composed(front, behind, cover)
    return comp

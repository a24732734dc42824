"""Keying: alpha from a green or blue screen by colour difference (Vlahos, US patent 3595987, 1971).

In front of a green screen the green of a pixel exceeds its other channels only as far as the screen shows
through, whatever the foreground's colour. So that excess, over the screen's own, is the background's share.
"""

from __future__ import annotations

from typing import Any, Literal

from array_api_compat import array_namespace

from anyportal_core.method.matting import flat_indices, gather, levels, spread
from anyportal_core.ops import ImageOps

ScreenKind = Literal["green", "blue"]

_CHANNELS: dict[ScreenKind, int] = {"green": 1, "blue": 2}
_EXCESS = 0.1  # display-referred; a pixel with less is no screen
_PURITY = 0.25  # excess over the channel itself; foliage and skies have less
_UNEVEN = 0.15  # standard deviation of the channels' ratios; painted screens have less, scenery more
_CELL = 4  # pixels of a picture 360 high that one sample of the local screen spans


def excess(image: Any, channel: int) -> Any:
    """How far ``channel`` exceeds the larger of the two others: ``(..., 3)`` to ``(...)``."""
    xp = array_namespace(image)
    first, second = (image[..., i] for i in range(3) if i != channel)
    return image[..., channel] - xp.maximum(first, second)


def despill(image: Any, screen: Any, strength: float) -> Any:
    """Take out the light that a screen threw on its foreground: ``(..., 3)``, any range, in the screen's own light.

    The screen's channel comes down to the larger of the two others; what is taken off is not made up elsewhere, since
    the screen had added it. Colours without an excess come back bit for bit.

    Args:
        screen: the screen's colour ``(3,)``; one without an excess of a channel, as of a picked grey, spills nothing.
        strength: 0 (nothing) to 1 (all).
    """
    xp = array_namespace(image, screen)
    channel = int(xp.argmax(screen))
    out = xp.asarray(image, copy=True)
    if excess(screen, channel) > 0:
        out[..., channel] -= strength * xp.maximum(excess(image, channel), xp.zeros((), dtype=image.dtype))
    return out


def screen_share(image: Any, kind: ScreenKind) -> tuple[float, Any]:
    """How much of a picture a screen covers, 0..1, and its mean colour ``(3,)``; 0 where there is none.

    A screen is pure, and of one colour up to its shading. ``image`` is ``(H, W, 3)``, display-referred.
    """
    xp = array_namespace(image)
    channel = _CHANNELS[kind]
    pure = _screen_pixels(image, channel)
    count = xp.sum(xp.astype(pure, image.dtype))
    if count == 0:
        return 0.0, xp.zeros((3,), dtype=image.dtype)
    pixels = image[pure]
    ratios = pixels / pixels[:, channel : channel + 1]
    if xp.max(xp.std(ratios, axis=0)) > _UNEVEN:
        return 0.0, xp.zeros((3,), dtype=image.dtype)
    return float(count) / pure.size, xp.mean(pixels, axis=0)


def _screen_pixels(image: Any, channel: int) -> Any:
    """Where a picture is as pure and as bright as a screen: bool ``(H, W)``."""
    over = excess(image, channel)
    return (over > _EXCESS) & (over > _PURITY * image[..., channel])


def key(image: Any, screen: Any, black: float, white: float, ops: ImageOps) -> Any:
    """Alpha ``(H, W)`` of what stands before a screen.

    An unevenly lit screen is followed: its colour is taken from the clean screen nearby, where there is any.
    The colour difference takes mixed pixels of warm foregrounds for too solid, which leaves a coloured rim;
    so it only settles what is surely inside and outside, and between them alpha follows from both colours.

    Args:
        image: ``(H, W, 3)``, display-referred.
        screen: the screen's mean colour ``(3,)``.
        black, white: what becomes surely outside and surely inside.
    """
    height, width = image.shape[:2]
    shrink = max(1, round(height / 360))
    small = ops.resize(image, -(-height // shrink), -(-width // shrink), "area")
    rough = _difference(small, screen, black, white, ops)
    inside = array_namespace(rough).astype(ops.erode(rough, _RIM) > 0.99, rough.dtype)
    outside = array_namespace(rough).astype(ops.dilate(rough, _RIM) < 0.01, rough.dtype)
    return _between(image, small, inside, outside, ops)


def _difference(image: Any, screen: Any, black: float, white: float, ops: ImageOps) -> Any:
    xp = array_namespace(image, screen)
    channel = int(xp.argmax(screen))
    reference = xp.maximum(excess(screen, channel), xp.asarray(1e-3, dtype=screen.dtype))
    local = _local_excess(image, reference, channel, ops)
    return levels(1 - excess(image, channel) / local, black, white)


def _between(image: Any, small: Any, inside: Any, outside: Any, ops: ImageOps) -> Any:
    """Alpha ``(H, W)``: where neither side is sure, the pixel's place between the two sides' colours nearby.

    ``small`` ``(h, w, 3)`` is ``image`` reduced; ``inside`` and ``outside`` ``(h, w)`` are 1 where sure, else 0.
    """
    xp = array_namespace(image, small)
    (height, width), (h, w) = image.shape[:2], small.shape[:2]
    alpha = ops.resize(inside, height, width)
    at = flat_indices(ops.resize(inside + outside, height, width) < 1)
    y = (xp.astype(at // width, image.dtype) + 0.5) * (h / height) - 0.5
    x = (xp.astype(at % width, image.dtype) + 0.5) * (w / width) - 0.5
    f, b = (gather(spread(small, v, h // 8, ops), x, y, ops) for v in (inside, outside))
    pixel = xp.reshape(image, (-1, 3))[at]
    place = xp.sum((pixel - b) * (f - b), axis=-1) / (xp.sum((f - b) ** 2, axis=-1) + 1e-4)
    xp.reshape(alpha, (-1,))[at] = levels(place, 0.04, 0.96)
    return alpha


_RIM = 2  # pixels, of a picture 360 high, beside a mixed pixel that are not believed pure


def _local_excess(image: Any, reference: Any, channel: int, ops: ImageOps) -> Any:
    """The clean screen's own excess at every pixel ``(H, W)``, spread from where the screen is seen."""
    xp = array_namespace(image)
    height, width = image.shape[:2]
    small = ops.resize(image, max(1, height // _CELL), max(1, width // _CELL), "area")
    over = excess(small, channel)
    clean = xp.astype((over > 0.7 * reference) & (over < 1.5 * reference), small.dtype)
    clean = ops.erode(clean, 1)  # a cell beside the foreground is mixed
    radius = max(1, min(small.shape[:2]) // 16)
    weight, total = ops.box(clean, radius), ops.box(clean * over, radius)
    local = (total + 0.02 * reference) / (weight + 0.02)
    return ops.resize(ops.box(local, radius), height, width)

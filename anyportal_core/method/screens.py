"""Green and blue screens: which there is, and what it would look like behind the foreground.

No screen is of one colour: its light falls off, cloth has folds. So its colours are taken from where it is seen nearby,
and behind what hides it they are continued.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from array_api_compat import array_namespace

from anyportal_core.method.matting import flat_indices
from anyportal_core.ops import ImageOps

ScreenKind = Literal["green", "blue"]

CHANNELS: dict[ScreenKind, int] = {"green": 1, "blue": 2}
_EXCESS = 0.1  # display-referred; a pixel with less is no screen
_PURITY = 0.25  # excess over the channel itself; foliage and skies have less
_UNEVEN = 0.1  # standard deviation of the channels' ratios; painted screens have less, scenery more
_ALIKE = 0.25  # by how much a ratio may differ from the usual one; what is farther off is dressed in a like colour
_MOST = 0.6  # of what is as pure as a screen has to be of its colour
_TINY = 1e-3
_LOOKED_AT = 120  # rows that tell whether there is a screen as well as all


def excess(image: Any, channel: int) -> Any:
    """How far ``channel`` exceeds the larger of the two others: ``(..., 3)`` to ``(...)``."""
    xp = array_namespace(image)
    first, second = (image[..., i] for i in range(3) if i != channel)
    return image[..., channel] - xp.maximum(first, second)


def screen_share(image: Any, kind: ScreenKind) -> tuple[float, Any]:
    """How much of a picture a screen covers, 0..1, and its mean colour ``(3,)``; 0 where there is none.

    A screen is pure, and of one colour up to its shading: clothes of a like colour before it do not count.
    ``image`` is ``(H, W, 3)``, display-referred.
    """
    xp = array_namespace(image)
    channel = CHANNELS[kind]
    none = 0.0, xp.zeros((3,), dtype=image.dtype)
    step = max(1, image.shape[0] // _LOOKED_AT)
    image = image[::step, ::step]
    over = excess(image, channel)
    pixels = image[(over > _EXCESS) & (over > _PURITY * image[..., channel])]
    if pixels.shape[0] == 0:
        return none
    ratios = pixels / pixels[:, channel : channel + 1]
    alike = xp.max(xp.abs(ratios - _median(ratios)), axis=-1) < _ALIKE
    of_one = ratios[alike]
    if of_one.shape[0] < _MOST * pixels.shape[0] or xp.max(xp.std(of_one, axis=0)) > _UNEVEN:
        return none
    return of_one.shape[0] / over.size, xp.mean(pixels[alike], axis=0)


_RATIO = 2  # pixels around that say together what colour there is: single ones are grain
_PALE, _SHY = 0.25, 0.5  # how far the screen's ratios are looked for, and in which part of its excess
_SPREADS, _LEAST_SPREAD, _MOST_SPREAD = 2.5, 0.03, 0.16  # median deviations from its colour that are still the screen's
_DARKEST, _BRIGHTEST = 0.35, 1.9  # of the screen's excess: folds and hot spots
_THIN, _THIN_DARK = 4, 0.9  # dark lines of twice that width are hair, not folds
_NO_SCREEN = 0.3  # of the screen's excess; where there is less, something stands before it
_NEAR, _SHADED = 0.03, 0.88  # within that part of the height of it, what is darker is taken for mixed, not for shaded


def screen_map(small: Any, screen: Any, behind: Any | None, ops: ImageOps) -> tuple[Any, Any]:
    """The screen's colours ``(h, w, 3)``, behind the foreground too, and where they are seen ``(h, w)``, 0 or 1.

    Args:
        small: the picture, some 360 pixels high, display-referred.
        screen: about its colour ``(3,)``.
        behind: what is known from other frames of the screen that this one hides, ``(h', w', 3)``; None: nothing.
    """
    xp = array_namespace(small, screen)
    channel, h = int(xp.argmax(screen)), small.shape[0]
    like, over, usual = _alike(small, screen, channel, ops)
    closed = ops.erode(ops.dilate(over, _THIN), _THIN)
    clean = xp.astype(like & (over > _THIN_DARK * closed), small.dtype)
    before = ops.dilate(ops.erode(xp.astype(over < _NO_SCREEN * usual, small.dtype), 1), 1)
    half = ops.resize(before, -(-h // 2), -(-small.shape[1] // 2), "area")
    near = ops.resize(ops.dilate(half, max(1, round(_NEAR * h / 2))), h, small.shape[1]) > 0
    far = ops.erode(xp.where(near, xp.zeros_like(clean), clean), 1)
    known = _continued(small, far, screen, ops) if behind is None else ops.resize(behind, h, small.shape[1])
    wide = cascade(small, far, known, (h // 8, h // 24), ops)
    seen = ops.erode(xp.where(near & (over < _SHADED * excess(wide, channel)), xp.zeros_like(clean), clean), 1)
    return cascade(small, seen, wide, (h // 30, 3), ops), seen


def _alike(small: Any, screen: Any, channel: int, ops: ImageOps) -> tuple[Any, Any, Any]:
    """Where a picture has a screen's colour, bright or dark, bool ``(h, w)``; the excess, smoothed; the screen's."""
    xp = array_namespace(small, screen)
    usual = xp.maximum(excess(screen, channel), xp.asarray(_TINY, dtype=screen.dtype))
    over = ops.box(excess(small, channel), 1)
    inverse = 1 / xp.clip(small[..., channel], _TINY, None)
    ratio = ops.box(xp.stack([small[..., i] * inverse for i in range(3)], axis=-1), _RATIO)
    middle = screen / screen[channel]
    pure = (over > _SHY * usual) & (_off(ratio, middle) < _PALE)
    tolerance = _MOST_SPREAD
    at = flat_indices(pure)
    if at.shape[0]:
        some = xp.reshape(ratio, (-1, 3))[at[:: max(1, at.shape[0] // _SAMPLE)]]
        middle = _median(some)
        usually_off = float(_median(_off(some, middle)))
        tolerance = min(max(_SPREADS * usually_off, _LEAST_SPREAD), _MOST_SPREAD)
    like = _off(ratio, middle) < tolerance
    return like & (over > _DARKEST * usual) & (over < _BRIGHTEST * usual), over, usual


def _off(ratio: Any, middle: Any) -> Any:
    """The largest difference of the three: ``(..., 3)`` to ``(...)``; plane by plane, which is several times faster."""
    xp = array_namespace(ratio)
    red, green, blue = (xp.abs(ratio[..., i] - middle[i]) for i in range(3))
    return xp.maximum(xp.maximum(red, green), blue)


_SAMPLE = 4096


def _median(values: Any) -> Any:
    """Of evenly chosen ones along the first axis: as good, and sooner found."""
    xp = array_namespace(values)
    some = values[:: max(1, values.shape[0] // _SAMPLE)]
    return xp.sort(some, axis=0)[some.shape[0] // 2]


_ENOUGH = 24  # places of the coarse picture whose colours say how the light falls off


def _continued(small: Any, seen: Any, screen: Any, ops: ImageOps) -> Any:
    """The screen's colours ``(h, w, 3)`` as a surface of second order through where it is ``seen``."""
    xp = array_namespace(small, screen)
    height, width = seen.shape
    h, w = -(-height // 8), -(-width // 8)
    coarse, weight = ops.resize(small, h, w, "area"), ops.resize(seen, h, w, "area")
    there = xp.reshape(weight, (-1,)) > 0.9
    if int(xp.sum(xp.astype(there, xp.int32))) < _ENOUGH:
        return xp.broadcast_to(screen, small.shape)
    colours = xp.reshape(coarse, (-1, 3))[there]
    basis = _second_order(xp, h, w, small.dtype)
    own = basis[there]
    # Summed by hand: a matrix product may add up in another order on another machine.
    normal = xp.sum(own[:, :, None] * own[:, None, :], axis=0) + _TINY * own.shape[0] * xp.eye(6, dtype=small.dtype)
    right = xp.sum(own[:, :, None] * colours[:, None, :], axis=0)
    fit = xp.sum(basis[:, :, None] * xp.linalg.solve(normal, right)[None], axis=1)
    fit = xp.minimum(xp.maximum(fit, xp.min(colours, axis=0)), xp.max(colours, axis=0))
    return ops.resize(xp.reshape(fit, (h, w, 3)), height, width)


def _second_order(xp: Any, height: int, width: int, dtype: Any) -> Any:
    y, x = (xp.linspace(-1, 1, n, dtype=dtype) for n in (height, width))
    y, x = (xp.reshape(v, (-1,)) for v in xp.meshgrid(y, x, indexing="ij"))
    return xp.stack([xp.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


_DOUBT = 0.02
"""Share of pixels around that has to be known before they count as much as those farther off."""

_COARSE, _WIDE = 4, 12
"""Means over so many pixels and more are as good on a picture so many times smaller."""


def cascade(values: Any, weight: Any, far: Any, radii: tuple[int, ...], ops: ImageOps) -> Any:
    """Means of what has weight, from as near as there is any: ``(h, w, C)``.

    Args:
        values, weight: ``(h, w, C)`` and ``(h, w)``, 0..1.
        far: ``(C,)`` or ``(h, w, C)``, where nothing is near.
        radii: from wide to narrow, in pixels.
    """
    xp = array_namespace(values)
    return spread(values * xp.repeat(weight[..., None], values.shape[-1], axis=-1), weight, far, radii, ops)


def spread(weighted: Any, weight: Any, far: Any, radii: tuple[int, ...], ops: ImageOps) -> Any:
    """``cascade`` of values that were multiplied by their weight before."""
    h, w = weight.shape
    wide = tuple(radius // _COARSE for radius in radii if radius >= _WIDE)
    if wide:
        size = -(-h // _COARSE), -(-w // _COARSE)
        far = _each(far, lambda part: ops.resize(part, *size, "area")) if far.ndim == 3 else far
        coarse = _each(weighted, lambda part: ops.resize(part, *size, "area"))
        far = _means(coarse, ops.resize(weight, *size, "area"), far, wide, ops)
        far = _each(far, lambda part: ops.resize(part, h, w))
    return _means(weighted, weight, far, tuple(max(1, radius) for radius in radii if radius < _WIDE), ops)


def _means(weighted: Any, weight: Any, mean: Any, radii: tuple[int, ...], ops: ImageOps) -> Any:
    xp = array_namespace(weighted)
    count = weighted.shape[-1]
    for radius in radii:
        near = _each(weighted, lambda part, radius=radius: ops.box(part, radius))  # type: ignore[misc]
        mean = (near + _DOUBT * mean) / xp.repeat((ops.box(weight, radius) + _DOUBT)[..., None], count, axis=-1)
    return mean


def _each(planes: Any, work: Callable[[Any], Any]) -> Any:
    """What is done to three planes at a time, as image libraries take them: ``(h, w, C)``."""
    xp = array_namespace(planes)
    threes = [work(planes[..., i : i + 3]) for i in range(0, planes.shape[-1], 3)]
    return threes[0] if len(threes) == 1 else xp.concat(threes, axis=-1)

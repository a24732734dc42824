"""Matting: soft edges from a rough alpha, and foreground colours free of the old background.

Sources: the guided filter (He, Sun, Tang, "Guided Image Filtering", PAMI 2013; the fast variant fits its
coefficients small, arXiv 1505.00996) and blur fusion (Forte, "Approximate Fast Foreground Colour
Estimation", ICIP 2021).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace

from anyportal_core.method.channels import thrice
from anyportal_core.method.upsampling import stripes
from anyportal_core.ops import ImageOps

_TINY = 1e-3


def levels(alpha: Any, black: float, white: float) -> Any:
    """Stretch alpha so that ``black`` becomes exactly 0 and ``white`` exactly 1. Any shape, 0..1."""
    return ((alpha - black) / (white - black)).clip(0.0, 1.0)


def guided_coefficients(guide: Any, target: Any, radius: int, eps: float, ops: ImageOps) -> Any:
    """Fit ``target`` as a local linear function of ``guide``; He et al., equations 14 to 16.

    Args:
        guide: ``(H, W, 3)``, 0..1.
        target: ``(H, W)``.
        radius: half the side of the fitting window, in pixels.
        eps: variance of the guide below which it is taken for flat.

    Returns:
        ``(H, W, 4)``: at each pixel ``target ~ c[0:3] . guide + c[3]``.
    """
    fit, _ = _local_fit(guide, target, None, radius, eps, ops)
    return ops.box(fit, radius)


def _local_fit(guide: Any, target: Any, weight: Any | None, radius: int, eps: float, ops: ImageOps) -> tuple[Any, Any]:
    """Linear regression in every window, each pixel counting by ``weight`` ``(H, W)``.

    Returns:
        The coefficients ``(H, W, 4)``, and the share ``(H, W)`` 0..1 of the target's variance they explain.
    """
    xp = array_namespace(guide, target)
    r, g, b = (xp.asarray(guide[..., i], copy=True) for i in range(3))  # contiguous planes: twice as fast
    total = None if weight is None else ops.box(weight, radius) + _TINY

    def mean(plane: Any) -> Any:
        return ops.box(plane, radius) if total is None else ops.box(plane * weight, radius) / total

    mr, mg, mb, mt = mean(r), mean(g), mean(b), mean(target)
    rr, gg, bb = (mean(x * x) - m * m + eps for x, m in ((r, mr), (g, mg), (b, mb)))
    rg, rb, gb = mean(r * g) - mr * mg, mean(r * b) - mr * mb, mean(g * b) - mg * mb
    tr, tg, tb = (mean(x * target) - m * mt for x, m in ((r, mr), (g, mg), (b, mb)))
    # The symmetric 3x3 inverse, written out: a batched solve is ten times slower.
    irr, irg, irb = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    igg, igb, ibb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    scale = 1.0 / (rr * irr + rg * irg + rb * irb)
    cr = (irr * tr + irg * tg + irb * tb) * scale
    cg = (irg * tr + igg * tg + igb * tb) * scale
    cb = (irb * tr + igb * tg + ibb * tb) * scale
    c0 = mt - cr * mr - cg * mg - cb * mb
    explained = (cr * tr + cg * tg + cb * tb) / (mean(target * target) - mt * mt + _TINY)
    return xp.stack([cr, cg, cb, c0], axis=-1), explained.clip(0.0, 1.0)


def guided_filter(guide: Any, target: Any, radius: int, eps: float, ops: ImageOps) -> Any:
    """``target`` ``(H, W)`` smoothed along the edges of ``guide`` ``(H, W, 3)``, 0..1."""
    return _apply(guided_coefficients(guide, target, radius, eps, ops), guide)


def _apply(c: Any, guide: Any) -> Any:
    r, g, b = guide[..., 0], guide[..., 1], guide[..., 2]
    return c[..., 0] * r + c[..., 1] * g + c[..., 2] * b + c[..., 3]


def settle(frame: Any, rough: Any, reach: int, ops: ImageOps) -> Any:
    """Decide the uncertain edge of a rough segmentation by the colours of the sure pixels nearby.

    A local linear map from colour to alpha is learnt where the segmentation is sure and applied where it
    is not (after Zheng and Kambhamettu, "Learning Based Digital Matting", ICCV 2009, with the guided
    filter's windows instead of a global solve), twice, the second time closer. Where colours tell the sides
    apart badly, the rough segmentation keeps its say. The maps are smooth, so they are fitted on a quarter
    of the size; what they are applied to is the frame itself.

    Args:
        frame: ``(H, W, 3)`` display-referred, 0..1.
        rough: ``(H, W)`` 0..1, a probability.
        reach: how far away, in pixels, colours still count.

    Returns:
        alpha ``(H, W)`` 0..1.
    """
    xp = array_namespace(frame, rough)
    sure = levels(rough, 0.15, 0.85)
    box = bounds(soft_band(sure, _BAND, ops), reach)
    if box is None:
        return sure
    alpha = xp.asarray(sure, copy=True)
    frame, rough, sure = frame[box], rough[box], sure[box]
    band, fine = soft_band(sure, _BAND, ops), sure
    for radius in (reach, reach // 2):
        fit, trust = _by_colour(frame, fine, max(1, radius // 4), max(1, reach // 8), ops)
        fine = xp.where(band, levels(rough + trust * (fit - rough), 0.2, 0.8), sure)
    alpha[box] = levels(guided_filter(frame, fine, max(1, reach // 3), _EPS, ops), 0.05, 0.95)
    return alpha


_BAND = 4  # pixels around what is unsure that are decided anew as well
_EPS = 1e-4  # a standard deviation of 1 % of the display's range: less is noise
_TRUSTED = 0.8  # a fit that explains this share of the variance is believed altogether


def _by_colour(frame: Any, alpha: Any, radius: int, spread: int, ops: ImageOps) -> tuple[Any, Any]:
    """What colours nearby make of alpha ``(H, W)``, and how far to trust it; radii in quarter size."""
    xp = array_namespace(frame, alpha)
    height, width = alpha.shape
    h, w = -(-height // 4), -(-width // 4)
    target = ops.resize(alpha, h, w, "area")
    weight = xp.abs(2 * target - 1).clip(0.01, 1.0)
    c, explained = _local_fit(ops.resize(frame, h, w, "area"), target, weight, radius, _EPS / 3, ops)
    c, explained = (ops.resize(ops.box(v, spread), height, width) for v in (c, explained))
    return _apply(c, frame), (explained / _TRUSTED).clip(0.0, 1.0)


def soft_band(alpha: Any, radius: int, ops: ImageOps) -> Any:
    """Where alpha ``(H, W)`` is neither all 0 nor all 1 within ``radius`` pixels: bool ``(H, W)``."""
    return (ops.dilate(alpha, radius) > 0.01) & (ops.erode(alpha, radius) < 0.99)


def bounds(mask: Any, margin: int) -> tuple[slice, slice] | None:
    """The box around what is true in ``mask`` ``(H, W)``, wider by ``margin`` pixels; None when nothing is."""
    xp = array_namespace(mask)
    box = []
    for axis in (0, 1):
        along = xp.nonzero(xp.any(mask, axis=1 - axis))[0]
        if along.shape[0] == 0:
            return None
        box.append(slice(max(0, int(along[0]) - margin), min(mask.shape[axis], int(along[-1]) + 1 + margin)))
    return box[0], box[1]


def refine_to_frame(frame: Any, alpha: Any, radius: int, eps: float, black: float, white: float, ops: ImageOps) -> Any:
    """Carry a work-size alpha to the frame's own size, along the frame's edges.

    The guided filter's coefficients are smooth: fitted at half the work size, they are applied to the full
    frame, in the band around soft pixels only. The core stays exactly 1 and the outside exactly 0.

    Args:
        frame: ``(H, W, 3)`` display-referred, 0..1.
        alpha: ``(h, w)`` 0..1.
        radius: reach of the fit and of the band, in work-size pixels.
        eps: as in the guided filter.
        black, white: what becomes exactly 0 and exactly 1.

    Returns:
        ``(H, W)`` 0..1.
    """
    xp = array_namespace(frame, alpha)
    height, width = frame.shape[:2]
    large = levels(ops.resize(alpha, height, width), black, white)
    band = xp.astype(soft_band(alpha, radius, ops), alpha.dtype)
    at = flat_indices(ops.resize(band, height, width) > 0.5)
    h, w = (-(-side // 2) for side in alpha.shape)
    c = guided_coefficients(
        ops.resize(frame, h, w, "area"), ops.resize(alpha, h, w, "area"), max(1, radius // 2), eps, ops
    )
    y = (xp.astype(at // width, alpha.dtype) + 0.5) * (h / height) - 0.5
    x = (xp.astype(at % width, alpha.dtype) + 0.5) * (w / width) - 0.5
    fine = _apply(gather(c, x, y, ops), xp.reshape(frame, (-1, 3))[at])
    xp.reshape(large, (-1,))[at] = levels(fine, black, white)
    return large


def flat_indices(mask: Any) -> Any:
    """Flat indices of what is true: an order of magnitude faster than pairs of coordinates."""
    xp = array_namespace(mask)
    return xp.nonzero(xp.reshape(mask, (-1,)))[0]


_ROW = 1024


def gather(image: Any, x: Any, y: Any, ops: ImageOps) -> Any:
    """Sample ``image`` ``(H, W, C)`` at ``n`` points: ``(n, C)``. In rows, as image libraries bound a side."""
    xp = array_namespace(image)
    n = x.shape[0]
    if n == 0:
        return xp.zeros((0, image.shape[-1]), dtype=image.dtype)
    fill = xp.zeros((-n % _ROW,), dtype=x.dtype)
    x, y = (xp.reshape(xp.concat([v, fill]), (-1, _ROW)) for v in (x, y))
    return xp.reshape(ops.remap(image, x, y, "replicate"), (-1, image.shape[-1]))[:n]


def estimate_foreground(image: Any, alpha: Any, ops: ImageOps) -> Any:
    """Straight foreground colours, so that no rim of the old background remains at soft edges.

    Two passes of blur fusion: the core's colours, from nearby or from far (an eighth of the height), are moved
    by what the soft pixels around show of their own, a second pass keeps local variation. The first runs on a
    reduced picture; the fusion with the pixel itself is done at full size on soft pixels only. Both weigh how
    well the background is known, so that thin strands need not have the core's colour.

    Args:
        image: ``(H, W, 3)``, any range (values above 1 stay), in the light the picture is mixed in.
        alpha: ``(H, W)`` 0..1.

    Returns:
        ``(H, W, 3)``: where alpha is 1, the pixels of ``image`` bit for bit; close outside the edge, the
        foreground's colours continued, so that filtering across it brings nothing of the old background in;
        farther out, 0.
    """
    xp = array_namespace(image, alpha)
    out = xp.zeros_like(image)
    box = bounds(alpha > 0, 16)
    if box is None:
        return out
    columns = box[1]
    nearby = _Nearby.of(image[box], alpha[box], image.shape[0], ops)
    for rows in stripes(box[0].start, box[0].stop):
        out[rows, columns] = _estimate(image[rows, columns], alpha[rows, columns], rows.start - box[0].start, nearby)
    return out


@dataclass(frozen=True)
class _Nearby:
    """What is known around each pixel of a picture ``(H, W)``, on a reduced one.

    Args:
        rim: ``(H, W)``: the colours are continued there.
        foreground, background: colours ``(h, w, 3)``.
        variance: of the background, ``(h, w, 1)``.
    """

    rim: Any
    foreground: Any
    background: Any
    variance: Any
    ops: ImageOps

    @classmethod
    def of(cls, image: Any, alpha: Any, scale: int, ops: ImageOps) -> _Nearby:
        """From the box around the foreground; ``scale`` is the whole picture's height."""
        xp = array_namespace(image, alpha)
        height, width = alpha.shape
        shrink = max(1, round(scale / 240))
        h, w = -(-height // shrink), -(-width // shrink)
        small, thin = ops.resize(image, h, w, "area"), ops.resize(alpha, h, w, "area")
        rim = ops.resize(xp.astype(ops.dilate(thin, 3) > 0, alpha.dtype), height, width) > 0
        foreground, background, variance = _near_colours(small, thin, scale // shrink // 8, ops)
        return cls(rim, foreground, background, variance[..., None], ops)

    def at(self, row: Any, column: Any, like: Any) -> Iterator[Any]:
        """Foreground, background and variance at pixels, by their rows and columns."""
        xp = array_namespace(like)
        (h, w), (height, width) = self.variance.shape[:2], self.rim.shape
        y = (xp.astype(row, like.dtype) + 0.5) * (h / height) - 0.5
        x = (xp.astype(column, like.dtype) + 0.5) * (w / width) - 0.5
        return (gather(v, x, y, self.ops) for v in (self.foreground, self.background, self.variance))


def _estimate(image: Any, alpha: Any, top: int, nearby: _Nearby) -> Any:
    """As above, of some rows ``(h, W)`` from ``top`` on."""
    xp = array_namespace(image, alpha)
    core = alpha >= 1
    out = image * thrice(xp.astype(core, image.dtype))  # times 1 keeps every bit, and is faster than xp.where
    at = flat_indices((nearby.rim[top : top + alpha.shape[0]] | (alpha > 0)) & ~core)
    if at.shape[0]:
        width = alpha.shape[1]
        foreground, background, variance = nearby.at(at // width + top, at % width, alpha)
        soft, a = xp.reshape(image, (-1, 3))[at], xp.reshape(alpha, (-1,))[at]
        xp.reshape(out, (-1, 3))[at] = _fuse(soft, a, foreground, background, variance[..., 0])
    return out


_MOST = 1e15
"""Light whose square is still a number in float32; a firefly can be brighter."""
_NIL = 1e-12
_MATTE_ERROR = 0.07
_GRAIN = 0.02
"""Standard deviations: of alpha where it is half, and of a background that seems flat, as a part of its light."""
_STRANGE, _VARIED = 1.0, 0.3
"""The same of a foreground's colour: from the far core's, and from what it is found to be nearby."""


def _fuse(image: Any, alpha: Any, foreground: Any, background: Any, variance: Any) -> Any:
    """Move the foreground colour found nearby so that the pixel is explained; after Forte, equation 6."""
    xp = array_namespace(image)
    rest, share, _ = _unexplained(image, alpha, foreground, background, variance, _VARIED)
    return xp.maximum(foreground + thrice(share) * rest, xp.minimum(image, xp.zeros((), dtype=image.dtype)))


def _unexplained(
    image: Any, alpha: Any, foreground: Any, background: Any, variance: Any, freedom: float
) -> tuple[Any, Any, Any]:
    """What of the pixels neither side explains ``(..., 3)``, and how much of it is the foreground's ``(...)``.

    The share is the Wiener filter's: before a background known well it is all, 1/alpha, so that a strand gets
    its own colour; before a textured one it is little. But what leans towards the background's colour may as
    well be a matte too wide, which would leave a rim: of that the share is less than alpha, and the less the
    brighter the background is (the least-squares share, both sides varying in proportion to their light).

    Args:
        image, alpha, foreground, background: ``(..., 3)``, ``(...)``, and colours ``(..., 3)`` spread to there.
        variance: the background's, ``(...)``.
        freedom: how far the foreground may be from its colour, as a part of its light.
    """
    xp = array_namespace(image)
    own, other = _energy(foreground) + _TINY, _energy(background) + _TINY
    thick, clear = thrice(alpha), 1 - alpha
    rest = image - thick * foreground - (1 - thick) * background
    apart, seen = (v.clip(-_MOST, _MOST) for v in (background - foreground, rest))
    length = _dot(apart, apart) + _NIL
    lean = _dot(seen, apart) / (xp.sqrt(_dot(seen, seen) + _NIL) * xp.sqrt(length))
    lean = xp.maximum(lean, xp.zeros((), dtype=image.dtype))
    unsure = clear**2 * (variance + _GRAIN**2 * other) + (4 * _MATTE_ERROR * alpha * clear) ** 2 * length
    free = freedom**2 * own
    sure = alpha * free / (alpha**2 * free + unsure + _NIL)
    shy = xp.minimum(alpha, alpha * own / (alpha**2 * own + clear**2 * other))
    return rest, sure + lean * (xp.minimum(shy, sure) - sure), sure


def _dot(first: Any, second: Any) -> Any:
    return first[..., 0] * second[..., 0] + first[..., 1] * second[..., 1] + first[..., 2] * second[..., 2]


def _energy(colour: Any) -> Any:
    """The mean light ``(...)`` of colours ``(..., 3)``, squared."""
    return ((colour[..., 0] + colour[..., 1] + colour[..., 2]) / 3).clip(-_MOST, _MOST) ** 2


def _near_colours(image: Any, alpha: Any, reach: int, ops: ImageOps) -> tuple[Any, Any, Any]:
    """Foreground and background colours of a reduced picture, and the latter's variance; ``alpha`` is ``(h, w)``.

    The foreground's are the core's, moved by what the soft pixels around say of theirs, each as far as it is sure.
    """
    # Mixed pixels count only where there are no others: their colour is not the foreground's.
    inside, outside = (levels(v, 0.9, 1.0) + _TINY * v for v in (alpha, 1 - alpha))
    background, variance = _background(image, outside, reach, ops)
    core, solid = _far_colours(image, inside, reach, ops, _AROUND), ops.box(inside, _AROUND)
    rest, share, sure = _unexplained(image, alpha, core, background, variance, _STRANGE)
    near = ops.box(thrice(share) * rest, 3) / thrice(ops.box(alpha * sure, 3) + _DOUBT + _LOYAL * solid)
    return core + near, background, variance


_DOUBT = 0.02
"""How sure pixels nearby have to be, in sum, for half of what they say of the foreground's colour to be believed."""
_LOYAL = 3.0
"""How much more where a core is around: soft pixels there are its edge, not strands."""


def _background(image: Any, weight: Any, reach: int, ops: ImageOps) -> tuple[Any, Any]:
    """The colours of a background, and how far its single pixels are from their mean, channels alike: ``(h, w)``."""
    xp = array_namespace(image)
    seen = image.clip(-_MOST, _MOST)
    moments = xp.concat([seen, (_dot(seen, seen) / 3)[..., None]], axis=-1)
    around = _far_colours(moments, weight, reach, ops, _AROUND)
    variance = around[..., 3] - _dot(around, around) / 3
    return _mean_colours(image, weight, 3, around[..., :3], ops), variance.clip(0.0, None)


_AROUND = 10
"""Pixels of the reduced picture across which a colour is guessed from what is known of it."""


def spread(image: Any, weight: Any, reach: int, ops: ImageOps) -> Any:
    """Continue the colours of some pixels to all others, from near where there are any, else from farther.

    ``image`` is ``(h, w, 3)``, ``weight`` ``(h, w)`` 0..1, ``reach`` in pixels.
    """
    return _mean_colours(image, weight, 3, _far_colours(image, weight, reach, ops), ops)


def _far_colours(image: Any, weight: Any, reach: int, ops: ImageOps, *closer: int) -> Any:
    """Means over ``reach`` pixels, found on a quarter of the size; where nothing is near, the mean of all.

    Over fewer pixels where ``closer`` names them, and there is something so near.
    """
    xp = array_namespace(image)
    h, w = weight.shape
    weighted = image * xp.repeat(weight[..., None], image.shape[-1], axis=-1)
    tiny, thin = (ops.resize(v, -(-h // 4), -(-w // 4), "area") for v in (weighted, weight))
    mean = xp.sum(tiny, axis=(0, 1)) / (xp.sum(thin) + _TINY)
    for radius in (reach, *closer):
        near = ops.box(thin, max(1, radius // 4)) + _TINY
        mean = (ops.box(tiny, max(1, radius // 4)) + _TINY * mean) / xp.repeat(
            near[..., None], image.shape[-1], axis=-1
        )
    return ops.resize(mean, h, w)


def _mean_colours(colour: Any, weight: Any, radius: int, fallback: Any, ops: ImageOps) -> Any:
    """The mean colour nearby (Forte, equations 4 and 5), or where nothing is near, the fallback."""
    spread_out = ops.box(colour * thrice(weight), radius) + _TINY * fallback
    return spread_out / thrice(ops.box(weight, radius) + _TINY)

"""Matting: soft edges from a rough alpha, and foreground colours free of the old background.

Sources: the guided filter (He, Sun, Tang, "Guided Image Filtering", PAMI 2013; the fast variant fits its
coefficients small, arXiv 1505.00996) and blur fusion (Forte, "Approximate Fast Foreground Colour
Estimation", ICIP 2021).
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from anyportal_core.ops import ImageOps

_TINY = 1e-3


def levels(alpha: Any, black: float, white: float) -> Any:
    """Stretch alpha so that ``black`` becomes exactly 0 and ``white`` exactly 1. Any shape, 0..1."""
    xp = array_namespace(alpha)
    return xp.clip((alpha - black) / (white - black), 0.0, 1.0)


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
    return xp.stack([cr, cg, cb, c0], axis=-1), xp.clip(explained, 0.0, 1.0)


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
    weight = xp.clip(xp.abs(2 * target - 1), 0.01, 1.0)
    c, explained = _local_fit(ops.resize(frame, h, w, "area"), target, weight, radius, _EPS / 3, ops)
    c, explained = (ops.resize(ops.box(v, spread), height, width) for v in (c, explained))
    return _apply(c, frame), xp.clip(explained / _TRUSTED, 0.0, 1.0)


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

    Two passes of blur fusion: colours spread from far (an eighth of the height) settle what colour the
    foreground has there at all, a second pass nearby keeps its local variation. Both run on a reduced
    picture; the fusion with the pixel itself (equation 6) is done at full size on soft pixels only.

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
    if box is not None:
        out[box] = _estimate(image[box], alpha[box], image.shape[0], ops)
    return out


def _estimate(image: Any, alpha: Any, scale: int, ops: ImageOps) -> Any:
    """As above, on the box around the foreground; ``scale`` is the whole picture's height."""
    xp = array_namespace(image, alpha)
    height, width = alpha.shape
    core = alpha >= 1
    out = xp.where(_thrice(core), image, xp.zeros((), dtype=image.dtype))
    shrink = max(1, round(scale / 240))
    h, w = -(-height // shrink), -(-width // shrink)
    small, thin = ops.resize(image, h, w, "area"), ops.resize(alpha, h, w, "area")
    rim = ops.resize(xp.astype(ops.dilate(thin, 3) > 0, alpha.dtype), height, width) > 0
    at = flat_indices((rim | (alpha > 0)) & ~core)
    if at.shape[0] == 0:
        return out
    y = (xp.astype(at // width, alpha.dtype) + 0.5) * (h / height) - 0.5
    x = (xp.astype(at % width, alpha.dtype) + 0.5) * (w / width) - 0.5
    foreground, background = (gather(v, x, y, ops) for v in _near_colours(small, thin, scale // shrink // 8, ops))
    a = xp.reshape(alpha, (-1,))[at]
    xp.reshape(out, (-1, 3))[at] = _fuse(xp.reshape(image, (-1, 3))[at], a, foreground, background)
    return out


_MOST = 1e15
"""Light whose square is still a number in float32; a firefly can be brighter."""


def _fuse(image: Any, alpha: Any, foreground: Any, background: Any) -> Any:
    """Move the spread foreground colour so that the pixel is explained; Forte, equation 6.

    Unlike there, the brighter a background is, the more of what is left unexplained is taken for its texture
    (the least-squares share, both sides varying in proportion to their light): else a sky leaves a rim.
    """
    xp = array_namespace(image)
    means = ((v[..., 0] + v[..., 1] + v[..., 2]) / 3 for v in (foreground, background))
    own, other = (xp.clip(mean, -_MOST, _MOST) ** 2 + _TINY for mean in means)
    share = xp.minimum(alpha, alpha * own / (alpha**2 * own + (1 - alpha) ** 2 * other))
    alpha = _thrice(alpha)
    rest = image - alpha * foreground - (1 - alpha) * background
    return xp.maximum(foreground + _thrice(share) * rest, xp.minimum(image, xp.zeros((), dtype=image.dtype)))


def _thrice(plane: Any) -> Any:
    """``(...)`` to ``(..., 3)``: arithmetic on equal shapes is several times faster than with a last axis of 1."""
    xp = array_namespace(plane)
    return xp.repeat(plane[..., None], 3, axis=-1)


def _near_colours(image: Any, alpha: Any, reach: int, ops: ImageOps) -> tuple[Any, Any]:
    """Foreground and background colours ``(h, w, 3)`` of a reduced picture; ``alpha`` is ``(h, w)``."""
    # Mixed pixels count only where there are no others: their colour is not the foreground's.
    inside, outside = (levels(v, 0.9, 1.0) + _TINY * v for v in (alpha, 1 - alpha))
    background = spread(image, outside, reach, ops)
    far = _far_colours(image, inside, reach, ops)
    return _mean_colours(_fuse(image, alpha, far, background), alpha, 3, far, ops), background


def spread(image: Any, weight: Any, reach: int, ops: ImageOps) -> Any:
    """Continue the colours of some pixels to all others, from near where there are any, else from farther.

    ``image`` is ``(h, w, 3)``, ``weight`` ``(h, w)`` 0..1, ``reach`` in pixels.
    """
    return _mean_colours(image, weight, 3, _far_colours(image, weight, reach, ops), ops)


def _far_colours(image: Any, weight: Any, reach: int, ops: ImageOps) -> Any:
    """Means over ``reach`` pixels, found on a quarter of the size; where nothing is near, the mean of all."""
    xp = array_namespace(image)
    h, w = weight.shape
    tiny, thin = (ops.resize(v, -(-h // 4), -(-w // 4), "area") for v in (image * _thrice(weight), weight))
    everywhere = xp.sum(tiny, axis=(0, 1)) / (xp.sum(thin) + _TINY)
    radius = max(1, reach // 4)
    total = _thrice(ops.box(thin, radius) + _TINY)
    return ops.resize((ops.box(tiny, radius) + _TINY * everywhere) / total, h, w)


def _mean_colours(colour: Any, weight: Any, radius: int, fallback: Any, ops: ImageOps) -> Any:
    """The mean colour nearby (Forte, equations 4 and 5), or where nothing is near, the fallback."""
    spread_out = ops.box(colour * _thrice(weight), radius) + _TINY * fallback
    return spread_out / _thrice(ops.box(weight, radius) + _TINY)

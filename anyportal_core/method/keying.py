"""Keying: alpha from a green or blue screen by colour difference, after Vlahos (US patent 3595987, 1971).

In front of a green screen the green of a pixel exceeds its other channels only as far as the screen shows through. By
that the surely solid and the surely clear are told. Between them that alone takes warm colours for too solid; there
alpha is a pixel's place between the screen behind it and the foreground beside it, measured along the direction of
colour in which the two differ most for how much each varies (Fisher's linear discriminant, 1936): colour where the
foreground is now bright, now dark; light and colour where it is even.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from anyportal_core.method.matting import flat_indices, gather
from anyportal_core.method.screens import excess, spread
from anyportal_core.ops import ImageOps


class Limits(NamedTuple):
    """What a key takes for sure, as shares of foreground.

    Args:
        black, white: below is clear, above is solid; between, but close to them, alpha stays what it is.
        core: above is solid where it is so all over a place, as of clothes with something of the screen's colour;
            1 leaves such places as transparent as they look.
    """

    black: float = 0.05
    white: float = 0.95
    core: float = 0.6


_HIGH = 360  # the reduced picture's height, about
_RIM = 3  # its pixels beside a mixed one that are not believed pure
_MIDST = 0.025  # of its height: how far from anything clear the core's pixels are
_CALM = 0.15  # standard deviation of it within a core, at most
_FLAT, _AROUND = 0.15, 3  # how much a core may vary within so many pixels: more is an edge, or motion


def reduced(image: Any, ops: ImageOps) -> Any:
    """The picture ``(H, W, C)`` that a screen is looked for in, some 360 pixels high."""
    shrink = max(1, round(image.shape[0] / _HIGH))
    return ops.resize(image, -(-image.shape[0] // shrink), -(-image.shape[1] // shrink), "area")


def key(image: Any, small: Any, behind: Any, limits: Limits, ops: ImageOps) -> Any:
    """Alpha ``(H, W)`` of what stands before a screen; between its limits it is linear in what the screen shows.

    Args:
        image: ``(H, W, 3)``, display-referred.
        small: it reduced, ``(h, w, 3)``.
        behind: the screen's colours all over the reduced picture, ``(h, w, 3)``; see ``screen_map``.
    """
    xp = array_namespace(image, small, behind)
    channel = int(xp.argmax(xp.mean(behind[::8, ::8], axis=(0, 1))))
    share = 1 - excess(small, channel) / xp.clip(excess(behind, channel), 1e-3, None)
    smooth = ops.box(share, 1)
    inside = (ops.erode(smooth, _RIM) > limits.white) | _core(share, limits.core, ops)
    outside = (ops.dilate(smooth, _RIM) < limits.black) & ~inside
    inside, outside = (xp.astype(v, image.dtype) for v in (inside, outside))
    return _between(image, inside, outside, _places(small, inside, behind, ops), limits, ops)


def _core(share: Any, least: float, ops: ImageOps) -> Any:
    """Where so much is foreground all around that it is no edge, and does not fade: bool ``(h, w)``."""
    xp = array_namespace(share)
    if least >= 1:
        return xp.zeros(share.shape, dtype=xp.bool)
    reach = max(1, round(_MIDST * share.shape[0]))
    smooth = ops.box(share, 2)
    calm = ops.box(share * share, 2) - smooth * smooth < _CALM**2  # dense hair is not
    midst = ops.erode(xp.where(calm, smooth, xp.zeros_like(smooth)), reach) > least
    flat = calm & (smooth > least) & (ops.dilate(smooth, _AROUND) - ops.erode(smooth, _AROUND) < _FLAT)
    grown = ops.dilate(xp.astype(midst, share.dtype), max(1, reach - _AROUND)) > 0
    return midst | (flat & grown)


_VARIED, _GRAINY = 0.2, 0.02  # of a foreground's light, and of any: standard deviations beside what is seen
_SHADED, _NOISY = 0.05, 0.015  # the same of a screen
_ANY = 0.45, 0.2, 0.06  # of a foreground of which none is near: its grey, and how bright and how coloured it may be
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def _places(small: Any, inside: Any, behind: Any, ops: ImageOps) -> Any:
    """Coefficients ``(h', w', 4)``, coarse as they change slowly: alpha is ``c[0:3] . colour + c[3]``."""
    xp = array_namespace(small, behind)
    moments = _moments(small, inside, ops)
    h, w = moments[0].shape
    behind = ops.resize(behind, h, w, "area")
    f, b = moments[:3], [behind[..., i] for i in range(3)]
    vary = [
        moments[3 + at] - (1 - _VARIED**2) * f[i] * f[j] + _SHADED**2 * b[i] * b[j]
        + (_GRAINY**2 + _NOISY**2 if i == j else 0)
        for at, (i, j) in enumerate(_PAIRS)
    ]  # fmt: skip
    apart = [f[i] - b[i] for i in range(3)]
    along = _solved(vary, apart)
    length = sum(along[i] * apart[i] for i in range(3)) + 1e-12
    along = [part / length for part in along]
    return xp.stack([*along, -sum(along[i] * b[i] for i in range(3))], axis=-1)


_COARSER, _NARROW = 2, 2  # than the reduced picture; pixels of it around that say what is nearest


def _moments(small: Any, inside: Any, ops: ImageOps) -> list[Any]:
    """The foreground's colour beside each place, three planes ``(h', w')``, and the mean products of it, six."""
    xp = array_namespace(small)
    h, w = (-(-side // _COARSER) for side in inside.shape)
    planes = [xp.asarray(small[..., i], copy=True) for i in range(3)]
    own = [plane * inside for plane in planes]
    sums = [*own, *(own[i] * planes[j] for i, j in _PAIRS)]
    sums = [ops.resize(part, h, w, "area") for part in sums]
    grey, bright, coloured = _ANY
    far = [grey] * 3 + [grey**2 + bright**2 + (coloured**2 if i == j else 0) for i, j in _PAIRS]
    weight, radii = ops.resize(inside, h, w, "area"), (h // 8, h // 24, _NARROW)
    means = []
    for i in range(0, len(sums), 3):  # as many planes as image libraries take at a time
        usual = xp.asarray(far[i : i + 3], dtype=small.dtype)
        means.append(spread(xp.stack(sums[i : i + 3], axis=-1), weight, usual, radii, ops))
    return [xp.asarray(three[..., i], copy=True) for three in means for i in range(3)]


def _solved(s: list[Any], d: list[Any]) -> list[Any]:
    """The inverse of symmetric matrices, as their six planes, times vectors, up to a factor above 0."""
    xx, xy, xz, yy, yz, zz = s
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    e, f, g = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    x, y, z = d
    return [a * x + b * y + c * z, b * x + e * y + f * z, c * x + f * y + g * z]


def _between(image: Any, inside: Any, outside: Any, c: Any, limits: Limits, ops: ImageOps) -> Any:
    """Alpha ``(H, W)``: where neither side is sure, by each pixel's colour."""
    xp = array_namespace(image)
    height, width = image.shape[:2]
    alpha = ops.resize(inside, height, width)
    at = flat_indices(ops.resize(inside + outside, height, width) < 1)
    down = (xp.astype(at // width, image.dtype) + 0.5) / height
    across = (xp.astype(at % width, image.dtype) + 0.5) / width
    c = _at(c, down, across, ops)
    pixel = xp.reshape(image, (-1, 3))[at]
    light = _light(image)
    flat = xp.reshape(alpha, (-1,))  # a view: alpha itself is written to
    if not _coarse_colour(image, light):
        flat[at] = _clipped(_dot(c, pixel) + c[:, 3], limits)
        return alpha
    blurred = ops.resize(ops.resize(light, -(-height // 2), -(-width // 2), "area"), height, width)
    fine = xp.reshape(light - blurred, (-1,))[at]
    found = _dot(c, pixel) + c[:, 3] - fine * (c[:, 0] + c[:, 1] + c[:, 2])
    flat[at] = xp.clip(found, 0.0, 1.0)
    slope = _at(_slope(blurred, alpha, ops)[..., None], down, across, ops)[:, 0]
    flat[at] = _clipped(flat[at] + slope * fine, limits)
    return alpha


def _at(planes: Any, down: Any, across: Any, ops: ImageOps) -> Any:
    """Of planes ``(h, w, C)`` what is at places in parts of the picture's size: ``(n, C)``."""
    return gather(planes, across * planes.shape[1] - 0.5, down * planes.shape[0] - 0.5, ops)


def _dot(c: Any, pixel: Any) -> Any:
    return c[:, 0] * pixel[:, 0] + c[:, 1] * pixel[:, 1] + c[:, 2] * pixel[:, 2]


def _light(image: Any) -> Any:
    return 0.2126 * image[..., 0] + 0.7152 * image[..., 1] + 0.0722 * image[..., 2]


_SHARP = 0.6  # colour changes from pixel to pixel by that part of what light does, or more, unless it was subsampled


def _coarse_colour(image: Any, light: Any) -> bool:
    """Whether a picture's colour is less fine than its light, as of 4:2:0 and 4:2:2."""
    xp = array_namespace(image)
    image, light = image[::4], light[::4]  # rows enough to tell
    most = xp.maximum(_busy(image[..., 2] - light), _busy(image[..., 0] - light))
    return bool(most < _SHARP * _busy(light))


def _busy(plane: Any) -> Any:
    xp = array_namespace(plane)
    if plane.shape[1] <= 2:
        return xp.sum(0 * plane)
    return xp.mean(xp.abs(plane[:, 2:] - 2 * plane[:, 1:-1] + plane[:, :-2]))


_WINDOW, _EVEN, _STEEP = 2, 4e-4, 8.0  # half size's pixels; a light's variance that tells nothing; the steepest


def _slope(light: Any, alpha: Any, ops: ImageOps) -> Any:
    """How alpha rises with light nearby, of half size; both ``(H, W)`` and as fine as colour is."""
    xp = array_namespace(light)
    h, w = (-(-side // 2) for side in light.shape)
    planes = light, alpha, light * alpha, light * light
    bright, solid, both, own = (ops.box(ops.resize(plane, h, w, "area"), _WINDOW) for plane in planes)
    return xp.clip((both - bright * solid) / (own - bright * bright + _EVEN), -_STEEP, _STEEP)


def _clipped(alpha: Any, limits: Limits) -> Any:
    """Exactly 0 below black and 1 above white, and from twice as far from them on as it was."""
    xp = array_namespace(alpha)
    low = xp.minimum(alpha, 2 * (alpha - limits.black))
    return xp.clip(xp.maximum(low, 1 - 2 * (limits.white - alpha)), 0.0, 1.0)

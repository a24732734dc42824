"""Film and sensor grain: how much a picture has at each brightness, what it looks like, and the same made anew.

What grain looks like is seen where a picture has nothing else, in its flattest blocks: the mean autocorrelation of what
is left when a plane is taken away says how coarse it is, the correlation of its channels whether it is coloured. How
strong it is at each brightness, its noise level function (Liu, Freeman, Szeliski and Kang, "Noise estimation from a
single image", CVPR 2006), is told by all of the picture: a filter that planes and edges hardly pass (Immerkaer, "Fast
noise variance estimation", CVIU 1996), and the median of what passes, which edges hardly move. Everything here is about
code values of a display or log curve, in which grain is about equally strong at all brightnesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from anyportal_core.ops import ImageOps

Image = NDArray[np.float32]
Values = NDArray[np.float64]

BINS = 16
"""Of brightness, over 0..1."""

_BLOCK = 24
_MOST = 2000  # blocks of a picture: more tell no more
_REACH = 6  # pixels to which grain is taken to hang together
_LUMA = np.array([0.2126, 0.7152, 0.0722])
_FLATTEST = 0.05  # of the blocks are flat in any picture
_ALIKE = 1.8  # and so are those whose variance is not greater than theirs by more than that
_EVEN = 2.5  # how far a block's slopes may differ by direction: grain has none
_FEW = 8  # blocks below which nothing is said
_FEW_PIXELS = 400  # below which a brightness is left to its neighbours
_UNLIKE = 2.5  # how much more grain than its flattest blocks a picture may have at any brightness
_COLOURFUL = 1.5  # deviation of a channel over luma's at most; three independent ones have 1.33
_ENDS = (0.004, 0.985)  # brightness outside which code values are clipped, and grain with them
_STEADY = 1e-5  # deviation below which a picture has no grain: rounding of 16 bits
_PASSES = 0.15  # of the grain's variance at least has to pass the filter
_FILTER = np.outer([1, -2, 1], [1, -2, 1]) / 6  # of white noise it passes all
_OF_MEDIAN = 1.4826  # deviation over the median of a normal distribution's magnitude


@dataclass(frozen=True)
class Grain:
    """What grain a picture has.

    Args:
        level: ``(BINS,)`` standard deviation of luma in code values 0..1, by brightness.
        kernel: ``(2 * reach + 1,) * 2``, the filter that makes it of white noise; its squares sum to 1.
        colour: ``(3, 3)``, from independent channels to R, G, B; with white noise of deviation 1, luma's is 1.
    """

    level: Values
    kernel: Values
    colour: Values

    @property
    def none(self) -> bool:
        """Whether there is next to none."""
        return bool(self.level.max() <= _STEADY)


NO_GRAIN = Grain(np.zeros(BINS), np.pad([[1.0]], _REACH), np.eye(3) / np.sqrt(np.sum(_LUMA**2)))


def measure_grain(pictures: Sequence[Image], weights: Sequence[Image], ops: ImageOps) -> Grain:
    """The grain that some frames of a clip have in common.

    Args:
        pictures: ``(H, W, 3)`` code values, 0..1.
        weights: ``(H, W)``, 0..1: what counts is 1.
    """
    found = [_blocks(*pair) for pair in zip(pictures, weights, strict=True)]
    blocks = np.concatenate(found) if found else np.empty((0, _BLOCK, _BLOCK, 3), np.float32)
    brightness = blocks.mean((1, 2)) @ _LUMA
    blocks, brightness = (kind[(brightness > _ENDS[0]) & (brightness < _ENDS[1])] for kind in (blocks, brightness))
    rest = _without_plane(blocks)
    steady = (rest @ _LUMA).std((1, 2)) <= _STEADY
    # Where some of a picture has none at all, what the rest has is texture.
    if (~steady).sum() < _FEW or steady.mean() > _FLATTEST:
        return NO_GRAIN
    brightness, rest = _even(brightness[~steady], rest[~steady])
    if len(rest) < _FEW:
        return NO_GRAIN
    variance = (rest @ _LUMA).var((1, 2), ddof=3)
    flat = rest[_flattest(variance)]
    luma = flat @ _LUMA
    scale = luma.std((1, 2), ddof=3)[:, None, None]
    kernel = _kernel(luma / scale)
    level = _level([picture @ _LUMA.astype(np.float32) for picture in pictures], weights, kernel, ops)
    level = np.minimum(level, _level_of_blocks(brightness, variance))
    level = np.minimum(level, _UNLIKE * np.median(scale))
    return Grain(level, kernel, _colour(flat / scale[..., None])) if level.max() > _STEADY else NO_GRAIN


def missing_level(wanted: Grain, present: Grain) -> Values:
    """The level ``(BINS,)`` of what has to be added where some grain is present already: variances add."""
    return np.sqrt(np.maximum(wanted.level**2 - present.level**2, 0.0))


def add_grain(picture: Image, grain: Grain, level: Values, noise: Image, ops: ImageOps) -> Image:
    """A picture ``(H, W, 3)`` in code values with grain of some ``level`` laid over it.

    Args:
        noise: white, deviation 1, ``(H, W, 3)``: the only source of chance.
    """
    shaped = ops.convolve(noise, grain.kernel.astype(np.float32))
    coloured = shaped @ grain.colour.T.astype(np.float32)
    luma = np.clip(picture @ _LUMA.astype(np.float32), 0, 1)
    centres = (np.arange(BINS) + 0.5) / BINS
    table = np.interp(np.linspace(0, 1, 1024), centres, level).astype(np.float32)
    coloured *= table[np.rint(luma * 1023).astype(np.int32)][..., None]
    coloured += picture
    return np.asarray(coloured, np.float32)


def _blocks(picture: Image, weight: Image) -> NDArray[np.float32]:
    """Blocks that count, ``(n, B, B, 3)``, half overlapping, at most ``_MOST`` of them from all over the picture."""
    if min(picture.shape[:2]) < _BLOCK:
        return np.empty((0, _BLOCK, _BLOCK, 3), np.float32)
    step = _BLOCK // 2
    cover = sliding_window_view(weight, (_BLOCK, _BLOCK))[::step, ::step].min((2, 3))
    rows, columns = np.nonzero(cover >= 1)
    chosen = np.unique(np.linspace(0, max(len(rows) - 1, 0), _MOST).astype(int))[: len(rows)]
    views = sliding_window_view(picture, (_BLOCK, _BLOCK), (0, 1))[rows[chosen] * step, columns[chosen] * step]
    return np.moveaxis(views, 1, -1)


def _flattest(variance: Values) -> NDArray[np.bool_]:
    """Which blocks have nothing but grain, as far as that can be told from how much they vary."""
    return np.asarray(variance <= _ALIKE * np.quantile(variance, _FLATTEST))


def _level_of_blocks(brightness: Values, variance: Values) -> Values:
    """Deviation by brightness ``(BINS,)`` in the flattest blocks of each; infinite where there are too few."""
    level, place = np.full(BINS, np.inf), (brightness * BINS).astype(int)
    for bin_ in range(BINS):
        here = variance[place == bin_]
        if len(here) >= _FEW:
            level[bin_] = np.sqrt(np.median(here[_flattest(here)]))
    return level


def _without_plane(blocks: NDArray[np.float32]) -> Values:
    """Blocks without the plane that fits each best."""
    y, x = np.mgrid[0:_BLOCK, 0:_BLOCK].reshape(2, -1) / (_BLOCK - 1) - 0.5
    basis, _ = np.linalg.qr(np.column_stack([np.ones_like(x), x, y]))
    flat = blocks.reshape(len(blocks), _BLOCK * _BLOCK, 3).astype(np.float64)
    return np.reshape(flat - basis @ (basis.T @ flat), blocks.shape)


def _even(brightness: Values, rest: Values) -> tuple[Values, Values]:
    """Blocks ``(n, B, B, 3)`` whose slopes have no direction, as those at edges have."""
    luma = rest @ _LUMA
    x, y = luma[:, 1:-1, 2:] - luma[:, 1:-1, :-2], luma[:, 2:, 1:-1] - luma[:, :-2, 1:-1]
    xx, yy, xy = ((one * other).mean((1, 2)) for one, other in ((x, x), (y, y), (x, y)))
    middle, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    kept = middle + spread <= _EVEN * np.maximum(middle - spread, 1e-15)
    return brightness[kept], rest[kept]


def _level(lumas: Sequence[Image], weights: Sequence[Image], kernel: Values, ops: ImageOps) -> Values:
    """Deviation by brightness, ``(BINS,)``, of grain that ``kernel`` makes."""
    filter_, passed = _sieve(kernel)
    bins, heights = [], []
    for luma, weight in zip(lumas, weights, strict=True):
        brightness = ops.box(luma, _BLOCK // 4)
        counts = (ops.erode(weight, len(filter_) // 2) >= 1) & (brightness > _ENDS[0]) & (brightness < _ENDS[1])
        bins.append((np.clip(brightness[counts], 0, 1 - 1e-6) * BINS).astype(np.int8))
        heights.append(np.abs(ops.convolve(luma, filter_)[counts]))
    place, height = np.concatenate(bins), np.concatenate(heights)
    if not len(height):
        return np.zeros(BINS)
    known = [bin_ for bin_ in range(BINS) if np.count_nonzero(place == bin_) >= _FEW_PIXELS]
    level = [_OF_MEDIAN / np.sqrt(passed) * float(np.median(height[place == bin_])) for bin_ in known]
    return np.interp(np.arange(BINS), known, level) if known else np.zeros(BINS)


def _sieve(kernel: Values) -> tuple[Image, float]:
    """The finest filter that enough of the grain passes, and the share of its variance that does."""
    for spread in (1, 2, 3, 4):
        filter_ = np.zeros((2 * spread + 1,) * 2)
        filter_[::spread, ::spread] = _FILTER
        size = len(filter_) + len(kernel)
        power = np.abs(np.fft.fft2(kernel, (size, size)) * np.fft.fft2(filter_, (size, size))) ** 2
        passed = float(power.mean())
        if passed > _PASSES:
            break
    return filter_.astype(np.float32), passed


def _kernel(luma: Values) -> Values:
    """The zero-phase filter whose power spectrum is that of the blocks, ``(n, B, B)``."""
    size = 2 * _BLOCK
    spectrum = (np.abs(np.fft.fft2(luma, (size, size))) ** 2).mean(0)
    overlap = np.abs(np.fft.fft2(np.ones((_BLOCK, _BLOCK)), (size, size))) ** 2
    correlation = np.fft.ifft2(spectrum).real / np.maximum(np.fft.ifft2(overlap).real, 1)
    near = np.fft.fftshift(correlation)[_BLOCK - _REACH : _BLOCK + _REACH + 1, _BLOCK - _REACH : _BLOCK + _REACH + 1]
    window = np.sqrt(np.hanning(2 * _REACH + 3)[1:-1])
    wide = np.zeros((size, size))
    wide[: 2 * _REACH + 1, : 2 * _REACH + 1] = near * np.outer(window, window)
    power = np.maximum(np.fft.fft2(np.roll(wide, (-_REACH, -_REACH), (0, 1))).real, 0)
    filtered = np.roll(np.fft.ifft2(np.sqrt(power)).real, (_REACH, _REACH), (0, 1))
    kernel = filtered[: 2 * _REACH + 1, : 2 * _REACH + 1]
    return np.asarray(kernel / np.sqrt(np.sum(kernel**2)))


def _colour(rest: Values) -> Values:
    """From independent channels to those of the blocks ``(n, B, B, 3)``, luma's deviation 1.

    Codecs smooth luma more than colour where a picture is flat: what is more colourful than the independent grain of
    three sensors is brought down to that.
    """
    covariance = np.cov(rest.reshape(-1, 3), rowvar=False) + 1e-9 * np.eye(3)
    grey = np.ones((3, 3))
    covariance /= _LUMA @ covariance @ _LUMA
    excess = np.diag(covariance).max() - 1
    share = min(1.0, (_COLOURFUL**2 - 1) / excess) if excess > 0 else 1.0
    covariance = share * covariance + (1 - share) * grey
    return np.asarray(np.linalg.cholesky(covariance + 1e-9 * np.eye(3)))

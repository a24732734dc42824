"""The gain made steady in time, along the foreground's own motion."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, pairwise

import cv2
import numpy as np

from anyportal_core.frames import FrameSource, Image
from anyportal_core.hands import helper, in_order
from anyportal_core.method.gain import coarse_gain, extend
from anyportal_core.method.projection import IdentityCodec, project
from anyportal_core.method.srgb import to_light
from anyportal_core.ops import opencv as ops
from anyportal_core.plugins.draft.flow import Flow
from anyportal_core.plugins.draft.scene.grid import grid_size
from anyportal_core.roles import Chunk, RoleContext, StoredFrames

_FLOW = 320  # long side of the pictures that flow is taken from


@dataclass
class _Seen:
    """One frame on the gain's grid: its gain, where the foreground is, and the ways to its neighbours.

    A way is ``(h, w, 3)``: the foreground's flow in cells, and how far it can be trusted, 0..1.
    """

    gain: Image
    cover: Image
    back: Image
    forth: Image


class Steady:
    """Role ``refine``: each gain becomes a mean over its neighbours in time, brought along the plate's flow."""

    def steady(
        self,
        plate: FrameSource,
        matte: FrameSource,
        background: FrameSource,
        harmonised: StoredFrames,
        context: RoleContext,
    ) -> Iterator[Chunk]:
        """Yield ``log_gain``; memory: ``2 * span + 1`` frames on the gain's grid."""
        span = context.settings.integer("span")
        window: deque[_Seen] = deque(maxlen=2 * span + 1)
        centre = 0
        for seen in _frames(plate, matte, harmonised, context):
            window.append(seen)
            if len(window) > span:
                centre = min(centre, span)
                yield {"log_gain": _steadied(window, centre, span)[None]}
                centre += 1
        for late in range(min(centre, len(window)), len(window)):
            yield {"log_gain": _steadied(window, late, span)[None]}


@dataclass(frozen=True)
class _Look:
    """What is taken of one frame: see `_Seen`; and the picture and the matte that its flow is found by."""

    gain: Image
    cover: Image
    picture: Image
    matte: Image


def _frames(plate: FrameSource, matte: FrameSource, harmonised: StoredFrames, context: RoleContext) -> Iterator[_Seen]:
    flow, looks = Flow(), _looks(plate, matte, harmonised, context)

    def ways(pair: tuple[_Look, _Look]) -> tuple[_Look, Image, Image]:
        one, other = pair
        found, size = flow.pair(one.picture, other.picture), other.gain.shape[:2]
        forth = _way(found.forward, found.seen, one.matte, *size)
        return other, forth, _way(found.backward, found.seen_back, other.matte, *size)

    first = next(looks)
    still = np.zeros_like(first.gain)
    before = _Seen(first.gain, first.cover, still, still)
    with closing(in_order(ways, pairwise(chain([first], looks)), helper())) as pairs:
        for here, forth, back in pairs:
            before.forth = forth
            yield before
            before = _Seen(here.gain, here.cover, back, still)
    yield before


def _looks(plate: FrameSource, matte: FrameSource, harmonised: StoredFrames, context: RoleContext) -> Iterator[_Look]:
    for index in range(len(plate)):
        context.checkpoint()
        frame, alpha = plate.read(index, index + 1)[0], matte.read(index, index + 1)[0]
        gain = _gain(frame, alpha, harmonised, index)
        yield _Look(gain, ops.resize(alpha, gain.shape[0], gain.shape[1], "area"), _shrunk(frame), _shrunk(alpha))


def _gain(frame: Image, alpha: Image, harmonised: StoredFrames, index: int) -> Image:
    """The frame's gain as it was made, or as it shows in a relit frame."""
    if "log_gain" in harmonised.names:
        return np.asarray(harmonised.read("log_gain", index, index + 1)[0], np.float32)
    relit = np.asarray(harmonised.read("relit", index, index + 1)[0], np.float32)
    return np.asarray(coarse_gain(to_light(relit), to_light(frame), alpha, ops), np.float32)


def _shrunk(image: Image) -> Image:
    return ops.resize(image, *grid_size(image.shape[0], image.shape[1], _FLOW), "area")


def _way(flow: Image, closes: np.ndarray, matte: Image, height: int, width: int) -> Image:
    """The foreground's flow and its trust on the grid; what is not foreground moves with the nearest that is."""
    cover = matte[..., 0]
    trusted = cv2.merge([flow[..., 0] * cover, flow[..., 1] * cover, closes * cover])
    weight = ops.resize(matte, height, width, "area")
    mean = ops.resize(np.asarray(trusted, np.float32), height, width, "area") / np.maximum(weight, 1e-6)
    way = np.asarray(extend(mean, np.minimum(1, 4 * weight), ops), np.float32)
    return way * np.array([width / flow.shape[1], height / flow.shape[0], 1], np.float32)


def _steadied(window: Sequence[_Seen], centre: int, span: int) -> Image:
    here = window[centre]
    edited = ops.dilate(here.cover, 2) > 0
    return np.asarray(project(here.gain, lambda gain: _mean(window, centre, span), IdentityCodec(), edited))


def _mean(window: Sequence[_Seen], centre: int, span: int) -> Image:
    """The weighted mean of the centre's gain and its neighbours', each brought here along the flow."""
    height, width = window[centre].gain.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    total, mass = window[centre].gain.copy(), np.ones((height, width, 1), np.float32)
    for step in (-1, 1):
        x, y, trust = columns, rows, np.ones((height, width), np.float32)
        for distance in range(1, span + 1):
            there = centre + step * distance
            if not 0 <= there < len(window):
                break
            nearer = window[there - step]
            way = ops.remap(nearer.back if step < 0 else nearer.forth, x, y, "replicate")
            x, y, trust = x + way[..., 0], y + way[..., 1], trust * way[..., 2]
            weight = (trust * np.exp(-2 * (distance / span) ** 2))[..., None]
            total += weight * ops.remap(window[there].gain, x, y, "replicate")
            mass += weight
    return np.asarray(total / mass, np.float32)

"""A result that no truth is known for: how steady it is, how much of the plate it keeps, and how much it is relit.

Clips are uint8: pictures ``(T, H, W, 3)`` RGB, mattes ``(T, H, W)``. The figures are meant to be those of
``clip_metrics.py`` that came with the published results; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from anyportal_core.evaluation.camera import Homographies, camera_error, homographies
from anyportal_core.evaluation.relit import light_figures
from anyportal_core.evaluation.tracking import Bytes, Field, Planes, equalised, flow, grey, morphed, stays, taken

SOLID, TOUCHED = 200, 13
"""Mattes above these are foreground; are not background."""

LOW_IS_BETTER = ("we_fg_in", "flicker_fg", "light_var", "cam_rel", "leak_bg", "halo_leak")
HIGH_IS_BETTER = ("motion_agree", "detail_corr")
FIGURES = (*HIGH_IS_BETTER, *LOW_IS_BETTER, "light_change")

RELIT = 10.0, 35.0
"""A ``light_change`` below is hardly a relighting, above it something else."""


@dataclass(frozen=True)
class Plate:
    """What is the same for all results of a plate: its motion and its camera's."""

    frames: Bytes
    matte: Bytes
    forth: Sequence[Field]
    back: Sequence[Field]
    camera: Homographies

    @classmethod
    def read(cls, frames: Bytes, matte: Bytes) -> Plate:
        looks = [equalised(frame) for frame in frames]
        pairs = list(pairwise(looks))
        forth, back = [flow(a, b) for a, b in pairs], [flow(b, a) for a, b in pairs]
        return cls(frames, matte, forth, back, homographies(frames, matte))


def evaluate(plate: Plate, result: Bytes) -> dict[str, float]:
    """Every figure of ``FIGURES``; nan where it cannot be told."""
    solid = [morphed(matte > SOLID, 7, cv2.erode) for matte in plate.matte]
    found: dict[str, list[float]] = {
        "we_fg_in": list(_warping(plate, result, solid)),
        "flicker_fg": list(_flicker(plate, result, solid)),
        "motion_agree": list(_motion(plate, result, solid)),
        "cam_rel": [camera_error(plate.camera, homographies(result, plate.matte), result.shape[2], result.shape[1])],
    }
    for name, figures in _bands(plate, result, solid).items():
        found[name] = figures
    means = {name: _mean(figures) for name, figures in found.items()}
    return means | light_figures(plate.frames, result, plate.matte)


def is_relit(row: Mapping[str, float]) -> bool:
    """Whether a result is relit as far as it should be."""
    return RELIT[0] <= row["light_change"] <= RELIT[1]


def medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of every figure over some results, those left out where it could not be told."""
    table = {name: [row[name] for row in rows if np.isfinite(row[name])] for name in rows[0]}
    return {name: float(np.median(values)) if values else float("nan") for name, values in table.items()}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _warping(plate: Plate, result: Bytes, solid: Sequence[NDArray[np.bool_]]) -> Iterator[float]:
    """The difference of neighbours along the plate's motion, per contrast of the foreground."""
    contrast = np.mean([g[m > SOLID].std() for g, m in _greys(plate, result) if (m > SOLID).sum() > 50]) + 1e-6
    for i in range(len(result) - 1):
        where = stays(plate.back[i], plate.forth[i]) & solid[i + 1]
        where &= taken(solid[i].astype(np.float32), plate.back[i]) > 0.5
        if where.sum() > 100:
            brought = taken(result[i].astype(np.float32), plate.back[i])
            yield float(np.abs(brought - result[i + 1])[where].mean() / contrast)


def _greys(plate: Plate, result: Bytes) -> Iterator[tuple[Planes, Bytes]]:
    yield from zip((grey(frame).astype(np.float32) for frame in result), plate.matte, strict=True)


def _flicker(plate: Plate, result: Bytes, solid: Sequence[NDArray[np.bool_]]) -> Iterator[float]:
    """The second difference in time of the low band, along the plate's motion, in levels of 255."""
    low = [cv2.GaussianBlur(grey(frame).astype(np.float32), (0, 0), 2) for frame in result]
    for i in range(1, len(result) - 1):
        before, after = taken(low[i - 1], plate.back[i - 1]), taken(low[i + 1], plate.forth[i])
        where = solid[i] & stays(plate.back[i - 1], plate.forth[i - 1]) & stays(plate.forth[i], plate.back[i])
        if where.sum() > 100:
            yield float(np.abs(before + after - 2 * low[i])[where].mean())


def _motion(plate: Plate, result: Bytes, solid: Sequence[NDArray[np.bool_]]) -> Iterator[float]:
    """How far the result's own motion is the plate's, 0..1."""
    looks = [equalised(frame) for frame in result]
    for i in range(len(result) - 1):
        if solid[i].sum() > 100:
            own, given = flow(looks[i], looks[i + 1])[solid[i]], plate.forth[i][solid[i]]
            off, size = (float(np.linalg.norm(v, axis=1).mean()) for v in (own - given, given))
            yield max(0.0, 1 - off / (size + 0.5))


def _bands(plate: Plate, result: Bytes, solid: Sequence[NDArray[np.bool_]]) -> dict[str, list[float]]:
    """How the fine detail goes with the plate's: in the foreground (kept), and outside it (left behind)."""
    found: dict[str, list[float]] = {"detail_corr": [], "leak_bg": [], "halo_leak": []}
    for i in range(0, len(result), 2):
        there = plate.matte[i] > TOUCHED
        far = ~morphed(there, 20, cv2.dilate)
        halo = morphed(there, 16, cv2.dilate) & ~morphed(there, 4, cv2.dilate)
        given, made = _detail(plate.frames[i]), _detail(result[i])
        for name, where, least in (("detail_corr", solid[i], 200), ("leak_bg", far, 200), ("halo_leak", halo, 100)):
            if where.sum() > least:
                alike = _correlation(given[where], made[where])
                found[name].append(alike if name == "detail_corr" else abs(alike))
    return found


def _detail(frame: Bytes) -> Planes:
    """The high band, of even local contrast."""
    lightness = grey(frame).astype(np.float32)
    high = lightness - cv2.GaussianBlur(lightness, (0, 0), 2)
    return np.asarray(high / (np.sqrt(cv2.GaussianBlur(high * high, (0, 0), 6)) + 0.5), np.float32)


def _correlation(first: Any, second: Any) -> float:
    a, b = first - first.mean(), second - second.mean()
    size = float(np.sqrt((a * a).mean() * (b * b).mean()))
    return float((a * b).mean() / size) if size > 1e-9 else 0.0

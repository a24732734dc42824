"""Cases of the tracking video."""

from __future__ import annotations

import numpy as np
import torch

from anyportal_core.method.tracking import Canvas, draw_point_maps, draw_tracks
from anyportal_core.testing.parity.golden import Case, Golden, Tensors


def run_tracking_video(golden: Golden) -> Tensors:
    """Both ways of drawing; the first has no notion of visibility."""
    height, width = golden.config["H"], golden.config["W"]
    points = golden.inputs["moge_points"].numpy()
    tracks = _channels_first(draw_tracks(golden.inputs["spat_tracks"].numpy(), height, width))
    maps = _channels_first(draw_point_maps(points, *points.shape[1:3]))
    return {
        "spat_frames": tracks,
        "spat_frames_all_visible": tracks,
        "moge_frames": maps,
        "moge_frames_float": maps / 255,
    }


def _channels_first(video: Canvas) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(video, -1, 1)))


CASES: dict[str, Case] = {"tracking_video": Case(run_tracking_video, atol=0.0)}

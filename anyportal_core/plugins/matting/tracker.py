"""A mask followed through frames by the networks of transformers: SAM 2 (arXiv 2408.00714), EdgeTAM (2501.07256)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anyportal_core.errors import NonFiniteLatentsError
from anyportal_core.frames import Image

MEAN: Final = (0.485, 0.456, 0.406)
DEVIATION: Final = (0.229, 0.224, 0.225)

_FOREGROUND, _LEFT_TOP, _RIGHT_BOTTOM = 1, 2, 3  # the labels of points that the networks were trained with


@dataclass(frozen=True)
class Prompt:
    """Where the foreground is on one frame.

    Args:
        mask: ``(H, W)`` 0..1; or None.
        clicks: points in it, x and y as shares of width and height.
        box: around it: left, top, right, bottom, in the same measure.
    """

    mask: Image | None = None
    clicks: tuple[tuple[float, ...], ...] = ()
    box: tuple[float, ...] = ()


class Tracker:
    """One foreground at a time; memory is bounded by what the network looks back at.

    Args:
        network: a video model of transformers.
        session: its class of sessions.
    """

    def __init__(self, network: Any, session: Any) -> None:
        self._network, self._session = network, session
        self._side = int(network.config.image_size)
        self._reach = max(network.config.num_maskmem, network.config.max_object_pointers_in_encoder)

    def follow(self, frames: Iterable[Image], prompt: Prompt) -> Iterator[tuple[Image, Image]]:
        """Each of ``frames`` ``(H, W, 3)`` with the probability ``(H, W)`` 0..1 of foreground on it.

        Args:
            prompt: about the first of them.
        """
        device, dtype = self._network.device, self._network.dtype
        session = self._session(inference_device=device, inference_state_device=device, dtype=dtype)
        self._begin(session, prompt)
        for index, frame in enumerate(frames):
            picture = prepare(frame, self._side).to(device, dtype)
            found = self._network(session, frame_idx=index, frame=picture).pred_masks.float()
            if not torch.isfinite(found).all():
                raise NonFiniteLatentsError(
                    f"following the foreground gave values that are no numbers, {index} frames from where it began",
                    where="matte",
                    hint="fetch the model again; if that does not help, use draft.propagate",
                )
            self._forget(session, index)
            yield frame, F.interpolate(found, frame.shape[:2], mode="bilinear")[0, 0].sigmoid().cpu().numpy()

    def _begin(self, session: Any, prompt: Prompt) -> None:
        thing = session.obj_id_to_idx(0)
        if prompt.mask is not None:
            session.add_mask_inputs(thing, 0, prepare_mask(prompt.mask, self._side))
        else:
            corners = (prompt.box[:2], prompt.box[2:]) if prompt.box else ()
            places = torch.tensor([*corners, *prompt.clicks]) * self._side
            labels = [_LEFT_TOP, _RIGHT_BOTTOM][: len(corners)] + [_FOREGROUND] * len(prompt.clicks)
            points = {
                "point_coords": places.to(self._network.dtype)[None, None],
                "point_labels": torch.tensor(labels, dtype=torch.int32)[None, None],
            }
            session.add_point_inputs(thing, 0, points)
        session.obj_with_new_inputs = [0]

    def _forget(self, session: Any, index: int) -> None:
        """Let go of what the network will not look at again: the library keeps everything of every frame."""
        session.processed_frames.clear()
        for tracked in session.frames_tracked_per_obj.values():
            tracked.clear()
        for outputs in session.output_dict_per_obj.values():
            outputs["non_cond_frame_outputs"].pop(index - self._reach, None)
            for kept in outputs.values():
                for name in ("high_res_masks", "pred_masks"):
                    kept.get(index, {}).pop(name, None)


def prepare(picture: Image, side: int) -> Tensor:
    """``(H, W, 3)`` display-referred 0..1 as the networks see it, ``(3, side, side)``.

    What ``Sam2VideoVideoProcessor`` does: stretched to a square, bilinear with antialiasing, ImageNet's statistics.
    """
    seen = torch.from_numpy(np.array(picture, np.float32)).permute(2, 0, 1)[None]
    seen = F.interpolate(seen, (side, side), mode="bilinear", antialias=True)[0].clamp(0, 1)
    mean, deviation = (torch.tensor(value).view(3, 1, 1) for value in (MEAN, DEVIATION))
    return (seen - mean) / deviation


def prepare_mask(mask: Image, side: int) -> Tensor:
    """``(H, W)`` 0..1 to ``(1, 1, side, side)`` of 0 and 1, as ``Sam2VideoProcessor`` does."""
    seen = (torch.from_numpy(np.array(mask, np.float32)) > 0.5).float()[None, None]
    return (F.interpolate(seen, (side, side), mode="bilinear", antialias=True) >= 0.5).float()

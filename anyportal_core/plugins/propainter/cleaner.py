"""The foreground taken out of a shot of any length: flow, its completion, propagation, painting, part by part.

A shot is worked through in parts, each seen with some frames before and after it; those before are clean already, so
what was painted there goes on. Within a part, the generator paints
a few neighbouring frames at a time, looking at frames further away as references. Where its turns overlap, each is
averaged with what the turns before it left, as the published script does: of three turns the last weighs a half.

A shot of one part is done as the published script does it, but for two things: flow is computed and completed for all
of its frames at once, and nothing is rounded to eight bits on the way. A longer one is cut for the generator too, whose
references the script takes from up to 40 frames away on either side. No golden case covers this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anyportal_core.frames import FrameSource, Image, chunks
from anyportal_core.method.fitting import continued, cut_out
from anyportal_core.plugins.guards import finite
from anyportal_core.plugins.propainter.flow_completion import FlowCompletion, combine
from anyportal_core.plugins.propainter.generator import Generator
from anyportal_core.plugins.propainter.layers import Flows
from anyportal_core.plugins.propainter.propagation import propagate_pixels
from anyportal_core.plugins.propainter.specs import LIMITS
from anyportal_core.plugins.raft.network import Raft, flow_between
from anyportal_core.roles import Array, Part
from anyportal_core.sizes import Fit, fit

NOTHING: Final = 0.5 / 255
"""Published masks have 8 bits: less than this is none. A matte may be a trace above 0 far from its foreground."""


@dataclass(frozen=True)
class Spans:
    """How many frames are seen at once. The defaults are the published ones.

    Args:
        part: frames done in one go; what a shot needs in memory.
        context: frames seen before and after a part.
        reach: neighbours on either side that are painted together.
        references: every so many frames one is a reference.
    """

    part: int = 80
    context: int = 10
    reach: int = 5
    references: int = 10


class Cleaner:
    """Removes what a mask covers.

    Args:
        raft: optical flow.
        completion: flow behind the mask.
        generator: paints.
        spans: how many frames are seen at once.
        checkpoint: called between expensive steps; may raise to stop.
        progress: told the share of the shot that is done after each of them.
        keep: gives the frames of a part, as they were or as they are made now (see `RoleContext.part`).
    """

    def __init__(
        self,
        raft: Raft,
        completion: FlowCompletion,
        generator: Generator,
        spans: Spans | None = None,
        checkpoint: Callable[[], None] = lambda: None,
        progress: Callable[[float], None] = lambda share: None,
        keep: Part = lambda number, make: make(),
    ) -> None:
        self._raft, self._completion, self._generator = raft, completion, generator
        self._spans = spans or Spans()
        self._checkpoint, self._progress, self._keep = checkpoint, progress, keep
        self._device = next(generator.parameters()).device

    @torch.no_grad()
    def clean(self, plate: FrameSource, masks: FrameSource) -> Iterator[Image]:
        """Yield the plate without what the masks cover, ``(t, H, W, 3)`` display-referred 0..1, in order.

        Args:
            plate: ``(T, H, W, 3)``.
            masks: ``(T, H, W, 1)``; what is not 0 in 8 bits is painted anew.

        Raises:
            NonFiniteLatentsError: a network gave values that are no numbers.
        """
        parts = list(chunks(len(plate), self._spans.part))
        before: Image = np.zeros((0, plate.height, plate.width, 3), np.float32)
        for number, part in enumerate(parts):
            made = self._keep(number, partial(self._part, plate, masks, before, *part, number, len(parts)))
            frames = np.asarray(made["frames"], np.float32)
            before = np.concatenate([before, frames])
            before = before[max(len(before) - self._spans.context, 0) :]
            yield frames

    def _part(
        self, plate: FrameSource, masks: FrameSource, before: Image, start: int, stop: int, number: int, count: int
    ) -> dict[str, Array]:
        """``frames`` ``(t, H, W, 3)`` of one part, without what the masks cover.

        Args:
            before: the frames before it, cleaned: nothing of them is missing, and what was painted there is carried on.
        """
        first, last = max(start - self._spans.context, 0), min(stop + self._spans.context, len(plate))
        frames, covered = plate.read(first, last), masks.read(first, last) > NOTHING
        cleaned = slice(start - first - len(before), start - first)
        frames = np.concatenate([frames[: cleaned.start], before, frames[cleaned.stop :]])
        covered[cleaned] = False
        if covered.any():
            wanted = range(start - first, stop - first)
            steps = _Counted(self._step, number, count, _count_steps(len(frames), wanted, self._spans))
            painted = self._clean_part(frames, covered, wanted, steps)
            frames = np.where(covered, painted, frames)
        return {"frames": frames[start - first : stop - first]}

    def _step(self, share: float) -> None:
        self._checkpoint()
        self._progress(share)

    def _clean_part(self, images: Image, covered: NDArray[np.bool_], wanted: range, step: Callable[[], None]) -> Image:
        """``(t, H, W, 3)`` 0..1, right wherever the wanted frames are covered.

        Args:
            step: called after every expensive step, `_count_steps` times.
        """
        frames = self._tensor(images) * 2 - 1
        holes = self._tensor(covered.astype(np.float32))
        flows = self._flows(frames, step)
        if frames.shape[1] > 1:
            flows = combine(self._completion.complete(flows, holes), flows, holes)
            finite(torch.stack([flows.forward, flows.backward]), "the completion of the optical flow")
        step()
        propagated, missing = propagate_pixels(frames * (1 - holes), flows, holes)
        known = frames * (1 - holes) + propagated * holes
        painted = cut_out(self._paint(known, flows, holes, missing, wanted, step)[0], _place(images), (-2, -1))
        return np.asarray(((painted + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1).float().cpu(), np.float32)

    def _flows(self, frames: Tensor, step: Callable[[], None]) -> Flows:
        both = []
        for a, b in pairwise(frames[0]):
            both.append(flow_between(self._raft, torch.stack([a, b]), torch.stack([b, a])))
            step()
        if not both:
            nothing = frames.new_zeros(1, 0, 2, *frames.shape[-2:])
            return Flows(nothing, nothing)
        flows = finite(torch.stack(both, dim=1), "the optical flow")
        return Flows(flows[:1], flows[1:])

    def _paint(
        self,
        known: Tensor,
        flows: Flows,
        holes: Tensor,
        missing: Tensor,
        wanted: range,
        step: Callable[[], None],
    ) -> Tensor:
        """Pictures of all frames that a turn for the wanted ones touches, what several turns gave averaged."""
        total = torch.zeros_like(known)
        weights = known.new_ones(known.shape[1], 1, 1, 1)
        for local, seen in _turns(known.shape[1], wanted, self._spans):
            pictures = self._generator(
                known[:, seen],
                flows.part(local.start, local.stop),
                holes[:, seen],
                missing[:, seen],
                len(local),
            )
            here = slice(local.start, local.stop)
            total[:, here] = torch.lerp(total[:, here], finite(pictures, "the generator"), weights[here])
            weights[here] = 0.5
            step()
        return total

    def _tensor(self, images: Image) -> Tensor:
        """``(T, H, W, C)`` to ``(1, T, C, H', W')``, continued up to a size the networks take."""
        tensor = torch.from_numpy(np.ascontiguousarray(images)).to(self._device)
        seen: Tensor = continued(tensor, _place(images))
        return seen.permute(0, 3, 1, 2)[None]


def _place(images: Image) -> Fit:
    """How pictures ``(T, H, W, C)`` lie in what the networks see."""
    _, height, width, _ = images.shape
    return fit(height, width, LIMITS)


@dataclass
class _Counted:
    """Tells how far a shot is after every step of a part."""

    tell: Callable[[float], None]
    number: int
    parts: int
    steps: int
    done: int = 0

    def __call__(self) -> None:
        self.done += 1
        self.tell((self.number + self.done / self.steps) / self.parts)


def _count_steps(count: int, wanted: range, spans: Spans) -> int:
    """Expensive steps of a part: a flow between each two frames, their completion, the generator's turns."""
    return count + sum(1 for _ in _turns(count, wanted, spans))


def _turns(count: int, wanted: range, spans: Spans) -> Iterator[tuple[range, list[int]]]:
    """The generator's turns that touch wanted frames: ``(local frames, local frames and references)``."""
    for centre in range(0, count, spans.reach):
        local = range(max(centre - spans.reach, 0), min(centre + spans.reach + 1, count))
        if local.stop <= wanted.start or local.start >= wanted.stop:
            continue
        references = [index for index in range(0, count, spans.references) if index not in local]
        yield local, [*local, *references]

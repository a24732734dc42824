"""The cuts in a shot, looked for before its first stage and kept as stage results are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anyportal_core.cache import StageCache
from anyportal_core.frames import FrameSet, Image, chunks
from anyportal_core.method.cuts import SIZE, find_cuts, is_blank
from anyportal_core.ops import opencv as ops
from anyportal_core.recipe import canonical_json
from anyportal_core.roles import Chunk
from anyportal_core.stages.material import CODE_VERSION as READING
from anyportal_core.stages.material import Material
from anyportal_core.stages.results import kept, write_result
from anyportal_core.stages.takes import Take, takes_between

CODE_VERSION = 3

_AT_ONCE = 16
_FEW = 4  # cuts; of more, not every range is told


@dataclass(frozen=True)
class Seen:
    """What a look at the whole plate tells.

    Args:
        takes: what lies between its cuts.
        blank: indices of frames that show nothing.
    """

    takes: tuple[Take, ...]
    blank: tuple[int, ...]

    def remarks(self, takes: Sequence[Take], numbers: Sequence[int]) -> Iterator[str]:
        """What the user should know of it; mostly nothing.

        Args:
            takes: as which the shot is rendered.
            numbers: of the plate's frames.
        """
        if len(takes) > 1:
            yield _cut_remark([numbers[take.start] for take in takes[1:]], numbers[0], numbers[-1])
        if self.blank:
            frames = FrameSet(tuple(numbers[index] for index in self.blank))
            yield f"the plate shows nothing but one tone on {frames.named}: no foreground can be found there"


def look_at(material: Material, cache: StageCache, beat: Callable[[], None]) -> Seen:
    """The plate looked at as a whole; what an earlier run has seen is kept.

    Args:
        beat: called often meanwhile.
    """
    if material.count == 1:
        return _seen(_looked(material, beat))
    plate = material.digests()["plate"]
    key = hashlib.sha256(canonical_json({"cuts": [CODE_VERSION, READING], "plate": plate}).encode()).hexdigest()
    result = kept(cache, key)
    if result is None:
        found = _looked(material, beat)
        with cache.writing(key) as aside:
            write_result(aside, iter([found]), material.count, lambda done: None)
        return _seen(found)
    found = {name: result.read(name, 0, result.count) for name in ("cut", "blank")}
    result.close()
    return _seen(found)


def _looked(material: Material, beat: Callable[[], None]) -> Chunk:
    """``cut`` and ``blank`` ``(T,)``: whether a frame begins another take, and whether it shows nothing."""
    cut, blank = np.zeros(material.count, np.bool_), np.zeros(material.count, np.bool_)

    def pictures() -> Iterator[Image]:
        plate = material.thumbnails(SIZE)
        for start, stop in chunks(len(plate), _AT_ONCE):
            if start:
                beat()
            for index, frame in enumerate(plate.read(start, stop), start):
                small: Image = ops.resize(frame, *SIZE, "area")
                blank[index] = is_blank(small)
                yield small

    cut[find_cuts(pictures())] = True
    return {"cut": cut, "blank": blank}


def _seen(found: Chunk) -> Seen:
    cuts, blank = (np.flatnonzero(found[name]).tolist() for name in ("cut", "blank"))
    return Seen(takes_between(cuts, len(found["cut"])), tuple(blank))


def _cut_remark(at: Sequence[int], first: int, last: int) -> str:
    frames, few = FrameSet(tuple(at)), len(at) <= _FEW
    said = f"there is a cut: {frames.named} begins" if len(at) == 1 else f"there are cuts: {frames.named} begin"
    apart = f"--range {' and '.join(ranges(first, at, last))}, or" if few else "with --range, or"
    return (
        f"{said} another shot. Matte, camera and light are found for each by itself; better render them apart, "
        f"{apart} as clips of a timeline (anyportal batch). If it is none: --set work.cuts=none"
    )


def ranges(first: int, at: Sequence[int], last: int) -> list[str]:
    """``A-B`` of each take."""
    starts, ends = [first, *at], [*(number - 1 for number in at), last]
    return [f"{start}-{end}" for start, end in zip(starts, ends, strict=True)]

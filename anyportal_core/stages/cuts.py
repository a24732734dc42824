"""The cuts in a shot, looked for before its first stage and kept as stage results are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from anyportal_core.cache import StageCache
from anyportal_core.frames import FrameSet, Image, chunks
from anyportal_core.method.cuts import SIZE, find_cuts
from anyportal_core.ops import opencv as ops
from anyportal_core.recipe import canonical_json
from anyportal_core.stages.material import CODE_VERSION as READING
from anyportal_core.stages.material import Material
from anyportal_core.stages.results import kept, write_result
from anyportal_core.stages.takes import Take, takes_between

CODE_VERSION = 1

_AT_ONCE = 16


def find_takes(material: Material, cache: StageCache, beat: Callable[[], None]) -> tuple[Take, ...]:
    """The shot's takes, as a run before this one found them, or found now.

    Args:
        beat: called often meanwhile.
    """
    if material.count == 1:
        return takes_between([], 1)
    plate = material.digests()["plate"]
    key = hashlib.sha256(canonical_json({"cuts": [CODE_VERSION, READING], "plate": plate}).encode()).hexdigest()
    result = kept(cache, key)
    if result is None:
        flags = np.zeros(material.count, np.bool_)
        flags[find_cuts(_pictures(material, beat))] = True
        with cache.writing(key) as aside:
            write_result(aside, iter([{"cut": flags}]), material.count, lambda done: None)
    else:
        flags = np.asarray(result.read("cut", 0, result.count), np.bool_)
        result.close()
    return takes_between(np.flatnonzero(flags).tolist(), material.count)


def _pictures(material: Material, beat: Callable[[], None]) -> Iterator[Image]:
    plate = material.thumbnails(SIZE)
    for start, stop in chunks(len(plate), _AT_ONCE):
        if start:
            beat()
        for frame in plate.read(start, stop):
            yield ops.resize(frame, *SIZE, "area")


def told(material: Material) -> str:
    """What the user should know about the cuts in a shot; mostly empty."""
    first, last = material.numbers[0], material.numbers[-1]
    at = [material.numbers[take.start] for take in material.takes[1:]]
    if not at:
        return ""
    many = len(at) > 1
    return (
        f"{f'there are cuts: frames {FrameSet(tuple(at))} begin' if many else f'there is a cut: frame {at[0]} begins'} "
        f"another shot. Matte, camera and light are found for each by itself; better render them apart, "
        f"--range {' and '.join(ranges(first, at, last))}, or as clips of a timeline (anyportal batch)"
    )


def ranges(first: int, at: list[int], last: int) -> list[str]:
    """``A-B`` of each take."""
    starts, ends = [first, *at], [*(number - 1 for number in at), last]
    return [f"{start}-{end}" for start, end in zip(starts, ends, strict=True)]

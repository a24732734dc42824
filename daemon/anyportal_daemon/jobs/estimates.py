"""How long a job will take, from what the same stages took in earlier jobs for each frame and pixel."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from anyportal.v1 import media_pb2
from anyportal.v1.jobs_pb2 import Job
from anyportal_core.errors import AnyPortalError
from anyportal_core.frames import FrameSet
from anyportal_core.recipe import canonical_json
from anyportal_daemon.jobs.clips import digest_of

FINISH = "finish"
NEAREST = 5
"""Earlier runs that an estimate is the median of: those nearest in size, since small shots are dear by the pixel."""

_REMEMBERED = 10_000
"""Answers that are kept."""

_ROLES = {"clean_background": "clean_plate"}
"""The role of a stage that is not called like it."""


@dataclass(frozen=True)
class JobSize:
    """What is known of a job before it runs, as far as it decides how long it takes.

    Args:
        plate: names its plate.
        frames: analysed; None where only the opened plate can tell.
        delivered: frames delivered; None likewise.
        side: long side of the work size, in pixels.
        method: names the plug-ins of all roles together: jobs of one method have the same stages.
        makers: by role, the plug-in and its settings (`maker_of`).
    """

    plate: str = ""
    frames: int | None = None
    delivered: int | None = None
    side: int = 0
    method: str = ""
    makers: Mapping[str, str] = field(default_factory=dict)

    def as_text(self) -> str:
        return canonical_json(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> JobSize:
        return cls(**json.loads(text)) if text else cls()


@dataclass(frozen=True)
class Opening:
    """A plate as it was when a job opened it; see ``anyportal_core.record.Extent``."""

    frames: int
    work_pixels: int
    delivered: int
    pixels: int
    side: int

    def at(self, side: int) -> Opening:
        """The same at another work size."""
        scale = (side / self.side) ** 2 if self.side else 1.0
        work = min(round(self.work_pixels * scale), self.pixels)
        return Opening(self.frames, work, self.delivered, self.pixels, side)


@dataclass(frozen=True)
class Estimate:
    """Seconds by stage, in order; or why there are none.

    Args:
        rough: the plate's size is that of another one.
    """

    stages: Mapping[str, float] = field(default_factory=dict)
    rough: bool = False
    unknown: str = ""

    @property
    def seconds(self) -> float | None:
        return None if self.unknown else sum(self.stages.values())


@dataclass(frozen=True)
class Sample:
    """What a stage took once: frames times pixels, and seconds."""

    volume: int
    seconds: float


class Experience:
    """What earlier jobs took. A snapshot: never changed once made.

    Args:
        samples: by stage and maker (`maker_of`), the latest ones.
        methods: stages of each method, in order.
        openings: plates by name, the latest last.
    """

    def __init__(
        self,
        samples: Mapping[tuple[str, str], list[Sample]],
        methods: Mapping[str, tuple[str, ...]],
        openings: Mapping[str, Opening],
    ) -> None:
        self._samples, self._methods, self._openings = samples, methods, openings
        self._by_plugin: dict[tuple[str, str], list[Sample]] = {}
        for (stage, maker), found in samples.items():
            self._by_plugin.setdefault((stage, _plugin(maker)), []).extend(found)
        self._last = openings[next(reversed(list(openings)))] if openings else None
        self.seconds = lru_cache(_REMEMBERED)(self._seconds)
        """What a stage will take; None where its plug-in has not done it before. Jobs of a long queue are alike."""

    def of_text(self, size: str) -> Estimate:
        """How long a job will take whose size is known as a text (`JobSize.as_text`)."""
        return self.estimate(JobSize.of_text(size))

    def estimate(self, size: JobSize, opened: Opening | None = None) -> Estimate:
        """How long a job will take.

        Args:
            opened: its own plate, where it has been opened.
        """
        stages = self._methods.get(size.method)
        if not stages:
            return Estimate(unknown="no earlier job was made in the same way")
        known = opened or self._openings.get(size.plate)
        like = known or self._last
        if like is None:
            return Estimate(unknown="no earlier plate is known")
        if size.frames is None and known is None:
            return Estimate(unknown="how long the plate is turns out when the job runs")
        like = like.at(size.side)
        frames = size.frames if size.frames is not None else like.frames
        delivered = size.delivered if size.delivered is not None else like.delivered
        found = {}
        for stage in stages:
            volume = delivered * like.pixels if stage == FINISH else frames * like.work_pixels
            seconds = self.seconds(stage, size.makers.get(_ROLES.get(stage, stage), ""), volume)
            if seconds is None:
                return Estimate(unknown=f"no earlier job had this {stage} to do")
            found[stage] = seconds
        return Estimate(found, rough=known is None)

    def _seconds(self, stage: str, maker: str, volume: int) -> float | None:
        samples = self._samples.get((stage, maker)) or self._by_plugin.get((stage, _plugin(maker)))
        return _scaled(samples, volume) if samples else None


def _scaled(samples: Iterable[Sample], volume: int) -> float:
    """The median rate of the nearest samples, for a volume."""

    def distance(sample: Sample) -> float:
        return abs(math.log(max(sample.volume, 1) / max(volume, 1)))

    nearest = sorted(samples, key=distance)[:NEAREST]
    return statistics.median(sample.seconds / max(sample.volume, 1) for sample in nearest) * volume


def maker_of(plugin: str, settings: Mapping[str, Any]) -> str:
    """What does a stage's work, and how: a plug-in's name, and a digest of its settings."""
    return f"{plugin} {hashlib.sha256(canonical_json(settings).encode()).hexdigest()[:16]}"


def _plugin(maker: str) -> str:
    return maker.partition(" ")[0]


def size_of(job: Job) -> JobSize:
    """What is known of a checked job before it runs."""
    recipe: dict[str, Any] = json.loads(job.resolved_recipe) if job.resolved_recipe else {}
    makers = {
        role: maker_of(section["plugin"], {key: value for key, value in section.items() if key != "plugin"})
        for role, section in recipe.items()
        if isinstance(section, dict) and "plugin" in section
    }
    makers[FINISH] = maker_of(",".join(job.delivery.layers), {"format": job.delivery.format})
    kind = recipe.get("backdrop", {}).get("kind", "")
    named = canonical_json([kind, {role: _plugin(maker) for role, maker in makers.items() if role != FINISH}])
    frames, delivered = _counts(job)
    return JobSize(
        plate=_name(job.shot.plate),
        frames=frames,
        delivered=delivered,
        side=int(recipe.get("work", {}).get("long_side", 0)),
        method=hashlib.sha256(named.encode()).hexdigest()[:16],
        makers=makers,
    )


def _name(clip: media_pb2.ClipManifest) -> str:
    """What a plate is known by; a shared one by its path, since its content may be large and nobody has read it yet."""
    return f"{clip.shared.mapping}/{clip.shared.path}" if clip.HasField("shared") else digest_of(clip)


def _counts(job: Job) -> tuple[int | None, int | None]:
    """Frames analysed and delivered, as far as the request tells."""
    more = 2 * job.shot.handles
    try:
        if job.shot.frames:
            frames = FrameSet.parse(job.shot.frames)
            return frames.last - frames.first + 1 + more, len(frames) + more
    except AnyPortalError:
        return None, None
    numbers = [frame.number for frame in job.shot.plate.sequence.frames]
    return (numbers[-1] - numbers[0] + 1, len(numbers)) if numbers else (None, None)

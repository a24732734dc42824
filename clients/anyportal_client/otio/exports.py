"""The cut in formats that carry one reference a clip: a file for each version, and beforehand what each would lose.

Nothing here is a list of what formats can do. Before a frame is sent, the cut is written by the adapter with results
in their places as they will be, and read back: what it cannot write, and what does not come back, is known then.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyportal_client.errors import StorageError, UsageError
from anyportal_client.otio.edl_writing import rate_of
from anyportal_client.otio.flatten import FORMATS, Format, flattened, parts_of, write_as
from anyportal_client.otio.inventory import Entry, inventory, losses
from anyportal_client.otio.outcomes import Result, version_name
from anyportal_client.otio.plan import Plan, PlannedShot
from anyportal_client.otio.reading import read_cut
from anyportal_client.otio.requests import VERSION_KEY
from anyportal_client.otio.surroundings import clips_of
from anyportal_client.otio.write import add_version

_SEQUENCE_FORMATS = ("png", "exr")
_LONGEST_REASON = 300


class CannotWrite(Exception):
    """An adapter refuses a cut; the text says why."""


@dataclass(frozen=True)
class Forecast:
    """What would become of the cut in a format.

    Args:
        losses: what does not come back from it, in words.
        certain: whether it could be read back at all.
    """

    format: Format
    losses: tuple[str, ...] = ()
    certain: bool = True

    def __str__(self) -> str:
        if not self.certain:
            return f"{self.format.title} is written, but it cannot be read back: try it in the host first"
        if not self.losses:
            return f"{self.format.title}: everything comes back from it"
        return f"{self.format.title} will lose: {', '.join(self.losses)}"


def forecast(plan: Plan, formats: Iterable[Format]) -> list[Forecast]:
    """What each format would lose of this cut.

    Args:
        plan: its timeline in shape.

    Raises:
        UsageError: an adapter cannot write it; the hint says what to choose instead.
    """
    formats = list(formats)
    if not formats:
        return []
    rehearsed = _rehearsed(plan)
    whole = inventory(rehearsed)
    found = []
    for each in formats:
        try:
            found.append(_compared(each, whole, _tried(rehearsed, each)))
        except CannotWrite as reason:
            raise _impossible(each, str(reason), rehearsed) from reason
    return found


def _compared(wanted: Format, before: Counter[Entry], after: Counter[Entry] | None) -> Forecast:
    if after is None:
        return Forecast(wanted, certain=False)
    return Forecast(wanted, tuple(losses(before, after)))


def write_exports(timeline: Any, formats: Iterable[Format], main: Path) -> tuple[list[Path], list[str]]:
    """Write a file for each format and version beside the timeline.

    Returns:
        The files, and what could not be written, in words.
    """
    written: list[Path] = []
    failed: list[str] = []
    for each in formats:
        for version in _versions(timeline):
            for part, cut in parts_of(flattened(timeline, version, each), each):
                path = main.with_name(f"{main.stem}_{version_name(version)}{part}{each.ending}")
                try:
                    write_as(cut, each, path)
                    written.append(path)
                except OSError:
                    raise
                except Exception as error:  # adapters let through whatever happens to them
                    failed.append(f"{path.name} could not be written: {str(error) or type(error).__name__}")
    return written, failed


def _versions(timeline: Any) -> list[int]:
    keys = (VERSION_KEY.fullmatch(key) for clip in clips_of(timeline) for key in clip.media_references())
    return sorted({int(found[1]) for found in keys if found})


def _rehearsed(plan: Plan) -> Any:
    """A copy of the cut with results of all shots where they will be."""
    copy = plan.timeline.clone()
    places = {id(clip): number for number, clip in enumerate(clips_of(plan.timeline))}
    clips = clips_of(copy)
    leaders = {shot.name: shot for shot in plan.shots}
    for shot in plan.shots:
        if not shot.problem:
            add_version(clips[places[id(shot.clip)]], shot, _expected(leaders[shot.same_as or shot.name]))
    return copy


def _expected(shot: PlannedShot) -> Result:
    if shot.reused is not None:
        return shot.reused
    assert shot.request is not None and shot.media is not None
    wanted = shot.request.format
    sequence = wanted in _SEQUENCE_FORMATS or (wanted == "auto" and shot.media.sequence)
    name = f"{shot.name}_v999.%04d.exr" if sequence else f"{shot.name}_v999.mov"
    return Result(999, {"comp": Path("/anyportal").absolute() / name}, shot.processed, {})


def _tried(timeline: Any, wanted: Format) -> Counter[Entry] | None:
    """What comes back of the cut in a format; None where it cannot be read back."""
    found: Counter[Entry] = Counter()
    with tempfile.TemporaryDirectory(prefix="anyportal_") as folder:
        for number, (_, cut) in enumerate(parts_of(flattened(timeline, 10**9, wanted), wanted)):
            path = Path(folder) / f"{number}{wanted.ending}"
            rate = rate_of(cut) if wanted.name == "edl" else None
            try:
                write_as(cut, wanted, path)
            except OSError as error:
                raise StorageError(f"nothing can be written: {error.strerror}", where=folder) from error
            except Exception as error:
                raise CannotWrite(" ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__) from error
            back = _read_back(path, rate)
            if back is None:
                return None
            found += back
    return found


def _read_back(path: Path, rate: float | None) -> Counter[Entry] | None:
    try:
        return inventory(read_cut(path, rate).root)
    except Exception:  # its own reader does not know what to make of it: nothing can be promised
        return None


def _impossible(wanted: Format, why: str, rehearsed: Any) -> UsageError:
    able = [each.name for each in FORMATS.values() if each is not wanted and _writable(rehearsed, each)]
    return UsageError(
        f"this cut cannot be written as {wanted.title}: {why}",
        where="--export",
        hint=f"leave {wanted.name} out: the .otio has everything; what can be written: {', '.join(able)}",
    )


def _writable(rehearsed: Any, wanted: Format) -> bool:
    try:
        _tried(rehearsed, wanted)
    except CannotWrite:
        return False
    return True

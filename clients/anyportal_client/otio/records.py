"""What an earlier run of a batch left behind, and for which request: a second run redoes nothing, a recut what changed.

Each finished version has a `shot.json` beside its files. It says what was asked (plate, recipe, delivery), for which
frames, and what the files it was made from looked like; whether a shot has to run again is told by that alone, so that
a cut may be moved, reordered or renamed without a frame being computed twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from anyportal_client.otio.outcomes import Result
from anyportal_client.otio.plan import Plan, PlannedShot
from anyportal_client.otio.probes import probe_sequence
from anyportal_client.otio.timing import exact_rate
from anyportal_client.patterns import counter_of, file_of
from anyportal_client.storage import local_disk

RECORD = "shot.json"
_SCHEMA = 1
_FREE = ("handles", "range")
"""Parts of a request that say which frames are wanted, which is compared by itself."""

Frames = tuple[int, int]


def asked_of(shot: PlannedShot) -> str:
    """A digest of what is asked of a shot's plate, whatever its frames."""
    if shot.media is None or shot.media.extent is None or shot.request is None or shot.span is None:
        raise ValueError(f"{shot.name} cannot be run: {shot.problem}")
    wanted = {key: value for key, value in asdict(shot.request).items() if key not in _FREE}
    if shot.request.mask and shot.request.mask_frame is None:
        wanted["mask_frame"] = shot.span.first
    rate = str(exact_rate(shot.media.extent.rate)) if shot.media.sequence else ""
    return _digest({"plate": str(shot.media.path), "rate": rate, "request": wanted})


def stamp_of(shot: PlannedShot, frames: Frames) -> str:
    """A digest of what the files look like that frames of a shot are made from: sizes and times of change."""
    if shot.media is None or shot.request is None:
        raise ValueError(f"{shot.name} has no media")
    request = shot.request
    others = [
        Path(text) for text in (request.backdrop, request.matte, request.mask) if text and Path(text).is_absolute()
    ]
    plate = _states(file_of(shot.media.path, number) for number in range(frames[0], frames[1] + 1))
    return _digest([plate if shot.media.sequence else _states([shot.media.path]), *map(_states_of, others)])


def _states_of(path: Path) -> list[Any]:
    """Of a file, a folder with frames, or all frames of a pattern."""
    with suppress(OSError, ValueError):
        if path.is_dir():
            return _states(sorted(path.iterdir()))
        if not path.exists() and counter_of(path.name):
            found = probe_sequence(path)
            return _states(file_of(path, number) for number in range(found.start, found.start + found.count))
    return _states([path])


def _states(paths: Iterable[Path]) -> list[Any]:
    found: list[Any] = []
    for path in paths:
        try:
            status = path.stat()
            found.append((path.name, status.st_size, status.st_mtime_ns))
        except (OSError, ValueError):
            found.append((path.name, -1, 0))
    return found


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Record:
    """A version that is finished.

    Args:
        asked: `asked_of` its shot.
        stamp: `stamp_of` its shot, taken before anything was sent.
        processed: first and last frame that were asked for.
        shots: the frames of each clip it was made for.
    """

    asked: str
    stamp: str
    processed: Frames
    shots: tuple[Frames, ...]
    result: Result


def write_record(folder: Path, record: Record) -> None:
    """Leave word beside the files of a version; from now on it is one.

    Raises:
        StorageError: the disk refuses.
    """
    result = record.result
    value = {
        "schema": _SCHEMA,
        "asked": record.asked,
        "stamp": record.stamp,
        "processed": record.processed,
        "shots": record.shots,
        "version": result.version,
        "frames": result.frames,
        "files": {layer: file.name for layer, file in result.files.items()},
        "metadata": dict(result.metadata),
    }
    path = folder / RECORD
    aside = path.with_name(f"{RECORD}.part")
    with local_disk(path):
        aside.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8", errors="replace")
        aside.replace(path)


class Records:
    """All finished versions below the output folder of a batch."""

    def __init__(self, out: Path) -> None:
        self._found: dict[str, list[Record]] = {}
        for path in sorted(out.glob(f"*/v*/{RECORD}"), reverse=True) if out.is_dir() else ():
            record = _read(path)
            if record is not None:
                self._found.setdefault(record.asked, []).append(record)

    def find(self, shot: PlannedShot) -> Result | None:
        """The newest result that was made for just these frames, of files that have not changed, and is still there."""
        assert shot.span is not None
        known = self._found.get(asked_of(shot), ())
        fitting = [record for record in known if shot.span.frames in record.shots]
        for record in sorted(fitting, key=lambda each: -each.result.version):
            if _there(record.result) and stamp_of(shot, record.processed) == record.stamp:
                return record.result
        return None


def _read(path: Path) -> Record | None:
    """A record, unless it is damaged or of another kind: then its shot runs again."""
    try:
        said = json.loads(path.read_text("utf-8"))
        if said["schema"] != _SCHEMA or not said["files"]:
            return None
        files = {str(layer): path.parent / str(name) for layer, name in said["files"].items()}
        result = Result(int(said["version"]), files, _pair(said["frames"]), dict(said["metadata"]))
        shots = tuple(map(_pair, said["shots"]))
        return Record(str(said["asked"]), str(said["stamp"]), _pair(said["processed"]), shots, result)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _pair(value: Any) -> Frames:
    first, last = value
    return int(first), int(last)


def _there(result: Result) -> bool:
    first, last = result.frames
    files = (file_of(file, number) for file in result.files.values() for number in range(first, last + 1))
    return all(file.is_file() for file in dict.fromkeys(files))


def with_results(plan: Plan, known: Records) -> Plan:
    """The plan with the results that are there already."""
    return replace(
        plan, shots=tuple(shot if shot.problem else replace(shot, reused=known.find(shot)) for shot in plan.shots)
    )


def shared(plan: Plan) -> Plan:
    """The plan with one job for clips that ask the same of overlapping frames of one plate."""
    groups: dict[str, list[PlannedShot]] = {}
    for shot in plan.shots:
        if not shot.problem and not shot.reused and shot.span is not None:
            groups.setdefault(asked_of(shot), []).append(shot)
    order = {shot.name: place for place, shot in enumerate(plan.shots)}
    changed = {shot.name: shot for group in groups.values() for run in _runs(group) for shot in _one_job(run, order)}
    return replace(plan, shots=tuple(changed.get(shot.name, shot) for shot in plan.shots))


def _runs(group: list[PlannedShot]) -> Iterator[list[PlannedShot]]:
    """Shots of one plate in runs, each of which overlaps the frames before it."""
    run: list[PlannedShot] = []
    end = 0
    for shot in sorted(group, key=lambda each: each.processed):
        first, last = shot.processed
        if run and first > end:
            yield run
            run = []
        end = max(end, last) if run else last
        run.append(shot)
    if run:
        yield run


def _one_job(run: list[PlannedShot], order: Mapping[str, int]) -> Iterator[PlannedShot]:
    """The first shot of the cut takes the others' frames along."""
    leader = min(run, key=lambda shot: order[shot.name])
    whole = min(shot.processed[0] for shot in run), max(shot.processed[1] for shot in run)
    for shot in run:
        if shot is leader:
            own = shot.span is not None and shot.span.frames == whole
            yield replace(shot, covers=None if own else whole)
        else:
            yield replace(shot, same_as=leader.name)


def made_for(plan: Plan, leader: PlannedShot) -> tuple[Frames, ...]:
    """The frames of each clip that takes the leader's result, its own among them."""
    taking = (shot for shot in plan.shots if leader.name in (shot.name, shot.same_as))
    return tuple(dict.fromkeys(shot.span.frames for shot in taking if shot.span is not None))

"""Why a stage of a job ran or was reused: what decides it beside what decided it in the nearest earlier job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anyportal.v1.jobs_pb2 import Difference, Explanation, Job, StageExplanation
from anyportal_daemon.jobs.journal import Journal
from anyportal_daemon.jobs.ledger import StageRow

_TABLES: tuple[tuple[str, Difference.Kind.ValueType, bool], ...] = (
    ("settings", Difference.SETTING, True),
    ("media", Difference.MEDIA, False),
    ("work", Difference.WORK_SIZE, True),
    ("models", Difference.MODEL, True),
    ("prompts", Difference.PROMPT, True),
    ("inputs", Difference.STAGE, False),
)
"""Parts of what decides a stage that are tables: what a change in one is, and whether its values say anything."""

_SHORT = 60


def explain(journal: Journal, user: str, job_id: str) -> Explanation:
    """What became of each stage of a job, and why.

    Raises:
        JobNotFoundError: there is no such job of the user.
    """
    job, ledger = journal.job(user, job_id), journal.ledger
    rows = ledger.stages(job_id)
    return Explanation(job=job.name, stages=[_stage(row, ledger.earlier(user, job_id, row.stage), job) for row in rows])


def _stage(row: StageRow, earlier: Sequence[StageRow], job: Job) -> StageExplanation:
    plugin = " ".join(map(str, row.decided_by.get("plugin", ())))
    found = StageExplanation(stage=row.stage, reused=row.reused, seconds=row.seconds, plugin=plugin)
    found.size_bytes = row.size_bytes if row.decided_by else sum(file.blob.size_bytes for file in job.results)
    if row.damaged or not row.decided_by:
        found.reason = StageExplanation.DAMAGED if row.damaged else StageExplanation.ALWAYS
        return found
    nearest, differences = _nearest(row, earlier)
    if nearest is not None and (not row.reused or not differences):
        found.compared_with = f"jobs/{nearest.job}"
    found.reason = _reason(row.reused, nearest is not None, bool(differences))
    if found.reason == StageExplanation.CHANGED:
        found.differences.extend(differences)
    return found


def _reason(reused: bool, compared: bool, differs: bool) -> StageExplanation.Reason.ValueType:
    if reused:
        return StageExplanation.SAME if compared and not differs else StageExplanation.STORED
    if not compared:
        return StageExplanation.FIRST
    return StageExplanation.CHANGED if differs else StageExplanation.GONE


def _nearest(row: StageRow, earlier: Sequence[StageRow]) -> tuple[StageRow | None, list[Difference]]:
    """The earlier job in which least was different; of several the latest."""
    compared = [(other, list(differences(other.decided_by, row.decided_by))) for other in earlier]
    return min(compared, key=lambda pair: len(pair[1]), default=(None, []))


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """What differs between what decided a stage twice; see ``anyportal_core.pipeline``. Nothing but if all is equal."""
    if before.get("plugin") != after.get("plugin"):
        old, new = (" ".join(map(str, each.get("plugin", ()))) for each in (before, after))
        yield Difference(kind=Difference.PLUGIN, name="plugin", before=old, after=new)
    if before.get("code") != after.get("code"):
        old, new = _text(before.get("code")), _text(after.get("code"))
        yield Difference(kind=Difference.CODE, name=_text(after.get("stage")), before=old, after=new)
    for table, kind, says in _TABLES:
        yield from _in_table(before.get(table, {}), after.get(table, {}), kind, says)
    if before.get("seed") != after.get("seed"):
        old, new = _text(before.get("seed")), _text(after.get("seed"))
        yield Difference(kind=Difference.SEED, name="seed", before=old, after=new)


def _in_table(
    before: Mapping[str, Any], after: Mapping[str, Any], kind: Difference.Kind.ValueType, says: bool
) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name) or (name in before) != (name in after):
            old, new = (_text(each.get(name)) if says else "" for each in (before, after))
            yield Difference(kind=kind, name=name, before=old, after=new)


def _text(value: Any) -> str:
    """A value for a person: as JSON, a text as it is."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"

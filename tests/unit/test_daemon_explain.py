"""Why a stage ran or was reused: what decides it beside the nearest earlier job."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anyportal.v1 import jobs_pb2, media_pb2
from anyportal.v1.jobs_pb2 import Difference, Explanation, Job, JobEvent, StageExplanation
from anyportal_core.recipe import canonical_json
from anyportal_core.record import StageRecord
from anyportal_daemon.errors import JobNotFoundError
from anyportal_daemon.jobs.explain import differences, explain
from anyportal_daemon.jobs.journal import Journal

DECIDED: dict[str, Any] = {
    "stage": "refine",
    "code": 1,
    "plugin": ["draft.refine", "1"],
    "models": {"sd15": "abc"},
    "prompts": {"place": "", "scene": "a beach"},
    "settings": {"t1": 0.5, "steps": 20},
    "work": {"long_side": 640},
    "seed": 0,
    "media": {"plate": "p", "backdrop": "b"},
    "inputs": {"matte": "m", "harmonise": "h"},
}


def but(path: str, value: object) -> dict[str, Any]:
    """What decides a stage, with one thing changed: ``settings.t1``."""
    changed = copy.deepcopy(DECIDED)
    table, _, name = path.partition(".")
    if name:
        changed[table][name] = value
    else:
        changed[table] = value
    return changed


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db")
    yield journal
    journal.close()


def run(
    journal: Journal, decided: dict[str, Any], user: str = "ann", reused: bool = False, job_id: str = "", key: str = ""
) -> str:
    """A job of one stage before the finish; gives its id."""
    job_id = job_id or journal.create(user, Job(), [], None).name.removeprefix("jobs/")
    text = canonical_json(decided)
    journal.ledger.note(job_id, StageRecord("refine", text, key or text, reused, 1.5, 100, 10))
    journal.ledger.note(job_id, StageRecord("finish", "", "", False, 3.0, 0, 10))
    return job_id


def first(explanation: Explanation) -> StageExplanation:
    assert [stage.stage for stage in explanation.stages] == ["refine", "finish"]
    return explanation.stages[0]


def changes(stage: StageExplanation) -> list[tuple[int, str, str, str]]:
    return [(each.kind, each.name, each.before, each.after) for each in stage.differences]


@pytest.mark.parametrize(
    ("path", "value", "change"),
    [
        ("settings.t1", 0.6, (Difference.SETTING, "t1", "0.5", "0.6")),
        ("plugin", ["draft.refine", "2"], (Difference.PLUGIN, "plugin", "draft.refine 1", "draft.refine 2")),
        ("code", 2, (Difference.CODE, "refine", "1", "2")),
        ("media.plate", "q", (Difference.MEDIA, "plate", "", "")),
        ("work.long_side", 960, (Difference.WORK_SIZE, "long_side", "640", "960")),
        ("seed", 7, (Difference.SEED, "seed", "0", "7")),
        ("inputs.harmonise", "i", (Difference.STAGE, "harmonise", "", "")),
        ("models.sd15", "def", (Difference.MODEL, "sd15", "abc", "def")),
        ("prompts.scene", "a wood", (Difference.PROMPT, "scene", "a beach", "a wood")),
    ],
)
def test_each_input_is_named_when_it_alone_changed(
    journal: Journal, path: str, value: object, change: tuple[int, str, str, str]
) -> None:
    before = run(journal, DECIDED)
    stage = first(explain(journal, "ann", run(journal, but(path, value))))
    assert (stage.reason, stage.reused, stage.compared_with) == (StageExplanation.CHANGED, False, f"jobs/{before}")
    assert changes(stage) == [change]
    assert (stage.seconds, stage.size_bytes) == (1.5, 100)


def test_all_that_decides_a_stage_is_looked_at() -> None:
    """A part that the core adds must be explained too; the stage's name never differs."""
    for name in DECIDED.keys() - {"stage"}:
        changed = copy.deepcopy(DECIDED)
        del changed[name]
        assert list(differences(DECIDED, changed)), name
    assert not list(differences(DECIDED, copy.deepcopy(DECIDED)))


def test_the_core_decides_stages_by_nothing_else() -> None:
    source = (Path(__file__).parents[2] / "anyportal_core/pipeline.py").read_text("utf-8")
    body = source[source.index("def _decided_by") :]
    assert sorted(name for name in DECIDED if f'"{name}":' in body[: body.index("\n\n\n")]) == sorted(DECIDED)


def test_the_first_job_has_nothing_to_be_compared_with(journal: Journal) -> None:
    stage = first(explain(journal, "ann", run(journal, DECIDED)))
    assert (stage.reason, stage.compared_with) == (StageExplanation.FIRST, "")


def test_what_is_reused_is_the_same_as_before(journal: Journal) -> None:
    before = run(journal, DECIDED)
    run(journal, but("seed", 4))
    stage = first(explain(journal, "ann", run(journal, DECIDED, reused=True)))
    assert (stage.reason, stage.reused, stage.compared_with) == (StageExplanation.SAME, True, f"jobs/{before}")


def test_a_result_that_is_gone_is_made_again(journal: Journal) -> None:
    run(journal, DECIDED)
    stage = first(explain(journal, "ann", run(journal, DECIDED)))
    assert stage.reason == StageExplanation.GONE and not stage.differences


def test_another_user_s_job_is_not_named(journal: Journal) -> None:
    run(journal, DECIDED, user="bob")
    stage = first(explain(journal, "ann", run(journal, DECIDED, reused=True)))
    assert (stage.reason, stage.compared_with) == (StageExplanation.STORED, "")
    stage = first(explain(journal, "ann", run(journal, but("seed", 1))))
    assert changes(stage) == [(Difference.SEED, "seed", "0", "1")], "compared with her own"


def test_it_is_compared_with_the_nearest_and_of_those_the_latest(journal: Journal) -> None:
    near = run(journal, but("seed", 1))
    far = but("seed", 2)
    far["work"] = {"long_side": 64}
    run(journal, far)
    asked = run(journal, DECIDED)
    assert first(explain(journal, "ann", asked)).compared_with == f"jobs/{near}"
    later = run(journal, but("seed", 3))
    assert first(explain(journal, "ann", later)).compared_with == f"jobs/{asked}"
    assert first(explain(journal, "ann", asked)).compared_with == f"jobs/{near}", "jobs after it are not looked at"


def test_jobs_are_compared_in_the_order_in_which_they_ran(journal: Journal) -> None:
    """The one that was created first waited longer, as one of less priority does."""
    patient, urgent = (journal.create("ann", Job(), [], None).name.removeprefix("jobs/") for _ in range(2))
    run(journal, DECIDED, job_id=urgent)
    run(journal, DECIDED, reused=True, job_id=patient)
    stage = first(explain(journal, "ann", urgent))
    assert (stage.reason, stage.compared_with) == (StageExplanation.FIRST, ""), "the other had not run yet"
    stage = first(explain(journal, "ann", patient))
    assert (stage.reason, stage.compared_with) == (StageExplanation.SAME, f"jobs/{urgent}")


def test_a_job_that_runs_again_is_compared_with_those_that_ran_meanwhile(journal: Journal) -> None:
    again = run(journal, but("seed", 1))
    between = run(journal, DECIDED)
    run(journal, DECIDED, job_id=again)
    stage = first(explain(journal, "ann", again))
    assert (stage.reason, stage.compared_with) == (StageExplanation.GONE, f"jobs/{between}")


def test_what_an_earlier_attempt_of_its_own_ran_is_not_reused(journal: Journal) -> None:
    job = run(journal, DECIDED)
    run(journal, DECIDED, reused=True, job_id=job)
    stage = first(explain(journal, "ann", job))
    assert (stage.reason, stage.reused, stage.seconds) == (StageExplanation.FIRST, False, 1.5)


def test_the_finish_has_the_bytes_of_the_files(journal: Journal) -> None:
    job = run(journal, DECIDED)
    blob = media_pb2.Blob(sha256="c" * 64, size_bytes=12345)
    files = [jobs_pb2.ResultFile(blob=blob, filename="x.mov", layers=["comp"])]
    journal.change(job, lambda status: [JobEvent(results=jobs_pb2.ResultsReady(files=files))])
    finish = explain(journal, "ann", job).stages[1]
    assert (finish.reason, finish.reused, finish.size_bytes) == (StageExplanation.ALWAYS, False, 12345)


def test_other_people_s_jobs_are_not_explained(journal: Journal) -> None:
    with pytest.raises(JobNotFoundError):
        explain(journal, "bob", run(journal, DECIDED))

"""`anyportal explain`: which stages of a job ran, which were reused, and why."""

from __future__ import annotations

import json

from anyportal_client.cli.options import Daemon, Debug, JobName, Json, job_name
from anyportal_client.cli.saying import say
from anyportal_client.expectations import Difference, StageExplanation


def explain(job: JobName, daemon: Daemon = None, as_json: Json = False, debug: Debug = False) -> None:
    """Say which stages of a job ran or were reused, why, how long they took and how large their results are."""
    from anyportal_client.cli.output import size
    from anyportal_client.client import Client
    from anyportal_client.events import StageExplained

    with Client.connect(daemon, start=False) as client:
        stages = client.explain(job_name(job))
    if as_json:
        for stage in stages:
            print(json.dumps(StageExplained.of(job_name(job), stage).as_json()))
        return
    for stage in stages:
        word = "reused" if stage.reused else "ran"
        say(f"{stage.stage:<16} {word:<6} {stage.seconds:>8.2f} s  {size(stage.size_bytes):>10}  {reason(stage)}")
    if not stages:
        say("no stage of it has ended yet")


def reason(stage: StageExplanation) -> str:
    """Why a stage ran or was reused, in words."""
    if stage.reason == "changed":
        return f"{'; '.join(map(_change, stage.differences))} (compared with {stage.compared_with})"
    return {
        "same": f"all that decides it is as in {stage.compared_with}",
        "first": "there is no earlier job with this stage",
        "gone": f"all is as in {stage.compared_with}, whose result was kept no longer",
        "damaged": "what was stored of it was damaged",
        "always": "it makes the files of the result, which are not kept for other jobs",
        "stored": "another job had stored the same, which is deleted or somebody else's",
    }.get(stage.reason, "the daemon does not say why")


def _change(difference: Difference) -> str:
    """One difference, such as `setting t1: 0.5 -> 0.6`."""
    kind = difference.kind.replace("_", " ")
    what = kind if difference.name in (kind, "long_side") else f"{kind} {difference.name}"
    if not difference.before and not difference.after:
        return f"another {what}" if difference.kind == "media" else f"{what} changed"
    return f"{what}: {difference.before or 'none'} -> {difference.after or 'none'}"

"""`anyportal watch`, `fetch`, `jobs` and `cancel`: work with jobs that exist."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from anyportal_client.cli.options import Daemon, Debug, JobName, Json, Overwrite, job_name
from anyportal_client.cli.saying import say


def watch(job: JobName, daemon: Daemon = None, as_json: Json = False, debug: Debug = False) -> None:
    """Follow a job until it ends. Ctrl-C stops watching; the job goes on."""
    from anyportal_client.cli.flow import Call

    asyncio.run(Call(daemon, as_json).watch(job_name(job)))


def fetch(
    job: JobName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the results go.")],
    daemon: Daemon = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Bring a job's results into a folder, as they get ready. What is there already is not fetched again."""
    from anyportal_client.cli.flow import Call

    asyncio.run(Call(daemon, as_json).fetch(job_name(job), out, overwrite))


def cancel(job: JobName, daemon: Daemon = None, as_json: Json = False, debug: Debug = False) -> None:
    """End a job, and wait until it has ended."""
    from anyportal_client.cli.flow import Call

    asyncio.run(Call(daemon, as_json).cancel(job_name(job)))


def jobs(
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Only queued, running, succeeded, failed or cancelled ones."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 20,
    all_users: Annotated[
        bool, typer.Option("--all-users", help="Everybody's, for who has the scope read-all or admin.")
    ] = False,
    daemon: Daemon = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the newest jobs."""
    from anyportal_client.cli.output import in_words
    from anyportal_client.client import Client
    from anyportal_client.events import JobListed

    with Client.connect(daemon, start=False) as client:
        found = client.jobs(state or (), limit, all_users)
        unfinished = any(job.state in ("queued", "running") for job in found)
        draining = unfinished and not as_json and client.daemon().draining
    if as_json:
        for job in found:
            print(json.dumps(JobListed.of(job).as_json()))
        return
    for job in found:
        created = job.created.astimezone().strftime("%Y-%m-%d %H:%M") if job.created else ""
        whose = f"{job.user:<12}  " if all_users else ""
        line = f"{job.name:<24} {job.state:<10} {job.fraction:>4.0%}  {created}  {whose}{job.display_name}"
        expected = in_words(job.outlook) if job.outlook is not None else ""
        say(f"{line}  ({expected})" if expected else line)
    if draining:
        say("the daemon is draining: what runs is done first, and the rest when it is back")
    if not found:
        say("there are no jobs")

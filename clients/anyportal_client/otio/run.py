"""Run the shots of a plan through a daemon, some ahead of the one at work; none stops another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from anyportal_client.aio import AsyncClient
from anyportal_client.errors import Cancelled, ClientError, DaemonError
from anyportal_client.events import Event, Failed, WasCancelled
from anyportal_client.messages import Job
from anyportal_client.otio.outcomes import Outcome, Result
from anyportal_client.otio.plan import Plan, PlannedShot
from anyportal_client.otio.timing import exact_rate
from anyportal_client.otio.write import reserve_version
from anyportal_client.request import OWN_ALPHA, FrameNumbers, ShotRequest, with_own_alpha

AHEAD = 4
"""Shots under way at once: one that the daemon works on, the others sent or queued meanwhile."""

_CANCEL_SECONDS = 10.0

ShotEvent = Callable[[str, Event], None]
"""Told the name of a shot and what happened to it."""


async def run_plan(client: AsyncClient, plan: Plan, out: Path, tell: ShotEvent) -> dict[str, Outcome]:
    """Run all jobs of a plan. To stop early cancel the task: what runs is cancelled, what is finished is kept.

    Args:
        client: connected.
        plan: what to run.
        out: the folder of the batch; a shot's files go to ``out/SHOT/v001``, the next time to ``v002``.
        tell: is told everything that happens.

    Returns:
        By name of shot; shots that share another's result are not in it.
    """
    runner = _Runner(client, plan, out, tell)
    places = asyncio.Semaphore(AHEAD)
    outcomes = {shot.name: Outcome("skipped") for shot in plan.shots if shot.problem}

    async def run(shot: PlannedShot) -> None:
        outcomes[shot.name] = Outcome("cancelled")  # what it stays when the batch is stopped
        async with places:
            outcomes[shot.name] = await runner.run(shot)

    try:
        async with asyncio.TaskGroup() as group:
            for shot in plan.jobs:
                group.create_task(run(shot))
    except asyncio.CancelledError:
        for shot in plan.jobs:
            outcomes.setdefault(shot.name, Outcome("cancelled"))
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
    return outcomes


class _Runner:
    def __init__(self, client: AsyncClient, plan: Plan, out: Path, tell: ShotEvent) -> None:
        self._client = client
        self._plan = plan
        self._out = out
        self._tell = tell
        self._lost: DaemonError | None = None
        self._turn = asyncio.Lock()

    async def run(self, shot: PlannedShot) -> Outcome:
        """One shot from its request to its files; never raises but for cancellation. Half a result does not stay."""
        began = time.monotonic()
        sharing = [each.clip for each in self._plan.shots if shot.name in (each.name, each.same_as)]
        tell = partial(self._tell, shot.name)
        try:
            version, folder = reserve_version(sharing, self._out / shot.name)
        except ClientError as error:
            tell(Failed.of(error))
            return Outcome("failed", None, error)
        job = ""
        try:
            if self._lost:
                raise self._lost
            request = to_request(shot, f"{shot.name}_{folder.name}")
            async with self._turn:  # queued in the timeline's order, whatever each has to send
                job = (await self._client.submit(request, tell)).name
            files = await self._client.fetch(job, folder, tell)
            done = await self._details(job)
        except ClientError as error:
            if isinstance(error, DaemonError):
                self._lost = error  # it will not come back for the next shot, and each would wait for it anew
            cancelled = isinstance(error, Cancelled)
            tell(WasCancelled(job, error.message) if cancelled else Failed.of(error))
            _remove(folder)
            return Outcome("cancelled" if cancelled else "failed", None, error, job, time.monotonic() - began)
        except asyncio.CancelledError:
            tell(WasCancelled(job, await self._cancel(job) if job else "cancelled"))
            _remove(folder)
            raise
        result = to_result(shot, version, done, files)
        return Outcome("done", result, None, job, time.monotonic() - began, done.stage_seconds)

    async def _details(self, job: str) -> Job:
        """A job whose files are here: a wish to stop comes too late for it."""
        try:
            return await self._client.job(job)
        except asyncio.CancelledError:
            return await self._client.job(job)

    async def _cancel(self, job: str) -> str:
        """What became of a job that nobody wants any more."""
        try:
            await asyncio.wait_for(self._client.cancel(job), _CANCEL_SECONDS)
        except DaemonError as error:  # nobody was there to be asked
            return f"{error.message}; {error.hint}"
        except (ClientError, TimeoutError):
            pass
        return "cancelled"


def _remove(folder: Path) -> None:
    """Take away a version that did not become one, and the shot's folder where it is the only one."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def to_request(shot: PlannedShot, name: str) -> ShotRequest:
    """What to submit for a planned shot; its handles are part of the range, since ends of media make them unequal."""
    if shot.request is None or shot.media is None or shot.span is None or shot.media.extent is None:
        raise ValueError(f"{shot.name} cannot be run: {shot.problem}")
    asked = shot.request
    own_alpha = asked.matte == OWN_ALPHA  # a file of that name is an absolute path by now
    return ShotRequest(
        plate=shot.media.path,
        backdrop=asked.backdrop,
        matte=None if own_alpha else asked.matte or None,
        mask=asked.mask or None,
        mask_frame=shot.span.first if asked.mask and asked.mask_frame is None else asked.mask_frame,
        preset=asked.preset,
        subject=asked.subject,
        frames=shot.frames,
        seed=asked.seed,
        settings=with_own_alpha(asked.settings) if own_alpha else asked.settings,
        layers=asked.layers,
        format=asked.format,
        name=name,
        labels={"shot": shot.name},
        frame_rate=exact_rate(shot.media.extent.rate) if shot.media.sequence else None,
        colour_space=asked.colour_space,
    )


def to_result(shot: PlannedShot, version: int, job: Job, files: dict[str, Path]) -> Result:
    """What a job that succeeded left for a shot."""
    if shot.request is None:
        raise ValueError(f"{shot.name} has no request")
    frames = FrameNumbers.parse(job.frames or shot.frames)
    metadata = {
        "job": job.name,
        "recipe_digest": job.recipe_digest,
        "seed": shot.request.seed,
        "backdrop": shot.request.backdrop,
        "settings": dict(shot.request.settings),
        "recipe": json.loads(job.resolved_recipe or "{}"),
    }
    return Result(version, files, (frames.first, frames.last), metadata)

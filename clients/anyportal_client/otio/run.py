"""Run the shots of a plan through a daemon, some ahead of the one at work; none stops another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from anyportal_client.aio import AsyncClient
from anyportal_client.errors import Cancelled, ClientError, DaemonError
from anyportal_client.events import Event, Failed, LogLine, WasCancelled
from anyportal_client.messages import Job
from anyportal_client.otio.figures import measure
from anyportal_client.otio.outcomes import Outcome, Result
from anyportal_client.otio.plan import Plan, PlannedShot
from anyportal_client.otio.records import Frames, Record, asked_of, made_for, stamp_of, write_record
from anyportal_client.otio.timing import exact_rate
from anyportal_client.otio.versions import Claim, claim_version
from anyportal_client.request import OWN_ALPHA, FrameNumbers, ShotRequest, with_own_alpha

AHEAD = 4
"""Shots under way at once: one that the daemon works on, the others sent or queued meanwhile."""

_CANCEL_SECONDS = 10.0
_QUOTA_SECONDS = 2.0

ShotEvent = Callable[[str, Event], None]
"""Told the name of a shot and what happened to it."""


async def run_plan(
    client: AsyncClient, plan: Plan, out: Path, tell: ShotEvent, ahead: int = AHEAD
) -> dict[str, Outcome]:
    """Run all jobs of a plan. To stop early cancel the task: what runs is cancelled, what is finished is kept.

    Args:
        client: connected.
        plan: what to run.
        out: the folder of the batch; a shot's files go to ``out/SHOT/v001``, the next time to ``v002``.
        tell: is told everything that happens.
        ahead: shots under way at once.

    Returns:
        By name of shot; shots that share another's result are not in it.
    """
    runner = _Runner(client, plan, out, tell)
    places = asyncio.Semaphore(ahead)
    outcomes = settled(plan)

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


def settled(plan: Plan) -> dict[str, Outcome]:
    """The outcomes that are known before anything runs: of shots that are skipped, or there already."""
    found = {shot.name: Outcome("skipped") for shot in plan.shots if shot.problem}
    return found | {shot.name: Outcome("reused", shot.reused) for shot in plan.shots if shot.reused}


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
        work = _Work(self._client, shot, partial(self._tell, shot.name))
        sharing = [each.clip for each in self._plan.shots if shot.name in (each.name, each.same_as)]
        try:
            if self._lost:
                raise self._lost
            async with self._turn:  # queued in the timeline's order, whatever each has to send
                await work.begin(sharing, self._out / shot.name)
            return await work.finish(made_for(self._plan, shot))
        except ClientError as error:
            if isinstance(error, DaemonError):
                self._lost = error  # it will not come back for the next shot, and each would wait for it anew
            return work.failed(error)
        except asyncio.CancelledError:
            await work.cancel()
            raise


class _Work:
    """One shot at the daemon."""

    def __init__(self, client: AsyncClient, shot: PlannedShot, tell: Callable[[Event], None]) -> None:
        self._client = client
        self._shot = shot
        self._tell = tell
        self._began = time.monotonic()
        self._claim: Claim | None = None
        self._asked = asked_of(shot)
        self._stamp = ""
        self._job = ""
        self._warnings: dict[str, None] = {}
        """What its user should look at, in the order in which it was told."""

    async def begin(self, sharing: list[Any], folder: Path) -> None:
        """Take a version and queue the job, unless one that an earlier run began for just this is there still."""
        self._stamp = await asyncio.to_thread(stamp_of, self._shot, self._shot.processed)
        wish = f"{self._asked} {self._stamp} {self._shot.range}"
        self._claim = claim = claim_version(sharing, folder, wish)
        if claim.job and await self._usable(claim.job):
            self._job = claim.job
            self._say(f"goes on with {self._job}, which an earlier run began")
            return
        request = to_request(self._shot, f"{self._shot.name}_{claim.folder.name}")
        while not self._job:
            try:
                self._job = (await self._client.submit(request, self._hear)).name
            except DaemonError as error:
                if error.code != "QUOTA":
                    raise
                self._say("as many jobs are waiting as you may have: it is sent when one of them has begun")
                await asyncio.sleep(_QUOTA_SECONDS)
        claim.note(wish, self._job)

    async def _usable(self, job: str) -> bool:
        with contextlib.suppress(ClientError):
            return (await self._client.job(job)).state not in ("failed", "cancelled")
        return False

    def _hear(self, event: Event) -> None:
        if isinstance(event, LogLine) and event.severity == "warning":
            self._warnings[event.text] = None
        self._tell(event)

    def _say(self, text: str) -> None:
        self._tell(LogLine(self._job, 0, "info", text))

    async def finish(self, made: tuple[Frames, ...]) -> Outcome:
        """Wait for its files, and leave word of what they were made for."""
        claim = self._claim
        assert claim is not None
        files = await self._client.fetch(self._job, claim.folder, self._hear)
        done = await self._details()
        result = self._remarked(await self._measured(to_result(self._shot, claim.version, done, files)))
        write_record(claim.folder, Record(self._asked, self._stamp, self._shot.processed, made, result))
        claim.finish()
        return Outcome("done", result, None, self._job, time.monotonic() - self._began, done.stage_seconds)

    async def _measured(self, result: Result) -> Result:
        """The result with its figures; without them where somebody wants to stop."""
        try:
            figures = await asyncio.to_thread(measure, self._shot, result)
        except asyncio.CancelledError:
            return result
        return replace(result, metadata={**result.metadata, "figures": figures}) if figures else result

    def _remarked(self, result: Result) -> Result:
        """The result with what was warned of while it was made; whoever has it again reads that again."""
        warnings = list(self._warnings)
        return replace(result, metadata={**result.metadata, "warnings": warnings}) if warnings else result

    async def _details(self) -> Job:
        """A job whose files are here: a wish to stop comes too late for it."""
        try:
            return await self._client.job(self._job)
        except asyncio.CancelledError:
            return await self._client.job(self._job)

    def failed(self, error: ClientError) -> Outcome:
        """How it ended, told; what there is of it is taken away."""
        self._drop()
        cancelled = isinstance(error, Cancelled)
        self._tell(WasCancelled(self._job, error.message) if cancelled else Failed.of(error))
        return Outcome("cancelled" if cancelled else "failed", None, error, self._job, time.monotonic() - self._began)

    async def cancel(self) -> None:
        """Have the daemon end it, where it is there to be asked."""
        message = "cancelled"
        try:
            if self._job:
                await asyncio.wait_for(self._client.cancel(self._job), _CANCEL_SECONDS)
        except DaemonError as error:
            message = f"{error.message}; {error.hint}"
        except (ClientError, TimeoutError):
            pass
        self._tell(WasCancelled(self._job, message))
        self._drop()

    def _drop(self) -> None:
        if self._claim is not None:
            self._claim.drop()


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
        clean_plate=asked.clean_plate or None,
        garbage=asked.garbage or None,
        holdout=asked.holdout or None,
        preset=asked.preset,
        subject=asked.subject,
        frames=shot.range,
        seed=asked.seed,
        settings=with_own_alpha(asked.settings) if own_alpha else asked.settings,
        layers=asked.layers,
        format=asked.format,
        name=name,
        labels={"shot": shot.name},
        frame_rate=exact_rate(shot.media.extent.rate) if shot.media.sequence else None,
        colour_space=asked.colour_space,
        backdrop_colour_space=asked.backdrop_colour_space,
        out_colour_space=asked.out_colour_space,
        colour_config=asked.colour_config,
        compression=asked.compression,
        missing=asked.missing,
    )


def to_result(shot: PlannedShot, version: int, job: Job, files: dict[str, Path]) -> Result:
    """What a job that succeeded left for a shot."""
    if shot.request is None:
        raise ValueError(f"{shot.name} has no request")
    frames = FrameNumbers.parse(job.frames or shot.range)
    metadata = {
        "job": job.name,
        "recipe_digest": job.recipe_digest,
        "seed": shot.request.seed,
        "backdrop": shot.request.backdrop,
        "settings": dict(shot.request.settings),
        "recipe": json.loads(job.resolved_recipe or "{}"),
    }
    return Result(version, files, (frames.first, frames.last), metadata)

"""The client, awaited. `anyportal_client.Client` is the same for those who do not await."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import grpc.aio

from anyportal.v1 import catalog_pb2, jobs_pb2
from anyportal_client import storekeeping
from anyportal_client.channel import Connection
from anyportal_client.discovery import ANY, Endpoint, find_endpoint, named_address, process_gone, state_directory
from anyportal_client.discovery_any import Suits, choose, queue_of
from anyportal_client.errors import ClientError, DaemonError, UsageError
from anyportal_client.events import Done, Event, Expected, JobEvent, LogLine, OnEvent, ResultsReady, read_event
from anyportal_client.expectations import Outlook, StageExplanation
from anyportal_client.fetching import AT_ONCE, Fetcher, layer_paths
from anyportal_client.hashing import HashCache
from anyportal_client.mappings import read_mappings
from anyportal_client.messages import DaemonInfo, Job, PresetInfo, state_value
from anyportal_client.request import ShotRequest
from anyportal_client.retry import PATIENCE, Backoff
from anyportal_client.sending import LOST, Sender
from anyportal_client.shot import ReadyShot, make_ready
from anyportal_client.started import SUBMIT_AGAIN, StartedDaemon
from anyportal_client.storage import made_folder
from anyportal_client.storekeeping import StorePruned, StoreShown, Verification
from anyportal_client.tasks import crew

CONNECT_PATIENCE = 1.0
"""Seconds to knock at a door where nobody has answered yet."""

CANCEL_PATIENCE = 3.0
"""Seconds to try to cancel a job while the daemon is away: who does that wants an end, and not to wait for one."""


class AsyncClient:
    """A connection to a daemon.

    async with await AsyncClient.connect() as client: ...
    """

    def __init__(
        self,
        connection: Connection,
        info: DaemonInfo,
        started: StartedDaemon | None = None,
        mappings: Mapping[str, Path] | None = None,
    ) -> None:
        self._connection = connection
        self._started = started
        self._folders = {name: folder for name, folder in (mappings or {}).items() if name in info.mappings}
        self._hashes = HashCache()
        self._sent: dict[str, ReadyShot] = {}
        self._sent_again: set[str] = set()
        self.info = info

    @classmethod
    async def connect(
        cls,
        address: str | Endpoint | None = None,
        token: str | None = None,
        state_dir: Path | None = None,
        start: bool = True,
        mappings: Mapping[str, Path] | None = None,
        on_event: OnEvent | None = None,
        patience: float = PATIENCE,
        suits: Suits = queue_of,
    ) -> Self:
        """Connect to a daemon and make sure that it answers.

        From then on a daemon that goes away is waited for, and found again where its daemon.json says.

        Args:
            address: HOST:PORT, `any` for the one that will be done first, `local` for the one that daemon.json names;
                else $ANYPORTAL_DAEMON, else that of the configuration, else `local`.
            token: what it wants to see; else $ANYPORTAL_TOKEN, else that of daemon.json.
            state_dir: where daemon.json lies; else $ANYPORTAL_STATE, else the system's usual place.
            start: where no address is given and none runs, start one for as long as this client lives.
            mappings: folders that a daemon with a mapping of that name reaches too; else those of the configuration.
            on_event: is told when the daemon is away (DaemonAway) and back (DaemonBack); else that is logged.
            patience: seconds to wait for it. One that was started for this client is not waited for.
            suits: what speaks for a daemon, where `any` may do the work.

        Raises:
            DaemonError: it cannot be reached, or refuses the token.
            MissingExtraError: one would have to be started, and cannot be.
        """
        folders = read_mappings() if mappings is None else mappings
        endpoint = await _sought(address, token, state_dir, suits, on_event)
        if endpoint is not None:
            client = await cls._reach(endpoint, folders, Backoff(patience), on_event)
            if client is not None:
                return client
        if not start:
            raise DaemonError(
                "no daemon is running", where=str(state_directory(state_dir)), hint="start one: anyportal serve"
            )
        started = await StartedDaemon.start(state_directory(state_dir))
        try:
            connection = Connection(started.endpoint, Backoff(patience), started.renewed, on_event)
            return cls(connection, await _greet(connection), started)
        except BaseException:
            await started.stop()
            raise

    @classmethod
    async def _reach(
        cls, endpoint: Endpoint, folders: Mapping[str, Path], backoff: Backoff, on_event: OnEvent | None
    ) -> Self | None:
        """A client of a daemon that is named; None where daemon.json names one that is gone."""
        if process_gone(endpoint.pid):
            return None
        connection = Connection(endpoint, backoff, on_event=on_event)
        try:
            return cls(connection, await _greet(connection), mappings=folders)
        except ClientError as error:
            await connection.close()
            if endpoint.pid is not None and error.code == "UNREACHABLE":
                return None
            raise

    @property
    def started_daemon(self) -> bool:
        """Whether the daemon was started for this client; it ends with it."""
        return self._started is not None

    @property
    def address(self) -> str:
        """HOST:PORT of the daemon."""
        return self._connection.endpoint.address

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up; end the daemon where it was started for this client."""
        await self._connection.close()
        if self._started is not None:
            await self._started.stop()

    async def submit(self, request: ShotRequest | ReadyShot, on_event: OnEvent | None = None) -> Job:
        """Check the request, upload what the daemon lacks, queue the job.

        A request that `make_ready` has checked before is not checked again.

        Raises:
            MediaError: media that cannot be used; nothing was sent.
            RecipeError: a preset, setting, layer or format that does not exist or does not fit; nothing was sent.
        """
        ready = request if isinstance(request, ReadyShot) else await asyncio.to_thread(make_ready, request)
        job = await Sender(self._connection, self._hashes, on_event or _ignore, self._folders).submit(ready)
        self._sent[job.name] = ready
        return job

    async def check(self, request: ShotRequest | ReadyShot) -> Job:
        """Have the daemon check a request; nothing is read, sent or queued. Gives the job as it would be.

        Raises:
            MediaError, RecipeError: as `submit`.
        """
        ready = request if isinstance(request, ReadyShot) else await asyncio.to_thread(make_ready, request)
        return await Sender(self._connection, self._hashes, _ignore).check(ready)

    async def watch(self, job: str, after: int = 0) -> AsyncGenerator[JobEvent, None]:
        """A job's events, those that were and those to come, until it has ended.

        Goes on after a cut where it was, without a gap or a repeat. What is to be expected of the job comes in between.
        """
        attempts = self._connection.attempts(job)
        final = False
        told: Outlook | None = None
        while not final:
            request = jobs_pb2.WatchJobRequest(name=job, after_sequence=after)
            try:
                async for message in self._connection.stream(self._connection.jobs.WatchJob, request):
                    attempts.progressed()
                    after = message.sequence
                    event = read_event(job, message)
                    if event is not None:
                        yield event
                    if message.HasField("outlook"):
                        outlook = Outlook.of(message.outlook)
                        if outlook.tells_more_than(told):
                            told = outlook
                            yield Expected.of(job, outlook)
                final = (await self.job(job)).final
            except grpc.aio.AioRpcError as error:
                await attempts.failed(error)

    async def fetch(
        self, job: str, out: Path | str, on_event: OnEvent | None = None, *, overwrite: bool = False
    ) -> dict[str, Path]:
        """Bring a job's results into a folder as they get ready; waits for the job to end.

        Files are written aside, checked and renamed. One that is there already with the same content is kept.

        Returns:
            Layer to path; a sequence as a printf pattern.

        Raises:
            ClientError: why the job failed, by its code; Cancelled where it was cancelled.
            UsageError: FILE_EXISTS, a file of another content is there, and `overwrite` was not asked for.
        """
        tell = on_event or _ignore
        with made_folder(Path(out).absolute()) as folder:
            fetcher = Fetcher(self._connection, job, folder, overwrite, tell)
            try:
                found = await self._follow(job, fetcher, tell)
            except ClientError as error:
                if error.code == "DISK_FULL" and not error.job:  # ours; a job's own is the daemon's disk
                    await asyncio.to_thread(fetcher.drop_parts)
                if error.code == "UNREACHABLE" and self._started is not None:
                    error.hint = SUBMIT_AGAIN
                error.where = self._local(job, error.where)
                error.job = job
                raise
        files = layer_paths(folder, found.results)
        tell(Done(job, files, found.frames, found.recipe_digest, found.seconds, found.stage_seconds))
        return files

    def _local(self, job: str, where: str) -> str:
        """The path of a file that was sent from here for what the daemon calls `plate/NAME`; else as it is."""
        role, _, name = where.partition("/")
        ready = self._sent.get(job)
        folder = ready.folders().get(role) if ready is not None else None
        return str(folder / name) if folder is not None and name else where

    async def _follow(self, job: str, fetcher: Fetcher, tell: OnEvent) -> Job:
        """Fetch a job's files as they get ready until it has ended; gives the job."""
        async with crew(AT_ONCE) as workers:
            found = await self.job(job)
            after = found.last_sequence if found.final else 0
            while not found.final or await self._sends_again(found, tell):
                async with aclosing(self.watch(job, after)) as events:
                    async for event in events:
                        tell(event)
                        if isinstance(event, ResultsReady):
                            fetcher.add(workers, event.files)
                found = await self.job(job)
                after = found.last_sequence
            found.raise_failure()
            fetcher.add(workers, found.results)
        return found

    async def _sends_again(self, found: Job, tell: OnEvent) -> bool:
        """Where a job failed since the daemon has lost footage that was sent from here, send it and have the job go on.

        Once for each job: a disk that damages it again does so for ever.
        """
        ready, error = self._sent.get(found.name), found.error
        if ready is None or error is None or error.code not in LOST or found.name in self._sent_again:
            return False
        self._sent_again.add(found.name)
        where = self._local(found.name, error.where)
        tell(LogLine(found.name, 0, "warning", f"{where}: {error.message}: it is sent again, and the job goes on"))
        await Sender(self._connection, self._hashes, tell, self._folders).send_again(ready, found.name)
        return True

    async def job(self, name: str) -> Job:
        """A job as it is now."""
        request = jobs_pb2.GetJobRequest(name=name)
        return Job.of(await self._connection.call(self._connection.jobs.GetJob, request, job=name))

    async def jobs(self, states: Iterable[str] = (), limit: int = 50, all_users: bool = False) -> list[Job]:
        """The newest jobs, of any state or of some; without their results.

        Args:
            all_users: everybody's, for who has the scope `read-all` or `admin`.
        """
        found: list[Job] = []
        page = jobs_pb2.ListJobsRequest(states=[_state(word) for word in states], all_users=all_users)
        while len(found) < limit:
            page.page_size = min(1000, limit - len(found))
            reply = await self._connection.call(self._connection.jobs.ListJobs, page)
            found.extend(map(Job.of, reply.jobs))
            page.page_token = reply.next_page_token
            if not page.page_token:
                break
        return found

    async def cancel(self, name: str) -> Job:
        """Ask for a job to end. It has ended when its state says so.

        Raises:
            DaemonError: the daemon is away, and was not asked: the job goes on when it is back.
        """
        request, call = jobs_pb2.CancelJobRequest(name=name), self._connection.call
        try:
            return Job.of(await call(self._connection.jobs.CancelJob, request, job=name, patience=CANCEL_PATIENCE))
        except DaemonError as error:
            if error.code in ("UNREACHABLE", "STOPPING") and self._started is None:
                error.message = f"nobody answers: {name} is not cancelled and goes on when the daemon is back"
                error.hint = f"end it then: anyportal cancel {name}"
            raise

    async def explain(self, name: str) -> list[StageExplanation]:
        """What became of each stage of a job, and why, in the order in which they ran."""
        request = jobs_pb2.ExplainJobRequest(name=name)
        said = await self._connection.call(self._connection.jobs.ExplainJob, request, job=name)
        return list(map(StageExplanation.of, said.stages))

    async def daemon(self) -> DaemonInfo:
        """What the daemon says of itself now."""
        request = catalog_pb2.GetDaemonRequest()
        return DaemonInfo.of(await self._connection.call(self._connection.catalog.GetDaemon, request))

    async def presets(self) -> list[PresetInfo]:
        """The presets it has."""
        request = catalog_pb2.ListPresetsRequest()
        reply = await self._connection.call(self._connection.catalog.ListPresets, request)
        return list(map(PresetInfo.of, reply.presets))

    async def store(self) -> StoreShown:
        """What the daemon's store holds."""
        return await storekeeping.show(self._connection)

    def verify_store(self) -> AsyncGenerator[Verification, None]:
        """Have the daemon hash its store again and remove what is damaged: progress and damage as it goes.

        Raises:
            DaemonError: SCOPE, only admins may, and on its machine who holds the token of its `daemon.json`.
        """
        return storekeeping.verify(self._connection)

    async def prune_store(self, keep: int = 0, recent: bool = False) -> StorePruned:
        """Have the daemon evict what nobody needs, least recently used first, until it is down to `keep` bytes.

        Args:
            recent: also what was used in the last ten minutes.

        Raises:
            DaemonError: as `verify_store`.
        """
        return await storekeeping.prune(self._connection, keep, recent)


async def _sought(
    address: str | Endpoint | None, token: str | None, state_dir: Path | None, suits: Suits, on_event: OnEvent | None
) -> Endpoint | None:
    """Where to connect; of several daemons the one that suits best. None where nobody names any."""
    if isinstance(address, Endpoint):
        return address
    local = find_endpoint(address, token, state_dir)
    return local if named_address(address)[0] != ANY else await choose(local, suits, on_event or _ignore)


async def _greet(connection: Connection) -> DaemonInfo:
    request = catalog_pb2.GetDaemonRequest()
    said = await connection.call(connection.catalog.GetDaemon, request, seconds=5, patience=CONNECT_PATIENCE)
    return DaemonInfo.of(said)


def _state(word: str) -> jobs_pb2.Job.State.ValueType:
    try:
        return state_value(word)
    except ValueError:
        raise UsageError(
            f"there is no state '{word}'", hint="known: queued, running, succeeded, failed, cancelled"
        ) from None


def _ignore(event: Event) -> None:
    pass

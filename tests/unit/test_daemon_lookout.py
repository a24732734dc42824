"""One look at the queue for all who ask, who hold up nobody meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from anyportal.v1.jobs_pb2 import Job
from anyportal_core.errors import StorageError
from anyportal_daemon.jobs.estimates import Estimate
from anyportal_daemon.jobs.lookout import LONGEST, OLDEST, Lookout
from anyportal_daemon.jobs.outlook import Look, Place

pytestmark = pytest.mark.asyncio

QUEUE = {"a": Place(1, 0.0, Estimate({"finish": 5.0})), "b": Place(2, 5.0, Estimate(unknown="new"))}


class Queue:
    """Takes its time to be looked at: until ``gate`` is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.looks, self.at_once, self.most = 0, 0, 0
        self.waiting: dict[str, Place] = dict(QUEUE)
        self.broken = False

    def look(self) -> Look:
        self.looks += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        waiting = dict(self.waiting)
        assert self.gate.wait(30)
        self.at_once -= 1
        if self.broken:
            raise StorageError("the database failed")
        return Look({}, waiting)


@pytest.fixture
def queue() -> Queue:
    return Queue()


async def begun(queue: Queue, looks: int) -> None:
    while queue.looks < looks:
        await asyncio.sleep(0.005)


async def test_a_hundred_who_ask_at_once_share_looks_and_leave_the_threads_to_others(queue: Queue) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    lookout = Lookout(queue.look)
    queue.gate.clear()
    asked = [asyncio.create_task(lookout.of(name, fresh)) for name in ("a", "b") for fresh in [False, True] * 25]
    await begun(queue, 1)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 20) == 7, "one thread is busy with the queue, no more"
    queue.gate.set()
    found = await asyncio.gather(*asked)
    assert [outlook and outlook.queue_position for outlook in found] == [1] * 50 + [2] * 50
    assert queue.looks <= 2 and queue.most == 1


async def test_a_long_look_keeps_nobody_waiting_for_what_was_seen_already(queue: Queue) -> None:
    lookout = Lookout(queue.look)
    await lookout.seen()
    lookout._cost, lookout._begun = 60.0, time.monotonic() - LONGEST - 0.1
    queue.gate.clear()
    jobs = [Job(name="jobs/a", state=Job.QUEUED), Job(name="jobs/x", state=Job.QUEUED)]
    lookout._ended -= 60
    await asyncio.wait_for(lookout.add_to_page(jobs), 20)
    assert [job.outlook.queue_position for job in jobs] == [1, 0]
    await begun(queue, 2)
    queue.gate.set()
    await lookout.close()


async def test_what_is_too_old_is_waited_for(queue: Queue) -> None:
    lookout = Lookout(queue.look)
    await lookout.seen()
    lookout._begun, lookout._cost = time.monotonic() - OLDEST - 0.1, 0.01
    queue.waiting = {}
    assert not (await lookout.seen()).waiting


async def test_a_job_that_was_queued_during_a_look_waits_for_the_next(queue: Queue) -> None:
    lookout = Lookout(queue.look)
    queue.gate.clear()
    under_way = asyncio.create_task(lookout.seen())
    await begun(queue, 1)
    queue.waiting["new"] = Place(3, None, Estimate(unknown="new"))
    job = Job(name="jobs/new", state=Job.QUEUED)
    adding = asyncio.create_task(lookout.add(job))
    queue.gate.set()
    await adding
    assert job.outlook.queue_position == 3
    assert "new" not in (await under_way).waiting


async def test_a_job_is_not_told_what_was_to_be_expected_before_it_was_begun(queue: Queue) -> None:
    lookout = Lookout(queue.look)
    await lookout.seen()
    queue.waiting = {}
    assert await lookout.of("a", fresh=True) is None


async def test_what_goes_wrong_is_told_and_tried_again(queue: Queue) -> None:
    lookout = Lookout(queue.look)
    queue.broken = True
    with pytest.raises(StorageError):
        await lookout.seen()
    queue.broken = False
    assert (await lookout.seen()).waiting


async def test_closing_waits_for_the_look_under_way(queue: Queue) -> None:
    lookout = Lookout(queue.look)
    queue.gate.clear()
    asking = asyncio.create_task(lookout.seen())
    await begun(queue, 1)
    after = asyncio.create_task(lookout._anew())
    await asyncio.sleep(0)
    threading.Timer(0.05, queue.gate.set).start()
    await lookout.close()
    assert asking.done() or queue.at_once == 0
    with pytest.raises(asyncio.CancelledError):
        await after

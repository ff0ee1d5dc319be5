"""The probe loop: starts each probe at its slot and hands results on in batches.

One thread with one event loop a process, and one thread that records. Knows no ORM:
what to ask comes in through `submit`, what was seen goes out through `record`.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import uvloop

from monitors.connectivity import Connectivity
from monitors.probes import registry
from monitors.probes.base import Outcome, Phases, ProbeRequest, ProbeResult, Reason

logger = logging.getLogger(__name__)

# Starts within so many seconds happen in one wake-up of the loop.
START_GRID_S = 0.05
# Within a group the next probe starts when the one before is done, or after so long:
# probes that started all at once would measure each other.
_PACE_S = 0.002
# A batch is recorded after so many seconds or so many results.
FLUSH_AFTER_S = 0.2
FLUSH_AT_COUNT = 500
# Results kept while the database is away; older ones are let go and their time is
# unknown, never down.
_MAX_UNRECORDED = 50_000
_RETRY_RECORD_S = 1.0

# Failures that an absent network of our own explains as well.
_NETWORK_REASONS = frozenset(
    {
        Reason.TIMEOUT,
        Reason.DNS,
        Reason.REFUSED,
        Reason.UNREACHABLE,
        Reason.CONNECTION_LOST,
    }
)


@dataclass(frozen=True, slots=True)
class Job:
    """One probe to start at `slot` (seconds since the epoch)."""

    request: ProbeRequest
    slot: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One probe's result. `at`: when it began, in seconds since the epoch."""

    monitor_id: int
    at: float
    result: ProbeResult


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """How busy an engine is."""

    waiting_count: int
    running_count: int
    unrecorded_count: int
    # For so long (seconds) nothing could be recorded, though there was something.
    unable_to_record_s: float
    # Seconds that starts came after their slot, of the last few thousand.
    lateness_s: tuple[float, ...]


Record = Callable[[list[Finding]], None]


class Engine:
    """Probes what it is given until it is stopped."""

    def __init__(
        self, *, record: Record, concurrency: int, host_concurrency: int
    ) -> None:
        """`record` is called in a thread of its own and may raise: it is retried."""
        self.connectivity = Connectivity()
        self._record = record
        self._concurrency = asyncio.Semaphore(concurrency)
        self._host_limit = host_concurrency
        self._hosts: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(self._host_limit)
        )
        self._loop = uvloop.new_event_loop()
        self._groups: dict[int, list[Job]] = {}
        self._running: set[asyncio.Task[None]] = set()
        # Monitors that are being asked, and those that failed like a lost network.
        self._asked: set[int] = set()
        self._failing: set[int] = set()
        self._findings: list[Finding] = []
        self._flush_handle: asyncio.TimerHandle | None = None
        self._batches: queue.SimpleQueue[list[Finding] | None] = queue.SimpleQueue()
        self._unrecorded_count = 0
        # Monotonic; None while recording works.
        self._unable_since: float | None = None
        self._is_stopping = False
        self._ending: asyncio.Task[None] | None = None
        self._lateness: deque[float] = deque(maxlen=5_000)
        self._loop_thread = threading.Thread(
            target=self._run_loop, name="probe-loop", daemon=True
        )
        self._record_thread = threading.Thread(
            target=self._run_recorder, name="probe-recorder", daemon=True
        )

    def start(self) -> None:
        """Start both threads."""
        self._loop_thread.start()
        self._record_thread.start()

    def stop(self, *, timeout_s: float) -> None:
        """Start nothing more, record what is done, and end within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        self._is_stopping = True
        # The other half is for recording.
        self._loop.call_soon_threadsafe(self._begin_stop, timeout_s / 2)
        self._loop_thread.join(max(deadline - time.monotonic(), 0.1))
        self._batches.put(None)
        self._record_thread.join(max(deadline - time.monotonic(), 0.1))

    def submit(self, jobs: list[Job]) -> None:
        """Start these probes at their slots. Callable from any thread.

        An engine that is stopping starts none: the next worker's tick comes round.
        """
        if jobs and not self._is_stopping:
            self._loop.call_soon_threadsafe(self._enqueue, jobs)

    def ask_connectivity(self) -> None:
        """Have the control targets asked soon. Callable from any thread."""
        if self._is_stopping:
            return
        asyncio.run_coroutine_threadsafe(self.connectivity.is_online(), self._loop)

    def load(self) -> EngineLoad:
        """Return how busy the engine is. Callable from any thread."""
        return EngineLoad(
            waiting_count=sum(len(jobs) for jobs in list(self._groups.values())),
            running_count=len(self._running),
            unrecorded_count=self._unrecorded_count,
            unable_to_record_s=self._unable_to_record_s(),
            lateness_s=tuple(self._lateness),
        )

    def _unable_to_record_s(self) -> float:
        since = self._unable_since
        return 0.0 if since is None else time.monotonic() - since

    # On the loop -----------------------------------------------------------------

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _begin_stop(self, timeout_s: float) -> None:
        self._groups.clear()
        self._ending = self._loop.create_task(self._end(timeout_s))

    async def _end(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        # Awaited, so that each closes its connection; asked again if one goes on.
        while tasks := asyncio.all_tasks() - {self._ending}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1)
            if time.monotonic() > deadline:
                logger.warning("%s probes did not end in time", len(tasks))
                break
        self._flush()
        self._loop.stop()

    def _enqueue(self, jobs: list[Job]) -> None:
        if self._is_stopping:
            return
        now = time.time()
        for job in jobs:
            # Rounded up: never before its slot.
            group = -int(-max(job.slot, now) // START_GRID_S)
            waiting = self._groups.get(group)
            if waiting is None:
                self._groups[group] = waiting = []
                delay_s = max(group * START_GRID_S - now, 0)
                self._loop.call_later(delay_s, self._start_group, group)
            waiting.append(job)

    def _start_group(self, group: int) -> None:
        jobs = self._groups.pop(group, None)
        if jobs:
            self._keep(self._loop.create_task(self._run_group(jobs)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run_group(self, jobs: list[Job]) -> None:
        last = jobs[-1]
        for job in jobs:
            task = self._loop.create_task(self._run(job))
            self._keep(task)
            if job is not last:
                await asyncio.wait((task,), timeout=_PACE_S)

    async def _run(self, job: Job) -> None:
        monitor_id = job.request.monitor_id
        # Where the timeout is longer than the interval, the answer to a later question
        # would come first and hide that the earlier one hangs.
        if monitor_id in self._asked:
            return
        self._asked.add(monitor_id)
        try:
            self._add(await self._finding_of(job))
        finally:
            self._asked.discard(monitor_id)

    async def _finding_of(self, job: Job) -> Finding:
        # The host first: who waits for a crowded one takes no room from the others.
        async with self._hosts[_host_of(job.request)], self._concurrency:
            at = time.time()
            self._lateness.append(at - job.slot)
            result = await registry.run(job.request)
        monitor_id = job.request.monitor_id
        if not _is_like_offline(result):
            self._failing.discard(monitor_id)
            return Finding(monitor_id=monitor_id, at=at, result=result)
        # A first failure may be the first sign of our own: no older answer will do.
        is_news = monitor_id not in self._failing
        self._failing.add(monitor_id)
        result = await unless_offline(
            result,
            connectivity=self.connectivity,
            since=time.monotonic() if is_news else float("-inf"),
        )
        return Finding(monitor_id=monitor_id, at=at, result=result)

    def _add(self, finding: Finding) -> None:
        self._findings.append(finding)
        if len(self._findings) >= FLUSH_AT_COUNT:
            self._flush()
        elif self._flush_handle is None:
            self._flush_handle = self._loop.call_later(FLUSH_AFTER_S, self._flush)

    def _flush(self) -> None:
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        if self._findings:
            batch, self._findings = self._findings, []
            self._unrecorded_count += len(batch)
            self._batches.put(batch)

    # In the recorder's thread ------------------------------------------------------

    def _run_recorder(self) -> None:
        while (batch := self._batches.get()) is not None:
            while not self._try_record(batch):
                if self._is_stopping:
                    return
                if self._unrecorded_count > _MAX_UNRECORDED:
                    logger.error("%s results let go: no database", len(batch))
                    break
                time.sleep(_RETRY_RECORD_S)
            self._unrecorded_count -= len(batch)

    def _try_record(self, batch: list[Finding]) -> bool:
        try:
            self._record(batch)
        except Exception:
            # Our fault, never the target's: keep the batch and try again.
            logger.exception("could not record %s results", len(batch))
            if self._unable_since is None:
                self._unable_since = time.monotonic()
            return False
        self._unable_since = None
        return True


def _is_like_offline(result: ProbeResult) -> bool:
    return result.reason in _NETWORK_REASONS and result.outcome is Outcome.FAILED


async def unless_offline(
    result: ProbeResult, *, connectivity: Connectivity, since: float = float("-inf")
) -> ProbeResult:
    """Return a result, or "offline" in place of a failure that our network explains.

    `since`: an answer of the control targets from before (monotonic) won't do.
    """
    if not _is_like_offline(result) or await connectivity.is_online(since=since):
        return result
    return replace(
        result,
        outcome=Outcome.ERROR,
        reason=int(Reason.OFFLINE),
        message="",
        phases=Phases(),
    )


def _host_of(request: ProbeRequest) -> str:
    """Return what the limit a host counts by: the authority, or the bare target."""
    target = request.target
    return urlsplit(target).netloc if "://" in target else target

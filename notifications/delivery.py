"""Delivery of the outbox: claim, look again, send outside any transaction, record.

The calling thread does all database work, threads only send, so a slow receiver holds
nothing but its own slot. At-least-once: a process that dies between sending and
recording leaves a lease, and when that ends the message goes out again under the same
idempotency key.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from django.contrib.auth.models import User
from django.db import (
    Error,
    InterfaceError,
    OperationalError,
    connection,
    connections,
)
from django.utils.translation import get_language, override

from notifications.claiming import Claim, claim_due, claim_one
from notifications.letters import Letter, prepare, send
from notifications.models import Address, Channel, Notification, Provider
from notifications.recording import Try, postpone, record
from notifications.services import send_provider_test, send_test

logger = logging.getLogger(__name__)

# Senders of one process. Each lane has its own, so that none can take another's. They
# wait for receivers most of the time; as many as there are, are claimed in one statement.
SLOTS: dict[int, int] = {
    Notification.Lane.PAGING: 32,
    Notification.Lane.NORMAL: 8,
    Notification.Lane.BULK: 1,
}
# A round ends in time for its loop, however much is due.
_CLAIM_FOR_S = 20.0
# After this without news a round leaves slow senders to record for themselves.
_PATIENCE_S = 3.0
_POLL_S = 0.2
# One after another when each of them fails.
_MOST_PROVIDERS = 5
# After the database refused to say whether it is wanted.
_LOOK_AGAIN_AFTER = timedelta(seconds=1)
# A database that restarts comes back; what was sent must not be forgotten meanwhile.
_RECORD_FOR_S = 60.0
# It goes on while a machine sleeps, where the system has such a clock.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class DeliveryRound:
    """What one round did. `left`: still being sent, recorded by their own threads."""

    claimed: int
    sent: int
    retried: int
    dead: int
    cancelled: int
    left: int


class _Clock:
    """The caller's present, moving on with the round."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._started = time.clock_gettime(_STEADY)

    def __call__(self) -> datetime:
        return self._now + timedelta(seconds=self.elapsed_s)

    @property
    def elapsed_s(self) -> float:
        return time.clock_gettime(_STEADY) - self._started


class _Slots:
    """The senders at work in this process, those included that a round has left."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._busy: Counter[int] = Counter()

    def free(self) -> dict[int, int]:
        with self._lock:
            return {
                int(lane): max(0, count - self._busy[lane])
                for lane, count in SLOTS.items()
            }

    def take(self, lane: int) -> None:
        with self._lock:
            self._busy[lane] += 1

    def give_back(self, lane: int) -> None:
        with self._lock:
            self._busy[lane] -= 1
            self._lock.notify_all()

    def wait_until_idle(self, timeout_s: float) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: not self._busy.total(), timeout_s)


_slots = _Slots()
_is_stopping = threading.Event()


class _Job:
    """A letter in its own thread. Whoever sees it finish records it, once."""

    def __init__(
        self, letter: Letter, clock: _Clock, finished: SimpleQueue[_Job]
    ) -> None:
        self.letter = letter
        self.result: Try | None = None
        self._clock = clock
        self._finished = finished
        self._lock = threading.Lock()
        self._is_left = False
        self._language = get_language()

    def start(self) -> None:
        _slots.take(self.letter.claim.lane)
        threading.Thread(target=self._run, daemon=True).start()

    def leave(self) -> bool:
        """Let the thread record for itself; False when it has finished already."""
        with self._lock:
            self._is_left = self.result is None
            return self._is_left

    def _run(self) -> None:
        with override(self._language):
            result = send(letter=self.letter, clock=self._clock)
            with self._lock:
                self.result = result
            self._finished.put(self)
            try:
                if self._is_left:
                    self._record(result)
            finally:
                _slots.give_back(self.letter.claim.lane)

    def _record(self, result: Try) -> None:
        try:
            _record_surely(self.letter.claim, result, self._clock)
        except Error:
            # Its lease will end, and it is sent again.
            logger.exception(
                "notification %s not recorded", self.letter.claim.notification_id
            )
        finally:
            connections.close_all()


class _Round:
    """The bookkeeping of one call of `deliver_due`."""

    def __init__(self, now: datetime) -> None:
        self.clock = _Clock(now)
        self.claimed = 0
        self.left = 0
        self.endings: Counter[str | None] = Counter()
        self.in_flight: set[_Job] = set()
        self._finished: SimpleQueue[_Job] = SimpleQueue()

    def start(self, claim: Claim) -> None:
        """Look again whether it is wanted, then send it in a thread."""
        self.claimed += 1
        try:
            prepared = prepare(claim=claim, now=self.clock())
        except OperationalError:
            # A lock or a deadlock, not the row: it has not been on its way.
            logger.exception(
                "notification %s is looked at again", claim.notification_id
            )
            with suppress(Error):
                postpone(claim=claim, until=self.clock() + _LOOK_AGAIN_AFTER)
            return
        except Exception:
            # The lease is its back-off; the others go on.
            logger.exception("notification %s can't be read", claim.notification_id)
            return
        if not isinstance(prepared, Letter):
            self.endings[prepared] += 1
            return
        job = _Job(prepared, self.clock, self._finished)
        self.in_flight.add(job)
        job.start()

    def collect(self, *, wait_s: float) -> bool:
        """Record what has finished, waiting for the first; return whether any had."""
        has_any = False
        while self.in_flight:
            try:
                job = self._finished.get(timeout=0 if has_any else wait_s)
            except Empty:
                break
            has_any = True
            self._record(job)
        return has_any

    def leave(self) -> None:
        """Hand what is still being sent to its threads, and record the rest."""
        left = {job for job in self.in_flight if job.leave()}
        self.left = len(left)
        for job in self.in_flight - left:
            self._record(job)

    def _record(self, job: _Job) -> None:
        self.in_flight.discard(job)
        assert job.result is not None  # noqa: S101 finished jobs have one
        ending = _record_surely(job.letter.claim, job.result, self.clock)
        self.endings[ending] += 1

    def summary(self) -> DeliveryRound:
        """Count what became of everything claimed."""
        return DeliveryRound(
            claimed=self.claimed,
            sent=self.endings[Notification.Status.SENT],
            retried=self.endings[Notification.Status.QUEUED],
            dead=self.endings[Notification.Status.DEAD],
            cancelled=self.endings[Notification.Status.CANCELLED],
            left=self.left,
        )


def deliver_due(*, now: datetime, limit: int = 1000) -> DeliveryRound:
    """Send what is due, at most `limit` messages, until nothing is due any more.

    Returns after 20 s of claiming at the latest. Slow receivers are waited for as long
    as there is other work and 3 s more; then their threads record for themselves.
    """
    work = _Round(now)
    last_news_s = 0.0
    try:
        while True:
            claims = []
            is_open = work.clock.elapsed_s < _CLAIM_FOR_S and not _is_stopping.is_set()
            if work.claimed < limit and is_open:
                claims = claim_due(
                    now=work.clock(),
                    free_slots=_slots.free(),
                    at_most=limit - work.claimed,
                )
            for claim in claims:
                work.start(claim)
            has_news = work.collect(wait_s=0 if claims else _POLL_S)
            if claims or has_news:
                last_news_s = work.clock.elapsed_s
            waited_s = work.clock.elapsed_s - last_news_s
            if not (claims or has_news) and (
                not work.in_flight or waited_s > _PATIENCE_S
            ):
                break
    finally:
        work.leave()
    return work.summary()


def stop() -> None:
    """Take nothing more out of the outbox in this process, which is about to end."""
    _is_stopping.set()


def wait_for_senders(*, timeout_s: float) -> bool:
    """Let those finish and record that rounds have left; return whether all have.

    What is cut off in the middle of it may have arrived, and is sent again.
    """
    return _slots.wait_until_idle(timeout_s)


def deliver_one(*, notification: Notification, now: datetime) -> Notification:
    """Send one notification now, in this thread, and return it as it is afterwards.

    Does nothing when it has ended or is being sent already.
    """
    clock = _Clock(now)
    for _provider in range(_MOST_PROVIDERS):
        claim = claim_one(notification_id=notification.pk, now=clock())
        if claim is None:
            break
        prepared = prepare(claim=claim, now=clock())
        if isinstance(prepared, Letter):
            _record_surely(claim, send(letter=prepared, clock=clock), clock)
        is_due = Notification.objects.filter(
            pk=notification.pk,
            status=Notification.Status.QUEUED,
            next_attempt_at__lte=clock(),
        )
        if not is_due.exists():
            break
    return Notification.objects.get(pk=notification.pk)


def try_provider(
    *,
    provider: Provider,
    address: Address,
    method: str,
    now: datetime,
    requested_by: User,
) -> Notification:
    """Send a test through a provider now and return it as it is afterwards.

    `method` is sms or voice. Raises services.UnableToEnqueue when the provider can't.
    """
    test = send_provider_test(
        provider=provider,
        address=address,
        method=method,
        now=now,
        requested_by=requested_by,
    )
    return deliver_one(notification=test, now=now)


def try_channel(*, channel: Channel, now: datetime, requested_by: User) -> Notification:
    """Send a test message through a channel now and return it as it is afterwards.

    Raises services.UnableToEnqueue when the channel isn't configured.
    """
    test = send_test(channel=channel, now=now, requested_by=requested_by)
    return deliver_one(notification=test, now=now)


def try_address(
    *, address: Address, method: str, now: datetime, requested_by: User
) -> Notification:
    """Send a test message to somebody now and return it as it is afterwards.

    Raises services.UnableToEnqueue when nothing may or can be sent there.
    """
    test = send_test(address=address, method=method, now=now, requested_by=requested_by)
    return deliver_one(notification=test, now=now)


def _record_surely(
    claim: Claim, result: Try, clock: Callable[[], datetime]
) -> Notification.Status | None:
    """Record, through a restart of the database if need be; raises django.db.Error."""
    until = time.monotonic() + _RECORD_FOR_S
    while True:
        try:
            ending = record(claim=claim, result=result, now=clock())
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() > until:
                raise
            logger.exception("notification %s not recorded", claim.notification_id)
            connection.close()
            time.sleep(1)
        else:
            if ending == Notification.Status.DEAD:
                logger.error(
                    "notification %s given up: %s", claim.notification_id, result.detail
                )
            return ending

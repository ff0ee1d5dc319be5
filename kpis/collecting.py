"""Reads what is due, one source beside the other, one KPI of a source after the other.

Each source has a thread of its own while it is read, so one that hangs or fails stops
nobody else. Nothing is read inside a transaction. A process that dies leaves a lease
that ends, and KPIs that are due again by then.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import QuerySet

from kpis import alarms, asking, buckets, leasing, pacing, storing, versions
from kpis.buckets import Bucket, Shape
from kpis.leasing import SLACK_S, Lease
from kpis.models import DataSource, Kpi, KpiPoint, KpiRun, KpiState, KpiVersion
from kpis.readers import Clock, Readers, clock_from
from kpis.reading import Question, Reading, UnableToRead
from kpis.sources import checking, registry
from kpis.storing import Answers

logger = logging.getLogger(__name__)

# Sources that one process reads at once.
readers = Readers(at_most=16)
# After we were away, a run reads so many missed periods at most; a backfill the rest.
MAX_CATCH_UP = 50
# How long somebody's own run waits for others to be done with the source.
PATIENCE_S = 5.0
_POLL_S = 0.1

_ENSURE = """
INSERT INTO kpis_kpistate
    (kpi_id, next_run_at, failure_count, last_reason, last_message, has_alerted)
SELECT id, %s, 0, '', '', false FROM kpis_kpi
 WHERE id NOT IN (SELECT kpi_id FROM kpis_kpistate)
ON CONFLICT DO NOTHING
"""


class SourceBusy(Exception):
    """Somebody else is reading the source; try again in a moment."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One time that a KPI is read, and why."""

    kpi: Kpi
    version: KpiVersion
    trigger: str
    started_at: datetime
    user: User | None

    @property
    def shape(self) -> Shape:
        return versions.shape_of(self.version)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a run asks. `cut`: the period before, as far as the present one has come."""

    question: Question
    asked: tuple[Bucket, ...]
    cut: Bucket | None = None

    @property
    def wanted(self) -> list[Bucket]:
        """The periods that get a value."""
        return [one for one in self.asked if one is not self.cut]

    @property
    def parameters(self) -> dict[str, str]:
        """What the run log says of it."""
        return {
            "start": min(one.looks_from for one in self.wanted).isoformat(),
            "end": max(one.end for one in self.wanted).isoformat(),
            "time_zone": self.question.time_zone,
        }


def collect_due(*, now: datetime) -> list[threading.Thread]:
    """Start a reader for each free source with KPIs that are due; don't wait for them."""
    prepare(now=now)
    at_most = readers.free
    leases = leasing.take_due(now=now, at_most=at_most) if at_most else []
    return [
        readers.start(functools.partial(collect_source, lease=lease, now=now))
        for lease in leases
    ]


def collect_here(*, now: datetime) -> int:
    """Read all that is due in this thread, for tests and the demo; return how many."""
    prepare(now=now)
    return sum(
        collect_source(lease=lease, now=now)
        for lease in leasing.take_due(now=now, at_most=1000)
    )


def prepare(*, now: datetime) -> None:
    """Do what no source is asked for: states of what is new, ends of what is over."""
    leasing.ensure_states()
    with connection.cursor() as cursor:
        cursor.execute(_ENSURE, [now])
    storing.settle_entered(now=now)
    alarms.end_orphans(now=now)


def collect_source(*, lease: Lease, now: datetime) -> int:
    """Read the KPIs of a source that are due, then let it go; return how many."""
    clock, count = clock_from(now), 0
    try:
        while not readers.is_stopping:
            kpi = _next_due(lease.source_id, clock())
            if kpi is None or not _hold(lease, kpi, clock()):
                break
            try:
                _collect(kpi, lease, clock, KpiRun.Trigger.SCHEDULE)
            except Exception:
                # Already put off by `_hold`; the others of the source go on.
                logger.exception("KPI %s could not be collected", kpi.slug)
            count += 1
    finally:
        lease.release()
    return count


def run_now(*, kpi_id: int, user: User, now: datetime) -> KpiRun:
    """Collect one KPI for somebody who waits for it.

    Call it outside a transaction. Raises Kpi.DoesNotExist, and SourceBusy when others
    read the source for longer than a few seconds.
    """
    prepare(now=now)
    kpi = _kpis().get(pk=kpi_id)
    clock = clock_from(now)
    lease = take_patiently(source_id=kpi.source_id, clock=clock)
    try:
        is_held = _hold(lease, kpi, clock())
        run = (
            _collect(kpi, lease, clock, KpiRun.Trigger.HAND, user) if is_held else None
        )
    finally:
        lease.release()
    if run is None:
        raise SourceBusy
    return run


def take_patiently(*, source_id: int, clock: Clock) -> Lease:
    """Take a source for somebody who waits a little; raises SourceBusy."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        lease = leasing.take(source_id=source_id, now=clock())
        if lease is not None:
            return lease
        if time.monotonic() > give_up_at:
            raise SourceBusy
        time.sleep(_POLL_S)


def read(*, question: Question, asked: Sequence[Bucket], now: datetime) -> Answers:
    """Ask for some periods; when the source itself fails, the asking ends.

    Each further period would only wait as long for the same refusal.
    """
    answers = Answers()
    given = registry.read(question, asked, now=now)
    with closing(given):
        for bucket, answer in zip(asked, given, strict=True):
            if isinstance(answer, Reading):
                answers.read.append((bucket, answer))
                continue
            answers.missed.append((bucket, answer))
            if not answer.has_answered:
                break
    return answers


def wake(*, kpi_ids: Sequence[int], now: datetime) -> None:
    """Let KPIs be due at once: their definition or their source was edited."""
    KpiState.objects.filter(kpi_id__in=kpi_ids).update(next_run_at=now)


def _kpis() -> QuerySet[Kpi]:
    return Kpi.objects.select_related("source", "service").defer("source__secret")


def _next_due(source_id: int, now: datetime) -> Kpi | None:
    return (
        _kpis()
        .filter(is_enabled=True, source_id=source_id, state__next_run_at__lte=now)
        .order_by("state__next_run_at", "pk")
        .first()
    )


def _hold(lease: Lease, kpi: Kpi, now: datetime) -> bool:
    """Keep the source for one more KPI, and put that off until the lease ends.

    Should reading it kill the process, the others of its source come first next time.
    """
    until = _lease_end(kpi, kpi.recompute_count + 2, now)
    with transaction.atomic():
        if not lease.prolong(until=until):
            return False
        KpiState.objects.filter(kpi=kpi).update(next_run_at=until)
    return True


def _lease_end(kpi: Kpi, question_count: int, now: datetime) -> datetime:
    """Return when so many questions must be answered, or have run into their timeout."""
    return now + timedelta(seconds=kpi.source.timeout_s * question_count + SLACK_S)


def _collect(
    kpi: Kpi, lease: Lease, clock: Clock, trigger: str, user: User | None = None
) -> KpiRun | None:
    """Read one KPI and write down what came of it; None when the lease doesn't hold."""
    started_at = clock()
    version = versions.current(kpi, now=started_at, user=user)
    if version.calculation["source"] != kpi.source_id:
        # Edited meanwhile: it is another source's now, and read from there.
        return None
    run, answers, plan = _Run(kpi, version, trigger, started_at, user), Answers(), None
    try:
        plan = _plan(run)
        lease.prolong(until=_lease_end(kpi, len(plan.asked), clock()))
        answers = read(question=plan.question, asked=plan.asked, now=started_at)
    except UnableToRead as error:
        answers.missed.append((buckets.at(run.shape, started_at), error))
    return _store(run, lease, plan, answers, clock())


def _plan(run: _Run) -> _Plan:
    """Return what to ask; raises UnableToRead when the source may not be asked."""
    source = DataSource.objects.get(pk=run.kpi.source_id)
    checking.demand_safe(source=source, now=run.started_at)
    question = asking.question_for(source=source, calculation=run.version.calculation)
    shape, now = run.shape, run.started_at
    current = buckets.at(shape, now)
    if not asking.can_look_back(source.kind):
        return _Plan(question, (current,))
    # What managers look at first is read first.
    asked = (current, *reversed(_past(run, current)))
    cut = buckets.as_far_as(
        shape, buckets.previous(shape, current), other=current, moment=now
    )
    if cut.end == cut.start:
        return _Plan(question, asked)
    return _Plan(question, (*asked, cut), cut)


def _past(run: _Run, current: Bucket) -> list[Bucket]:
    """Return the periods before the present one to read again, or at last.

    Again: the newest ones. At last: those after the last complete one that are complete
    by now, or of which nothing is known.
    """
    kpi, shape = run.kpi, run.shape
    newest = buckets.previous(shape, current, kpi.recompute_count).start
    again = buckets.between(shape, newest, current.start)
    known = KpiPoint.objects.filter(version=run.version).order_by("start")
    last = known.filter(is_complete=True).values_list("end", flat=True).last()
    since = last or known.values_list("start", flat=True).first()
    if since is None:
        return again
    lateness = timedelta(seconds=kpi.lateness_s)
    waiting = set(known.filter(start__gte=since).values_list("start", flat=True))
    owed = [
        one
        for one in buckets.between(shape, since, current.start)
        if one.start not in waiting
        or buckets.is_complete(one, run.started_at, lateness)
    ]
    chosen = {*again, *owed[-MAX_CATCH_UP:]}
    return sorted(chosen, key=lambda one: one.start)


def _store(
    run: _Run, lease: Lease, plan: _Plan | None, answers: Answers, now: datetime
) -> KpiRun | None:
    kpi, version = run.kpi, run.version
    points = storing.new_points(
        answers=answers,
        asked_at=run.started_at,
        lateness=timedelta(seconds=kpi.lateness_s),
        cut=plan.cut if plan else None,
    )
    with transaction.atomic():
        if not lease.holds():
            logger.warning("KPI %s: somebody else took its source", kpi.slug)
            return None
        row = storing.store_run(
            kpi=kpi,
            version=version,
            trigger=run.trigger,
            answers=answers,
            point_count=len(points),
            sql_sha256=asking.sql_sha256(version.calculation),
            parameters=plan.parameters if plan else {},
            started_at=run.started_at,
            finished_at=now,
            user=run.user,
        )
        storing.store_points(version=version, points=points, at=run.started_at, run=row)
        if not asking.can_look_back(kpi.source.kind):
            storing.settle_snapshots(kpi=kpi, version=version, now=now)
        storing.record_series(
            kpi=kpi,
            values=[(one.bucket.end, one.value) for one in points if one.is_complete],
            now=now,
        )
        storing.note_source(source_id=kpi.source_id, answers=answers, now=now)
        _note_state(kpi, answers, now)
    return row


def _note_state(kpi: Kpi, answers: Answers, now: datetime) -> None:
    """Move the KPI on: its next time, its failures, the alert about them."""
    state = KpiState.objects.select_for_update(no_key=True).get(kpi=kpi)
    reason, failure = answers.reason, answers.failure
    state.last_reason = str(reason.reason) if reason else ""
    state.last_message = reason.message[: storing.MAX_MESSAGE] if reason else ""
    if answers.read and failure is None:
        state.last_ok_at = now
    if failure is None:
        state.failure_count, state.failing_since = 0, None
        state.next_run_at = pacing.next_slot(
            interval_s=kpi.interval_s, key=kpi.pk, after=now
        )
    else:
        state.failure_count += 1
        state.failing_since = state.failing_since or now
        state.next_run_at = pacing.after_failure(
            interval_s=kpi.interval_s,
            key=kpi.pk,
            failure_count=state.failure_count,
            is_temporary=failure.is_temporary,
            now=now,
        )
    alarms.follow(kpi=kpi, state=state, failure=failure, now=now)
    state.save()

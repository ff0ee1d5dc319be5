"""Reads past periods, oldest first, a batch at a time.

Each batch is stored with how far it came, so whatever is killed goes on where it was.
Between two batches the source is free for what is due now, which goes first.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import pgettext

from kpis import asking, buckets, collecting, leasing, storing, versions
from kpis.leasing import SLACK_S, Lease
from kpis.models import Backfill, DataSource, KpiRun
from kpis.readers import Clock, Readers, clock_from
from kpis.reading import Question, Reason, UnableToRead
from kpis.sources import checking
from kpis.storing import Answers
from t4g_portal.lib.retelling import source_language

logger = logging.getLogger(__name__)

# Sources whose past one process reads at once.
readers = Readers(at_most=4)
# Periods of one batch: one connection, one transaction of ours.
BATCH = 100
# A turn ends after this, so that others get the source.
TURN_S = 10.0
# So many times in a row a batch may fail for a reason that passes, and it stops.
MAX_TRIES = 20

Status = Backfill.Status


def advance_due(*, now: datetime) -> list[threading.Thread]:
    """Start a reader for each free source whose past is asked for; don't wait for them."""
    leasing.ensure_states()
    at_most = readers.free
    leases = leasing.take_backfilled(now=now, at_most=at_most) if at_most else []
    return [
        readers.start(functools.partial(advance_source, lease=lease, now=now))
        for lease in leases
    ]


def advance_here(*, now: datetime) -> int:
    """Take one turn for each source in this thread; return how many values were read."""
    leasing.ensure_states()
    return sum(
        advance_source(lease=lease, now=now)
        for lease in leasing.take_backfilled(now=now, at_most=1000)
    )


def advance_source(*, lease: Lease, now: datetime) -> int:
    """Read batches of a source's backfills for a while; return how many values."""
    clock, end_at, count = clock_from(now), time.monotonic() + TURN_S, 0
    try:
        while not readers.is_stopping and time.monotonic() < end_at:
            backfill = _next(lease.source_id)
            if backfill is None:
                break
            try:
                read = _advance(backfill, lease, clock)
            except Exception:
                logger.exception("backfill %s could not go on", backfill.pk)
                _stumble(backfill, clock())
                break
            if read is None:
                break
            count += read
    finally:
        lease.release()
    return count


def _next(source_id: int) -> Backfill | None:
    return (
        Backfill.objects.filter(kpi__source_id=source_id, status__in=Backfill.ACTIVE)
        .select_related("kpi__source", "version", "requested_by")
        .defer("kpi__source__secret")
        .order_by("pk")
        .first()
    )


def _advance(backfill: Backfill, lease: Lease, clock: Clock) -> int | None:
    """Read one batch; None when the turn is over for this source."""
    started_at = clock()
    kpi, version = backfill.kpi, backfill.version
    if versions.current(kpi, now=started_at) != version:
        _end(backfill, Status.FAILED, clock(), message=_changed())
        return 0
    shape = versions.shape_of(version)
    batch: list[buckets.Bucket] = []
    moment = backfill.next_start
    while moment < backfill.until and len(batch) < BATCH:
        batch.append(buckets.at(shape, moment))
        moment = batch[-1].end
    if not batch:
        _end(backfill, Status.DONE, clock())
        return 0
    answers = Answers()
    until = started_at + timedelta(seconds=SLACK_S + kpi.source.timeout_s * len(batch))
    if not lease.prolong(until=until):
        return None
    try:
        question = _question(backfill, started_at)
        answers = collecting.read(question=question, asked=batch, now=started_at)
    except UnableToRead as error:
        answers.missed.append((batch[0], error))
    return _store(backfill, lease, batch, answers, started_at, clock())


def _question(backfill: Backfill, now: datetime) -> Question:
    source = DataSource.objects.get(pk=backfill.kpi.source_id)
    checking.demand_safe(source=source, now=now)
    return asking.question_for(source=source, calculation=backfill.version.calculation)


def _store(
    backfill: Backfill,
    lease: Lease,
    batch: list[buckets.Bucket],
    answers: Answers,
    started_at: datetime,
    now: datetime,
) -> int | None:
    kpi, version = backfill.kpi, backfill.version
    points = storing.new_points(
        answers=answers,
        asked_at=started_at,
        lateness=timedelta(seconds=kpi.lateness_s),
    )
    failure = answers.failure
    stopped = failure is not None and not failure.has_answered
    done_count = len(answers.read) + len(answers.missed) - (1 if stopped else 0)
    with transaction.atomic():
        if not lease.holds():
            return None
        row = Backfill.objects.select_for_update(no_key=True).get(pk=backfill.pk)
        run = storing.store_run(
            kpi=kpi,
            version=version,
            trigger=KpiRun.Trigger.BACKFILL,
            answers=answers,
            point_count=len(points),
            sql_sha256=asking.sql_sha256(version.calculation),
            parameters={
                "start": batch[0].looks_from.isoformat(),
                "end": batch[-1].end.isoformat(),
                "time_zone": version.calculation["time_zone"],
            },
            started_at=started_at,
            finished_at=now,
            user=backfill.requested_by,
        )
        storing.store_points(version=version, points=points, at=started_at, run=run)
        storing.note_source(source_id=kpi.source_id, answers=answers, now=now)
        row.done_count += done_count
        if done_count:
            row.next_start = batch[done_count - 1].end
            row.try_count = 0
        # Cancelled while we read? What was read is good all the same.
        if row.is_active:
            _move_on(row, failure if stopped else None, now)
        row.save()
    return None if stopped else len(points)


def _stumble(backfill: Backfill, now: datetime) -> None:
    """Count a mistake of our own as a failed try, so that none is repeated for ever."""
    with source_language():
        mistake = UnableToRead(
            Reason.INTERNAL,
            pgettext("stored", "The portal itself made a mistake; its log says which"),
        )
    with transaction.atomic():
        row = Backfill.objects.select_for_update(no_key=True).get(pk=backfill.pk)
        if row.is_active:
            _move_on(row, mistake, now)
            row.save()


def _move_on(row: Backfill, failure: UnableToRead | None, now: datetime) -> None:
    row.status, row.message = Status.RUNNING, ""
    if failure is not None:
        row.try_count += 1
        row.message = failure.message[: storing.MAX_MESSAGE]
        if failure.is_temporary and row.try_count < MAX_TRIES:
            return
        row.status, row.finished_at = Status.FAILED, now
    elif row.next_start >= row.until:
        row.status, row.finished_at = Status.DONE, now


def _end(backfill: Backfill, status: str, now: datetime, *, message: str = "") -> None:
    Backfill.objects.filter(pk=backfill.pk, status__in=Backfill.ACTIVE).update(
        status=status, message=message, finished_at=now
    )


def _changed() -> str:
    with source_language():
        return pgettext(
            "stored", "The KPI is computed in another way by now. Start it again."
        )

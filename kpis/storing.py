"""Writes what was read: points, the run, how the KPI and its source stand.

One transaction a run. A value that is read again replaces the one before; one that could
not be read leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F

from incidents import people
from kpis import buckets
from kpis.buckets import LONGEST_S, Bucket
from kpis.models import DataSourceState, Kpi, KpiPoint, KpiRun, KpiVersion
from kpis.reading import Reading, Reason, UnableToRead
from kpis.sources import registry
from monitors import series

# Nothing is wrong: the period simply has no value.
NO_VALUE = frozenset((Reason.NULL, Reason.NO_ROWS, Reason.NO_DATA))
# Something came back that holds no number: the value is unknown, the source works.
_NO_NUMBER = frozenset((Reason.BAD_ANSWER, Reason.TOO_BIG, Reason.TOO_DEEP))
SOURCE = "kpis"
MAX_MESSAGE = 1000


@dataclass(slots=True)
class Answers:
    """What came back for the periods that were asked for, in their order."""

    read: list[tuple[Bucket, Reading]] = field(default_factory=list)
    missed: list[tuple[Bucket, UnableToRead]] = field(default_factory=list)

    @property
    def failure(self) -> UnableToRead | None:
        """What went wrong, apart from periods without a value.

        What ended the asking comes before a period whose value is no number.
        """
        wrong = [error for _, error in self.missed if error.reason not in NO_VALUE]
        ending = (error for error in wrong if not error.has_answered)
        return next(ending, wrong[0] if wrong else None)

    @property
    def reason(self) -> UnableToRead | None:
        """Why the run brought less than it should; None when it brought a value."""
        if self.failure is not None:
            return self.failure
        return self.missed[-1][1] if self.missed and not self.read else None

    @property
    def outcome(self) -> str:
        """How the run ended."""
        error = self.reason
        if error is None:
            return KpiRun.Outcome.OK
        has_answered = error.has_answered or error.reason in _NO_NUMBER
        return KpiRun.Outcome.UNKNOWN if has_answered else KpiRun.Outcome.FAILED

    @property
    def sample(self) -> Any:
        """The newest whole answer of an HTTP source; None when there is none."""
        samples = (one.sample for _, one in reversed(self.read) if one.sample)
        return next(samples, None)


@dataclass(frozen=True, slots=True)
class NewPoint:
    """The value of one period."""

    bucket: Bucket
    value: Decimal
    is_complete: bool
    before_value: Decimal | None = None


def store_run(
    *,
    kpi: Kpi,
    version: KpiVersion | None,
    trigger: str,
    answers: Answers,
    point_count: int,
    sql_sha256: str,
    parameters: dict[str, Any],
    started_at: datetime,
    finished_at: datetime,
    user: User | None = None,
) -> KpiRun:
    """Write down one time that a source was asked."""
    error = answers.reason
    return KpiRun.objects.create(
        kpi=kpi,
        version=version,
        trigger=trigger,
        started_at=started_at,
        finished_at=finished_at,
        outcome=answers.outcome,
        reason=str(error.reason) if error else "",
        message=error.message[:MAX_MESSAGE] if error else "",
        detail=error.detail[:MAX_MESSAGE] if error else "",
        point_count=point_count,
        duration_ms=max(
            0, round((finished_at - started_at) / timedelta(milliseconds=1))
        ),
        sql_sha256=sql_sha256,
        parameters=parameters,
        user=user,
        user_name=people.name(user=user) if user else "",
    )


_UPSERT = """
INSERT INTO kpis_kpipoint
    (kpi_id, version_id, start, "end", value, is_complete, before_value, computed_at,
     run_id, entered_by_id)
SELECT %(kpi)s, %(version)s, new.start, new.until, new.value, new.is_complete,
       new.before_value, %(at)s, %(run)s, %(user)s
  FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[], %(values)s::numeric[],
              %(complete)s::boolean[], %(before)s::numeric[])
       new(start, until, value, is_complete, before_value)
ON CONFLICT (version_id, start) DO UPDATE
   SET "end" = excluded."end", value = excluded.value,
       is_complete = excluded.is_complete, before_value = excluded.before_value,
       computed_at = excluded.computed_at, run_id = excluded.run_id,
       entered_by_id = excluded.entered_by_id
 -- A reader that was slow must not take back what a later one read.
 WHERE kpis_kpipoint.computed_at <= excluded.computed_at
"""


def store_points(
    *,
    version: KpiVersion,
    points: Sequence[NewPoint],
    at: datetime,
    run: KpiRun | None,
    user: User | None = None,
) -> None:
    """Put the values of periods in place of those before, in one statement."""
    if not points:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _UPSERT,
            {
                "kpi": version.kpi_id,
                "version": version.pk,
                "at": at,
                "run": run.pk if run else None,
                "user": user.pk if user else None,
                "starts": [one.bucket.start for one in points],
                "ends": [one.bucket.end for one in points],
                "values": [one.value for one in points],
                "complete": [one.is_complete for one in points],
                "before": [one.before_value for one in points],
            },
        )


def settle_snapshots(*, kpi: Kpi, version: KpiVersion, now: datetime) -> None:
    """Call periods complete whose last reading came close enough to their end.

    For sources that know only the present: the last reading of a period stands for it.
    One that is older than two intervals at the end was followed by silence, and the
    period stays incomplete.
    """
    ended = KpiPoint.objects.filter(
        version=version,
        is_complete=False,
        end__lte=now - timedelta(seconds=kpi.lateness_s),
    )
    close = timedelta(seconds=2 * kpi.interval_s)
    settled = [
        point
        for point in ended.order_by("start")
        if point.computed_at >= point.end - close
    ]
    KpiPoint.objects.filter(pk__in=[point.pk for point in settled]).update(
        is_complete=True, before_value=None
    )
    record_series(
        kpi=kpi, values=[(point.end, point.value) for point in settled], now=now
    )


def settle_entered(*, now: datetime) -> None:
    """Call periods complete that are over and whose value was entered while they ran.

    One query when there is none.
    """
    ended = KpiPoint.objects.filter(
        kpi__source__kind=registry.MANUAL, is_complete=False, end__lte=now
    )
    if not ended.exists():
        return
    with transaction.atomic():
        # Locked, so that nobody enters another value between reading and telling it.
        points = list(
            ended.select_related("kpi").order_by("pk").select_for_update(of=["self"])
        )
        KpiPoint.objects.filter(pk__in=[one.pk for one in points]).update(
            is_complete=True
        )
        for point in points:
            record_series(kpi=point.kpi, values=[(point.end, point.value)], now=now)


def record_series(
    *, kpi: Kpi, values: Iterable[tuple[datetime, Decimal]], now: datetime
) -> None:
    """Hand complete periods to the series `kpi:<slug>`, which thresholds judge.

    A sample stands at the end of its period. What late data or a corrected entry make of
    it takes its place; thresholds judge the newest period again, older ones not.
    """
    series.record_samples(
        samples=[
            series.NewSample(
                name=kpi.series_name,
                value=float(value),
                at=at,
                source=SOURCE,
                unit=kpi.unit,
                interval_s=LONGEST_S[kpi.grain] + kpi.lateness_s,
            )
            for at, value in values
            if at > now - timedelta(days=settings.RESULT_RETENTION_DAYS)
        ],
        now=now,
        corrects=True,
    )


def note_source(*, source_id: int, answers: Answers, now: datetime) -> None:
    """Keep how a source stands: whether it answers, and its last JSON."""
    rows = DataSourceState.objects.filter(source_id=source_id)
    error = answers.failure
    if error is not None and not error.has_answered:
        rows.filter(failing_since=None).update(failing_since=now)
        rows.update(
            failure_count=F("failure_count") + 1,
            last_error=error.message[:MAX_MESSAGE],
        )
        return
    values: dict[str, Any] = {
        "failure_count": 0,
        "failing_since": None,
        "last_error": "",
        "last_ok_at": now,
    }
    if answers.sample is not None:
        values["last_sample"] = answers.sample
    rows.update(**values)


def new_points(
    *,
    answers: Answers,
    asked_at: datetime,
    lateness: timedelta,
    cut: Bucket | None = None,
) -> list[NewPoint]:
    """Return the points of what was read.

    `cut`: the period that was asked for only to compare the present one with.
    """
    before = next((one.value for bucket, one in answers.read if bucket is cut), None)
    return [
        NewPoint(
            bucket=bucket,
            value=one.value,
            is_complete=(done := buckets.is_complete(bucket, asked_at, lateness)),
            before_value=before if bucket.end > asked_at and not done else None,
        )
        for bucket, one in answers.read
        if bucket is not cut
    ]

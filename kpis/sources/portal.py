"""Figures that the portal has itself: uptime, how fast people are, incidents, series.

They come from the same functions as its pages, so that a KPI never says something else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import reduce
from operator import add
from zoneinfo import ZoneInfo

import psycopg
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils.translation import pgettext

from incidents.models import Service
from incidents.numbers.figures import Line, response
from incidents.numbers.period import CUSTOM, Period
from incidents.numbers.scope import Scope
from kpis.reading import Question, Reading, Reason, Span, UnableToRead, number_of
from kpis.sources.measures import Measure, Subject, measure_called, parse_series
from monitors.queries.ledger import service_uptimes_between
from monitors.uptime import Uptime

# Percentages are never rounded up: 99.99999 % isn't all of the time.
_UPTIME_STEP = Decimal("0.0001")
_SERIES = """
SELECT {value}, count(*)
  FROM monitors_sample sample
  JOIN monitors_series series ON series.id = sample.series_id
 WHERE series.name = %(name)s AND series.labels @> %(labels)s::jsonb
   AND sample.at >= %(start)s AND sample.at < %(end)s
"""
_VALUES: Mapping[str, str] = {
    "average": "avg(sample.value)",
    "sum": "sum(sample.value)",
    "p75": "percentile_cont(0.75) WITHIN GROUP (ORDER BY sample.value)",
    "p95": "percentile_cont(0.95) WITHIN GROUP (ORDER BY sample.value)",
    "last": "(array_agg(sample.value ORDER BY sample.at DESC))[1]",
}


def read(
    question: Question, buckets: Sequence[Span], now: datetime
) -> Generator[Reading | UnableToRead, None, None]:
    """Answer for each bucket, up to `now`. On the caller's own database connection."""
    for bucket in buckets:
        started = time.perf_counter()
        try:
            value = _value(question, bucket, now)
        except UnableToRead as exc:
            yield exc
        else:
            yield Reading(value=value, took_ms=(time.perf_counter() - started) * 1000)


def is_service(slug: str) -> bool:
    """Whether a target names a service, or all of them."""
    return not slug or Service.objects.filter(slug=slug).exists()


def _value(question: Question, bucket: Span, now: datetime) -> Decimal:
    measure = measure_called(question.measure)
    start, end = bucket.looks_from, min(bucket.end, now)
    if end <= start:
        raise _no_data(pgettext("stored", "The period hasn't begun"))
    try:
        with transaction.atomic():
            _limit(question.timeout_s)
            if measure.subject is Subject.SERIES:
                _check_kept(start, now)
                return _of_series(question, measure, start, end)
            return _of_service(question, measure, start, end)
    except OperationalError as exc:
        if isinstance(exc.__cause__, psycopg.errors.QueryCanceled):
            raise UnableToRead(
                Reason.TIMEOUT,
                pgettext("stored", "No answer within %(timeout)s s")
                % {"timeout": f"{question.timeout_s:g}"},
            ) from exc
        raise


def _limit(timeout_s: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true)",
            [str(max(int(timeout_s * 1000), 1))],
        )


def _of_service(
    question: Question, measure: Measure, start: datetime, end: datetime
) -> Decimal:
    service_ids = _service_ids(question.measure_target)
    if question.measure == "uptime_percent":
        return _uptime_percent(service_ids, start, end)
    service_id = service_ids[0] if question.measure_target else None
    line = _line(service_id, measure.priority, start, end)
    if question.measure == "mtta_s":
        return _seconds(
            line.to_acknowledge.mean_s,
            pgettext("stored", "Nobody acknowledged an incident of this period"),
        )
    if question.measure == "mttr_s":
        return _seconds(
            line.to_resolve.mean_s,
            pgettext("stored", "No incident of this period was resolved"),
        )
    # None happened: that is known, and zero.
    return number_of(line.incident_count)


def _service_ids(slug: str) -> list[int]:
    rows = Service.objects.order_by("pk")
    if slug:
        rows = rows.filter(slug=slug)
    found = list(rows.values_list("pk", flat=True))
    if slug and not found:
        raise UnableToRead(
            Reason.MISCONFIGURED,
            pgettext("stored", "There is no service called %(slug)s") % {"slug": slug},
        )
    return found


def _uptime_percent(
    service_ids: Sequence[int], start: datetime, end: datetime
) -> Decimal:
    """Return the share of the observed time that was up, of all services together."""
    by_service = service_uptimes_between(
        service_ids=service_ids, periods={"": (start, end)}, now=end
    )
    whole = reduce(
        add, (uptimes[""] for uptimes in by_service.values()), Uptime(total_s=0)
    )
    if whole.observed_s <= 0:
        raise _no_data(pgettext("stored", "Nothing was observed in this period"))
    up_s = Decimal(repr(whole.up_s + whole.degraded_s))
    percent = up_s * 100 / Decimal(repr(whole.observed_s))
    return number_of(percent.quantize(_UPTIME_STEP, rounding=ROUND_DOWN))


def _line(
    service_id: int | None, priority: str, start: datetime, end: datetime
) -> Line:
    """Measure the incidents opened in a period, as the page of numbers does."""
    zone = ZoneInfo(settings.TIME_ZONE)
    since, until = start.astimezone(zone), end.astimezone(zone)
    period = Period(
        key=CUSTOM,
        first=since.date(),
        last=(until - timedelta(microseconds=1)).date(),
        since=since,
        until=until,
    )
    scope = Scope(period=period, service_id=service_id, priority=priority)
    return response(scope=scope, zones=(), now=end).whole


def _seconds(mean_s: float | None, otherwise: str) -> Decimal:
    if mean_s is None:
        raise _no_data(otherwise)
    return number_of(float(mean_s))


def _check_kept(start: datetime, now: datetime) -> None:
    """Refuse a period of which a part is deleted already: the rest isn't the figure."""
    days = settings.RESULT_RETENTION_DAYS
    if start < now - timedelta(days=days):
        raise _no_data(
            pgettext("stored", "Values of a series are kept for %(count)d days only")
            % {"count": days}
        )


def _of_series(
    question: Question, measure: Measure, start: datetime, end: datetime
) -> Decimal:
    target = parse_series(question.measure_target)
    with connection.cursor() as cursor:
        cursor.execute(
            _SERIES.format(value=_VALUES[measure.how]),
            {
                "name": target.name,
                "labels": json.dumps(dict(target.labels)),
                "start": start,
                "end": end,
            },
        )
        value, count = cursor.fetchone()
    if not count:
        raise _no_data(pgettext("stored", "The series has no value in this period"))
    return number_of(value)


def _no_data(message: str) -> UnableToRead:
    return UnableToRead(Reason.NO_DATA, message)

"""MTTA, MTTR and objectives: the statement against plain Python."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from incidents.models import Incident
from incidents.numbers import period as periods
from incidents.numbers.figures import Line, Objectives, Spread, response
from incidents.numbers.scope import Scope
from t4g_portal.lib.working_time import is_in_hours
from tests.factories import make_service
from tests.incidents.numbers.making import MINUTE, incident, random_incidents

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 10, 14, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def scope(key="90d", **values):
    return Scope(period=periods.last_days(key=key, now=NOW), **values)


def measure(scope, services, now=NOW):
    zones = [(service.pk, service.time_zone) for service in services]
    return response(scope=scope, zones=zones, now=now)


# --- The same in plain Python ------------------------------------------------------


def naive(rows: list[Incident]) -> Line:
    acknowledged = [row for row in rows if row.first_acknowledged_at]
    resolved = [row for row in rows if row.resolved_at]
    by_itself = [row for row in resolved if not row.is_resolved_by_person]
    return Line(
        incident_count=len(rows),
        to_acknowledge=naive_spread(
            since_opening(row, row.first_acknowledged_at) for row in acknowledged
        ),
        never_count=sum(not row.first_acknowledged_at for row in resolved),
        waiting_count=sum(
            not row.first_acknowledged_at and not row.resolved_at for row in rows
        ),
        to_resolve=naive_spread(
            since_opening(row, row.resolved_at) for row in resolved
        ),
        brief_count=sum(
            since_opening(row, row.resolved_at) < 5 * MINUTE for row in by_itself
        ),
        objectives=naive_objectives(rows),
    )


def since_opening(row: Incident, end: datetime | None) -> timedelta:
    assert end is not None
    return end - row.opened_at


def naive_spread(lengths) -> Spread:
    values = sorted(length.total_seconds() for length in lengths)
    if not values:
        return Spread()
    return Spread(
        count=len(values),
        mean_s=statistics.mean(values),
        median_s=statistics.median(values),
        p90_s=percentile(values, 0.9),
        max_s=values[-1],
    )


def percentile(values: list[float], share: float) -> float:
    place = share * (len(values) - 1)
    below, rest = int(place), place - int(place)
    above = values[min(below + 1, len(values) - 1)]
    return values[below] + (above - values[below]) * rest


def naive_objectives(rows: list[Incident]) -> Objectives:
    counts = {"met": 0, "missed": 0, "over": 0, "pending": 0}
    for row in rows:
        counts[naive_objective(row)] += 1
    return Objectives(*counts.values())


def naive_objective(row: Incident) -> str:
    acknowledged, missed = row.first_acknowledged_at, row.response_missed_at
    if missed and (acknowledged is None or missed < acknowledged):
        return "missed"
    if acknowledged is not None:
        return "met" if acknowledged <= row.response_due_at else "missed"
    if row.resolved_at is not None and row.resolved_at <= row.response_due_at:
        return "over"
    return "pending" if row.response_due_at > NOW else "missed"


def flat_spread(one: Spread) -> list[float | None]:
    return [getattr(one, name) for name in Spread.__slots__]


def same(found: Line, wanted: Line) -> bool:
    def flat(line: Line) -> list[float | None]:
        return [
            line.incident_count,
            line.never_count,
            line.waiting_count,
            line.brief_count,
            *(getattr(line.objectives, name) for name in Objectives.__slots__),
            *flat_spread(line.to_acknowledge),
            *flat_spread(line.to_resolve),
        ]

    return flat(found) == pytest.approx(flat(wanted), abs=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_every_figure_is_what_plain_python_says(seed):
    services = [
        make_service(time_zone=zone)
        for zone in ("Europe/Paris", "America/New_York", "Nowhere/Nothing")
    ]
    asked = scope(
        service_id=services[0].pk if seed % 3 == 1 else None,
        priority="p1" if seed % 4 == 1 else "",
    )
    made = random_incidents(
        seed=seed,
        count=(0, 1, 2, 150)[seed % 4],
        since=NOW - 100 * DAY,
        until=NOW,
        services=services,
    )
    rows = [
        row
        for row in made
        if not row.is_drill
        and row.opened_at >= asked.period.since
        and asked.service_id in (None, row.service_id)
        and asked.priority in ("", row.priority)
    ]

    found = measure(asked, services)

    def at_work(row: Incident) -> bool:
        zone = "America/New_York" if row.service == services[1] else "Europe/Paris"
        return is_in_hours(row.opened_at, zone=ZoneInfo(zone))

    assert same(found.whole, naive(rows))
    assert same(found.in_hours, naive([row for row in rows if at_work(row)]))
    assert same(found.out_of_hours, naive([row for row in rows if not at_work(row)]))
    for one, is_by_person in ((found.by_people, True), (found.by_itself, False)):
        lengths = naive_spread(
            since_opening(row, row.resolved_at)
            for row in rows
            if row.resolved_at and row.is_resolved_by_person == is_by_person
        )
        assert flat_spread(one) == pytest.approx(flat_spread(lengths), abs=1e-4)
    for priority, line in found.by_priority.items():
        assert same(line, naive([row for row in rows if row.priority == priority]))
    for (first, last), line in zip(asked.period.columns, found.columns, strict=True):
        inside = [
            row for row in rows if first <= timezone.localdate(row.opened_at) <= last
        ]
        assert same(line, naive(inside))


# --- What the words mean -------------------------------------------------------------


def test_nothing_is_unknown_and_not_zero():
    found = measure(scope(), [])

    assert found.whole == Line()
    assert found.whole.to_acknowledge.median_s is None
    assert found.whole.coverage is None
    assert found.whole.objectives.ratio is None
    assert set(found.by_priority) == {"p0", "p1", "p2", "p3"}


def test_one_incident_that_nobody_acknowledged_has_no_mtta_but_a_coverage_of_zero():
    service = make_service()
    incident(service=service, opened_at=NOW - DAY, resolved_at=NOW).save()

    whole = measure(scope(), [service]).whole

    assert whole.to_acknowledge == Spread()
    assert (whole.coverage, whole.never_count) == (0, 1)


def test_drills_and_merged_incidents_are_not_counted():
    service = make_service()
    target = incident(service=service, opened_at=NOW - DAY)
    target.save()
    incident(service=service, opened_at=NOW - DAY, is_drill=True).save()
    incident(
        service=service, opened_at=NOW - DAY, resolved_at=NOW, merged_into=target
    ).save()

    assert measure(scope(), [service]).whole.incident_count == 1


def test_a_recorded_miss_stays_one_when_a_lower_priority_gave_more_time():
    service = make_service()
    opened_at = NOW - DAY
    incident(
        service=service,
        opened_at=opened_at,
        response_missed_at=opened_at + 5 * MINUTE,
        first_acknowledged_at=opened_at + 10 * MINUTE,
        response_due_at=opened_at + DAY,
    ).save()

    assert measure(scope(), [service]).whole.objectives == Objectives(missed_count=1)


def test_what_ended_by_itself_before_it_was_due_is_neither_met_nor_missed():
    service = make_service()
    incident(
        service=service, opened_at=NOW - DAY, resolved_at=NOW - DAY + MINUTE
    ).save()

    whole = measure(scope(), [service]).whole

    assert whole.objectives == Objectives(over_count=1)
    assert whole.objectives.ratio is None
    assert whole.brief_count == 1


def test_ends_of_the_period_are_half_open():
    service = make_service()
    period = scope("30d").period
    for opened_at in (
        period.since - timedelta(microseconds=1),
        period.since,
        NOW - timedelta(microseconds=1),
        NOW,
    ):
        incident(service=service, opened_at=opened_at).save()

    found = measure(scope("30d"), [service])

    assert found.whole.incident_count == 2
    assert [line.incident_count for line in found.columns if line.incident_count] == [
        1,
        1,
    ]

"""What is wrong with the next two weeks is told before it wakes nobody up."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from incidents.models import Absence, Alert
from incidents.oncall import warning
from incidents.tasks import remind
from tests.factories import make_contact
from tests.incidents.oncall.making import (
    MONDAY,
    make_override,
    make_schedule,
    reachable,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def ana():
    return reachable(make_contact(name="Ana"))


def alerts(status: str = Alert.Status.FIRING) -> list[Alert]:
    return list(Alert.objects.filter(status=status).order_by("pk"))


def be_away(contact, start, end) -> Absence:
    return Absence.objects.create(contact=contact, starts_at=start, ends_at=end)


def test_a_gap_ahead_is_one_small_alert_that_ends_with_the_gap(ana):
    schedule = make_schedule(ana, name="Backend")
    warning.watch_calendars(now=MONDAY)
    assert alerts() == []

    away = be_away(ana, MONDAY + 3 * DAY, MONDAY + 4 * DAY)
    for minutes in (0, 10, 20):
        warning.watch_calendars(now=MONDAY + timedelta(minutes=minutes))

    (alert,) = alerts()
    assert alert.title == (
        "Nobody is on call for Backend from 2026-01-08 09:00 to 2026-01-09 09:00"
    )
    assert alert.priority == "p3"
    assert alert.source == f"schedule:{schedule.pk}"
    assert alert.incident.service.slug == "portal"
    assert alert.incident.alerts.count() == 1

    away.delete()
    warning.watch_calendars(now=MONDAY + DAY)
    assert alerts() == []
    assert len(alerts(Alert.Status.RESOLVED)) == 1


def test_a_gap_that_has_begun_is_not_told_anew_at_each_look(ana):
    make_schedule(ana, name="Backend")
    be_away(ana, MONDAY, MONDAY + 2 * DAY)

    titles = set()
    for minutes in (5, 15, 25):
        warning.watch_calendars(now=MONDAY + timedelta(minutes=minutes))
        titles |= {one.title for one in alerts()}

    assert titles == {"Nobody is on call for Backend until 2026-01-07 09:00"}


def test_a_gap_beyond_two_weeks_waits(ana):
    make_schedule(ana)
    be_away(ana, MONDAY + 15 * DAY, MONDAY + 16 * DAY)

    warning.watch_calendars(now=MONDAY)
    assert alerts() == []

    warning.watch_calendars(now=MONDAY + 2 * DAY)
    assert len(alerts()) == 1


def test_two_at_once_are_told_where_nobody_is_missing(ana):
    schedule = make_schedule(ana, name="Backend")
    bo, cy = (reachable(make_contact(name=name)) for name in ("Bo", "Cy"))
    make_override(schedule, bo, MONDAY + DAY, 48)
    make_override(schedule, cy, MONDAY + 2 * DAY, 48)

    warning.watch_calendars(now=MONDAY)

    (alert,) = alerts()
    assert alert.title == (
        "Two people are on call for Backend from 2026-01-07 09:00 to 2026-01-08 09:00"
    )


def test_a_schedule_that_nobody_is_planned_in_is_not_in_use():
    make_schedule()

    warning.watch_calendars(now=MONDAY)

    assert alerts() == []


def test_who_is_always_away_is_no_calendar_out_of_use(ana):
    make_schedule(ana)
    be_away(ana, MONDAY - DAY, MONDAY + 60 * DAY)

    warning.watch_calendars(now=MONDAY)

    assert len(alerts()) == 1


def test_many_sound_calendars_cost_a_fixed_number_of_queries(
    ana, django_assert_num_queries
):
    for _ in range(5):
        make_schedule(ana)

    with django_assert_num_queries(7):
        warning.watch_calendars(now=MONDAY)


def test_the_tick_looks(ana):
    make_schedule(ana)
    be_away(ana, MONDAY + DAY, MONDAY + 2 * DAY)

    with time_machine.travel(MONDAY, tick=False):
        remind()

    assert len(alerts()) == 1

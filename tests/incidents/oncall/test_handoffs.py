"""Who comes and who goes are told before."""

from __future__ import annotations

from datetime import time, timedelta

import pytest

from incidents.oncall import handoffs
from notifications.models import Notification
from tests.factories import make_contact
from tests.incidents.oncall.making import (
    MONDAY,
    make_override,
    make_rotation,
    make_schedule,
    reachable,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)


@pytest.fixture(autouse=True)
def _english(settings):
    settings.PORTAL_LANGUAGE = "en"


@pytest.fixture
def people():
    return [reachable(make_contact(name=name)) for name in ("Ana", "Bo")]


def told() -> set[tuple[str, str]]:
    rows = Notification.objects.select_related("address__contact")
    return {(row.address.contact.name, row.message["title"]) for row in rows}  # type: ignore[union-attr]


def test_both_are_told_once_as_long_before_as_the_schedule_says(people):
    make_schedule(*people, handoff_notice_s=3600)

    assert handoffs.tell_due(now=MONDAY + WEEK - 2 * HOUR) == 0
    assert handoffs.tell_due(now=MONDAY + WEEK - HOUR) == 2
    assert handoffs.tell_due(now=MONDAY + WEEK - HOUR / 2) == 0

    assert told() == {
        ("Ana", "Bo takes over from you at 09:00"),
        ("Bo", "You are on call from 09:00"),
    }


def test_nights_between_the_days_of_one_person_are_no_handoff(people):
    schedule = make_schedule(handoff_notice_s=7200)
    make_rotation(schedule, people, only_from=time(9), only_until=time(18))

    for hours in range(24 * 7 - 3):
        handoffs.tell_due(now=MONDAY + hours * HOUR)

    assert told() == set()
    assert handoffs.tell_due(now=MONDAY + WEEK - HOUR) == 2


def test_override_is_a_handoff_there_and_back(people):
    schedule = make_schedule(people[0], handoff_notice_s=86_400)
    make_override(schedule, people[1], MONDAY + 10 * HOUR, 2)

    handoffs.tell_due(now=MONDAY + 9 * HOUR)
    assert told() == {
        ("Bo", "You are on call from 19:00"),
        ("Ana", "You are on call from 21:00"),
        ("Ana", "Bo takes over from you at 19:00"),
        ("Bo", "Ana takes over from you at 21:00"),
    }


def test_zero_tells_nobody(people):
    make_schedule(*people, handoff_notice_s=0)
    assert handoffs.tell_due(now=MONDAY + WEEK - HOUR) == 0

"""Once a day, what was too small to page for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from incidents import digest, services
from incidents.models import EscalationPolicy, EscalationStep, PriorityRule
from notifications.models import Notification
from tests.factories import make_channel, make_user
from tests.incidents.making import make_incident

pytestmark = pytest.mark.django_db

# 08:00 in Paris, winter time.
MORNING = datetime(2026, 11, 27, 7, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def rule() -> PriorityRule:
    policy = EscalationPolicy.objects.create(name="P3")
    step = EscalationStep.objects.create(policy=policy)
    step.channels.set([make_channel(name="Support", language="en")])
    return PriorityRule.objects.create(
        priority="p3", response_s=86_400, is_digest=True, policy=policy
    )


def make_small(at: datetime, **values):
    return make_incident(now=at, priority="p3", title="Odd figures", **values)


def digests() -> list[Notification]:
    return list(Notification.objects.filter(purpose="digest").order_by("pk"))


def test_small_incident_pages_nobody_and_stands_in_the_next_digest():
    make_small(MORNING - 3 * HOUR)
    assert not Notification.objects.exists()

    assert digest.send_due(now=MORNING) == 1

    (row,) = digests()
    assert row.message["title"] == "P3 digest: 1 new, 1 open"
    assert "Odd figures" in row.message["facts"][0][0]
    assert row.lane == Notification.Lane.BULK


def test_nothing_leaves_before_the_morning():
    make_small(MORNING - 3 * HOUR)

    assert digest.send_due(now=MORNING - timedelta(seconds=1)) == 0


def test_digest_is_sent_once_a_day_however_often_it_is_asked_for():
    make_small(MORNING - 3 * HOUR)
    digest.send_due(now=MORNING)
    make_small(MORNING + HOUR)

    assert digest.send_due(now=MORNING + 2 * HOUR) == 0
    assert digest.send_due(now=MORNING + 24 * HOUR) == 1
    assert digests()[1].message["title"] == "P3 digest: 1 new, 2 open"


def test_portal_that_was_away_sends_it_later_that_day():
    make_small(MORNING - 3 * HOUR)

    assert digest.send_due(now=MORNING + 9 * HOUR) == 1


def test_nothing_to_tell_is_not_told():
    old = make_small(MORNING - 30 * HOUR)
    services.resolve_incident(
        incident_id=old.pk,
        user=make_user(),
        via="web",
        now=MORNING - 29 * HOUR,
        even_if_firing=True,
    )

    assert digest.send_due(now=MORNING) == 0


def test_what_was_paged_is_no_matter_of_the_digest():
    make_incident(now=MORNING - HOUR, priority="p0")

    assert digest.send_due(now=MORNING) == 0


@pytest.mark.parametrize(
    ("morning", "hours"),
    [
        # 08:00 in Paris after a night of the clock, and the hours since the one before.
        (datetime(2026, 3, 29, 6, 0, tzinfo=UTC), 23),
        (datetime(2026, 10, 25, 7, 0, tzinfo=UTC), 25),
    ],
)
def test_no_incident_falls_between_two_digests_when_the_clock_changes(morning, hours):
    for ago in range(1, 47, 3):
        make_small(morning - ago * HOUR, grouping_key=str(ago))

    digest.send_due(now=morning - hours * HOUR)
    digest.send_due(now=morning)

    new = [int(row.message["title"].split()[2]) for row in digests()]
    # Each is new in one of them.
    assert sum(new) == 16
    assert new[1] == len(range(1, hours + 1, 3))

"""Each digest leaves once a local day, whatever happens around it."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connections
from django.utils import timezone

from incidents import digest as incidents_digest
from incidents.models import PriorityRule
from kpis.digest import sending
from kpis.digest.gathering import gather, timing_of
from kpis.digest.sending import send_due
from kpis.digest.timing import latest
from kpis.models import DigestDelivery, DigestPlan, KpiState
from notifications.models import Notification
from tests.factories import make_address, make_channel, make_contact, make_policy
from tests.incidents.making import make_incident
from tests.kpis.making import make_kpi, make_point, make_source, make_version

pytestmark = pytest.mark.django_db

PARIS = ZoneInfo("Europe/Paris")
# 09:00 in Paris, a Friday.
MORNING = datetime(2026, 11, 27, 8, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def make_plan(*channels, contacts=(), seen_at=MORNING - DAY, **values) -> DigestPlan:
    """A plan that the tick has seen already."""
    values.setdefault("name", "Morning")
    plan = DigestPlan.objects.create(**values)
    plan.channels.set(channels or [make_channel(language="en")])
    plan.contacts.set(contacts)
    if seen_at is not None:
        send_due(now=seen_at + MINUTE)
    return plan


def digests() -> list[Notification]:
    rows = Notification.objects.filter(purpose=sending.PURPOSE)
    return list(rows.select_related("channel", "address").order_by("pk"))


def test_it_leaves_at_its_time_and_however_often_the_tick_comes_once():
    plan = make_plan()

    assert send_due(now=MORNING - timedelta(seconds=1)) == 0
    assert send_due(now=MORNING) == 1
    assert [send_due(now=MORNING + n * MINUTE) for n in range(60)] == 60 * [0]

    (row,) = digests()
    assert row.lane == Notification.Lane.BULK
    assert row.message["title"] == "KPIs on Fri 27 Nov 2026"
    delivery = DigestDelivery.objects.get()
    assert (delivery.plan, delivery.local_date) == (plan, date(2026, 11, 27))
    assert (delivery.is_late, delivery.message_count) == (False, 1)


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
@pytest.mark.parametrize("at", [time(9), time(2, 30), time(0)])
def test_on_the_days_of_the_clock_each_local_day_has_one(day, at):
    start = datetime.combine(day - DAY, time(12), tzinfo=UTC)
    make_plan(seen_at=start - MINUTE, at=at)

    for minutes in range(0, 3 * 24 * 60, 10):
        send_due(now=start + minutes * MINUTE)

    found = DigestDelivery.objects.order_by("composed_at")
    assert [row.local_date for row in found] == [day, day + DAY, day + 2 * DAY]
    assert len(digests()) == 3
    for row in found[1:]:
        assert row.composed_at.astimezone(PARIS).time() == at
    assert not any(row.is_late for row in found)


def test_a_plan_that_is_new_waits_for_its_next_time():
    make_plan(seen_at=MORNING + 6 * HOUR)

    assert send_due(now=MORNING + 7 * HOUR) == 0
    assert send_due(now=MORNING + DAY) == 1


def test_a_portal_that_was_away_sends_it_late_and_says_so():
    make_plan()

    assert send_due(now=MORNING + 102 * MINUTE) == 1

    assert (
        digests()[0].message["text"].startswith("Sent late: at 10:42 instead of 09:00.")
    )
    assert DigestDelivery.objects.get().is_late


def test_a_portal_that_was_away_for_days_sends_the_last_one_alone():
    make_plan()

    assert send_due(now=MORNING + 3 * DAY + HOUR) == 1
    assert DigestDelivery.objects.get().local_date == date(2026, 11, 30)


def test_the_night_after_nobody_wants_it_any_more():
    make_plan()

    assert send_due(now=MORNING + 16 * HOUR) == 0
    assert send_due(now=MORNING + DAY) == 1
    assert DigestDelivery.objects.get().local_date == date(2026, 11, 28)


def test_a_plan_moved_to_later_sends_no_second_one_that_day():
    plan = make_plan()
    send_due(now=MORNING)
    plan.at = time(10)
    plan.save()

    for minutes in range(1, 180):
        send_due(now=MORNING + minutes * MINUTE)

    assert len(digests()) == 1
    assert send_due(now=MORNING + DAY) == 0
    assert send_due(now=MORNING + DAY + HOUR) == 1


def test_a_plan_switched_on_again_owes_nothing():
    plan = make_plan()
    DigestPlan.objects.update(is_enabled=False)
    assert send_due(now=MORNING + MINUTE) == 0
    plan.is_enabled = True
    plan.save()

    assert send_due(now=MORNING + HOUR) == 0
    assert send_due(now=MORNING + DAY) == 1


def test_everybody_reads_it_in_their_own_language_and_on_their_own_clock():
    french = make_channel(language="fr")
    contact = make_contact(name="Ada", language="en", time_zone="America/New_York")
    make_address(contact=contact, value="ada@example.org")
    make_point(make_kpi(), MORNING - DAY, 5, computed_at=MORNING - HOUR)
    make_plan(french, contacts=[contact])

    assert send_due(now=MORNING) == 2

    to_channel, to_person = digests()
    assert to_channel.channel == french
    assert to_channel.message["language"] == "fr"
    assert "09:00" in to_channel.message["text"]
    assert to_person.receiver == "Ada (ada@example.org)"
    assert to_person.message["language"] == "en"
    assert "No incident since 26 Nov, 03:00." in to_person.message["text"]
    # No word of the one language gets into the other.
    assert "jeudi 26 nov." in str(to_channel.message["sections"])
    assert "Thu 26 Nov" in str(to_person.message["sections"])


def test_whom_nothing_reaches_gets_nothing_and_the_day_is_noted_all_the_same():
    make_plan(make_channel(is_enabled=False), contacts=[make_contact()])

    assert send_due(now=MORNING) == 0
    assert DigestDelivery.objects.get().message_count == 0


def test_one_plan_that_fails_stops_no_other_and_is_tried_again(monkeypatch):
    make_plan(name="A", audience="executive")
    make_plan(name="B")
    real = gather

    def broken(*, plan, **values):
        if plan.name == "A":
            raise RuntimeError("no figures")
        return real(plan=plan, **values)

    monkeypatch.setattr(sending, "gather", broken)
    assert send_due(now=MORNING) == 1
    assert [row.plan.name for row in DigestDelivery.objects.all()] == ["B"]

    monkeypatch.setattr(sending, "gather", real)
    assert send_due(now=MORNING + MINUTE) == 1


@pytest.mark.django_db(transaction=True)
def test_processes_that_come_at_once_send_it_once():
    make_plan(make_channel(language="en"), make_channel(language="fr"))
    barrier = threading.Barrier(4)

    def tick():
        try:
            barrier.wait(10)
            for _each in range(5):
                send_due(now=MORNING)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=tick) for _each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(digests()) == 2
    assert DigestDelivery.objects.count() == 1


def test_figures_of_the_plans_audience_stand_in_it():
    for audience in ("executive", "operations", "both"):
        kpi = make_kpi(name=f"For {audience}", audience=audience, unit="users")
        make_point(kpi, MORNING - 2 * DAY, 100)
        make_point(kpi, MORNING - DAY, 120, computed_at=MORNING - HOUR)
    make_plan(audience="executive")

    send_due(now=MORNING)

    sections = dict(digests()[0].message["sections"])
    assert [label for label, _value in sections["Values"]] == [
        "For both",
        "For executive",
    ]
    assert "▲ 20\u00a0% on the day before" in sections["Values"][0][1]
    assert digests()[0].message["url"].endswith("/kpis/?audience=executive")


def test_who_got_the_p3_digest_this_morning_is_not_told_the_same_twice():
    support, board = make_channel(language="en"), make_channel(language="en")
    policy = make_policy({"channels": [support]})
    PriorityRule.objects.create(
        priority="p3", response_s=86_400, is_digest=True, policy=policy
    )
    make_incident(now=MORNING - 3 * HOUR, priority="p3", title="Odd figures")
    make_plan(support, board)
    incidents_digest.send_due(now=MORNING - HOUR)

    send_due(now=MORNING)

    said = {
        row.channel: dict(row.message["sections"])["Small incidents (P3)"]
        for row in digests()
    }
    assert "Odd figures" in said[board][0][0]
    assert said[support] == [["1 new, 1 open", "This morning's P3 digest lists them."]]


def test_an_incident_is_told_of_until_the_digest_after_its_end():
    for name, ago in (("Today", HOUR), ("Yesterday", 20 * HOUR), ("Old", 40 * HOUR)):
        make_incident(now=MORNING - ago, title=name)
    old = make_incident(now=MORNING - 90 * HOUR, title="Long over")
    type(old).objects.filter(pk=old.pk).update(
        status="resolved", resolved_at=MORNING - 80 * HOUR
    )
    make_incident(now=MORNING - HOUR, title="Rehearsed", is_drill=True)
    plan = make_plan()

    found = gather(
        plan=plan, occasion=latest(timing_of(plan), MORNING), now=MORNING
    ).troubles

    assert [one.title for one in found] == ["Today", "Yesterday", "Old"]


def test_a_kpi_that_fails_is_not_told_again_as_an_incident():
    kpi = make_kpi(name="Sessions", source=make_source(kind="postgres"))
    KpiState.objects.create(
        kpi=kpi, next_run_at=MORNING, failure_count=3, failing_since=MORNING - HOUR
    )
    make_incident(
        now=MORNING - HOUR, priority="p3", grouping_key=f"kpi-source:{kpi.source_id}"
    )
    make_plan()

    send_due(now=MORNING)

    assert [heading for heading, _facts in digests()[0].message["sections"]] == [
        "Look at these first"
    ]


def test_a_week_is_compared_with_the_week_before():
    kpi = make_kpi(name="Sessions", slug="sessions")
    version = make_version(kpi, now=MORNING - 40 * DAY)
    for days in range(1, 20):
        value = 100 if days <= 7 else 50
        make_point(kpi, MORNING - days * DAY, value, version=version)
    plan = make_plan(cadence="weekly", weekday=4, seen_at=MORNING - 2 * DAY)

    occasion = latest(timing_of(plan), MORNING)
    stretch = gather(plan=plan, occasion=occasion, now=MORNING).stretches["sessions"]

    assert stretch.change.difference == Decimal(50)
    assert stretch.mean == Decimal(100)
    assert stretch.mean_change.ratio == pytest.approx(1)
    assert send_due(now=MORNING) == 1
    value = dict(digests()[0].message["sections"])["Values"][0][1]
    assert "▲ 100\u00a0% on the week before" in value
    assert "Mean of the week: 100" in value


def test_a_mean_is_never_one_of_two_ways_of_computing():
    kpi = make_kpi(slug="sessions")
    for days in range(20, 3, -1):
        make_point(kpi, MORNING - days * DAY, 10)
    kpi.window = 2
    kpi.save()
    version = make_version(kpi, now=MORNING - 2 * DAY)
    for days in (3, 2, 1):
        make_point(kpi, MORNING - days * DAY, 70, version=version)
    plan = make_plan(cadence="weekly", weekday=4)

    occasion = latest(timing_of(plan), MORNING)
    stretch = gather(plan=plan, occasion=occasion, now=MORNING).stretches["sessions"]

    assert stretch.mean == Decimal(70)
    assert stretch.mean_change.difference is None
    assert stretch.change.difference is None


def test_the_number_of_queries_does_not_grow_with_kpis(django_assert_max_num_queries):
    plan = make_plan(cadence="monthly", day=27)
    occasion = latest(timing_of(plan), MORNING)
    for _each in range(12):
        make_point(make_kpi(), MORNING - DAY, 5)

    with django_assert_max_num_queries(9):
        found = gather(plan=plan, occasion=occasion, now=MORNING)

    assert Counter(card.freshness for card in found.cards).total() == 12
    assert timezone.is_aware(found.written_at)

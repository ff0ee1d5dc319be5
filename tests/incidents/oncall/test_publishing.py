"""Feeds as they are fetched: the same shifts as page and engine, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from icalendar import Calendar

from incidents.api.shifts import represent_shifts
from incidents.models import (
    CalendarFeed,
    ImportedShift,
    Override,
    PublishedShift,
    Schedule,
)
from incidents.oncall import feeds, publishing, reading, who
from notifications.models import Address, Contact
from tests.factories import make_contact, make_user
from tests.incidents.oncall.making import (
    MONDAY,
    PARIS,
    make_absence,
    make_override,
    make_rotation,
    make_schedule,
)

pytestmark = pytest.mark.django_db

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
NOW = MONDAY + 4 * WEEK + HOUR


@pytest.fixture(autouse=True)
def _at_now():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def ada() -> Contact:
    contact = make_contact(name="Ada", user=make_user(), language="en")
    Address.objects.create(contact=contact, kind="phone", value="+33612345678")
    return contact


@pytest.fixture
def grace() -> Contact:
    return make_contact(name="Grace")


@pytest.fixture
def schedule(ada: Contact, grace: Contact) -> Schedule:
    return make_schedule(ada, grace, name="On call")


def feed_of(**owner: Any) -> CalendarFeed:
    return CalendarFeed.objects.create(created_at=NOW, **owner)


def events(feed: CalendarFeed) -> list[Any]:
    answer = Client().get(f"/feeds/on-call/{feed.token}.ics")
    assert answer.status_code == 200
    found: list[Any] = Calendar.from_ical(answer.content).walk("VEVENT")
    return found


def joined(items: list[dict[str, Any]]) -> list[tuple[datetime, datetime]]:
    """The API's answer as a feed has it: turns of one person in a row are one."""
    found: list[tuple[datetime, datetime]] = []
    before = None
    for item in items:
        start = datetime.fromisoformat(item["starts_at"])
        end = datetime.fromisoformat(item["ends_at"])
        if item["contact"] is not None:
            if item["contact"] == before:
                start = found.pop()[0]
            found.append((start, end))
        before = item["contact"]
    return found


def confirmed(feed: CalendarFeed) -> list[tuple[datetime, datetime]]:
    return sorted(
        (event["DTSTART"].dt, event["DTEND"].dt)
        for event in events(feed)
        if event["STATUS"] == "CONFIRMED"
    )


def test_feed_of_a_person_has_their_shifts_of_every_schedule(schedule, ada, grace):
    make_schedule(grace, ada, name="Second")

    found = events(feed_of(contact=ada))

    names = {str(event["SUMMARY"]) for event in found}
    assert names == {"On call: On call", "On call: Second"}
    starts = {
        event["DTSTART"].dt for event in found if event["SUMMARY"].endswith("Second")
    }
    assert MONDAY + 5 * WEEK in starts
    assert MONDAY + 4 * WEEK not in starts


def test_feed_says_who_why_and_no_phone_number(schedule, ada, grace):
    make_override(schedule, grace, NOW + DAY, 5, replaces=ada, reason="dentist")
    feed = feed_of(schedule=schedule)

    answer = Client().get(f"/feeds/on-call/{feed.token}.ics")

    text = answer.content.decode()
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer["Cache-Control"] == "private, max-age=300"
    assert answer["X-Robots-Tag"] == "noindex"
    assert "+336" not in text
    assert "0612345678" not in text
    [event] = [e for e in events(feed) if "dentist" in str(e.get("DESCRIPTION"))]
    assert event["DTSTART"].dt == NOW + DAY


def test_feed_is_sent_again_only_when_it_changed(schedule, ada):
    feed = feed_of(contact=ada)
    publishing.publish_all(now=timezone.now())
    address = f"/feeds/on-call/{feed.token}.ics"

    first = Client().get(address)
    again = Client().get(address, headers={"If-None-Match": first["ETag"]})
    make_override(schedule, ada, NOW + 8 * DAY, 5)
    later = Client().get(address, headers={"If-None-Match": first["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert later.status_code == 200


@pytest.mark.parametrize("token", ["nothing", "%00", "x" * 300, "..", "é"])
def test_unknown_address_is_not_there(token: str):
    assert Client().get(f"/feeds/on-call/{token}.ics").status_code == 404


def test_feed_of_who_has_left_is_not_there(schedule, ada):
    feed = feed_of(contact=ada)
    address = f"/feeds/on-call/{feed.token}.ics"

    assert ada.user is not None
    ada.user.is_active = False
    ada.user.save()
    assert Client().get(address).status_code == 404

    ada.user.is_active = True
    ada.user.save()
    Contact.objects.filter(pk=ada.pk).update(is_enabled=False)
    assert Client().get(address).status_code == 404


def test_moved_shift_keeps_its_event(schedule, ada, grace):
    feed = feed_of(contact=grace)
    override = make_override(schedule, grace, NOW + DAY, 5)
    publishing.publish_all(now=NOW)
    [before] = [e for e in events(feed) if e["DTSTART"].dt == NOW + DAY]

    Override.objects.filter(pk=override.pk).update(ends_at=NOW + DAY + 8 * HOUR)
    [after] = [e for e in events(feed) if e["DTSTART"].dt == NOW + DAY]

    assert after["UID"] == before["UID"]
    assert (before["SEQUENCE"], after["SEQUENCE"]) == (0, 1)
    assert after["DTEND"].dt == NOW + DAY + 8 * HOUR


def test_cancelled_shift_is_told_for_a_month(schedule, ada, grace):
    feed = feed_of(contact=grace)
    override = make_override(schedule, grace, NOW + DAY, 5)
    publishing.publish_all(now=NOW)
    override.delete()

    [gone] = [e for e in events(feed) if e["DTSTART"].dt == NOW + DAY]
    publishing.publish_all(now=NOW)
    publishing.publish_all(now=NOW + HOUR)
    [still] = [e for e in events(feed) if e["DTSTART"].dt == NOW + DAY]
    publishing.publish_all(now=NOW + 31 * DAY)

    assert (gone["STATUS"], still["STATUS"]) == ("CANCELLED", "CANCELLED")
    assert (gone["SEQUENCE"], still["SEQUENCE"]) == (1, 1)
    assert not PublishedShift.objects.filter(cancelled_at__lt=NOW + DAY).exists()


def test_shifts_of_a_deleted_schedule_are_cancelled(schedule, ada):
    feed = feed_of(contact=ada)
    publishing.publish_all(now=NOW)
    schedule.delete()

    publishing.publish_all(now=NOW)

    found = events(feed)
    ahead = [e for e in found if e["DTEND"].dt > NOW]
    assert ahead
    assert {str(e["STATUS"]) for e in ahead} == {"CANCELLED"}
    assert {str(e["SUMMARY"]) for e in found} == {"On call: On call"}


def test_publishing_twice_changes_nothing(schedule):
    first = publishing.publish_all(now=NOW)
    again = publishing.publish_all(now=NOW + HOUR)

    assert first > 0
    assert again == 0


def test_fetching_a_feed_writes_nothing(schedule, ada, django_assert_max_num_queries):
    feed = feed_of(contact=ada)
    for _ in range(4):
        make_schedule(ada)

    with django_assert_max_num_queries(12) as queries:
        Client().get(f"/feeds/on-call/{feed.token}.ics")

    verbs = {query["sql"].split()[0] for query in queries.captured_queries}
    assert verbs == {"SELECT"}
    assert not PublishedShift.objects.exists()


@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_feed_is_page_is_engine(data: st.DataObject, db: None):
    """Random calendars over both changes of the clocks: they and the API say the same."""
    now = data.draw(
        st.sampled_from(
            [
                datetime(2026, 3, 20, 9, tzinfo=UTC),
                datetime(2026, 10, 20, 9, tzinfo=UTC),
            ]
        )
    )
    Schedule.objects.all().delete()
    Contact.objects.all().delete()
    people = [make_contact(language="en") for _ in range(3)]
    schedule = make_schedule(
        # With an address, so that what was imported counts.
        ical_url="https://example.org/a.ics",
        time_zone=data.draw(st.sampled_from(["Europe/Paris", "America/New_York"])),
    )
    clocks = st.sampled_from([time(2), time(2, 30), time(9), time(22)])
    for _ in range(data.draw(st.integers(1, 3))):
        opens, until = data.draw(st.tuples(clocks, clocks))
        make_rotation(
            schedule,
            data.draw(st.lists(st.sampled_from(people), min_size=1, max_size=4)),
            position=data.draw(st.integers(0, 2)),
            unit=data.draw(st.sampled_from(["hour", "day", "week"])),
            length=data.draw(st.integers(3, 9)),
            handoff_time=data.draw(st.sampled_from([time(2, 30), time(9), time()])),
            only_weekdays=data.draw(
                st.lists(st.sampled_from(["mon", "sat", "sun"]), unique=True)
            ),
            only_from=None if opens == until else opens,
            only_until=None if opens == until else until,
        )
    starts = st.integers(-48, 24 * 14)
    for hours in data.draw(st.lists(starts, max_size=4, unique=True)):
        person = data.draw(st.sampled_from(people))
        make_override(
            schedule, person, now + hours * HOUR, data.draw(st.integers(1, 60))
        )
    for hours in data.draw(st.lists(starts, max_size=3, unique=True)):
        ImportedShift.objects.create(
            schedule=schedule,
            contact=data.draw(st.sampled_from(people)),
            starts_at=now + hours * HOUR,
            ends_at=now + (hours + data.draw(st.integers(1, 60))) * HOUR,
        )
    for hours in data.draw(st.lists(starts, max_size=3, unique=True)):
        person = data.draw(st.sampled_from(people))
        make_absence(person, now + hours * HOUR, data.draw(st.integers(1, 90)))

    with time_machine.travel(now, tick=False):
        first, last = feeds.window(now)
        fed = confirmed(feed_of(schedule=schedule))
        turns = reading.turns_between(
            schedule_id=schedule.pk, start=first, end=last, me=None
        )
        shown = sorted((t.start, t.end) for t in turns if not t.is_gap)
        asked = represent_shifts(schedule.pk, first, last)["items"]
        by_person = {person.pk: confirmed(feed_of(contact=person)) for person in people}
        probed = {
            at: who.on_call(schedule_id=schedule.pk, at=at).contact_id
            for at in (
                now
                + data.draw(st.integers(-40 * 60, 100 * 24 * 60)) * timedelta(minutes=1)
                for _ in range(8)
            )
        }

    assert fed == shown
    assert joined(asked) == fed
    assert sorted(span for spans in by_person.values() for span in spans) == fed
    for at, contact_id in probed.items():
        holders = [
            pk
            for pk, spans in by_person.items()
            if any(start <= at < end for start, end in spans)
        ]
        assert holders == ([] if contact_id is None else [contact_id])
    rows = reading.hours_between(period=(first, last), now=now, zone=PARIS)
    held = sum(((end - start) for start, end in fed), timedelta())
    assert sum((row.total for row in rows), timedelta()) == held

"""Pages by person and channel, and how soon the first one arrived."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from incidents.numbers import period as periods
from incidents.numbers.figures import Spread
from incidents.numbers.interruptions import interruptions
from incidents.numbers.scope import Scope
from notifications.models import Address, Channel, Contact
from t4g_portal.lib.working_time import is_in_hours
from tests.factories import make_channel, make_contact, make_service
from tests.incidents.numbers.making import incident, page

pytestmark = pytest.mark.django_db

# A Wednesday, 16:00 in Paris.
NOW = datetime(2026, 6, 10, 14, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def count(key="30d", **values):
    scope = Scope(period=periods.last_days(key=key, now=NOW), **values)
    return interruptions(
        scope=scope,
        people={
            pk: (name, zone)
            for pk, name, zone in Contact.objects.values_list("pk", "name", "time_zone")
        },
        channels=dict(Channel.objects.values_list("pk", "name")),
    )


def make_incident(**values):
    values.setdefault("opened_at", NOW - HOUR)
    row = incident(service=values.pop("service", None) or make_service(), **values)
    row.save()
    return row


def make_address(name, **values):
    contact = make_contact(name=name, **values)
    return Address.objects.create(contact=contact, kind="email", value=f"{name}@e.org")


def test_one_page_by_three_ways_is_one_interruption():
    ana, row = make_address("ana"), make_incident()
    for seconds in (0, 1, 120):
        page(
            incident=row,
            at=NOW - HOUR + seconds * SECOND,
            address=ana,
            route_key="incident:1:page:0:contact:1",
        )
    page(incident=row, at=NOW - HOUR / 2, address=ana, route_key="…page:1…")

    (reader,) = count()[0].people

    assert (reader.name, reader.page_count) == ("ana", 2)


def test_what_did_not_leave_and_what_is_about_a_drill_is_no_interruption():
    ana, row = make_address("ana"), make_incident()
    drill = make_incident(is_drill=True)
    page(incident=drill, at=NOW - HOUR, address=ana)
    page(incident=row, at=NOW - HOUR, address=ana, status="dead")
    page(incident=row, at=NOW - HOUR, address=ana, status="cancelled")
    page(incident=row, at=NOW - HOUR, address=ana, delivery_status="failed")
    page(incident=row, at=NOW - HOUR, address=ana, purpose="recovery")

    found, first = count()

    assert found.people == []
    assert first.whole == Spread()


def test_hours_are_those_of_the_person():
    row = make_incident(opened_at=NOW - 5 * HOUR)
    in_paris = make_address("ana")
    in_tokyo = make_address("ben", time_zone="Asia/Tokyo")
    for address in (in_paris, in_tokyo):
        page(incident=row, at=NOW - 4 * HOUR, address=address)

    late = {one.name: one.out_of_hours_count for one in count()[0].people}

    assert late == {"ana": 0, "ben": 1}


def test_shared_channels_stand_apart_from_people():
    row = make_incident()
    page(incident=row, at=NOW - HOUR, channel=make_channel(name="Ops"))
    page(incident=row, at=NOW - HOUR, address=make_address("ana"))

    found, _first = count()

    assert [one.name for one in found.people] == ["ana"]
    assert [one.name for one in found.channels] == ["Ops"]
    assert found.page_count == 1


def test_worst_week_and_average_week():
    ana, row = make_address("ana"), make_incident(opened_at=NOW - 20 * DAY)
    for days in (16, 15, 15, 14, 1):  # Mon, Tue, Tue, Wed; yesterday
        page(incident=row, at=NOW - days * DAY, address=ana)

    (reader,) = count()[0].people

    assert (reader.page_count, reader.worst_week) == (5, 4)
    assert sum(reader.columns) == 5
    assert reader.a_week == pytest.approx(5 / (30 - 8 / 24) * 7, rel=0.01)


def test_first_page_that_arrived_counts_and_a_receipt_says_when():
    row = make_incident(priority="p0", opened_at=NOW - HOUR)
    page(incident=row, at=NOW - HOUR + SECOND, status="dead", channel=make_channel())
    page(
        incident=row,
        at=NOW - HOUR + 2 * SECOND,
        channel=make_channel(),
        delivered_at=NOW - HOUR + 9 * SECOND,
    )
    page(incident=row, at=NOW - HOUR + 5 * SECOND, channel=make_channel())

    _found, first = count()

    assert first.whole.median_s == 5
    assert (first.by_priority["p0"].count, first.by_priority["p1"].count) == (1, 0)


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_what_plain_python_says(seed):
    chance = random.Random(seed)
    zones = {"ana": "", "ben": "America/New_York", "cleo": "Asia/Tokyo"}
    addresses = [make_address(name, time_zone=zone) for name, zone in zones.items()]
    rows = [make_incident(opened_at=NOW - 100 * DAY) for _ in range(3)]
    told: dict[tuple[str, str], datetime] = {}
    for number in range(80):
        address = chance.choice(addresses)
        key = f"page {chance.randrange(30)} {address.contact.name}"
        at = NOW - 95 * DAY * chance.random()
        page(incident=rows[number % 3], at=at, address=address, route_key=key)
        of = (address.contact.name, f"{key} {number % 3}")
        told[of] = min(told.get(of, at), at)
    since = periods.last_days(key="90d", now=NOW).since
    # A page whose first row left before the period began with its next one.
    early = {of for of, at in told.items() if at < since}

    found, _first = count("90d")

    kept = {of: at for of, at in told.items() if of not in early}
    wanted = Counter(name for name, _key in kept)
    late = Counter(
        name
        for (name, _key), at in kept.items()
        if not is_in_hours(at, zone=ZoneInfo(zones[name] or "Europe/Paris"))
    )
    slack = len(early)
    for reader in found.people:
        assert 0 <= reader.page_count - wanted[reader.name] <= slack
        assert 0 <= reader.out_of_hours_count - late[reader.name] <= slack
        assert sum(reader.columns) == reader.page_count

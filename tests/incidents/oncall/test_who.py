"""The door that everybody asks, and the history behind it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from incidents.models import (
    ImportedShift,
    OnCallRecord,
    Override,
    Participant,
    Schedule,
)
from incidents.oncall import recording, who
from incidents.oncall.plan import WhyKind
from tests.factories import make_contact
from tests.incidents.oncall.making import (
    MONDAY,
    make_absence,
    make_override,
    make_rotation,
    make_schedule,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)


def test_rotation_takes_turns():
    ana, bo = make_contact(name="Ana"), make_contact(name="Bo")
    schedule = make_schedule(ana, bo)

    this = who.on_call(schedule_id=schedule.pk, at=MONDAY + HOUR)
    after = who.next_shift(schedule_id=schedule.pk, at=MONDAY + HOUR)

    assert (this.contact_id, this.start, this.end) == (ana.pk, MONDAY, MONDAY + WEEK)
    assert this.why.kind is WhyKind.LAYER
    assert after is not None
    assert (after.contact_id, after.start) == (bo.pk, MONDAY + WEEK)


def test_overrides_imports_layers_and_absences_meet_in_one_plan():
    ana, bo, cleo = (make_contact(name=name) for name in ("Ana", "Bo", "Cleo"))
    schedule = make_schedule(ana, bo, ical_url="https://example.org/a.ics")
    make_rotation(schedule, [cleo], position=5, only_weekdays=["sat", "sun"])
    make_override(schedule, bo, MONDAY + HOUR, 1, replaces=ana, reason="Dentist")
    ImportedShift.objects.create(
        schedule=schedule,
        contact=cleo,
        starts_at=MONDAY + 3 * HOUR,
        ends_at=MONDAY + 4 * HOUR,
    )
    make_absence(ana, MONDAY + 5 * HOUR, 1)

    shifts = who.shifts_of(
        schedule_ids=[schedule.pk], start=MONDAY, end=MONDAY + 7 * HOUR
    )[schedule.pk]

    assert [(one.contact_id, one.why.kind) for one in shifts] == [
        (ana.pk, "layer"),
        (bo.pk, "override"),
        (ana.pk, "layer"),
        (cleo.pk, "imported"),
        (ana.pk, "layer"),
        (bo.pk, "absence"),
        (ana.pk, "layer"),
    ]
    assert shifts[1].why.label == "Dentist"
    assert shifts[1].why.instead_of == shifts[5].why.instead_of == ana.pk


def test_disabled_contact_is_on_call_for_nothing():
    ana, bo = make_contact(is_enabled=False), make_contact()
    schedule = make_schedule(ana, bo)

    shift = who.on_call(schedule_id=schedule.pk, at=MONDAY)

    assert shift.contact_id == bo.pk
    assert shift.why.kind is WhyKind.ABSENCE


def test_schedule_without_people_has_nobody_and_an_unknown_one_does_not_exist():
    schedule = make_schedule()

    assert who.on_call(schedule_id=schedule.pk, at=MONDAY).contact_id is None
    assert who.on_call_of(schedule_ids=[schedule.pk + 1], at=MONDAY) == {}
    with pytest.raises(Schedule.DoesNotExist):
        who.on_call(schedule_id=schedule.pk + 1, at=MONDAY)


def test_fifty_schedules_cost_six_queries():
    people = [make_contact() for _ in range(5)]
    schedules = [make_schedule(*people) for _ in range(50)]
    ids = [schedule.pk for schedule in schedules]
    recording.record(schedule_ids=ids, now=MONDAY)
    recording.record(schedule_ids=ids, now=MONDAY + HOUR)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        past = who.on_call_of(schedule_ids=ids, at=MONDAY + HOUR / 2)
    assert len(queries) == 6
    with CaptureQueriesContext(connection) as queries:
        now = who.on_call_of(schedule_ids=ids, at=MONDAY + 2 * HOUR)
    assert len(queries) == 5
    assert {one.contact_id for one in (*past.values(), *now.values())} == {people[0].pk}


def test_later_edits_leave_the_past_alone():
    ana, bo = make_contact(name="Ana"), make_contact(name="Bo")
    schedule = make_schedule(ana)
    recording.record(schedule_ids=[schedule.pk], now=MONDAY)
    recording.record(schedule_ids=[schedule.pk], now=MONDAY + 10 * HOUR)

    Participant.objects.update(contact=bo)
    ana.delete()

    then = who.on_call(schedule_id=schedule.pk, at=MONDAY + HOUR)
    assert then.contact_id is not None
    assert who.names_of(shifts=[then], plans=[]) == {then.contact_id: "Ana"}
    now = who.on_call(schedule_id=schedule.pk, at=MONDAY + 11 * HOUR)
    assert now.contact_id == bo.pk


def test_a_shift_that_goes_on_is_one_record_and_one_shift():
    schedule = make_schedule(make_contact(), make_contact())
    for minute in range(5):
        now = MONDAY + timedelta(minutes=minute)
        recording.record_all(now=now)

    shifts = who.shifts_of(
        schedule_ids=[schedule.pk], start=MONDAY, end=MONDAY + 2 * WEEK
    )[schedule.pk]
    shift = who.on_call(schedule_id=schedule.pk, at=MONDAY + timedelta(minutes=3))

    assert OnCallRecord.objects.count() == 1
    assert [one.end for one in shifts] == [MONDAY + WEEK, MONDAY + 2 * WEEK]
    assert shift == shifts[0]


def test_time_before_the_history_is_unrecorded():
    schedule = make_schedule(make_contact())
    recording.record(schedule_ids=[schedule.pk], now=MONDAY + HOUR)

    shift = who.on_call(schedule_id=schedule.pk, at=MONDAY)

    assert (shift.contact_id, shift.why.kind) == (None, WhyKind.UNRECORDED)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM incidents_oncallrecord",
        "UPDATE incidents_oncallrecord SET contact_name = 'Bo'",
        "UPDATE incidents_oncallrecord SET ends_at = ends_at - interval '1 second'",
        "UPDATE incidents_oncallrecord SET ends_at = ends_at + interval '1 second',"
        " contact_name = 'Bo'",
    ],
)
def test_database_refuses_to_change_the_history(change: str):
    schedule = make_schedule(make_contact())
    recording.record(schedule_ids=[schedule.pk], now=MONDAY)
    recording.record(schedule_ids=[schedule.pk], now=MONDAY + HOUR)

    refused = pytest.raises(IntegrityError, match="append-only")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


def test_deleting_a_person_takes_future_overrides_and_keeps_the_history():
    ana, bo = make_contact(name="Ana"), make_contact()
    schedule = make_schedule(bo)
    make_override(schedule, ana, MONDAY, 10)
    recording.record(schedule_ids=[schedule.pk], now=MONDAY)
    recording.record(schedule_ids=[schedule.pk], now=MONDAY + HOUR)

    ana.delete()

    assert not Override.objects.exists()
    assert OnCallRecord.objects.get().contact_name == "Ana"
    now = who.on_call(schedule_id=schedule.pk, at=MONDAY + 2 * HOUR)
    assert now.contact_id == bo.pk

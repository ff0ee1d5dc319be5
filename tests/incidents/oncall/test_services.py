"""Overrides, taken shifts, absences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from incidents.models import Absence, OnCallRecord, Override
from incidents.oncall import queries, services, who
from incidents.oncall.acting import LeavesGap
from tests.factories import make_contact
from tests.incidents.oncall.making import (
    MONDAY,
    make_absence,
    make_override,
    make_schedule,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def people():
    return [make_contact(name=name) for name in ("Ana", "Bo", "Cleo")]


@pytest.fixture
def schedule(people):
    return make_schedule(*people[:2], name="On call")


def act(
    schedule, contact, start=MONDAY + HOUR, hours=2, *, door=services.override, **rest
):
    return door(
        schedule_id=schedule.pk,
        contact_id=contact.pk,
        starts_at=start,
        ends_at=start + hours * HOUR,
        now=rest.pop("now", MONDAY),
        **rest,
    )


def test_override_puts_somebody_on_call_and_says_for_whom(schedule, people):
    ana, _bo, cleo = people

    row = act(schedule, cleo, reason="  Ana's\ndentist ")

    shift = who.on_call(schedule_id=schedule.pk, at=MONDAY + HOUR)
    assert (shift.contact_id, shift.why.instead_of) == (cleo.pk, ana.pk)
    assert shift.why.label == "Ana's dentist"
    assert row.kind == Override.Kind.OVERRIDE


def test_what_has_begun_begins_now_and_the_past_stays(schedule, people):
    ana, _bo, cleo = people
    act(schedule, ana, now=MONDAY)

    row = act(schedule, cleo, MONDAY, 3, now=MONDAY + HOUR)

    assert row.starts_at == MONDAY + HOUR
    then = who.on_call(schedule_id=schedule.pk, at=MONDAY + HOUR / 2)
    assert then.contact_id == ana.pk
    assert OnCallRecord.objects.get().contact_name == "Ana"


@pytest.mark.parametrize(
    ("start", "hours", "sentence"),
    [
        (MONDAY, 0, "not after the beginning"),
        (MONDAY - 5 * HOUR, 2, "That time is over"),
        (MONDAY, 24 * 400, "longer than a year"),
    ],
)
def test_nonsense_is_refused_in_words(schedule, people, start, hours, sentence):
    with pytest.raises(services.UnableToOverride, match=sentence):
        act(schedule, people[2], start, hours)


def test_who_is_absent_or_disabled_can_not_be_put_on_call(schedule, people):
    make_absence(people[2], MONDAY, 12)
    with pytest.raises(
        services.UnableToOverride, match=r"Cleo is absent 09:00 – 21:00"
    ):
        act(schedule, people[2])
    with pytest.raises(services.UnableToOverride, match="is disabled"):
        act(schedule, make_contact(is_enabled=False))


def test_shift_is_taken_once(schedule, people):
    ana, bo, _cleo = people
    with pytest.raises(services.UnableToTake, match="yours already"):
        act(schedule, ana, door=services.take)

    row = act(schedule, bo, door=services.take)

    assert (row.kind, row.replaces) == (Override.Kind.TAKEN, ana)
    with pytest.raises(services.UnableToTake, match="yours already"):
        act(schedule, bo, door=services.take)


def test_taking_back_what_somebody_took_makes_a_newer_override(schedule, people):
    ana, bo, _cleo = people
    act(schedule, ana)
    act(schedule, bo, door=services.take)

    act(schedule, ana, door=services.take)

    assert who.on_call(schedule_id=schedule.pk, at=MONDAY + HOUR).contact_id == ana.pk
    assert Override.objects.count() == 2


def test_override_that_goes_on_ends_when_it_is_cancelled(schedule, people):
    running = act(schedule, people[2], MONDAY, 5)
    later = act(schedule, people[2], MONDAY + 10 * HOUR, 5)
    now = MONDAY + HOUR

    services.cancel_override(override_id=running.pk, now=now)
    services.cancel_override(override_id=later.pk, now=now)

    running.refresh_from_db()
    assert running.ends_at == now
    assert not Override.objects.filter(pk=later.pk).exists()
    with pytest.raises(services.UnableToCancel, match="It is over"):
        services.cancel_override(override_id=running.pk, now=now + HOUR)


def test_somebody_else_s_override_is_left_alone(schedule, people):
    row = act(schedule, people[2])
    with pytest.raises(services.UnableToCancel, match="not yours"):
        services.cancel_override(
            override_id=row.pk, now=MONDAY, contact_id=people[0].pk
        )


def test_absence_lets_the_next_stand_in_and_is_told_to_leave_a_gap(schedule, people):
    ana, bo, _cleo = people
    span: dict[str, Any] = {"starts_at": MONDAY + HOUR, "ends_at": MONDAY + 3 * HOUR}
    assert queries.gaps_if_absent(contact_id=ana.pk, now=MONDAY, **span) == ()

    services.plan_absence(contact_id=ana.pk, now=MONDAY, **span)

    assert who.on_call(schedule_id=schedule.pk, at=MONDAY + HOUR).contact_id == bo.pk
    [gap] = queries.gaps_if_absent(contact_id=bo.pk, now=MONDAY, **span)
    assert (gap.start, gap.end) == (MONDAY + HOUR, MONDAY + 3 * HOUR)
    with pytest.raises(services.UnableToPlanAbsence, match="absent then already"):
        services.plan_absence(contact_id=ana.pk, now=MONDAY, **span)


def test_absence_ends_when_somebody_is_back(schedule, people):
    row = make_absence(people[0], MONDAY, 10)

    services.cancel_absence(absence_id=row.pk, now=MONDAY + HOUR)

    assert Absence.objects.get().ends_at == MONDAY + HOUR
    shift = who.on_call(schedule_id=schedule.pk, at=MONDAY + 2 * HOUR)
    assert shift.contact_id == people[0].pk


def test_cancelling_the_only_one_says_that_it_leaves_a_gap(people):
    schedule = make_schedule()
    row = make_override(schedule, people[0], MONDAY, 4)

    [gap] = queries.gaps_if_cancelled(override_id=row.pk, now=MONDAY + HOUR)

    assert (gap.start, gap.end) == (MONDAY + HOUR, MONDAY + 4 * HOUR)


def test_act_that_leaves_a_gap_is_taken_back_unless_it_is_meant(people):
    ana = people[0]
    covered = make_schedule()
    row = make_override(covered, ana, MONDAY, 4)
    make_schedule(ana, name="Only Ana")
    away: dict[str, Any] = {
        "contact_id": ana.pk,
        "starts_at": MONDAY + 5 * HOUR,
        "ends_at": MONDAY + 6 * HOUR,
        "now": MONDAY,
    }

    with pytest.raises(LeavesGap, match="nobody would be on call"):
        services.cancel_override(override_id=row.pk, now=MONDAY)
    with pytest.raises(LeavesGap, match="Only Ana, 14:00 – 15:00"):
        services.plan_absence(**away)
    assert Override.objects.filter(pk=row.pk).exists()
    assert not Absence.objects.exists()

    services.cancel_override(override_id=row.pk, now=MONDAY, may_leave_gap=True)
    services.plan_absence(**away, may_leave_gap=True)
    assert not Override.objects.exists()
    assert Absence.objects.exists()


def test_absence_of_the_same_beginning_grows(schedule, people):
    span: dict[str, Any] = {"contact_id": people[0].pk, "starts_at": MONDAY + HOUR}
    services.plan_absence(**span, ends_at=MONDAY + 2 * HOUR, now=MONDAY, reason="flu")

    services.plan_absence(**span, ends_at=MONDAY + 9 * HOUR, now=MONDAY)

    row = Absence.objects.get()
    assert (row.ends_at, row.reason) == (MONDAY + 9 * HOUR, "flu")


def test_shorter_override_of_one_s_own_leaves_the_rest_of_the_longer(schedule, people):
    _ana, bo, cleo = people
    act(schedule, cleo, MONDAY + HOUR, 8)
    act(schedule, bo, MONDAY + HOUR, 2)

    act(schedule, cleo, MONDAY + HOUR, 2)

    owners = services.owners(schedule.pk, MONDAY + HOUR, MONDAY + 9 * HOUR)
    assert owners == {cleo.pk}


def test_rest_of_the_longer_joins_what_begins_there_already(schedule, people):
    _ana, _bo, cleo = people
    act(schedule, cleo, MONDAY + 3 * HOUR, 1)
    act(schedule, cleo, MONDAY + HOUR, 8)

    act(schedule, cleo, MONDAY + HOUR, 2)

    owners = services.owners(schedule.pk, MONDAY + HOUR, MONDAY + 9 * HOUR)
    assert owners == {cleo.pk}

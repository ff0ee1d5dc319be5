"""Reminders of what incidents left behind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from incidents import intake
from incidents.collaboration import action_items, reminding, telling
from incidents.models import ActionItem, Postmortem
from incidents.people import Actor
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_priority_rules,
    make_user,
)
from tests.incidents.making import deliver, make_incident, names, outbox

DAY = timedelta(days=1)
# A Monday at 10 in Paris.
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("today", "reminded_on", "is_due"),
    [
        (date(2026, 3, 4), None, False),
        # The day before.
        (date(2026, 3, 5), None, True),
        (date(2026, 3, 5), date(2026, 3, 5), False),
        # The day itself.
        (date(2026, 3, 6), date(2026, 3, 5), True),
        (date(2026, 3, 9), date(2026, 3, 6), False),
        # A week late, and when no tick came on that day.
        (date(2026, 3, 13), date(2026, 3, 6), True),
        (date(2026, 3, 17), date(2026, 3, 6), True),
        (date(2026, 3, 17), date(2026, 3, 16), False),
        # Nobody was ever reminded of it.
        (date(2026, 6, 1), None, True),
    ],
)
def test_reminders_come_before_on_and_weekly_after_the_day(today, reminded_on, is_due):
    found = reminding.is_time(
        due_on=date(2026, 3, 6), reminded_on=reminded_on, today=today
    )

    assert found == is_due


def make_owner(name: str = "Bo", **values: Any) -> Actor:
    user = make_user(first_name=name)
    contact = make_contact(name=name, user=user, language="en", **values)
    make_address(contact=contact, kind="email", value=f"{name.lower()}@example.org")
    return Actor(user, contact)


def make_item(owner: Actor | None, due_on: date, **values: Any) -> ActionItem:
    incident = values.pop("incident", None) or make_incident(now=MONDAY)
    return action_items.add(
        incident_id=incident.pk,
        user=make_user(),
        via="web",
        now=MONDAY,
        text=values.pop("text", "Add a disk alert"),
        due_on=due_on,
        owner=owner,
    )


@pytest.mark.django_db
def test_owner_gets_one_message_a_day_about_everything():
    owner = make_owner()
    for _number in range(3):
        make_item(owner, date(2026, 3, 2))

    assert reminding.remind_due(now=MONDAY) == 3
    assert reminding.remind_due(now=MONDAY + timedelta(minutes=10)) == 0

    [row] = outbox(purpose="reminder")
    assert row.message["title"] == "3 things are due after incidents"
    assert len(row.message["facts"]) == 3


@pytest.mark.django_db
def test_one_who_cannot_be_reminded_keeps_nobody_from_theirs(monkeypatch, caplog):
    broken, fine = make_owner("Ana"), make_owner("Ben")
    for owner in (broken, fine):
        make_item(owner, date(2026, 3, 2))
    tell = telling.tell_contact

    def fail(*, contact, **values):
        if contact == broken.contact:
            raise ValueError("broken address")
        return tell(contact=contact, **values)

    monkeypatch.setattr(telling, "tell_contact", fail)

    assert reminding.remind_due(now=MONDAY) == 1

    told = [row.address for row in outbox("reminder")]
    assert [one.contact for one in told if one] == [fine.contact]
    assert "broken address" in caplog.text
    assert ActionItem.objects.filter(reminded_on=None).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "moment",
    [
        # Before nine, a Sunday, and Easter Monday.
        datetime(2026, 3, 2, 7, 30, tzinfo=UTC),
        datetime(2026, 3, 8, 9, tzinfo=UTC),
        datetime(2026, 4, 6, 9, tzinfo=UTC),
    ],
)
def test_nobody_is_reminded_when_nobody_works(moment):
    make_item(make_owner(), date(2026, 3, 2))

    assert reminding.remind_due(now=moment) == 0


@pytest.mark.django_db
def test_what_is_done_or_waived_is_left_alone():
    owner = make_owner()
    item = make_item(owner, date(2026, 3, 2))
    action_items.set_status(
        item_id=item.pk, user=make_user(), via="web", now=MONDAY, status="done"
    )

    assert reminding.remind_due(now=MONDAY) == 0


@pytest.mark.django_db
def test_postmortem_that_nobody_has_is_said_where_the_incident_was():
    make_priority_rules(make_channel(name="Ops", language="en"))
    make_incident(now=MONDAY, dedup_key="k")
    deliver(now=MONDAY)
    intake.resolve(dedup_key="k", now=MONDAY)
    due_on = Postmortem.objects.get().due_on
    assert due_on is not None

    when = MONDAY + 7 * DAY
    assert when.date() == due_on
    assert reminding.remind_due(now=when) == 1

    [row] = outbox(purpose="reminder")
    assert names([row]) == ["Ops"]
    assert row.message["title"].startswith("Postmortem of P0")
    assert "nobody has it" in row.message["title"]


@pytest.mark.django_db
def test_new_day_and_new_owner_are_reminded_again():
    owner, other = make_owner(), make_user()
    item = make_item(owner, date(2026, 3, 2))
    reminding.remind_due(now=MONDAY)

    action_items.change(
        item_id=item.pk,
        user=other,
        via="web",
        now=MONDAY,
        due_on=date(2026, 3, 4),
    )

    assert reminding.remind_due(now=MONDAY) == 0
    assert reminding.remind_due(now=MONDAY + DAY) == 1
    assert len(outbox(purpose="reminder")) == 2

"""Rows of schedules for tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from incidents.models import Absence, Override, Participant, Rotation, Schedule
from notifications.models import Contact
from tests.factories import make_address

PARIS = ZoneInfo("Europe/Paris")
# A Monday, 09:00 in Paris: the first turn of `make_rotation` begins.
MONDAY = datetime(2026, 1, 5, 8, tzinfo=UTC)


def make_schedule(*contacts: Contact, **values: Any) -> Schedule:
    """A schedule with weekly turns of some people, or none."""
    number = Schedule.objects.count() + 1
    values.setdefault("name", f"Schedule {number}")
    values.setdefault("slug", f"schedule-{number}")
    schedule = Schedule.objects.create(**values)
    if contacts:
        make_rotation(schedule, contacts)
    return schedule


def make_rotation(
    schedule: Schedule, contacts: Sequence[Contact], **values: Any
) -> Rotation:
    """Weekly turns from Monday 2026-01-05, 09:00, in the order given."""
    values.setdefault("name", f"Rotation {Rotation.objects.count() + 1}")
    values.setdefault("starts_on", date(2026, 1, 5))
    values.setdefault("handoff_time", time(9))
    rotation = Rotation.objects.create(schedule=schedule, **values)
    Participant.objects.bulk_create(
        Participant(rotation=rotation, contact=contact, position=position)
        for position, contact in enumerate(contacts)
    )
    return rotation


def make_override(
    schedule: Schedule, contact: Contact, start: datetime, hours: float, **values: Any
) -> Override:
    return Override.objects.create(
        schedule=schedule,
        contact=contact,
        starts_at=start,
        ends_at=start + timedelta(hours=hours),
        **values,
    )


def make_absence(contact: Contact, start: datetime, hours: float) -> Absence:
    return Absence.objects.create(
        contact=contact, starts_at=start, ends_at=start + timedelta(hours=hours)
    )


def reachable(contact: Contact) -> Contact:
    """Give somebody a verified e-mail address."""
    address = f"{contact.name.lower().replace(' ', '.')}@example.org"
    make_address(contact=contact, kind="email", value=address)
    return contact

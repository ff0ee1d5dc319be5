"""Writing schedules and rotations without a form: the past is settled, then it is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import models, transaction
from django.utils.translation import gettext as _

from incidents.models import Participant, Rotation, Schedule
from incidents.oncall import recording
from incidents.oncall.acting import covered
from incidents.oncall.validation import (
    rotation_faults,
    schedule_faults,
    seat_faults,
)
from notifications.models import Contact
from t4g_portal.lib import editing
from t4g_portal.lib.editing import Values
from t4g_portal.lib.faults import Fault
from t4g_portal.lib.versions import locked


def create_schedule(*, values: Values, now: datetime) -> Schedule:
    """Store a new schedule; its history begins. Raises UnableToSave."""
    with transaction.atomic():
        row = editing.create(model=Schedule, values=values, check=schedule_faults)
        recording.record(schedule_ids=[row.pk], now=now)
    return row


def change_schedule(
    *,
    schedule_id: int,
    values: Values,
    now: datetime,
    expected: str | None = None,
    may_leave_gap: bool = False,
) -> Schedule:
    """Change a schedule.

    Raises UnableToSave, ChangedMeanwhile, LeavesGap, Schedule.DoesNotExist.
    """
    with locked(_schedules(), pk=schedule_id, expected=expected) as row:
        editing.refuse(schedule_faults({**editing.present(row), **values}))
        with covered([row.pk], now, may_leave_gap=may_leave_gap):
            editing.assign(row, values)
    return row


def delete_schedule(
    *, schedule_id: int, now: datetime, expected: str | None = None
) -> None:
    """Delete a schedule; who was on call stays known. Raises ProtectedError if needed."""
    with transaction.atomic():
        recording.record(schedule_ids=[schedule_id], now=now)
        editing.delete(rows=_schedules(), pk=schedule_id, expected=expected)


def create_rotation(
    *, values: Values, contact_ids: Sequence[int], now: datetime
) -> Rotation:
    """Store a new rotation with its seats, in their order. Raises UnableToSave."""
    editing.refuse(
        [
            *rotation_faults({**editing.defaults(Rotation), **values}),
            *_seat_faults(contact_ids),
            *_name_faults(None, values["schedule"], values["name"]),
        ]
    )
    with transaction.atomic():
        recording.record(schedule_ids=[values["schedule"].pk], now=now)
        row = Rotation()
        editing.assign(row, values)
        _seat(row, contact_ids)
    return row


def change_rotation(
    *,
    rotation_id: int,
    values: Values,
    contact_ids: Sequence[int] | None,
    now: datetime,
    expected: str | None = None,
    may_leave_gap: bool = False,
) -> Rotation:
    """Change what `values` name, and replace the seats unless None.

    Raises UnableToSave, ChangedMeanwhile, LeavesGap, Rotation.DoesNotExist.
    """
    with locked(Rotation.objects.all(), pk=rotation_id, expected=expected) as row:
        if values.get("schedule", row.schedule) != row.schedule:
            why = _("A rotation stays in its schedule. Make one there instead.")
            editing.refuse([Fault("schedule", why)])
        editing.refuse(
            [
                *rotation_faults({**editing.present(row), **values}),
                *_seat_faults(contact_ids or ()),
                *_name_faults(row, row.schedule, values.get("name", row.name)),
            ]
        )
        with covered([row.schedule_id], now, may_leave_gap=may_leave_gap):
            editing.assign(row, values)
            if contact_ids is not None and list(contact_ids) != row.contact_ids:
                for seat in row.participants.all():
                    seat.delete()
                _seat(row, contact_ids)
    return row


def delete_rotation(
    *,
    rotation_id: int,
    now: datetime,
    expected: str | None = None,
    may_leave_gap: bool = False,
) -> None:
    """Delete a rotation; raises ChangedMeanwhile, LeavesGap, Rotation.DoesNotExist."""
    with (
        locked(Rotation.objects.all(), pk=rotation_id, expected=expected) as row,
        covered([row.schedule_id], now, may_leave_gap=may_leave_gap),
    ):
        row.delete()


def _schedules() -> models.QuerySet[Schedule]:
    return Schedule.objects.defer("ical_url")


def _seat(row: Rotation, contact_ids: Sequence[int]) -> None:
    for position, contact_id in enumerate(contact_ids):
        Participant.objects.create(
            rotation=row, contact_id=contact_id, position=position
        )


def _seat_faults(contact_ids: Sequence[int]) -> Iterator[Fault]:
    yield from seat_faults(contact_ids)
    known = set(
        Contact.objects.filter(pk__in=set(contact_ids)).values_list("pk", flat=True)
    )
    for contact_id in contact_ids:
        if contact_id not in known:
            yield Fault(
                "participants",
                _("There is none with the number %(number)d.") % {"number": contact_id},
            )
            return


def _name_faults(
    row: Rotation | None, schedule: Schedule, name: str
) -> Iterator[Fault]:
    others = Rotation.objects.filter(schedule=schedule, name=name)
    if others.exclude(pk=row.pk if row else 0).exists():
        yield Fault("name", _("This schedule has a rotation of that name."))

"""What people do to an on-call calendar, the same from every page and from the API.

Each act locks the schedule, settles its past, checks, and writes in one transaction. The
sentences of the errors are for people. Swaps are in `swapping`.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from incidents.models import Absence, Override, Schedule
from incidents.oncall import who
from incidents.oncall.acting import (
    UnableToChangeCalendar,
    checked_span,
    covered,
    locked,
    locked_many,
    present,
    schedules_with,
)
from notifications.models import Contact


class UnableToOverride(UnableToChangeCalendar):
    """The time is over or makes no sense, or the person is absent."""


class UnableToTake(UnableToOverride):
    """The shift is over, or already one's own."""


class UnableToCancel(UnableToChangeCalendar):
    """It is over already."""


class UnableToPlanAbsence(UnableToChangeCalendar):
    """The time is over or makes no sense."""


def override(
    *,
    schedule_id: int,
    contact_id: int,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    user: User | None = None,
    reason: str = "",
) -> Override:
    """Put somebody on call for a time; what has begun already begins now.

    Raises UnableToOverride, Schedule.DoesNotExist.
    """
    with locked(schedule_id, now) as schedule:
        starts_at = checked_span(
            starts_at=starts_at, ends_at=ends_at, now=now, error=UnableToOverride
        )
        contact = present(
            contact_id=contact_id,
            starts_at=starts_at,
            ends_at=ends_at,
            schedule=schedule,
            now=now,
            error=UnableToOverride,
        )
        return put(
            schedule=schedule,
            contact=contact,
            starts_at=starts_at,
            ends_at=ends_at,
            kind=Override.Kind.OVERRIDE,
            user=user,
            reason=reason,
        )


def take(
    *,
    schedule_id: int,
    contact_id: int,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    user: User | None = None,
    reason: str = "",
) -> Override:
    """Take a shift of somebody else, or of nobody, for oneself.

    Raises UnableToTake, Schedule.DoesNotExist.
    """
    with locked(schedule_id, now) as schedule:
        starts_at = checked_span(
            starts_at=starts_at, ends_at=ends_at, now=now, error=UnableToTake
        )
        contact = present(
            contact_id=contact_id,
            starts_at=starts_at,
            ends_at=ends_at,
            schedule=schedule,
            now=now,
            error=UnableToTake,
        )
        if owners(schedule.pk, starts_at, ends_at) == {contact.pk}:
            raise UnableToTake(_("This shift is yours already."))
        return put(
            schedule=schedule,
            contact=contact,
            starts_at=starts_at,
            ends_at=ends_at,
            kind=Override.Kind.TAKEN,
            user=user,
            reason=reason,
        )


def cancel_override(
    *,
    override_id: int,
    now: datetime,
    contact_id: int | None = None,
    may_leave_gap: bool = False,
) -> None:
    """Take an override back: one that goes on ends now, a later one is deleted.

    `contact_id`: only if it is this person's. Raises UnableToCancel, LeavesGap, and
    Override.DoesNotExist.
    """
    schedule_id = Override.objects.values_list("schedule", flat=True).get(
        pk=override_id
    )
    with (
        locked(schedule_id, now),
        covered([schedule_id], now, may_leave_gap=may_leave_gap),
    ):
        row = Override.objects.select_for_update().get(pk=override_id)
        if contact_id is not None and row.contact_id != contact_id:
            raise UnableToCancel(_("It is not yours. Ask who made it."))
        if row.ends_at <= now:
            raise UnableToCancel(
                _("It is over. The past of a calendar doesn't change.")
            )
        if row.starts_at >= now:
            row.delete()
        else:
            row.ends_at = now
            row.save(update_fields=["ends_at"])


def plan_absence(
    *,
    contact_id: int,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    reason: str = "",
    may_leave_gap: bool = False,
) -> Absence:
    """Keep somebody off all calls for a time; the next of each rotation stands in.

    One that begins with another makes that longer. Raises UnableToPlanAbsence,
    LeavesGap, Contact.DoesNotExist.
    """
    contact = Contact.objects.get(pk=contact_id)
    schedule_ids = schedules_with(contact_id)
    with (
        locked_many(schedule_ids, now),
        covered(schedule_ids, now, may_leave_gap=may_leave_gap),
    ):
        starts_at = checked_span(
            starts_at=starts_at, ends_at=ends_at, now=now, error=UnableToPlanAbsence
        )
        touching = Absence.objects.select_for_update().filter(
            contact=contact, starts_at__lte=ends_at, ends_at__gte=starts_at
        )
        others = list(touching.order_by("starts_at"))
        if any(o.starts_at <= starts_at and ends_at <= o.ends_at for o in others):
            raise UnableToPlanAbsence(
                _("%(name)s is absent then already.") % {"name": contact.name}
            )
        twin = next((o for o in others if o.starts_at == starts_at), None)
        absence = twin or Absence(contact=contact, starts_at=starts_at)
        absence.ends_at = ends_at
        absence.reason = _cut(reason) or absence.reason
        absence.save()
        return absence


def cancel_absence(
    *, absence_id: int, now: datetime, contact_id: int | None = None
) -> None:
    """Be back: an absence that goes on ends now, a later one is deleted.

    `contact_id`: only if it is this person's. Raises UnableToCancel, and
    Absence.DoesNotExist.
    """
    owner_id = Absence.objects.values_list("contact", flat=True).get(pk=absence_id)
    with locked_many(schedules_with(owner_id), now):
        row = Absence.objects.select_for_update().get(pk=absence_id)
        if contact_id is not None and row.contact_id != contact_id:
            raise UnableToCancel(_("It is not yours. Ask who made it."))
        if row.ends_at <= now:
            raise UnableToCancel(
                _("It is over. The past of a calendar doesn't change.")
            )
        if row.starts_at >= now:
            row.delete()
        else:
            row.ends_at = now
            row.save(update_fields=["ends_at"])


def owners(schedule_id: int, starts_at: datetime, ends_at: datetime) -> set[int | None]:
    """Return who is on call in a stretch of time; None stands for nobody."""
    found = who.shifts_of(schedule_ids=[schedule_id], start=starts_at, end=ends_at)
    return {shift.contact_id for shift in found[schedule_id]}


def put(
    *,
    schedule: Schedule,
    contact: Contact,
    starts_at: datetime,
    ends_at: datetime,
    kind: str,
    user: User | None,
    reason: str,
) -> Override:
    """Write an override into a locked schedule, above all that are there."""
    replaced = owners(schedule.pk, starts_at, ends_at) - {None, contact.pk}
    _make_room(schedule, contact, starts_at, ends_at)
    return Override.objects.create(
        schedule=schedule,
        contact=contact,
        starts_at=starts_at,
        ends_at=ends_at,
        kind=kind,
        replaces_id=replaced.pop() if len(replaced) == 1 else None,
        reason=_cut(reason),
        created_by=user,
    )


def _make_room(
    schedule: Schedule, contact: Contact, starts_at: datetime, ends_at: datetime
) -> None:
    """Take away one's own override that a new one of the same beginning hides for good.

    What reaches further goes on after it.
    """
    own = Override.objects.filter(schedule=schedule, contact=contact)
    for hidden in own.filter(starts_at=starts_at):
        twin = own.filter(starts_at=ends_at).first()
        if hidden.ends_at <= ends_at:
            hidden.delete()
        elif twin is None:
            hidden.starts_at = ends_at
            hidden.save(update_fields=["starts_at"])
        else:
            twin.ends_at = max(twin.ends_at, hidden.ends_at)
            twin.save(update_fields=["ends_at"])
            hidden.delete()


def _cut(reason: str) -> str:
    return " ".join(reason.replace("\x00", "").split())[:200]

"""What every change of an on-call calendar goes through: lock, settle the past, check."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from incidents.models import Absence, Schedule
from incidents.oncall import outlook, recording, who, wording
from incidents.oncall.outlook import Gap
from incidents.oncall.plan import Plan
from notifications.models import Contact
from t4g_portal.lib.wording import minute_span

# Longer, and it belongs into a rotation.
MAX_LENGTH = timedelta(days=366)
# How far ahead an edit is looked at, and how many gaps are named.
AHEAD = timedelta(days=62)
_NAMED = 10


class UnableToChangeCalendar(Exception):
    """The calendar does not allow it; the text says why and what to do."""


class LeavesGap(UnableToChangeCalendar):
    """Somebody would be missing after the edit, and nobody said that it is meant."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


@contextmanager
def covered(
    schedule_ids: Collection[int], now: datetime, *, may_leave_gap: bool
) -> Iterator[None]:
    """Let an edit of schedules be made; their past is settled before.

    It is taken back, with LeavesGap, when time that had somebody has nobody after it.
    """
    with transaction.atomic():
        recording.record(schedule_ids=schedule_ids, now=now)
        if may_leave_gap:
            yield
            return
        before = who.plan_of(schedule_ids, since=now)
        yield
        sentences = gap_sentences(before, who.plan_of(list(before), since=now), now)
        if sentences:
            raise LeavesGap(sentences)


def gap_sentences(
    before: Mapping[int, Plan], after: Mapping[int, Plan], now: datetime
) -> list[str]:
    """Say when somebody is on call by the plans `before`, and nobody `after`."""
    gaps: tuple[Gap, ...] = outlook.newly_open(before, after, now, now + AHEAD)
    said = [
        wording.gap(one, zone=before[one.schedule_id].zone, now=now)
        for one in gaps[:_NAMED]
    ]
    if len(gaps) > _NAMED:
        said.append(_("And %(count)d more.") % {"count": len(gaps) - _NAMED})
    return said


@contextmanager
def locked(schedule_id: int, now: datetime) -> Iterator[Schedule]:
    """Hold a schedule until the change has been committed; its past is settled before.

    Raises Schedule.DoesNotExist.
    """
    with locked_many([schedule_id], now) as found:
        if not found:
            raise Schedule.DoesNotExist(f"no schedule {schedule_id}")
        yield found[0]


@contextmanager
def locked_many(
    schedule_ids: Collection[int], now: datetime
) -> Iterator[list[Schedule]]:
    """Hold some schedules, always in the same order, so that two acts can't lock up."""
    with transaction.atomic():
        rows = (
            Schedule.objects.select_for_update()
            .defer("ical_url")
            .filter(pk__in=set(schedule_ids))
            .order_by("pk")
        )
        found = list(rows)
        recording.record(schedule_ids=[row.pk for row in found], now=now)
        yield found


def schedules_with(contact_id: int) -> list[int]:
    """Return the schedules in which a contact has a seat, an override or a shift."""
    rows = (
        Schedule.objects.filter(rotations__participants__contact=contact_id)
        .union(
            Schedule.objects.filter(overrides__contact=contact_id),
            Schedule.objects.filter(imported_shifts__contact=contact_id),
        )
        .values_list("pk", flat=True)
    )
    return sorted(rows)


def checked_span(
    *,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    error: type[UnableToChangeCalendar],
) -> datetime:
    """Return from when a change holds: never before now. Raises `error` for nonsense."""
    if ends_at <= starts_at:
        raise error(_("The end is not after the beginning. Choose a later end."))
    if ends_at <= now:
        raise error(_("That time is over. The past of a calendar doesn't change."))
    if ends_at - max(starts_at, now) > MAX_LENGTH:
        raise error(_("That is longer than a year. Choose an earlier end."))
    return max(starts_at, now)


def present(
    *,
    contact_id: int,
    starts_at: datetime,
    ends_at: datetime,
    schedule: Schedule,
    now: datetime,
    error: type[UnableToChangeCalendar],
) -> Contact:
    """Return a contact who can be on call then; raises `error` with the reason else."""
    contact = Contact.objects.filter(pk=contact_id).first()
    if contact is None:
        raise error(_("This person no longer exists. Choose somebody else."))
    if not contact.is_enabled:
        raise error(
            _("%(name)s is disabled and would hear nothing. Choose somebody else.")
            % {"name": contact.name}
        )
    absence = (
        Absence.objects.filter(
            contact=contact, starts_at__lt=ends_at, ends_at__gt=starts_at
        )
        .order_by("starts_at")
        .first()
    )
    if absence is not None:
        raise error(
            _("%(name)s is absent %(when)s. Choose somebody else, or end the absence.")
            % {
                "name": contact.name,
                "when": when(schedule, absence.starts_at, absence.ends_at, now),
            }
        )
    return contact


def when(
    schedule: Schedule, starts_at: datetime, ends_at: datetime, now: datetime
) -> str:
    """Say a stretch of time on the clock of a schedule."""
    with timezone.override(ZoneInfo(schedule.time_zone)):
        return minute_span(starts_at, ends_at, now=now)

"""Feeds from rows: whose calendar it is, what the engine plans, what subscribers know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from incidents.models import CalendarFeed, PublishedShift, Schedule
from incidents.oncall import calendar, feeds, who, wording
from incidents.oncall.feeds import Entry, Planned, Published
from incidents.oncall.plan import Shift, Why

_COLUMNS = (
    "schedule_name",
    "contact_name",
    "starts_at",
    "ends_at",
    "sequence",
    "modified_at",
    "cancelled_at",
)
# A number of our own for the lock that lets one process publish at a time.
_LOCK = 5_545_001


@dataclass(frozen=True, slots=True)
class _World:
    """What the engine plans within the window of feeds."""

    planned: list[Planned]
    # Why, by what stays the same when a feed knows an earlier beginning.
    whys: Mapping[tuple[tuple[int, int], datetime], Why]
    schedules: Mapping[int, str]
    people: Mapping[int, str]


def feed_of(*, feed: CalendarFeed, now: datetime) -> bytes:
    """Return a feed as calendar programs read it, in ≤ 15 queries. Writes nothing.

    It says what the engine says at this moment; what `publish_all` has not remembered
    yet is new to everybody.
    """
    since, _until = feeds.window(now)
    rows = PublishedShift.objects.order_by("starts_at", "uid")
    if feed.contact_id is None:
        schedule_id = feed.schedule_id or 0
        rows = rows.filter(schedule_number=schedule_id)
        world = _world([schedule_id], now)
        planned = world.planned
    else:
        rows = rows.filter(contact_number=feed.contact_id)
        ids = list(Schedule.objects.values_list("pk", flat=True))
        world = _world(ids, now)
        planned = [one for one in world.planned if one.contact_id == feed.contact_id]
    remembered = {row.uid: row for row in rows}
    known = [_published(row) for row in remembered.values()]
    shifts = feeds.publish(known=known, planned=planned, since=since, now=now)
    entries = [
        _entry(shift, world, remembered, is_personal=feed.schedule_id is None)
        for shift in shifts
        if feeds.worth_keeping(shift, now=now)
    ]
    return feeds.as_ical(
        entries=entries,
        name=_name(feed),
        description=_("Who is on call, from %(portal)s")
        % {"portal": settings.PORTAL_NAME},
        host=urlsplit(settings.PORTAL_URL).hostname or "localhost",
        url=settings.PORTAL_URL + reverse("oncall:page"),
    )


def publish_all(*, now: datetime) -> int:
    """Remember what subscribers are told from now on; return how many shifts changed."""
    since, _until = feeds.window(now)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        world = _world(list(Schedule.objects.values_list("pk", flat=True)), now)
        known = {row.uid: _published(row) for row in PublishedShift.objects.all()}
        shifts = feeds.publish(
            known=known.values(), planned=world.planned, since=since, now=now
        )
        kept = [shift for shift in shifts if feeds.worth_keeping(shift, now=now)]
        changed = [shift for shift in kept if known.get(shift.uid) != shift]
        _save(changed, world)
        _forget(known.keys() - {shift.uid for shift in kept})
    return len(changed)


def _save(shifts: Iterable[Published], world: _World) -> None:
    """Write new and changed shifts; a cancelled one keeps the names that it had."""
    cancelled = {shift.uid: shift for shift in shifts if shift.cancelled_at}
    for row in PublishedShift.objects.filter(uid__in=cancelled):
        shift = cancelled[row.uid]
        row.sequence, row.modified_at = shift.sequence, shift.modified_at
        row.cancelled_at = shift.cancelled_at
        row.save(update_fields=["sequence", "modified_at", "cancelled_at"])
    PublishedShift.objects.bulk_create(
        [
            PublishedShift(
                uid=shift.uid,
                schedule_number=shift.schedule_id,
                schedule_name=world.schedules[shift.schedule_id],
                contact_number=shift.contact_id,
                contact_name=world.people.get(shift.contact_id, ""),
                starts_at=shift.start,
                ends_at=shift.end,
                sequence=shift.sequence,
                modified_at=shift.modified_at,
            )
            for shift in shifts
            if not shift.cancelled_at
        ],
        update_conflicts=True,
        unique_fields=["uid"],
        update_fields=_COLUMNS,
        batch_size=1000,
    )


def _forget(uids: Collection[str]) -> None:
    if uids:
        PublishedShift.objects.filter(uid__in=uids).delete()


def _world(schedule_ids: Collection[int], now: datetime) -> _World:
    """Ask the engine's own door; turns of one person in a row are one shift."""
    start, end = feeds.window(now)
    found = who.stretches_of(schedule_ids=schedule_ids, start=start, end=end)
    joined = [
        (pk, shift)
        for pk, stretch in found.items()
        for shift in calendar.joined(stretch.shifts)
        if shift.contact_id is not None
    ]
    planned = [_planned(pk, shift) for pk, shift in joined]
    return _World(
        planned=planned,
        whys={
            (place.key, place.end): shift.why
            for place, (_pk, shift) in zip(planned, joined, strict=True)
        },
        schedules={pk: stretch.plan.name for pk, stretch in found.items()},
        people=who.names_of(
            shifts=(shift for _pk, shift in joined),
            plans=(stretch.plan for stretch in found.values()),
        ),
    )


def _planned(schedule_id: int, shift: Shift) -> Planned:
    # Nobody's shifts are not planned.
    return Planned(schedule_id, shift.contact_id or 0, shift.start, shift.end)


def _published(row: PublishedShift) -> Published:
    return Published(
        uid=row.uid,
        schedule_id=row.schedule_number,
        contact_id=row.contact_number,
        start=row.starts_at,
        end=row.ends_at,
        sequence=row.sequence,
        modified_at=row.modified_at,
        cancelled_at=row.cancelled_at,
    )


def _entry(
    shift: Published,
    world: _World,
    remembered: Mapping[str, PublishedShift],
    *,
    is_personal: bool,
) -> Entry:
    row = remembered.get(shift.uid)
    schedule = world.schedules.get(shift.schedule_id) or (
        row.schedule_name if row else ""
    )
    person = world.people.get(shift.contact_id) or (row.contact_name if row else "")
    why = world.whys.get((shift.key, shift.end))
    told = (
        wording.why(why, names=world.people) if why and not shift.cancelled_at else ""
    )
    words = {"person": person, "schedule": schedule}
    return Entry(
        shift=shift,
        summary=_("On call: %(schedule)s") % words
        if is_personal
        else _("%(person)s on call: %(schedule)s") % words,
        description=told,
    )


def _name(feed: CalendarFeed) -> str:
    if feed.schedule is not None:
        return _("On call: %(schedule)s") % {"schedule": feed.schedule.name}
    return _("On call: %(person)s") % {
        "person": feed.contact.name if feed.contact else ""
    }


def usable_feeds() -> QuerySet[CalendarFeed]:
    """Return the feeds that answer: not those of people who have left."""
    return (
        CalendarFeed.objects.select_related("schedule", "contact__user")
        .exclude(contact__is_enabled=False)
        .exclude(contact__user__is_active=False)
    )

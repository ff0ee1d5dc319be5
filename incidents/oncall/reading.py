"""What the On call page shows beside who is on call now; each says its queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Q

from incidents.models import Absence, CalendarFeed, Schedule, SwapRequest
from incidents.oncall import calendar, hours, who
from incidents.oncall.board import Turn
from incidents.oncall.hours import Interval, PersonHours
from incidents.oncall.turns import turns_of
from incidents.oncall.who import Stretch
from notifications.models import Contact

# More than anybody reads; all are in the admin.
_MAX_ABSENCES = 30
# Longer than most turns; what goes on longer is said without its end.
_AROUND = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Reading:
    """The calendar of a time, and what belongs to the reader."""

    # Id and name, in their order.
    schedules: list[tuple[int, str]]
    turns: list[Turn]
    hours: list[PersonHours]
    # Swap requests that wait for the reader, and those that the reader made.
    asks: list[SwapRequest]
    asked: list[SwapRequest]
    absences: list[Absence]
    feeds: list[CalendarFeed]


@dataclass(frozen=True, slots=True)
class _Found:
    # By schedule, in their order.
    stretches: dict[int, Stretch]
    names: dict[int, str]


def read(
    *,
    now: datetime,
    me: Contact | None,
    board_period: Interval,
    month: Interval,
    zone: ZoneInfo,
) -> Reading:
    """Return what the page shows, in at most 13 queries.

    `board_period` and `month` are half-open; hours are counted by the clocks of `zone`.
    """
    # Turns are said whole, though they begin before or end after what is shown.
    start = min(board_period[0], month[0]) - _AROUND
    end = max(board_period[1], month[1]) + _AROUND
    found = _find(start, end)
    mine = me.pk if me else None
    swaps = _swaps(mine, now)
    return Reading(
        schedules=[(pk, one.plan.name) for pk, one in found.stretches.items()],
        turns=[replace(turn, is_open=turn.end >= end) for turn in _turns(found, mine)],
        hours=_hours(found, month, now, zone),
        asks=[swap for swap in swaps if swap.other_id == mine],
        asked=[swap for swap in swaps if swap.asker_id == mine],
        absences=list(
            Absence.objects.filter(ends_at__gt=now)
            .select_related("contact")
            .order_by("starts_at", "pk")[:_MAX_ABSENCES]
        ),
        feeds=list(
            CalendarFeed.objects.filter(
                Q(contact=mine) & Q(contact__isnull=False)
                | Q(schedule__in=found.stretches)
            )
        ),
    )


def turns_between(
    *, schedule_id: int, start: datetime, end: datetime, me: int | None
) -> list[Turn]:
    """Return the turns of one schedule, cut to a time, in at most 8 queries."""
    return _turns(_find(start, end, [schedule_id]), me)


def hours_between(
    *, period: Interval, now: datetime, zone: ZoneInfo
) -> list[PersonHours]:
    """Return the hours of everybody within a time, in at most 9 queries."""
    return _hours(_find(*period), period, now, zone)


def _find(start: datetime, end: datetime, ids: Sequence[int] | None = None) -> _Found:
    if ids is None:
        ids = list(Schedule.objects.order_by("name").values_list("pk", flat=True))
    read = who.stretches_of(schedule_ids=ids, start=start, end=end)
    found = {pk: read[pk] for pk in ids if pk in read}
    return _Found(
        stretches=found,
        names=who.names_of(
            shifts=(shift for one in found.values() for shift in one.shifts),
            plans=(one.plan for one in found.values()),
        ),
    )


def _turns(found: _Found, me: int | None) -> list[Turn]:
    return [
        turn
        for one in found.stretches.values()
        for turn in turns_of(plan=one.plan, shifts=one.shifts, names=found.names, me=me)
    ]


def _hours(
    found: _Found, period: Interval, now: datetime, zone: ZoneInfo
) -> list[PersonHours]:
    stretches: Mapping[int, list[Interval]] = defaultdict(list)
    for one in found.stretches.values():
        for shift in calendar.joined(one.shifts):
            if shift.contact_id is not None:
                stretches[shift.contact_id].append((shift.start, shift.end))
    return hours.person_hours(
        stretches=stretches,
        names={pk: found.names.get(pk, "?") for pk in stretches},
        start=period[0],
        end=period[1],
        now=now,
        zone=zone,
    )


def _swaps(me: int | None, now: datetime) -> list[SwapRequest]:
    if me is None:
        return []
    return list(
        SwapRequest.objects.filter(
            Q(asker=me) | Q(other=me),
            status=SwapRequest.Status.ASKED,
            ends_at__gt=now,
        )
        .select_related("asker", "other", "schedule")
        .order_by("starts_at", "pk")
    )

"""Hours on call per person: nights, weekends and French public holidays apart.

Each instant falls into exactly one of six kinds, so the kinds add up to the time that
went by, also on the days on which the clocks change. Pure: no rows, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

from t4g_portal.lib.working_time import is_public_holiday

# 22:00 to 7:00, as for on-call duty ("astreinte") at night.
NIGHT_UNTIL = time(7)
NIGHT_FROM = time(22)
_FIRST_WEEKEND_DAY = 5
_HOUR = timedelta(hours=1)

Interval = tuple[datetime, datetime]


class Kind(StrEnum):
    """What an hour counts as. A holiday on a Sunday is a holiday."""

    DAY = "day"
    NIGHT = "night"
    WEEKEND_DAY = "weekend_day"
    WEEKEND_NIGHT = "weekend_night"
    HOLIDAY_DAY = "holiday_day"
    HOLIDAY_NIGHT = "holiday_night"


@dataclass(frozen=True, slots=True)
class PersonHours:
    """What one person was on call within a period, each instant counted once."""

    contact_id: int
    name: str
    by_kind: Mapping[Kind, timedelta]
    # The part of it that is still to come.
    planned: timedelta
    stretch_count: int

    @property
    def total(self) -> timedelta:
        """The time that went by, whatever the clocks did."""
        return sum(self.by_kind.values(), timedelta())

    @property
    def night(self) -> timedelta:
        """All hours from 22:00 to 7:00."""
        kinds = (Kind.NIGHT, Kind.WEEKEND_NIGHT, Kind.HOLIDAY_NIGHT)
        return sum((self.by_kind[kind] for kind in kinds), timedelta())

    @property
    def weekend(self) -> timedelta:
        """All hours of Saturdays and Sundays that are no holidays."""
        return self.by_kind[Kind.WEEKEND_DAY] + self.by_kind[Kind.WEEKEND_NIGHT]

    @property
    def holiday(self) -> timedelta:
        """All hours of public holidays."""
        return self.by_kind[Kind.HOLIDAY_DAY] + self.by_kind[Kind.HOLIDAY_NIGHT]


def split(*, start: datetime, end: datetime, zone: ZoneInfo) -> dict[Kind, timedelta]:
    """Say how much of a stretch of time is of each kind, by the clocks of `zone`.

    `start` and `end` are aware. The kinds add up to `end - start` in elapsed time. A day
    begins when its midnight comes first, so an hour that the clocks repeat counts twice.
    """
    found = dict.fromkeys(Kind, timedelta())
    for first, last, kind in _pieces(start, end, zone):
        found[kind] += last - first
    return found


def person_hours(
    *,
    stretches: Mapping[int, Sequence[Interval]],
    names: Mapping[int, str],
    start: datetime,
    end: datetime,
    now: datetime,
    zone: ZoneInfo,
) -> list[PersonHours]:
    """Count the hours of each person within [start, end), by name.

    `stretches`: contact id → when they are on call, in any order; who is on call twice
    at once is paid once, so what overlaps is counted once.
    """
    rows = []
    for contact_id, times in stretches.items():
        merged = merge(clip(times, start, end))
        by_kind = dict.fromkeys(Kind, timedelta())
        for first, last in merged:
            for kind, length in split(start=first, end=last, zone=zone).items():
                by_kind[kind] += length
        if not merged:
            continue
        ahead = clip(merged, max(now, start), end)
        rows.append(
            PersonHours(
                contact_id=contact_id,
                name=names[contact_id],
                by_kind=by_kind,
                planned=sum((last - first for first, last in ahead), timedelta()),
                stretch_count=len(merged),
            )
        )
    return sorted(rows, key=lambda row: (row.name.casefold(), row.contact_id))


def merge(times: Iterable[Interval]) -> list[Interval]:
    """Join what touches or overlaps."""
    joined: list[Interval] = []
    for first, last in sorted(times):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def clip(times: Iterable[Interval], start: datetime, end: datetime) -> list[Interval]:
    """Keep what lies within [start, end), in UTC.

    Two moments of one zone differ by what the clocks show, not by what went by.
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    cut = (
        (max(first.astimezone(UTC), start), min(last.astimezone(UTC), end))
        for first, last in times
    )
    return [(first, last) for first, last in cut if first < last]


def month(*, day: date, zone: ZoneInfo) -> Interval:
    """Return the month of a day as moments, half-open."""
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return (
        datetime.combine(first, time(), tzinfo=zone),
        datetime.combine(following, time(), tzinfo=zone),
    )


CSV_HEADER = (
    "person",
    "from",
    "until",
    "time_zone",
    "stretches",
    "total_h",
    *(f"{kind}_h" for kind in Kind),
    "still_planned_h",
)


def csv_rows(
    rows: Iterable[PersonHours], *, start: datetime, end: datetime, zone: ZoneInfo
) -> list[list[str | int]]:
    """Return the hours as a table: decimal hours whose kinds add up to the total."""
    period = [
        moment.astimezone(zone).isoformat(timespec="minutes") for moment in (start, end)
    ]
    return [
        [
            row.name,
            *period,
            zone.key,
            row.stretch_count,
            *_decimals(list(row.by_kind.values())),
            f"{row.planned / _HOUR:.2f}",
        ]
        for row in rows
    ]


def _pieces(
    start: datetime, end: datetime, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime, Kind]]:
    """Cut a stretch of time where the kind may change."""
    # A day earlier and later, since the clocks may have changed around midnight.
    day = start.astimezone(zone).date() - timedelta(days=1)
    last_day = end.astimezone(zone).date() + timedelta(days=1)
    cuts: list[tuple[datetime, Kind]] = []
    while day <= last_day:
        by_day, by_night = _kinds(day)
        for clock, kind in (
            (time(), by_night),
            (NIGHT_UNTIL, by_day),
            (NIGHT_FROM, by_night),
        ):
            cut = datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
            cuts.append((cut, kind))
        day += timedelta(days=1)
    for (first, kind), (last, _kind) in pairwise(cuts):
        for piece in clip([(first, last)], start, end):
            yield (*piece, kind)


def _kinds(day: date) -> tuple[Kind, Kind]:
    if is_public_holiday(day):
        return Kind.HOLIDAY_DAY, Kind.HOLIDAY_NIGHT
    if day.weekday() >= _FIRST_WEEKEND_DAY:
        return Kind.WEEKEND_DAY, Kind.WEEKEND_NIGHT
    return Kind.DAY, Kind.NIGHT


def _decimals(parts: Sequence[timedelta]) -> list[str]:
    """Say the total and its parts in hundredths of an hour, so that they still add up.

    What rounding down leaves over goes to the parts that lost most.
    """
    hundredth = _HOUR / 100
    total = round(sum(parts, timedelta()) / hundredth)
    floors = [part // hundredth for part in parts]
    most_lost = sorted(
        range(len(parts)), key=lambda at: parts[at] % hundredth, reverse=True
    )
    for at in most_lost[: max(total - sum(floors), 0)]:
        floors[at] += 1
    return [f"{value / 100:.2f}" for value in (total, *floors)]

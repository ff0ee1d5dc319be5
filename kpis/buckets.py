"""The periods that values stand for. Pure.

Borders are those of the wall clock in the KPI's zone: a day begins at midnight there,
a week on Monday. A day in spring has 23 hours and one in autumn 25. Where the clock
shows a border twice, the first time counts; where it skips it, the moment of the skip
does. So periods touch, never overlap, and none is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR, DAY, WEEK, MONTH = "hour", "day", "week", "month"
GRAINS = (HOUR, DAY, WEEK, MONTH)

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)
# The longest that a period of each grain can be.
LONGEST_S = {
    HOUR: 3600,
    DAY: 25 * 3600,
    WEEK: (7 * 24 + 1) * 3600,
    MONTH: (31 * 24 + 1) * 3600,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How time is cut: a grain, how many of them one value looks back over, a zone."""

    grain: str
    window: int = 1
    zone: str = "Europe/Paris"

    def __post_init__(self) -> None:
        if self.grain not in GRAINS:
            raise ValueError(f"unknown grain {self.grain!r}")
        if self.window < 1:
            raise ValueError("the window is empty")


@dataclass(frozen=True, slots=True)
class Bucket:
    """One period [`start`, `end`), aware and in UTC.

    `looks_from`: where the window of its value begins; asked as :start, with `end` as
    :end. It is `start` for a window of one.
    """

    start: datetime
    end: datetime
    looks_from: datetime


def at(shape: Shape, moment: datetime) -> Bucket:
    """Return the period that an aware moment lies in."""
    zone = ZoneInfo(shape.zone)
    if shape.grain == HOUR:
        return _hour_at(shape, moment.astimezone(UTC), zone)
    first = _first_day(shape.grain, moment.astimezone(zone).date())
    # Where the clock skips midnight, or shows it twice, a moment may belong to the
    # period beside the one that its date says.
    while _border(first, zone) > moment:
        first = _step(shape.grain, first, -1)
    while (end := _border(_step(shape.grain, first, 1), zone)) <= moment:
        first = _step(shape.grain, first, 1)
    since = _step(shape.grain, first, 1 - shape.window)
    return Bucket(start=_border(first, zone), end=end, looks_from=_border(since, zone))


def previous(shape: Shape, bucket: Bucket, count: int = 1) -> Bucket:
    """Return the period so many before another."""
    for _each in range(count):
        bucket = at(shape, bucket.start - _INSTANT)
    return bucket


def following(shape: Shape, bucket: Bucket) -> Bucket:
    """Return the period after another."""
    return at(shape, bucket.end)


def between(shape: Shape, since: datetime, until: datetime) -> list[Bucket]:
    """Return the periods that [`since`, `until`) touches, oldest first."""
    found = []
    moment = since
    while moment < until:
        bucket = at(shape, moment)
        found.append(bucket)
        moment = bucket.end
    return found


def last_complete(shape: Shape, now: datetime, lateness: timedelta) -> Bucket:
    """Return the newest period that was over for `lateness` already."""
    return previous(shape, at(shape, now - lateness))


def is_complete(bucket: Bucket, now: datetime, lateness: timedelta) -> bool:
    """Whether a period is over, its late data included."""
    return bucket.end + lateness <= now


def as_far_as(
    shape: Shape, bucket: Bucket, *, other: Bucket, moment: datetime
) -> Bucket:
    """Return `bucket` cut off where `other` stands at `moment`: like with like.

    Counted on the wall clock: at 09:00, yesterday until 09:00, also on a day with 23
    hours. A shorter month ends where it ends.
    """
    zone = ZoneInfo(shape.zone)
    if shape.grain == HOUR:
        end = bucket.start + (moment - other.start)
    else:
        passed = _wall(moment, zone) - _wall(other.start, zone)
        end = (_wall(bucket.start, zone) + passed).replace(tzinfo=zone)
        end = end.astimezone(UTC)
    return Bucket(
        start=bucket.start,
        end=min(max(end, bucket.start), bucket.end),
        looks_from=bucket.looks_from,
    )


def _hour_at(shape: Shape, moment: datetime, zone: ZoneInfo) -> Bucket:
    """Hours are counted from the beginning of the day, in real time.

    The hour that the clock shows twice is thus two periods. Where a zone moves its clock
    by less than an hour, the day's last period is shorter.
    """
    day = at(Shape(DAY, 1, shape.zone), moment)
    start = day.start + (moment - day.start) // _HOUR * _HOUR
    return Bucket(
        start=start,
        end=min(start + _HOUR, day.end),
        looks_from=start - (shape.window - 1) * _HOUR,
    )


def _first_day(grain: str, day: date) -> date:
    if grain == WEEK:
        return day - timedelta(days=day.weekday())
    if grain == MONTH:
        return day.replace(day=1)
    return day


def _step(grain: str, first: date, count: int) -> date:
    """Return the first day of the period so many after that of `first`."""
    if grain == MONTH:
        months = first.year * 12 + first.month - 1 + count
        return date(months // 12, months % 12 + 1, 1)
    return first + count * (7 * _DAY if grain == WEEK else _DAY)


# The hours of a month ask for the same days again and again.
@lru_cache(maxsize=4096)
def _border(day: date, zone: ZoneInfo) -> datetime:
    """Return the moment at which a day begins in a zone.

    `fold` 0 is the first of two midnights. For one that the clock skips, Python counts
    with the offset before the skip, which gives the moment of the skip itself.
    """
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)

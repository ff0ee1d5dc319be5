"""In which hours a step may run."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from incidents.escalation.policy import Hours
from incidents.oncall import wall

_MIDNIGHT = time()
# Every weekday comes once in these days; one more for hours over midnight.
_DAYS_AHEAD = 9


def is_open(hours: Hours | None, at: datetime) -> bool:
    """Whether a step with these hours may run at an instant; without any it always may."""
    return hours is None or opening(hours, at) == at


def opening(hours: Hours | None, at: datetime) -> datetime:
    """Return the first instant from `at` on that lies in the hours."""
    if hours is None:
        return at
    zone = _zone(hours)
    first_day = at.astimezone(zone).date() - timedelta(days=1)
    starts = []
    for number in range(_DAYS_AHEAD):
        day = first_day + timedelta(days=number)
        if hours.weekdays and day.weekday() not in hours.weekdays:
            continue
        begin, end = hours.only_from or _MIDNIGHT, hours.only_until or _MIDNIGHT
        last_day = day if begin < end else day + timedelta(days=1)
        start = wall.first(datetime.combine(day, begin), zone)
        until = wall.last(datetime.combine(last_day, end), zone)
        if start <= at < until:
            return at
        if at <= start < until:
            starts.append(start)
    # Hours that never come (an hour that the clock skips, on that day alone) are open.
    return min(starts, default=at)


def _zone(hours: Hours) -> ZoneInfo:
    """Return the zone; a misspelt one must not stop a page."""
    try:
        return ZoneInfo(hours.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")

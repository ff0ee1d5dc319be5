"""When people work: Monday to Friday, 9:00 to 18:00, French public holidays out. Pure.

Times are wall clock of a zone, so a change of summer time moves them with the people.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache

import holidays

OPENS = time(9)
CLOSES = time(18)
_LAST_WORKDAY = 5  # Friday, as ISO 8601 counts
_DAY = timedelta(days=1)


def is_public_holiday(day: date) -> bool:
    """Whether all of France has the day off; Alsace has two more that don't count."""
    return day in _holidays(day.year)


def is_working_day(day: date) -> bool:
    """Whether people work on that day."""
    return day.isoweekday() <= _LAST_WORKDAY and not is_public_holiday(day)


def is_in_hours(moment: datetime, *, zone: tzinfo) -> bool:
    """Whether people of a zone are at work at a moment; 18:00 sharp is too late."""
    local = moment.astimezone(zone)
    return OPENS <= local.time() < CLOSES and is_working_day(local.date())


def working_hours(
    *, start: datetime, end: datetime, zone: tzinfo
) -> tuple[tuple[datetime, datetime], ...]:
    """Return the stretches of [start, end) in which `is_in_hours` is true, in order.

    Half-open like every period, so that a database can ask whether a moment is in one.
    """
    found = []
    day, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    while day <= last:
        if is_working_day(day):
            opens = max(datetime.combine(day, OPENS, zone), start)
            closes = min(datetime.combine(day, CLOSES, zone), end)
            if opens < closes:
                found.append((opens, closes))
        day += _DAY
    return tuple(found)


def add_working_days(day: date, count: int) -> date:
    """Return the `count`-th working day after `day`, which itself does not count.

    A negative count goes back.
    """
    step = _DAY if count > 0 else -_DAY
    for _number in range(abs(count)):
        day += step
        while not is_working_day(day):
            day += step
    return day


@lru_cache(maxsize=64)
def _holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays("FR", years=year))

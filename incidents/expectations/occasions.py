"""At which moments an expectation is judged. Pure."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from incidents.oncall import wall
from incidents.oncall.outlook import AHEAD


def weekly(
    *, weekday: int, clock: time, zone: ZoneInfo, now: datetime
) -> tuple[datetime, ...]:
    """Return when a wall time comes within the next two weeks, the soonest first.

    In the night of 25 hours it may come twice; one that the clock skips comes at the
    moment of the skip. `weekday`: 0 is Monday.
    """
    today = now.astimezone(zone).date()
    found = []
    for number in range(AHEAD.days + 1):
        day = today + timedelta(days=number)
        if day.weekday() == weekday:
            typed = datetime.combine(day, clock)
            found += sorted({wall.first(typed, zone), wall.last(typed, zone)})
    return tuple(at for at in found if now <= at < now + AHEAD)

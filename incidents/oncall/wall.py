"""Wall times of a zone as instants, on the two odd nights of the year too.

A start is the first occurrence of its wall time, an end the last one, and a time that
the clock skips is the moment of the skip: so there is never a gap between two turns
that meet at a wall time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=8192)
def first(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which clocks of `zone` show the naive `wall`, in UTC."""
    return _instant(wall, zone, fold=0)


@lru_cache(maxsize=8192)
def last(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the last instant at which clocks of `zone` show the naive `wall`, in UTC."""
    return _instant(wall, zone, fold=1)


def shown(at: datetime, zone: ZoneInfo) -> datetime:
    """Return what clocks of `zone` show at an instant, as a naive time."""
    return at.astimezone(zone).replace(tzinfo=None)


def _instant(wall: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    instant = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if shown(instant, zone) == wall:
        return instant
    return _skip(wall, zone)


def _skip(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment at which the clock skipped `wall`, to the second."""
    # A skipped time read with the offset from after the skip lies before it (PEP 495).
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if shown(middle, zone) < wall:
            before = middle
        else:
            after = middle
    return after

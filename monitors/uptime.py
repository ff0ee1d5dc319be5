"""Uptime from the status ledger: weighted by time, never by counting checks.

Pure. Time that nobody observed is *unknown*: it lowers coverage and counts neither as
up nor as down (design §5.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_DOWN, Decimal
from zoneinfo import ZoneInfo

from monitors.status import Status


@dataclass(frozen=True, slots=True)
class Interval:
    """One stretch of the ledger; `ended_at` None is the open one. Half-open."""

    status: str
    started_at: datetime
    ended_at: datetime | None
    reason: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Uptime:
    """Seconds in each status within a period of `total_s` seconds."""

    total_s: float
    up_s: float = 0.0
    degraded_s: float = 0.0
    down_s: float = 0.0
    maintenance_s: float = 0.0
    paused_s: float = 0.0
    unknown_s: float = 0.0

    @property
    def observed_s(self) -> float:
        """Time that counts: up, degraded or down."""
        return self.up_s + self.degraded_s + self.down_s

    @property
    def ratio(self) -> float | None:
        """Share of the observed time that was up or degraded; None: not observed."""
        if self.observed_s <= 0:
            return None
        return (self.up_s + self.degraded_s) / self.observed_s

    @property
    def coverage(self) -> float | None:
        """Share observed of the time that should have been; None: none should.

        Maintenance and pauses are nobody's duty to observe, so they don't lower it.
        """
        due_s = self.observed_s + self.unknown_s
        return self.observed_s / due_s if due_s > 0 else None

    @property
    def worst(self) -> str:
        """The status that a one-bar picture of the period shows."""
        for seconds, status in (
            (self.down_s, Status.DOWN),
            (self.degraded_s, Status.DEGRADED),
            (self.maintenance_s, Status.MAINTENANCE),
            (self.up_s, Status.UP),
            (self.paused_s, Status.PAUSED),
        ):
            if seconds > 0:
                return str(status)
        return str(Status.UNKNOWN)

    def __add__(self, other: Uptime) -> Uptime:
        return Uptime(
            total_s=self.total_s + other.total_s,
            up_s=self.up_s + other.up_s,
            degraded_s=self.degraded_s + other.degraded_s,
            down_s=self.down_s + other.down_s,
            maintenance_s=self.maintenance_s + other.maintenance_s,
            paused_s=self.paused_s + other.paused_s,
            unknown_s=self.unknown_s + other.unknown_s,
        )


@dataclass(frozen=True, slots=True)
class DayUptime:
    """One local day; the present one ends now."""

    day: date
    uptime: Uptime


def measure(
    *,
    intervals: Iterable[Interval],
    start: datetime,
    end: datetime,
    observed_until: datetime | None,
) -> Uptime:
    """Return the seconds in each status between `start` and `end`.

    `observed_until`: up to when the open interval is vouched for by a result; what
    comes later is unknown. None: the open interval needs no vouching (paused, in
    maintenance). Time before the first interval counts nowhere: the monitor did not
    exist. Intervals must not overlap.
    """
    seconds = dict.fromkeys(Status.values, 0.0)
    for interval in intervals:
        for status, began, ended in _vouched(interval, end, observed_until):
            length = (min(ended, end) - max(began, start)).total_seconds()
            if length > 0:
                seconds[status] += length
    return Uptime(
        total_s=max((end - start).total_seconds(), 0.0),
        up_s=seconds[Status.UP],
        degraded_s=seconds[Status.DEGRADED],
        down_s=seconds[Status.DOWN],
        maintenance_s=seconds[Status.MAINTENANCE],
        paused_s=seconds[Status.PAUSED],
        # Before its first result nobody has observed a monitor either.
        unknown_s=seconds[Status.UNKNOWN] + seconds[Status.PENDING],
    )


def _vouched(
    interval: Interval, end: datetime, observed_until: datetime | None
) -> Iterator[tuple[str, datetime, datetime]]:
    """Split the open interval where nothing vouches for it any more."""
    if interval.ended_at is not None:
        yield interval.status, interval.started_at, interval.ended_at
        return
    if observed_until is None or observed_until >= end:
        yield interval.status, interval.started_at, end
        return
    border = max(observed_until, interval.started_at)
    yield interval.status, interval.started_at, border
    yield str(Status.UNKNOWN), border, end


def by_day(
    *,
    intervals: Sequence[Interval],
    first_day: date,
    day_count: int,
    zone: ZoneInfo,
    now: datetime,
    observed_until: datetime | None,
) -> list[DayUptime]:
    """Return one `DayUptime` a local day, oldest first.

    A day runs from local midnight to local midnight, so it lasts 23 or 25 hours when
    the clocks change. `intervals` in order of time.
    """
    days = []
    index = 0
    for offset in range(day_count):
        day = first_day + timedelta(days=offset)
        start, end = day_borders(day=day, zone=zone)
        end = min(end, now)
        while index < len(intervals) and _ends_before(intervals[index], start):
            index += 1
        overlapping = []
        for interval in intervals[index:]:
            if interval.started_at >= end:
                break
            overlapping.append(interval)
        days.append(
            DayUptime(
                day=day,
                uptime=measure(
                    intervals=overlapping,
                    start=start,
                    end=end,
                    observed_until=observed_until,
                ),
            )
        )
    return days


def _ends_before(interval: Interval, moment: datetime) -> bool:
    return interval.ended_at is not None and interval.ended_at <= moment


def day_borders(*, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the aware beginning and end of a local day."""
    start = datetime.combine(day, time.min, tzinfo=zone)
    end = datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)
    # In UTC, because subtracting two times of one zone ignores the clock change.
    utc = ZoneInfo("UTC")
    return start.astimezone(utc), end.astimezone(utc)


def floor_percent(ratio: float, *, digits: int = 2) -> str:
    """Return a percentage that never claims more than was reached.

    99.996 % prints as 99.99, and only a ratio of exactly 1 as 100.
    """
    if ratio >= 1:
        return "100"
    # repr() keeps 0.9999 from becoming 0.99989999… on its way to decimal.
    percent = Decimal(repr(ratio)) * 100
    return str(percent.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_DOWN))

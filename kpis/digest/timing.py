"""When a digest is due, on the clock of its own zone. Pure.

A day of the calendar has one occasion whatever the clock does: where it shows the hour
twice, the first time counts; where it skips it, the moment of the skip's far side does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAILY, WEEKLY, MONTHLY = "daily", "weekly", "monthly"

_DAY = timedelta(days=1)
_WEEK_DAYS = 7
# A portal that was away sends a digest late, but not when the next is nearly due.
_GRACE = {DAILY: timedelta(hours=15), WEEKLY: 3 * _DAY, MONTHLY: 3 * _DAY}
# The tick comes a few times a minute; what is slower than this is told.
_PUNCTUAL = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Timing:
    """How often, when. `weekday` counts when weekly (0: Monday), `day` when monthly."""

    cadence: str
    at: time
    weekday: int = 0
    day: int = 1
    zone: str = "Europe/Paris"

    def __str__(self) -> str:
        """Change with what changes the occasions, and with nothing else."""
        on = {WEEKLY: f" {self.weekday}", MONTHLY: f" {self.day}"}
        return f"{self.cadence}{on.get(self.cadence, '')} {self.at} {self.zone}"


@dataclass(frozen=True, slots=True)
class Occasion:
    """One digest: its day, when it is due, and since when it tells, the one before."""

    local_date: date
    since: datetime
    due_at: datetime
    # From then on nobody wants it any more.
    expires_at: datetime

    def is_late(self, moment: datetime) -> bool:
        """Whether one that is written at a moment has to say that it is late."""
        return moment - self.due_at > _PUNCTUAL


def latest(timing: Timing, moment: datetime) -> Occasion:
    """Return the last occasion that was due at a moment."""
    day = _on_or_before(timing, moment.astimezone(ZoneInfo(timing.zone)).date())
    if _due(timing, day) > moment:
        day = _step(timing, day, -1)
    return _occasion(timing, day)


def following(timing: Timing, moment: datetime) -> Occasion:
    """Return the first occasion after a moment."""
    return _occasion(timing, _step(timing, latest(timing, moment).local_date, 1))


def _occasion(timing: Timing, day: date) -> Occasion:
    due_at = _due(timing, day)
    return Occasion(
        local_date=day,
        since=_due(timing, _step(timing, day, -1)),
        due_at=due_at,
        expires_at=due_at + _GRACE[timing.cadence],
    )


def _due(timing: Timing, day: date) -> datetime:
    # `fold` is 0: the first of two, and for none the offset before the skip.
    local = datetime.combine(day, timing.at, tzinfo=ZoneInfo(timing.zone))
    return local.astimezone(UTC)


def _on_or_before(timing: Timing, day: date) -> date:
    if timing.cadence == WEEKLY:
        return day - (day.weekday() - timing.weekday) % _WEEK_DAYS * _DAY
    if timing.cadence == MONTHLY:
        first = day.replace(day=timing.day)
        return first if first <= day else _step(timing, first, -1)
    return day


def _step(timing: Timing, day: date, count: int) -> date:
    if timing.cadence == MONTHLY:
        months = day.year * 12 + day.month - 1 + count
        return date(months // 12, months % 12 + 1, day.day)
    return day + count * (_WEEK_DAYS if timing.cadence == WEEKLY else 1) * _DAY

"""How shifts are laid out as a month or a week: rows of seven days, a lane a schedule.

Pure. Places are by the clock of the reader's zone: a day has 24 columns also when the
clocks change, and a bar says its exact times in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

# As many as the stylesheet has.
TONES = 8
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


class View(StrEnum):
    """What is shown at once."""

    MONTH = "month"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Turn:
    """A shift with what the page says about it; `contact_id` None: nobody."""

    schedule_id: int
    schedule: str
    start: datetime
    end: datetime
    contact_id: int | None
    name: str
    why: str
    is_mine: bool = False
    # Somebody else than the rotation says; by which override, if by one.
    is_changed: bool = False
    override_id: int | None = None
    # Whether it goes on longer than anybody looked.
    is_open: bool = False

    @property
    def is_gap(self) -> bool:
        """Whether nobody has it."""
        return self.contact_id is None

    @property
    def initials(self) -> str:
        """Return up to two letters of the name."""
        parts = [part for part in self.name.split() if part[0].isalnum()]
        return "".join(part[0] for part in (parts[:1] + parts[1:][-1:])).upper()

    @property
    def tone(self) -> int:
        """The person's color; never the only thing that tells who it is."""
        return (self.contact_id or 0) % TONES

    @property
    def length(self) -> timedelta:
        """How long it lasts, by elapsed time."""
        return self.end.astimezone(UTC) - self.start.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is in a row: day of the row and hour of the day."""

    day: int
    hour: int


@dataclass(frozen=True, slots=True)
class Bar:
    """The part of a turn that lies within a row."""

    turn: Turn
    begins: Place
    ends: Place
    # Whether the turn goes on in the row before or after.
    is_begun: bool
    is_continued: bool
    is_over: bool


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a row."""

    date: date
    is_today: bool
    is_outside: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """What one schedule has in one row."""

    schedule_id: int
    schedule: str
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class Row:
    """Seven days."""

    days: list[Day]
    lanes: list[Lane]
    # Where now is, if it is here.
    now: Place | None


@dataclass(frozen=True, slots=True)
class Board:
    """A month or a week."""

    view: View
    on: date
    before: date
    after: date
    start: datetime
    end: datetime
    rows: list[Row] = field(default_factory=list)
    # The same as a list: what is still to come or goes on, and what is over.
    ahead: list[Turn] = field(default_factory=list)
    over: list[Turn] = field(default_factory=list)

    @property
    def first(self) -> date:
        """The first day that belongs to it."""
        return self.on.replace(day=1) if self.view is View.MONTH else _monday(self.on)

    @property
    def last(self) -> date:
        """The last day that belongs to it."""
        if self.view is View.WEEK:
            return self.first + 6 * _DAY
        return self.after.replace(day=1) - _DAY


def period(*, view: View, on: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return what a board of this day shows, half-open, in UTC: whole weeks."""
    first, last = _days(view, on)
    return _midnight(first, zone), _midnight(last + _DAY, zone)


def board(
    *,
    view: View,
    on: date,
    lanes: Sequence[tuple[int, str]],
    turns: Iterable[Turn],
    now: datetime,
    zone: tzinfo,
) -> Board:
    """Lay out turns. `lanes`: id and name of the schedules, in their order."""
    start, end = period(view=view, on=on, zone=zone)
    shown = [turn for turn in turns if turn.start < end and turn.end > start]
    shown.sort(key=lambda turn: (turn.start, turn.schedule, turn.end))
    first, last = _days(view, on)
    mondays = range((last - first).days // 7 + 1)
    return Board(
        view=view,
        on=on,
        before=_step(view, on, -1),
        after=_step(view, on, 1),
        start=start,
        end=end,
        rows=[
            _row(view, on, first + _WEEK * at, lanes, shown, now, zone)
            for at in mondays
        ],
        ahead=[turn for turn in shown if turn.end > now],
        over=[turn for turn in shown if turn.end <= now],
    )


def _row(
    view: View,
    on: date,
    monday: date,
    lanes: Sequence[tuple[int, str]],
    turns: Sequence[Turn],
    now: datetime,
    zone: tzinfo,
) -> Row:
    today = now.astimezone(zone).date()
    start, end = _midnight(monday, zone), _midnight(monday + _WEEK, zone)
    here = [turn for turn in turns if turn.start < end and turn.end > start]
    days = [
        Day(
            date=day,
            is_today=day == today,
            is_outside=view is View.MONTH and day.month != on.month,
        )
        for day in (monday + _DAY * at for at in range(7))
    ]
    return Row(
        days=days,
        lanes=[
            Lane(
                schedule_id=schedule_id,
                schedule=name,
                bars=[
                    Bar(
                        turn=turn,
                        begins=_place(max(turn.start, start), monday, zone),
                        ends=_ending(min(turn.end, end), monday, zone),
                        is_begun=turn.start < start,
                        is_continued=turn.end > end,
                        is_over=turn.end <= now,
                    )
                    for turn in here
                    if turn.schedule_id == schedule_id
                ],
            )
            for schedule_id, name in lanes
        ],
        now=_place(now, monday, zone) if start <= now < end else None,
    )


def _place(at: datetime, monday: date, zone: tzinfo) -> Place:
    local = at.astimezone(zone)
    return Place(day=(local.date() - monday).days, hour=local.hour)


def _ending(at: datetime, monday: date, zone: tzinfo) -> Place:
    """Round up to the hour, so that nothing is too small to be seen."""
    last = _place(at.astimezone(UTC) - timedelta(microseconds=1), monday, zone)
    if last.hour == 23:
        return Place(day=last.day + 1, hour=0)
    return Place(day=last.day, hour=last.hour + 1)


def _days(view: View, on: date) -> tuple[date, date]:
    """Return the first Monday and the last Sunday."""
    if view is View.WEEK:
        return _monday(on), _monday(on) + 6 * _DAY
    last = _step(View.MONTH, on, 1) - _DAY
    return _monday(on.replace(day=1)), _monday(last) + 6 * _DAY


def _monday(day: date) -> date:
    return day - _DAY * day.weekday()


def _step(view: View, on: date, by: int) -> date:
    """Return a day of the week after or before, or the first of such a month."""
    if view is View.WEEK:
        return on + _WEEK * by
    first = on.replace(day=1)
    return (
        (first + _DAY * 32).replace(day=1) if by > 0 else (first - _DAY).replace(day=1)
    )


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)

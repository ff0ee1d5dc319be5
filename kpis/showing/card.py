"""All that one card says, worked out of what is stored. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import pairwise

from kpis import buckets
from kpis.buckets import Bucket, Shape
from kpis.showing import comparing, figures, periods, standing
from kpis.showing.comparing import Change, NoComparison, Progress
from kpis.showing.figures import Figure
from kpis.showing.standing import Collected, Freshness, Standing

# Periods on the small picture of a card.
SPARK_COUNT = 30


@dataclass(frozen=True, slots=True)
class Definition:
    """What a KPI is, as far as showing it goes."""

    slug: str
    name: str
    unit: str
    decimals: int
    # As `kpis.models.Kpi.Direction`.
    direction: str
    shape: Shape
    lateness_s: int = 0

    @property
    def is_higher_better(self) -> bool:
        return self.direction == comparing.HIGHER

    def figure(self, value: Decimal) -> Figure:
        """Write one of its values."""
        return figures.figure(value, unit=self.unit, decimals=self.decimals)


@dataclass(frozen=True, slots=True)
class Point:
    """The value of one period, as stored."""

    start: datetime
    end: datetime
    value: Decimal
    is_complete: bool
    version_id: int
    computed_at: datetime
    # What the period before had come to by the same time of it.
    before_value: Decimal | None = None


@dataclass(frozen=True)
class Card:
    """One KPI as it stands now."""

    of: Definition
    now: datetime
    # What is shown large: of the last complete period, else of the one that runs.
    point: Point | None
    change: Change
    progress: Progress | None
    # The period that is not over, beside a complete one.
    running: Point | None
    running_change: Change
    # The last complete periods, oldest first; None where nothing is known.
    spark: Sequence[float | None]
    has_moved: bool
    collected: Collected
    freshness: Freshness
    standing: Standing

    @cached_property
    def figure(self) -> Figure | None:
        """The value, written; None when nothing is known."""
        return self.of.figure(self.point.value) if self.point else None

    @cached_property
    def period(self) -> str:
        """What the value stands for."""
        if self.point is None:
            return ""
        if self.is_so_far:
            return periods.so_far(self.of.shape)
        return periods.period(
            shape=self.of.shape,
            start=self.point.start,
            end=self.point.end,
            now=self.now,
        )

    @property
    def is_so_far(self) -> bool:
        """Whether the value shown large is of a period that is not over."""
        return self.point is not None and self.point.end > self.now

    @property
    def is_believed(self) -> bool:
        """Whether the value is the newest there is; else it is shown greyed."""
        return self.freshness in (Freshness.FRESH, Freshness.STALE)

    @property
    def as_of(self) -> datetime | None:
        """When the value shown was read, or entered."""
        if self.point is None:
            return None
        read_at = None if self.collected.is_manual else self.collected.last_ok_at
        return max(read_at or self.point.computed_at, self.point.computed_at)

    @property
    def look(self) -> str:
        """The state whose icon and color it has."""
        return standing.look(self.standing)

    @cached_property
    def word(self) -> str:
        """The word beside the icon."""
        return standing.word(self.standing, is_higher_better=self.of.is_higher_better)

    @property
    def needs_a_look(self) -> bool:
        """Whether it is among those that a reader sees first."""
        return self.has_moved or standing.needs_a_look(self.standing)


def compose(
    *,
    of: Definition,
    points: Sequence[Point],
    targets: Sequence[tuple[date, Decimal]],
    collected: Collected,
    alarm: str,
    now: datetime,
) -> Card:
    """Work out a card.

    `points`: the last periods, newest first, one a period. `targets`: as
    `comparing.target_on`. `collected` without `has_value` and `missing_since`, which
    follow from the points. `alarm`: the worst level of its thresholds, or empty.
    """
    complete = next((one for one in points if one.is_complete), None)
    newest = points[0] if points else None
    running = newest if newest is not None and not newest.is_complete else None
    shown = complete or running
    if shown is running:
        change = _running_change(of, running)
        running = None
    else:
        change = _change(of, complete, points)
    known = Collected(
        is_on=collected.is_on,
        is_manual=collected.is_manual,
        has_value=shown is not None,
        last_ok_at=collected.last_ok_at or (newest.computed_at if newest else None),
        missing_since=_missing_since(of, complete, now),
        failure_count=collected.failure_count,
        failing_since=collected.failing_since,
        reason=collected.reason,
        message=collected.message,
        stale_after_s=collected.stale_after_s,
        overdue_after_s=collected.overdue_after_s,
    )
    fresh = standing.freshness(collected=known, now=now)
    goal = _progress(of, shown, targets)
    spark = _spark(of.shape, complete, points)
    return Card(
        of=of,
        now=now,
        point=shown,
        change=change,
        progress=goal,
        running=running,
        running_change=_running_change(of, running),
        spark=spark,
        has_moved=fresh == Freshness.FRESH
        and complete is not None
        and comparing.has_moved(_changes(spark[:-1]), change.ratio),
        collected=known,
        freshness=fresh,
        standing=standing.standing(
            freshness=fresh,
            alarm=alarm,
            # A part of a period has not missed its target yet.
            is_reached=goal.is_reached if goal and shown is complete else None,
        ),
    )


def _change(of: Definition, complete: Point | None, points: Sequence[Point]) -> Change:
    if complete is None:
        return Change()
    start = _before(of.shape, complete.start)
    before = next((one for one in points if one.start == start), None)
    if before is None or before.end != complete.start or not before.is_complete:
        return Change()
    if before.version_id != complete.version_id:
        return Change(why_not=NoComparison.RECOMPUTED)
    return comparing.change(
        value=complete.value, before=before.value, direction=of.direction
    )


def _running_change(of: Definition, running: Point | None) -> Change:
    if running is None:
        return Change()
    return comparing.change(
        value=running.value, before=running.before_value, direction=of.direction
    )


def _progress(
    of: Definition, shown: Point | None, targets: Sequence[tuple[date, Decimal]]
) -> Progress | None:
    if shown is None or not targets:
        return None
    day = periods.local_day(shown.start, of.shape.zone)
    return comparing.progress(
        value=shown.value,
        target=comparing.target_on(targets, day),
        direction=of.direction,
    )


def _missing_since(
    of: Definition, complete: Point | None, now: datetime
) -> datetime | None:
    """Return when the first period after the last known one should have had a value."""
    if complete is None:
        return None
    lateness = timedelta(seconds=of.lateness_s)
    expected = buckets.last_complete(of.shape, now, lateness)
    if complete.start >= expected.start:
        return None
    return buckets.at(of.shape, complete.end).end + lateness


def _spark(
    shape: Shape, complete: Point | None, points: Sequence[Point]
) -> list[float | None]:
    if complete is None:
        return []
    known = {one.start: float(one.value) for one in points if one.is_complete}
    return [
        known.get(start) for start in _starts(shape.grain, shape.zone, complete.start)
    ]


def _changes(values: Sequence[float | None]) -> list[float]:
    return [
        (value - before) / abs(before)
        for before, value in pairwise(values)
        if before and value is not None
    ]


def _before(shape: Shape, start: datetime) -> datetime:
    return _starts(shape.grain, shape.zone, start)[-2]


# Most KPIs of a board are cut alike.
@lru_cache(maxsize=1024)
def _starts(grain: str, zone: str, newest: datetime) -> tuple[datetime, ...]:
    """Return the starts of the last periods, oldest first, `newest` last."""
    shape = Shape(grain, 1, zone)
    bucket: Bucket = buckets.at(shape, newest)
    starts = [bucket.start]
    while len(starts) < SPARK_COUNT:
        bucket = buckets.previous(shape, bucket)
        starts.append(bucket.start)
    return tuple(reversed(starts))

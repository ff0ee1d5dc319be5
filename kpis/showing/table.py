"""The values of a KPI as a table, newest first, and where its calculation changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from kpis.buckets import Bucket
from kpis.showing import comparing, periods, sentences
from kpis.showing.card import Definition, Point
from kpis.showing.comparing import Change, NoComparison
from kpis.showing.figures import Figure


@dataclass(frozen=True, slots=True)
class Row:
    """One period. Without a figure it is unknown."""

    start: datetime
    period: str
    figure: Figure | None
    change: str
    tone: str
    target: Figure | None
    # None: no target, or not over.
    is_reached: bool | None
    is_final: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """From `at` on, values were computed in the way of another version."""

    at: datetime
    version_id: int


def rows(
    *,
    of: Definition,
    cut: Sequence[Bucket],
    points: Mapping[datetime, Point],
    targets: Sequence[tuple[date, Decimal]],
    count: int,
    now: datetime,
) -> list[Row]:
    """Return the newest `count` periods of `cut`, newest first."""
    found = []
    for index in range(len(cut) - 1, max(len(cut) - 1 - count, -1), -1):
        bucket = cut[index]
        before = points.get(cut[index - 1].start) if index else None
        found.append(_row(of, bucket, points.get(bucket.start), before, targets, now))
    return found


def turns(cut: Sequence[Bucket], points: Mapping[datetime, Point]) -> Iterator[Turn]:
    """Find where two values side by side were computed in different ways."""
    before: int | None = None
    for bucket in cut:
        point = points.get(bucket.start)
        if point is None:
            continue
        if before is not None and point.version_id != before:
            yield Turn(point.start, point.version_id)
        before = point.version_id


def _row(
    of: Definition,
    bucket: Bucket,
    point: Point | None,
    before: Point | None,
    targets: Sequence[tuple[date, Decimal]],
    now: datetime,
) -> Row:
    target = comparing.target_on(
        targets, periods.local_day(bucket.start, of.shape.zone)
    )
    change = _change(of, point, before)
    reached = None
    if point is not None and point.is_complete:
        goal = comparing.progress(
            value=point.value, target=target, direction=of.direction
        )
        reached = goal.is_reached if goal else None
    return Row(
        start=bucket.start,
        period=periods.period(
            shape=of.shape, start=bucket.start, end=bucket.end, now=now
        ),
        figure=of.figure(point.value) if point else None,
        change=sentences.size_of_change(of, change) if change else "",
        tone=change.tone if change else comparing.Tone.EVEN,
        target=of.figure(target) if target is not None else None,
        is_reached=reached,
        is_final=point is None or point.is_complete,
    )


def _change(of: Definition, point: Point | None, before: Point | None) -> Change | None:
    """Compare two periods that are over; None where there is nothing to say."""
    if point is None or before is None:
        return None
    if not (point.is_complete and before.is_complete):
        return None
    if point.version_id != before.version_id:
        return Change(why_not=NoComparison.RECOMPUTED)
    return comparing.change(
        value=point.value, before=before.value, direction=of.direction
    )

"""What the page of one KPI is made of: values, pictures and words, in the reader's rights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.http import urlencode
from django.utils.translation import gettext as _

from incidents.alarms import find_own_service
from kpis import buckets, queries
from kpis.annotations import MAINTENANCE, Mark, marks
from kpis.models import Kpi, KpiRun, KpiVersion
from kpis.queries import Detail
from kpis.ranges import Reach
from kpis.showing import definition, drawing, sentences, table
from kpis.showing.card import Card
from kpis.showing.definition import Line, Rules
from kpis.showing.drawing import Chart, Stroke
from kpis.showing.table import Row
from monitors.models import Threshold

ROW_COUNT = 31
MARK_COUNT = 12
_WHY_COUNT = 3

May = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Top:
    """The first answer: how it stands, and what went on in its period."""

    kpi: Kpi
    card: Card
    sentence: str
    doubt: str
    running: str
    # What happened while the shown value came about, newest first.
    why: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class Record:
    """The history over a stretch of time."""

    detail: Detail
    chart: Chart | None
    rows: Sequence[Row]
    # The newest ones of `mark_count`.
    marks: Sequence[Mark]
    mark_count: int
    # None: not for this reader.
    runs: Sequence[KpiRun] | None
    definition: Sequence[Line]
    # The newest way in which it is computed, once it was.
    version: KpiVersion | None
    # How the form of a new threshold on it is filled; empty: not for this reader.
    new_threshold: str


def top(*, kpi: Kpi, may: May, now: datetime) -> Top:
    """Return the first answer for a KPI of `queries.find`."""
    card = queries.card_of(kpi=kpi, now=now)
    return Top(
        kpi=kpi,
        card=card,
        sentence=sentences.sentence(card),
        doubt=sentences.doubt(card),
        running=sentences.running(card),
        why=_why(kpi, card, may),
    )


def record(*, kpi: Kpi, reach: Reach, may: May, now: datetime) -> Record:
    """Return the history of a KPI of `queries.find`."""
    detail = queries.detail(kpi=kpi, since=reach.since, until=reach.until, now=now)
    of = detail.of
    beside = marks(kpi=kpi, since=reach.since, until=reach.until, may=may)
    return Record(
        detail=detail,
        chart=drawing.chart(
            of=of,
            cut=detail.periods,
            points=detail.points,
            targets=detail.targets,
            strokes=[*map(_stroke, beside), *_turns(detail)],
            now=now,
        ),
        rows=table.rows(
            of=of,
            cut=detail.periods,
            points=detail.points,
            targets=detail.targets,
            count=ROW_COUNT,
            now=now,
        ),
        marks=beside[:MARK_COUNT],
        mark_count=len(beside),
        runs=queries.runs(kpi=kpi) if may("kpis.view_kpirun") else None,
        definition=definition.lines(_rules(kpi)),
        version=max(detail.versions.values(), key=lambda one: one.number, default=None),
        new_threshold=_new_threshold(kpi) if may("monitors.add_threshold") else "",
    )


def _new_threshold(kpi: Kpi) -> str:
    """Fill the form; without a service of its own, as `kpis.alarms` chooses one."""
    service = kpi.service or find_own_service()
    values = {
        "name": kpi.name,
        "measure": Threshold.Measure.SERIES,
        "series_name": kpi.series_name,
        "comparison": "below" if kpi.direction == Kpi.Direction.HIGHER else "above",
    }
    if service is not None:
        values["service"] = str(service.pk)
    return urlencode(values)


def _why(kpi: Kpi, card: Card, may: May) -> Sequence[Mark]:
    if card.point is None:
        return []
    looked_at = buckets.at(card.of.shape, card.point.start)
    found = marks(kpi=kpi, since=looked_at.looks_from, until=looked_at.end, may=may)
    return found[:_WHY_COUNT]


def _stroke(mark: Mark) -> Stroke:
    of = _("Maintenance") if mark.kind == MAINTENANCE else mark.of
    said = f"{of}: {mark.title}" if of else mark.title
    return Stroke(mark.kind, mark.at, mark.ended_at, said, mark.url)


def _turns(detail: Detail) -> Sequence[Stroke]:
    return [
        Stroke(
            "version",
            turn.at,
            None,
            _("Computed in another way from here (version %(number)d)")
            % {"number": detail.versions[turn.version_id].number},
        )
        for turn in table.turns(detail.periods, detail.points)
    ]


def _rules(kpi: Kpi) -> Rules:
    return Rules(
        shape=queries.definition(kpi).shape,
        direction=kpi.direction,
        source=kpi.source.name,
        is_manual=kpi.source.is_manual,
        interval_s=kpi.interval_s,
        lateness_s=kpi.lateness_s,
        recompute_count=kpi.recompute_count,
        stale_after_s=kpi.stale_after_s,
        overdue_after_s=kpi.overdue_after_s,
    )

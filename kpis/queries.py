"""What pages, the API and digests show of KPIs: of stored values, never of a source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from django.db import connection
from django.db.models import QuerySet

from kpis import buckets
from kpis.buckets import Bucket, Shape
from kpis.models import (
    Backfill,
    Kpi,
    KpiPoint,
    KpiRun,
    KpiState,
    KpiTarget,
    KpiVersion,
)
from kpis.showing import card as showing
from kpis.showing.card import Card, Definition, Point
from kpis.showing.standing import Collected
from monitors.models import Threshold, ThresholdState
from monitors.thresholds.sentences import threshold_sentence

RUN_COUNT = 20
# The last complete period and those before it, the one that runs, and one that is over
# but may still get late data.
_RECENT_COUNT = showing.SPARK_COUNT + 2
_LEVELS = {"ok": 0, "warning": 1, "critical": 2}

Targets = list[tuple[date, Decimal]]


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """A threshold on a KPI, in words, and where it stands."""

    threshold: Threshold
    sentence: str
    level: str


@dataclass(frozen=True, slots=True)
class Detail:
    """A KPI over a stretch of time."""

    kpi: Kpi
    of: Definition
    # Whether anything of it is known, then or later.
    has_value: bool
    # Oldest first, and with them the values that are known, by their start.
    periods: Sequence[Bucket]
    points: Mapping[datetime, Point]
    targets: Targets
    # The number and the age of the versions, by their row.
    versions: Mapping[int, KpiVersion]
    thresholds: Sequence[ThresholdLine]
    # Past periods that are being read.
    backfill: Backfill | None


def kpis_of(audience: str = Kpi.Audience.BOTH) -> QuerySet[Kpi]:
    """Return the enabled KPIs of an audience in the steady order; both: all of them."""
    found = Kpi.objects.enabled().in_order()
    if audience == Kpi.Audience.BOTH:
        return found
    return found.for_audience(audience)


def cards(*, audience: str = Kpi.Audience.BOTH, now: datetime) -> list[Card]:
    """Return the cards of an audience in the steady order. Four queries for any number."""
    return _cards(list(_with_state(kpis_of(audience))), now)


def cards_named(*, slugs: Iterable[str], now: datetime) -> list[Card]:
    """Return the cards of the enabled KPIs that have one of these slugs."""
    named = Kpi.objects.enabled().in_order().filter(slug__in=list(slugs))
    return _cards(list(_with_state(named)), now)


def card_of(*, kpi: Kpi, now: datetime) -> Card:
    """Return the card of a KPI of `find`."""
    return _cards([kpi], now)[0]


def find(*, slug: str) -> Kpi:
    """Return an enabled KPI with what its page says; raises Kpi.DoesNotExist."""
    found = _with_state(Kpi.objects.enabled().filter(slug=slug))
    return found.select_related("source", "state", "service", "owner").get()


def detail(*, kpi: Kpi, since: datetime, until: datetime, now: datetime) -> Detail:
    """Return a KPI of `find` with its values over the periods of [`since`, `until`)."""
    of = definition(kpi)
    cut = buckets.between(of.shape, since, until)
    found = {point.start: point for point in points(kpi=kpi, since=since, until=until)}
    if cut and cut[-1].end > now and cut[-1].start not in found:
        # What is not over lacks nothing.
        cut.pop()
    return Detail(
        kpi=kpi,
        of=of,
        has_value=bool(found) or KpiPoint.objects.filter(kpi=kpi).exists(),
        periods=cut,
        points=found,
        targets=_targets([kpi.pk])[kpi.pk],
        versions={row.pk: row for row in _versions(kpi)},
        thresholds=_thresholds(kpi),
        backfill=Backfill.objects.filter(kpi=kpi, status__in=Backfill.ACTIVE).first(),
    )


def points(
    *, kpi: Kpi, since: datetime | None = None, until: datetime | None = None
) -> list[Point]:
    """Return the values whose period begins in [`since`, `until`), oldest first.

    Of a period that was computed in several ways, the newest way.
    """
    alike = KpiVersion.objects.filter(kpi=kpi, calculation__grain=kpi.grain)
    rows = KpiPoint.objects.filter(version__in=list(alike.values_list("pk", flat=True)))
    if since is not None:
        rows = rows.filter(end__gt=since)
    if until is not None:
        rows = rows.filter(start__lt=until)
    values = (
        rows.order_by("start", "-version_id")
        .distinct("start")
        .values_list(*_POINT_FIELDS)
    )
    return [Point(*row) for row in values]


def first_start(*, kpi: Kpi) -> datetime | None:
    """Return when the oldest known period begins."""
    row = KpiPoint.objects.filter(kpi=kpi).order_by("start").values_list("start")
    found = row.first()
    return found[0] if found else None


def runs(*, kpi: Kpi) -> list[KpiRun]:
    """Return the last runs, newest first."""
    rows = KpiRun.objects.filter(kpi=kpi).order_by("-started_at")
    return list(rows[:RUN_COUNT])


def version_numbers(*, kpi: Kpi) -> dict[int, int]:
    """Return the number of each version, by its row."""
    return dict(KpiVersion.objects.filter(kpi=kpi).values_list("pk", "number"))


def targets(*, kpi: Kpi) -> Targets:
    """Return its targets, oldest first."""
    return _targets([kpi.pk])[kpi.pk]


def definition(kpi: Kpi) -> Definition:
    """Return what showing needs to know of a row."""
    return Definition(
        slug=kpi.slug,
        name=kpi.name,
        unit=kpi.unit,
        decimals=kpi.decimals,
        direction=kpi.direction,
        shape=Shape(kpi.grain, kpi.window, kpi.time_zone),
        lateness_s=kpi.lateness_s,
    )


_POINT_FIELDS = (
    "start",
    "end",
    "value",
    "is_complete",
    "version_id",
    "computed_at",
    "before_value",
)
# The newest periods of each way of computing, by the index whatever the history's length;
# values of a version with another grain are no periods of this one. Moments come as seconds:
# a board has thousands, and making them from texts would take as long as all the rest.
_RECENT = """
SELECT v.kpi_id, extract(epoch FROM p.start)::float8,
       extract(epoch FROM p."end")::float8, p.value, p.is_complete, p.version_id,
       extract(epoch FROM p.computed_at)::float8, p.before_value
FROM unnest(%s::bigint[], %s::text[]) AS k(id, grain)
JOIN kpis_kpiversion v ON v.kpi_id = k.id AND v.calculation ->> 'grain' = k.grain
CROSS JOIN LATERAL (
    SELECT start, "end", value, is_complete, version_id, computed_at, before_value
    FROM kpis_kpipoint
    WHERE version_id = v.id
    ORDER BY start DESC
    LIMIT %s
) p
ORDER BY v.kpi_id, p.start DESC, v.id DESC
"""


def _with_state(kpis: QuerySet[Kpi]) -> QuerySet[Kpi]:
    # Neither the SQL nor a secret is anything that a page shows.
    return kpis.select_related("source", "state").defer("sql", "source__secret")


def _cards(kpis: Sequence[Kpi], now: datetime) -> list[Card]:
    ids = [kpi.pk for kpi in kpis]
    recent = _recent(kpis)
    aims = _targets(ids)
    alarms = _alarms(kpis)
    return [
        showing.compose(
            of=definition(kpi),
            points=recent[kpi.pk],
            targets=aims[kpi.pk],
            collected=_collected(kpi),
            alarm=alarms.get(kpi.slug, ""),
            now=now,
        )
        for kpi in kpis
    ]


def _collected(kpi: Kpi) -> Collected:
    # None where nothing was ever collected.
    state: KpiState | None = getattr(kpi, "state", None)
    return Collected(
        is_on=kpi.is_enabled and kpi.source.is_enabled,
        is_manual=kpi.source.is_manual,
        has_value=False,
        last_ok_at=state.last_ok_at if state else None,
        missing_since=None,
        failure_count=state.failure_count if state else 0,
        failing_since=state.failing_since if state else None,
        reason=state.last_reason if state else "",
        message=state.last_message if state else "",
        stale_after_s=kpi.stale_after_s,
        overdue_after_s=kpi.overdue_after_s,
    )


def _recent(kpis: Sequence[Kpi]) -> Mapping[int, list[Point]]:
    found: defaultdict[int, list[Point]] = defaultdict(list)
    if kpis:
        with connection.cursor() as cursor:
            cursor.execute(
                _RECENT,
                [
                    [kpi.pk for kpi in kpis],
                    [kpi.grain for kpi in kpis],
                    _RECENT_COUNT,
                ],
            )
            for kpi_id, *values in cursor.fetchall():
                known, point = found[kpi_id], _point(*values)
                # Of a period that was computed in several ways, the newest way.
                is_new = not known or known[-1].start != point.start
                if is_new and len(known) < _RECENT_COUNT:
                    known.append(point)
    return found


def _point(
    start: float,
    end: float,
    value: Decimal,
    is_complete: bool,
    version_id: int,
    computed_at: float,
    before_value: Decimal | None,
) -> Point:
    return Point(
        datetime.fromtimestamp(start, UTC),
        datetime.fromtimestamp(end, UTC),
        value,
        is_complete,
        version_id,
        datetime.fromtimestamp(computed_at, UTC),
        before_value,
    )


def _targets(kpi_ids: Iterable[int]) -> Mapping[int, Targets]:
    found: defaultdict[int, Targets] = defaultdict(list)
    rows = KpiTarget.objects.filter(kpi__in=list(kpi_ids)).order_by("month")
    for kpi_id, month, value in rows.values_list("kpi_id", "month", "value"):
        found[kpi_id].append((month, value))
    return found


def _alarms(kpis: Sequence[Kpi]) -> dict[str, str]:
    """Return the worst level of what fires, by slug."""
    slugs = {kpi.series_name: kpi.slug for kpi in kpis}
    firing = ThresholdState.objects.filter(
        series__name__in=slugs,
        threshold__is_enabled=True,
    ).exclude(level=ThresholdState.Level.OK)
    found: dict[str, str] = {}
    for name, level in firing.values_list("series__name", "level"):
        slug = slugs[name]
        found[slug] = max(
            found.get(slug, ""), level, key=lambda one: _LEVELS.get(one, -1)
        )
    return found


def _versions(kpi: Kpi) -> QuerySet[KpiVersion]:
    # Not how it was computed: that is not for every reader.
    return KpiVersion.objects.filter(kpi=kpi).defer("calculation").order_by("number")


def _thresholds(kpi: Kpi) -> list[ThresholdLine]:
    name = kpi.series_name
    rows = (
        Threshold.objects.filter(series_name=name, is_enabled=True)
        .select_related("service", "monitor")
        .defer("monitor__secret")
        .order_by("critical_priority", "name")
    )
    levels = dict(
        ThresholdState.objects.filter(series__name=name).values_list(
            "threshold_id", "level"
        )
    )
    return [
        ThresholdLine(
            threshold=row,
            sentence=threshold_sentence(row),
            level=levels.get(row.pk, ThresholdState.Level.OK),
        )
        for row in rows
    ]

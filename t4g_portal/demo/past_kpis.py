"""A year of KPIs that nobody read: values, targets, a note."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from django.contrib.auth.models import User

from kpis import asking, buckets, collecting, services, storing, versions
from kpis.models import Kpi, KpiState, KpiTarget
from kpis.storing import NewPoint
from t4g_portal.demo import figures, past

LENGTH = timedelta(days=366)
# What is aimed for, beside the value of the month before.
_AMBITION = Decimal("1.04")


def write(*, now: datetime, people: dict[str, User]) -> None:
    """Write the past of every KPI that the demo's platform answers for."""
    collecting.prepare(now=now)
    for kpi in Kpi.objects.select_related("source").defer("source__secret"):
        if asking.can_look_back(kpi.source.kind):
            # The portal knows its own made-up past; its worker reads it.
            services.start_backfill(
                kpi=kpi,
                since=now - past.LENGTH,
                until=now,
                user=people["jules"],
                now=now,
            )
            continue
        points = _points(kpi, now)
        version = versions.current(kpi, now=points[0].bucket.start)
        storing.store_points(version=version, points=points, at=now, run=None)
        _set_targets(kpi, points)
        KpiState.objects.filter(kpi=kpi).update(last_ok_at=now)
    services.add_note(
        kpi=None,
        at=now - timedelta(days=17, hours=3),
        text="Campaign mail to all members",
        user=people["sofia"],
        now=now,
    )


def _points(kpi: Kpi, now: datetime) -> list[NewPoint]:
    shape = buckets.Shape(grain=kpi.grain, window=kpi.window, zone=kpi.time_zone)
    current = buckets.at(shape, now)
    return [
        NewPoint(
            bucket=bucket,
            value=Decimal(figures.at(bucket.end)[kpi.json_path]),
            is_complete=True,
        )
        for bucket in buckets.between(shape, now - LENGTH, current.start)
    ]


def _set_targets(kpi: Kpi, points: list[NewPoint]) -> None:
    """Aim each month for a little more than the month before brought on average."""
    by_month: dict[datetime, list[Decimal]] = {}
    for point in points:
        month = point.bucket.end.astimezone(UTC).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        by_month.setdefault(month, []).append(point.value)
    months = sorted(by_month)
    KpiTarget.objects.bulk_create(
        KpiTarget(
            kpi=kpi,
            month=month.date(),
            value=round(_average(by_month[before]) * _AMBITION),
        )
        for before, month in pairwise(months)
    )


def _average(values: list[Decimal]) -> Decimal:
    return sum(values, Decimal()) / len(values)

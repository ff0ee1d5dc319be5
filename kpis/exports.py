"""The values of a KPI as a file, each with what it stands for and how it came about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.utils.translation import gettext as _

from kpis import queries
from kpis.models import Kpi
from kpis.showing import periods
from kpis.showing.card import Point
from kpis.showing.comparing import target_on
from t4g_portal.lib.csv_files import csv_response


def as_csv(*, kpi: Kpi, since: datetime | None, until: datetime | None) -> HttpResponse:
    """Answer with a table, a line a period, oldest first; times on the KPI's own clock."""
    zone = ZoneInfo(kpi.time_zone)
    return csv_response(
        name=f"{kpi.slug}.csv",
        header=[
            _("KPI"),
            _("From"),
            _("To"),
            _("Value"),
            _("Unit"),
            _("Target"),
            _("Complete"),
            _("Version"),
            _("Computed"),
        ],
        rows=(
            [
                kpi.name,
                point.start.astimezone(zone),
                point.end.astimezone(zone),
                plain(point.value),
                kpi.unit,
                None if target is None else plain(target),
                _("yes") if point.is_complete else _("no"),
                version,
                point.computed_at.astimezone(zone),
            ]
            for point, target, version in _rows(kpi, since, until)
        ),
    )


def as_json(
    *, kpi: Kpi, since: datetime | None, until: datetime | None
) -> HttpResponse:
    """Answer with the same as JSON. Values are texts, so that no digit is lost."""
    body: dict[str, Any] = {
        "slug": kpi.slug,
        "name": kpi.name,
        "description": kpi.description,
        "unit": kpi.unit,
        "direction": kpi.direction,
        "grain": kpi.grain,
        "window": kpi.window,
        "time_zone": kpi.time_zone,
        "points": [
            {
                "start": point.start.isoformat(),
                "end": point.end.isoformat(),
                "value": f"{plain(point.value):f}",
                "target": None if target is None else f"{plain(target):f}",
                "is_complete": point.is_complete,
                "version": version,
                "computed_at": point.computed_at.isoformat(),
            }
            for point, target, version in _rows(kpi, since, until)
        ],
    }
    return HttpResponse(
        json.dumps(body, ensure_ascii=False, indent=1),
        content_type="application/json; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{kpi.slug}.json"'},
    )


def plain(value: Decimal) -> Decimal:
    """Return a value without the zeros that the column pads it with, never as 1E+3."""
    found = value.normalize()
    return found.quantize(Decimal(1)) if found == found.to_integral() else found


def _rows(
    kpi: Kpi, since: datetime | None, until: datetime | None
) -> Iterator[tuple[Point, Decimal | None, int | None]]:
    targets = queries.targets(kpi=kpi)
    numbers = queries.version_numbers(kpi=kpi)
    found: Sequence[Point] = queries.points(kpi=kpi, since=since, until=until)
    for point in found:
        day = periods.local_day(point.start, kpi.time_zone)
        yield point, target_on(targets, day), numbers.get(point.version_id)

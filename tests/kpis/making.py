"""Plain functions that make rows for the tests of KPIs. Each takes overrides by keyword."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

from kpis import versions
from kpis.buckets import at
from kpis.models import DataSource, Kpi, KpiPoint, KpiVersion

_numbers = itertools.count(1)


def make_source(**values: Any) -> DataSource:
    """A source that people enter values for, unless told otherwise."""
    values.setdefault("name", f"Source {next(_numbers)}")
    values.setdefault("kind", "manual")
    return DataSource.objects.create(**values)


def make_kpi(**values: Any) -> Kpi:
    """A daily KPI in Europe/Paris, collected every hour."""
    number = next(_numbers)
    if "source" not in values:
        values["source"] = make_source()
    values.setdefault("slug", f"kpi-{number}")
    values.setdefault("name", f"KPI {number}")
    return Kpi.objects.create(**values)


def make_version(kpi: Kpi, *, now: datetime) -> KpiVersion:
    return versions.current(kpi, now=now)


def make_point(kpi: Kpi, moment: datetime, value: Any, **values: Any) -> KpiPoint:
    """The value of the period that a moment lies in, read when it was over."""
    version = values.pop("version", None) or versions.current(kpi, now=moment)
    bucket = at(versions.shape_of(version), moment)
    values.setdefault("is_complete", True)
    values.setdefault("computed_at", bucket.end + timedelta(minutes=5))
    return KpiPoint.objects.create(
        kpi=kpi,
        version=version,
        start=bucket.start,
        end=bucket.end,
        value=value,
        **values,
    )

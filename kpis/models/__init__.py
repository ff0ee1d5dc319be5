"""Where figures come from, what they mean, what was read, and who is told."""

from __future__ import annotations

from kpis.models.collection import Backfill, KpiPoint, KpiRun, KpiState, KpiVersion
from kpis.models.digest import DigestDelivery, DigestPlan, DigestState
from kpis.models.kpi import Kpi, KpiNote, KpiTarget
from kpis.models.source import DataSource, DataSourceState

__all__ = [
    "Backfill",
    "DataSource",
    "DataSourceState",
    "DigestDelivery",
    "DigestPlan",
    "DigestState",
    "Kpi",
    "KpiNote",
    "KpiPoint",
    "KpiRun",
    "KpiState",
    "KpiTarget",
    "KpiVersion",
]

"""What people edit of KPIs, and what they look at."""

from __future__ import annotations

from kpis.admin import digest, kpi, records, source

__all__ = ["digest", "kpi", "records", "source"]

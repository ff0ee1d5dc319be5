"""Keeps house: values are kept for ever, the log of runs for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from kpis.models import KpiRun

RUNS_KEPT = timedelta(days=90)
_AT_ONCE = 5_000


def keep_house(*, now: datetime) -> int:
    """Delete runs past their time, in small batches; return how many."""
    count = 0
    while True:
        old = KpiRun.objects.filter(started_at__lt=now - RUNS_KEPT)
        ids = list(old.order_by("started_at").values_list("pk", flat=True)[:_AT_ONCE])
        if not ids:
            return count
        KpiRun.objects.filter(pk__in=ids).delete()
        count += len(ids)

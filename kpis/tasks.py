"""What Celery beat ticks. Each task is one loop's cycle and nothing else."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from kpis import backfilling, collecting, retention
from kpis.digest import sending
from t4g_portal.lib.loops import run_cycle


@shared_task(name="kpis.tasks.collect")
def collect(**_: Any) -> None:
    """Start to read the sources whose KPIs are due."""
    run_cycle(
        name="kpis.collect",
        bound_s=60,
        cycle=lambda now: collecting.collect_due(now=now),
    )


@shared_task(name="kpis.tasks.backfill")
def backfill(**_: Any) -> None:
    """Go on with past periods that somebody asked for."""
    run_cycle(
        name="kpis.backfill",
        bound_s=60,
        cycle=lambda now: backfilling.advance_due(now=now),
    )


@shared_task(name="kpis.tasks.digest")
def digest(**_: Any) -> None:
    """Send the digests that are due."""
    run_cycle(
        name="kpis.digest",
        bound_s=300,
        cycle=lambda now: sending.send_due(now=now),
    )


@shared_task(name="kpis.tasks.keep_house")
def keep_house(**_: Any) -> None:
    """Forget runs that nobody looks at any more."""
    run_cycle(
        name="kpis.keep_house",
        bound_s=10_800,
        cycle=lambda now: retention.keep_house(now=now),
    )


@worker_shutting_down.connect
def _stop_reading(**_: Any) -> None:
    collecting.readers.stop()
    backfilling.readers.stop()

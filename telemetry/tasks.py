"""What Celery beat ticks. Each task is one loop's cycle and nothing else."""

from __future__ import annotations

from celery import shared_task

from t4g_portal.lib.loops import run_cycle
from telemetry import services


@shared_task(name="telemetry.tasks.keep_house")
def keep_house() -> None:
    """Forget old deployments."""
    run_cycle(
        name="telemetry.keep_house",
        bound_s=10_800,
        cycle=lambda now: services.forget(now=now),
    )

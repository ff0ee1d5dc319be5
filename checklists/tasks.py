"""What Celery beat ticks. Each task is one loop's cycle and nothing else."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from checklists import verifying
from t4g_portal.lib.loops import run_cycle


@shared_task(name="checklists.tasks.verify")
def verify(**_: Any) -> None:
    """Look at the items of open runs that are due."""
    run_cycle(
        name="checklists.verify",
        bound_s=300,
        cycle=lambda now: verifying.verify_due(now=now),
    )

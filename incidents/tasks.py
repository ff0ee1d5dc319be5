"""The ticks of this room."""

from __future__ import annotations

from celery import shared_task

from incidents.advancing import advance_due
from t4g_portal.lib.loops import run_cycle

# Seconds without a full cycle after which `/ready` names the loop.
ADVANCE_BOUND_S = 60


@shared_task(name="incidents.tasks.advance")
def advance() -> None:
    """Page again, end snoozes; see `incidents.advancing`."""
    run_cycle(
        name="incidents.advance",
        bound_s=ADVANCE_BOUND_S,
        cycle=lambda now: advance_due(now=now),
    )

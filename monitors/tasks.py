"""What Celery beat ticks. Each task is one loop's cycle and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from monitors import probing, watching
from monitors.drills import plans, running
from monitors.history import retention, rollups
from monitors.thresholds import rounds
from t4g_portal.lib.loops import run_cycle


@shared_task(name="monitors.tasks.probe")
def probe(**_: Any) -> None:
    """Claim what is due in the next seconds and start it."""
    run_cycle(
        name="monitors.probe",
        bound_s=30,
        cycle=lambda now: probing.prober().tick(now=now),
    )


@shared_task(name="monitors.tasks.watch")
def watch(**_: Any) -> None:
    """Look after states between results, and after our own network."""

    def cycle(now: datetime) -> None:
        # One of the two must not keep the other from its work.
        try:
            probing.prober().watch_network(now=now)
        finally:
            watching.watch(now=now)

    run_cycle(name="monitors.watch", bound_s=60, cycle=cycle)


@shared_task(name="monitors.tasks.judge")
def judge(**_: Any) -> None:
    """Hold the thresholds against what was measured."""
    run_cycle(
        name=rounds.LOOP,
        bound_s=60,
        cycle=lambda now: rounds.judge_all(now=now),
    )


@shared_task(name="monitors.tasks.drill")
def drill(**_: Any) -> None:
    """Start the drills that are due, end those that are over."""

    def cycle(now: datetime) -> None:
        plans.start_due(now=now)
        running.advance(now=now)

    run_cycle(name="monitors.drill", bound_s=60, cycle=cycle)


@shared_task(name="monitors.tasks.roll_up")
def roll_up(**_: Any) -> None:
    """Sum up the hours that have new results."""
    run_cycle(
        name="monitors.roll_up", bound_s=300, cycle=lambda now: rollups.roll_up(now=now)
    )


@shared_task(name="monitors.tasks.keep_house")
def keep_house(**_: Any) -> None:
    """Create partitions ahead and drop what is past its time."""
    run_cycle(
        name="monitors.keep_house",
        bound_s=10_800,
        cycle=lambda now: retention.keep_house(now=now),
    )


@worker_shutting_down.connect
def _stop_probing(**_: Any) -> None:
    probing.stop()

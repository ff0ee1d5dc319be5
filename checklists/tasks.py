"""What Celery beat ticks. Each task is one loop's cycle and nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from celery import shared_task

from checklists import reminding, verifying
from checklists.auditing import anchors, checks
from checklists.services import runs, waivers
from t4g_portal.lib.loops import run_cycle


@shared_task(name="checklists.tasks.verify")
def verify(**_: Any) -> None:
    """Look at the items of open runs that are due."""
    run_cycle(
        name="checklists.verify",
        bound_s=300,
        cycle=lambda now: verifying.verify_due(now=now),
    )


@shared_task(name="checklists.tasks.keep_chain")
def keep_chain(**_: Any) -> None:
    """Mail the head of the audit chain each day, and verify the chain each night."""
    run_cycle(name="checklists.keep_chain", bound_s=900, cycle=_keep_chain)


def _keep_chain(now: datetime) -> None:
    # The mail goes first: it tells of the check of the night before in any case.
    anchors.send_due(now=now)
    checks.check_due(now=now)


@shared_task(name="checklists.tasks.keep_house")
def keep_house(**_: Any) -> None:
    """End runs and waivers whose time is over, and tell people before that."""
    run_cycle(name="checklists.keep_house", bound_s=900, cycle=_keep_house)


def _keep_house(now: datetime) -> None:
    runs.expire_due(now=now)
    waivers.expire_due(now=now)
    # Last, so that a gate that has just closed is said at once.
    reminding.remind_due(now=now)

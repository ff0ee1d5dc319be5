"""What Celery beat ticks. Each task is one loop's cycle and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from celery import shared_task

from checklists import reminding, verifying
from checklists.auditing import anchors, checks
from checklists.services import runs, signing, waivers
from t4g_portal.lib.loops import run_cycle

logger = logging.getLogger(__name__)


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
    _run_all(now, anchors.send_due, checks.check_due)


@shared_task(name="checklists.tasks.keep_house")
def keep_house(**_: Any) -> None:
    """End what is over, forget old addresses, and tell people before something ends."""
    run_cycle(name="checklists.keep_house", bound_s=900, cycle=_keep_house)


def _keep_house(now: datetime) -> None:
    # Reminding last, so that a gate that has just closed is said at once.
    _run_all(
        now,
        runs.expire_due,
        waivers.expire_due,
        signing.erase_addresses,
        reminding.remind_due,
    )


def _run_all(now: datetime, *steps: Callable[..., object]) -> None:
    """Run every step; raise RuntimeError at the end when any failed, and it is logged.

    So the others still run, and the loop isn't called well.
    """
    failed = []
    for step in steps:
        name = f"{step.__module__}.{step.__name__}"
        try:
            step(now=now)
        except Exception:
            logger.exception("%s failed", name)
            failed.append(name)
    if failed:
        raise RuntimeError(f"failed: {', '.join(failed)}")

"""The ticks of this room."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Protocol

from celery import shared_task

from incidents import deploy_windows, digest, hollow_steps
from incidents.advancing import advance_all
from incidents.auditing import passing
from incidents.collaboration.reminding import remind_due
from incidents.expectations import keeping
from incidents.oncall import (
    handoffs,
    importing,
    publishing,
    recording,
    swapping,
    warning,
)
from t4g_portal.lib.loops import run_cycle

logger = logging.getLogger(__name__)

# Seconds without a full cycle after which `/ready` names the loop.
ADVANCE_BOUND_S = 60
ON_CALL_BOUND_S = 300
IMPORT_BOUND_S = 3 * 900
PUBLISH_BOUND_S = 3 * 300
REMIND_BOUND_S = 3 * 3600
AUDIT_BOUND_S = 300
EXPECT_BOUND_S = 600


class _Part(Protocol):
    def __call__(self, *, now: datetime) -> object: ...


def _do_each(now: datetime, *parts: tuple[str, _Part]) -> None:
    """Do every part, whatever becomes of the others; raise in the end when one failed."""
    failed = []
    for name, part in parts:
        try:
            part(now=now)
        except Exception:
            logger.exception("%s failed", name)
            failed.append(name)
    if failed:
        raise RuntimeError(f"failed: {', '.join(failed)}")


@shared_task(name="incidents.tasks.advance")
def advance() -> None:
    """Page again, end snoozes and deploy windows; see `incidents.advancing`."""

    run_cycle(
        name="incidents.advance",
        bound_s=ADVANCE_BOUND_S,
        cycle=lambda now: _do_each(
            now,
            # First, so that what it raises is paged at once.
            ("deploy windows", deploy_windows.advance_windows),
            ("steps", advance_all),
        ),
    )


@shared_task(name="incidents.tasks.keep_on_call")
def keep_on_call() -> None:
    """Settle who was on call, tell of handoffs, end unanswered swaps."""
    run_cycle(
        name="incidents.on_call",
        bound_s=ON_CALL_BOUND_S,
        cycle=lambda now: _do_each(
            now,
            ("who was on call", recording.record_all),
            ("swaps", swapping.expire_due),
            ("handoffs", handoffs.tell_due),
        ),
    )


@shared_task(name="incidents.tasks.import_calendars")
def import_calendars() -> None:
    """Fetch the calendars that schedules import; see `incidents.oncall.importing`."""
    run_cycle(
        name="incidents.import_calendars",
        bound_s=IMPORT_BOUND_S,
        cycle=lambda now: importing.import_all(now=now),
    )


@shared_task(name="incidents.tasks.publish_shifts")
def publish_shifts() -> None:
    """Remember what calendar programs were told; see `incidents.oncall.publishing`."""
    run_cycle(
        name="incidents.publish_shifts",
        bound_s=PUBLISH_BOUND_S,
        cycle=lambda now: publishing.publish_all(now=now),
    )


@shared_task(name="incidents.tasks.remind")
def remind() -> None:
    """Warn of gaps ahead and of steps that name nobody, send the daily digest, remind."""

    run_cycle(
        name="incidents.remind",
        bound_s=REMIND_BOUND_S,
        cycle=lambda now: _do_each(
            now,
            # First, so that the digest of a morning has what came up overnight.
            ("calendars", warning.watch_calendars),
            ("policies", hollow_steps.watch_policies),
            ("digest", digest.send_due),
            ("reminders", remind_due),
        ),
    )


@shared_task(name="incidents.tasks.audit")
def audit() -> None:
    """Look for pages that could get lost; see `incidents.auditing`."""
    run_cycle(
        name=passing.LOOP,
        bound_s=AUDIT_BOUND_S,
        cycle=lambda now: passing.audit(now=now),
    )


@shared_task(name="incidents.tasks.expect")
def expect() -> None:
    """Judge what must stay true of the road to people; see `incidents.expectations`."""
    run_cycle(
        name="incidents.expect",
        bound_s=EXPECT_BOUND_S,
        cycle=lambda now: keeping.watch(now=now),
    )

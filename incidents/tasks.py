"""The ticks of this room."""

from __future__ import annotations

import logging
from datetime import datetime

from celery import shared_task

from incidents import deploy_windows, digest
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


@shared_task(name="incidents.tasks.advance")
def advance() -> None:
    """Page again, end snoozes and deploy windows; see `incidents.advancing`."""

    def cycle(now: datetime) -> None:
        is_failed = False
        # First, so that what it raises is paged at once.
        try:
            deploy_windows.advance_windows(now=now)
        except Exception:
            # People are paged whatever happens to the windows.
            logger.exception("advance: deploy windows failed")
            is_failed = True
        advance_all(now=now)
        if is_failed:
            raise RuntimeError("failed: deploy windows")

    run_cycle(name="incidents.advance", bound_s=ADVANCE_BOUND_S, cycle=cycle)


@shared_task(name="incidents.tasks.keep_on_call")
def keep_on_call() -> None:
    """Settle who was on call, tell of handoffs, end unanswered swaps."""
    run_cycle(
        name="incidents.on_call",
        bound_s=ON_CALL_BOUND_S,
        cycle=lambda now: _on_call(now),
    )


def _on_call(now: datetime) -> None:
    recording.record_all(now=now)
    swapping.expire_due(now=now)
    handoffs.tell_due(now=now)


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
    """Warn of gaps ahead, send the daily digest, remind of what is left to do."""

    def cycle(now: datetime) -> None:
        # First, so that the digest of a morning has what came up overnight.
        warning.watch_calendars(now=now)
        digest.send_due(now=now)
        remind_due(now=now)

    run_cycle(name="incidents.remind", bound_s=REMIND_BOUND_S, cycle=cycle)


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

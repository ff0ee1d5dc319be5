"""What became of a try: the attempt, the notification and the channel, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from notifications.backoff import retry_delay_s
from notifications.bundling import share_fate
from notifications.claiming import Claim, held
from notifications.fallthrough import bring_forward
from notifications.models import Attempt, ChannelState, Notification

_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class Try:
    """One finished try; `detail` is for people and holds no secret."""

    started_at: datetime
    duration_ms: int
    outcome: Attempt.Outcome
    detail: str = ""
    receipt: Mapping[str, Any] = field(default_factory=dict)
    # Sent, but the receiver had something to complain about.
    warning: str = ""
    retry_after_s: float | None = None


def record(*, claim: Claim, result: Try, now: datetime) -> Notification.Status | None:
    """Write down a try and return the status that follows from it.

    None when the lease had ended and somebody else has taken over: then only the
    attempt is kept, because it happened.
    """
    with transaction.atomic():
        Attempt.objects.create(
            notification_id=claim.notification_id,
            started_at=result.started_at,
            duration_ms=result.duration_ms,
            outcome=result.outcome,
            detail=result.detail or result.warning,
        )
        row = held(claim=claim, is_locked=True)
        if row is None:
            return None
        _note_channel(row, result, now)
        if result.outcome == Attempt.Outcome.SENT:
            return _end_sent(row, result, now)
        if row.cancel_requested_at is not None:
            return end(row=row, status=Notification.Status.CANCELLED, now=now)
        if result.outcome == Attempt.Outcome.PERMANENT or now >= row.give_up_at:
            return end(
                row=row,
                status=Notification.Status.DEAD,
                now=now,
                outcome=result.detail,
            )
        return _queue_again(row, result, now)


def end(
    *,
    row: Notification,
    status: Notification.Status,
    now: datetime,
    outcome: str = "",
) -> Notification.Status:
    """Close a row, in a transaction of the caller's.

    An `outcome` that is written already stays unless a new one comes. What the row
    carried ends with it. When it is dead, the next way to the same person is tried at
    once.
    """
    row.status = status
    row.ended_at = now
    row.outcome = outcome or row.outcome
    row.lease_until = row.lease_token = None
    row.save(
        update_fields=[
            "status",
            "ended_at",
            "outcome",
            "lease_until",
            "lease_token",
            "receipt",
        ]
    )
    share_fate(carrier=row, now=now)
    if status == Notification.Status.DEAD:
        bring_forward(route_key=row.route_key, now=now)
    return status


def _end_sent(row: Notification, result: Try, now: datetime) -> Notification.Status:
    row.receipt = dict(result.receipt)
    outcome = result.warning
    if row.cancel_requested_at is not None:
        outcome = _("It had left already when it was cancelled: %(reason)s") % {
            "reason": row.outcome
        }
    return end(row=row, status=Notification.Status.SENT, now=now, outcome=outcome)


def _queue_again(row: Notification, result: Try, now: datetime) -> Notification.Status:
    delay_s = retry_delay_s(
        attempt_count=row.attempt_count,
        is_paging=row.lane == Notification.Lane.PAGING,
        jitter=_random.random(),
        retry_after_s=result.retry_after_s,
    )
    row.status = Notification.Status.QUEUED
    row.next_attempt_at = now + timedelta(seconds=delay_s)
    row.lease_until = row.lease_token = None
    row.save(update_fields=["status", "next_attempt_at", "lease_until", "lease_token"])
    return Notification.Status.QUEUED


def _note_channel(row: Notification, result: Try, now: datetime) -> None:
    if row.channel_id is None:
        return
    problem = result.detail or result.warning
    state = ChannelState(channel_id=row.channel_id, error=problem)
    changed = ["error"]
    if result.outcome == Attempt.Outcome.SENT:
        state.sent_at = now
        changed.append("sent_at")
    if problem:
        state.failed_at = now
        changed.append("failed_at")
    ChannelState.objects.bulk_create(
        [state],
        update_conflicts=True,
        unique_fields=["channel"],
        update_fields=changed,
    )

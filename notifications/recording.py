"""What became of a try: the attempt, the notification and the channel, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from notifications import providers, receipts
from notifications.backoff import MAX_ASKED_S, retry_delay_s
from notifications.bundling import share_fate
from notifications.claiming import Claim, held
from notifications.fallthrough import bring_forward
from notifications.models import Attempt, ChannelState, Notification, ProviderState

_random = SystemRandom()
# Others are asked first for so long after a provider has failed.
_SET_BACK = timedelta(seconds=30)


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
    # Whose account it went through, and whether the failure was that provider's own.
    provider_id: int | None = None
    via: str = ""
    carrier: str = ""
    is_providers_fault: bool = False
    message_id: str = ""


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
            provider_id=result.provider_id,
            via=result.via,
        )
        _note_provider(result, now)
        row = held(claim=claim, is_locked=True)
        if row is None:
            return None
        _note_channel(row, result, now)
        if result.outcome == Attempt.Outcome.SENT:
            return _end_sent(row, result, now)
        if row.cancel_requested_at is not None:
            return end(row=row, status=Notification.Status.CANCELLED, now=now)
        move = _move(row, result)
        is_late = now >= row.give_up_at and move is not providers.Move.AT_ONCE
        if move is providers.Move.GIVE_UP or is_late:
            return end(
                row=row,
                status=Notification.Status.DEAD,
                now=now,
                outcome=result.detail,
            )
        return _queue_again(row, result, now, move)


def postpone(*, claim: Claim, until: datetime) -> Notification.Status | None:
    """Give a claimed row back untried, because its provider is busy until then.

    None when the lease had ended and somebody else has it.
    """
    is_ours = Notification.objects.filter(
        pk=claim.notification_id,
        lease_token=claim.token,
        status=Notification.Status.SENDING,
    ).update(
        status=Notification.Status.QUEUED,
        next_attempt_at=until,
        attempt_count=F("attempt_count") - 1,
        lease_until=None,
        lease_token=None,
    )
    return Notification.Status.QUEUED if is_ours else None


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
            "provider_message_id",
            "delivery_status",
            "report_due_at",
        ]
    )
    share_fate(carrier=row, now=now)
    if status == Notification.Status.DEAD:
        bring_forward(route_key=row.route_key, now=now)
    return status


def _end_sent(row: Notification, result: Try, now: datetime) -> Notification.Status:
    row.receipt = dict(result.receipt)
    receipts.note_taken(
        row=row,
        provider_id=result.provider_id,
        message_id=result.message_id,
        carrier=result.carrier,
        now=now,
    )
    outcome = result.warning
    if row.cancel_requested_at is not None:
        outcome = _("It had left already when it was cancelled: %(reason)s") % {
            "reason": row.outcome
        }
    return end(row=row, status=Notification.Status.SENT, now=now, outcome=outcome)


def _move(row: Notification, result: Try) -> providers.Move:
    """Decide what follows a failure."""
    if result.provider_id is not None and result.is_providers_fault:
        return providers.move_after(
            row=row, carrier=result.carrier, provider_id=result.provider_id
        )
    if result.outcome == Attempt.Outcome.PERMANENT:
        return providers.Move.GIVE_UP
    return providers.Move.BACK_OFF


def _queue_again(
    row: Notification, result: Try, now: datetime, move: providers.Move
) -> Notification.Status:
    delay_s = 0.0
    if move is providers.Move.BACK_OFF:
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


def _note_provider(result: Try, now: datetime) -> None:
    """Keep what the provider did. Its row exists since its pace was reserved."""
    if result.provider_id is None:
        return
    state = ProviderState.objects.filter(provider_id=result.provider_id)
    if result.outcome == Attempt.Outcome.SENT:
        state.update(sent_at=now, error=result.warning, set_back_until=None)
    elif result.is_providers_fault:
        state.update(failed_at=now, error=result.detail, set_back_until=now + _SET_BACK)
    else:
        state.update(failed_at=now, error=result.detail)
    if result.retry_after_s and result.carrier != "slack_bot":
        # Slack means one method of one channel: a page never waits for an edit.
        # It asked for a pause: nothing goes out through it meanwhile.
        free_at = now + timedelta(seconds=min(result.retry_after_s, MAX_ASKED_S))
        state.filter(Q(next_free_at=None) | Q(next_free_at__lt=free_at)).update(
            next_free_at=free_at
        )

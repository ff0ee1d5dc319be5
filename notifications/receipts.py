"""What became of a message after its provider took it.

Reports come late, twice and out of order, so only their rank decides: nothing that is
delivered becomes "handed on" again. A message of which no report comes is asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from notifications.carriers import REPORTED
from notifications.fallthrough import bring_forward
from notifications.models import Attempt, ChannelState, DeliveryReport, Notification

# Somebody has it, says more than that somebody else could not be reached.
RANKS: Mapping[str, int] = {"": 0, "sent": 1, "failed": 2, "delivered": 3}
FINAL = frozenset({"failed", "delivered"})
# A report that has not come after these is asked for; then nobody will know.
_ASK_AFTER = tuple(
    timedelta(seconds=seconds) for seconds in (60, 300, 900, 3600, 21_600, 86_400)
)


def message_key(*, provider_id: int, message_id: str) -> str:
    """Return what a message of a provider is stored as: no other one can mean it."""
    return f"{provider_id}:{message_id}"[:100]


def provider_of(row: Notification) -> int | None:
    """Return the id of the provider that took a row, None when none did."""
    number = row.provider_message_id.partition(":")[0]
    return int(number) if number.isdecimal() else None


def note_taken(
    *,
    row: Notification,
    provider_id: int | None,
    message_id: str,
    carrier: str,
    now: datetime,
) -> None:
    """Set on a locked row that its provider took it; a report may have come before."""
    if provider_id is None or not message_id:
        return
    row.provider_message_id = message_key(
        provider_id=provider_id, message_id=message_id
    )
    if carrier not in REPORTED:
        return
    if RANKS["sent"] > RANKS.get(row.delivery_status, 0):
        row.delivery_status = "sent"
    if row.delivery_status not in FINAL:
        row.report_due_at = now + _ASK_AFTER[0]


def apply(
    *,
    provider_id: int,
    message_id: str,
    status: str,
    now: datetime,
    detail: str = "",
    notification_id: int | None = None,
) -> bool:
    """Take in a report; return whether it was about a message of that provider.

    `status` is one of `RANKS`. `notification_id` finds the row where the report came
    before the message's id was stored. A failure hastens the next way to the person.
    """
    with transaction.atomic():
        row = _find(provider_id, message_id, notification_id)
        if row is None:
            return False
        report = DeliveryReport(
            notification=row, at=now, status=status, detail=detail[:500]
        )
        DeliveryReport.objects.bulk_create([report], ignore_conflicts=True)
        if RANKS[status] <= RANKS.get(row.delivery_status, 0):
            return True
        row.delivery_status = status
        changed = ["delivery_status"]
        if status in FINAL:
            row.report_due_at = None
            changed.append("report_due_at")
        if status == "delivered":
            row.delivered_at = now
            changed.append("delivered_at")
        row.save(update_fields=changed)
        if status == "failed":
            _note_failure(row, detail, now)
    return True


def ask_later(*, row: Notification, now: datetime) -> None:
    """Set when to ask again about a message that is still under way, or never.

    What got its final report meanwhile stays as it is.
    """
    sent_at = row.ended_at or now
    ahead = [sent_at + after for after in _ASK_AFTER if sent_at + after > now]
    Notification.objects.filter(pk=row.pk, report_due_at__isnull=False).update(
        report_due_at=ahead[0] if ahead else None
    )


def ask_now(*, provider_id: int, message_id: str, now: datetime) -> bool:
    """Have a provider asked about a message at once; return whether it is ours and open.

    For reports that anybody could have sent: they change nothing but that.
    """
    return bool(
        Notification.objects.filter(
            provider_message_id=message_key(
                provider_id=provider_id, message_id=message_id
            )
        )
        .exclude(delivery_status__in=FINAL)
        .update(report_due_at=now)
    )


def _find(
    provider_id: int, message_id: str, notification_id: int | None
) -> Notification | None:
    rows = Notification.objects.select_for_update(of=("self",))
    key = message_key(provider_id=provider_id, message_id=message_id)
    if notification_id is None:
        return rows.filter(provider_message_id=key).first()
    row = rows.filter(pk=notification_id).first()
    if row is None or row.provider_message_id == key:
        return row
    if not row.provider_message_id:
        # Its sender has not recorded yet, or never will: only it was given the number.
        is_open = row.status == Notification.Status.SENDING
        is_lost = row.attempts.filter(outcome=Attempt.Outcome.LOST)
        return row if is_open or is_lost.exists() else None
    is_one_of_several = message_id in map(str, row.receipt.get("message_ids", []))
    return row if is_one_of_several and provider_of(row) == provider_id else None


def _note_failure(row: Notification, detail: str, now: datetime) -> None:
    if row.channel_id is not None:
        problem = _("It was taken and then not delivered. %(detail)s") % {
            "detail": detail
        }
        ChannelState.objects.filter(channel_id=row.channel_id).update(
            error=problem, failed_at=now
        )
    bring_forward(route_key=row.route_key, now=now)

"""When one way to a person fails for good, the next one goes out at once."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from notifications.models import Notification
from notifications.wakeup import wake_up_on_commit


def bring_forward(*, route_key: str, now: datetime) -> Notification | None:
    """Make the next row of a page to a person due now; call it in a transaction.

    For whoever learns that a row of that page reached nobody: the sender, or a report
    of the provider. Returns the row, None when there is none that waits for its time.
    One that is taken or is being stopped by somebody else is left to them.
    """
    if not route_key:
        return None
    with transaction.atomic():
        row = (
            # Not those in back-off: they have their own pace.
            Notification.objects.filter(
                route_key=route_key,
                status=Notification.Status.QUEUED,
                attempt_count=0,
            )
            .order_by("next_attempt_at", "pk")
            .select_for_update(skip_locked=True, of=("self",))
            .first()
        )
        if row is None or row.next_attempt_at <= now:
            return None
        row.next_attempt_at = now
        row.save(update_fields=["next_attempt_at"])
        wake_up_on_commit()
    return row

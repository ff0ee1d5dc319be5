"""The rows of alerts that a deploy window holds back; `incidents.intake` decides.

A window that is looked at here stays as it is until the caller's transaction ends: no
alert can slip into a window that has just been closed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import connection

from incidents.conditions import MAX_DETAIL, Condition, storable
from incidents.models import Alert, HeldAlert

Status = HeldAlert.Status

# FOR KEY SHARE: alerts don't wait for each other, whoever ends the window waits for them.
_OPEN = """
SELECT id FROM incidents_deploywindow
WHERE service_id = %(service)s AND ended_at IS NULL
    AND opened_at <= %(now)s AND ends_at > %(now)s
FOR KEY SHARE
"""


def window_over(*, service_id: int, now: datetime) -> int | None:
    """Return the window that is open over a service, and keep it open; one query."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, {"service": service_id, "now": now})
        found = cursor.fetchone()
    return found[0] if found else None


def place_of(*, dedup_key: str) -> tuple[int, str] | None:
    """Return service and grouping key of what waits under a key, without a lock."""
    waiting = HeldAlert.objects.waiting().filter(dedup_key=dedup_key)
    return waiting.values_list("service_id", "grouping_key").first()


def lock(*, dedup_key: str) -> HeldAlert | None:
    """Lock what waits under a key. The group first, as everywhere (`intake`)."""
    return (
        HeldAlert.objects.waiting()
        .filter(dedup_key=dedup_key)
        .select_for_update(of=("self",))
        .select_related("service")
        .first()
    )


def begin(*, condition: Condition, window_id: int, now: datetime) -> HeldAlert:
    """Hold a condition back. Raises IntegrityError when one of its key is."""
    return HeldAlert.objects.create(
        window_id=window_id,
        dedup_key=condition.dedup_key,
        service=condition.service,
        grouping_key=condition.grouping_key,
        title=condition.title,
        detail=condition.detail,
        priority=condition.priority,
        source=condition.source,
        runbook_url=condition.runbook_url,
        is_public=condition.is_public,
        started_at=condition.started_at,
        held_at=now,
        last_triggered_at=now,
    )


def say_again(*, held: HeldAlert, condition: Condition, now: datetime) -> HeldAlert:
    """Keep what was said last of a locked alert; `condition` comes from `with_past`."""
    held.title = condition.title
    held.detail = condition.detail
    held.priority = condition.priority
    held.runbook_url = condition.runbook_url
    held.is_public = condition.is_public
    held.started_at = condition.started_at
    held.last_triggered_at = max(held.last_triggered_at, now)
    held.trigger_count += 1
    held.save()
    return held


def with_past(*, held: HeldAlert, condition: Condition) -> Condition:
    """Return the condition with what was known of it while it waited."""
    return replace(
        condition,
        detail=condition.detail or held.detail,
        runbook_url=condition.runbook_url or held.runbook_url,
        is_public=condition.is_public or held.is_public,
        started_at=min(condition.started_at, held.started_at),
    )


def condition_of(*, held: HeldAlert) -> Condition:
    """Return what was held back."""
    return Condition(
        dedup_key=held.dedup_key,
        service=held.service,
        grouping_key=held.grouping_key,
        title=held.title,
        detail=held.detail,
        priority=held.priority,
        source=held.source,
        started_at=held.started_at,
        runbook_url=held.runbook_url,
        is_public=held.is_public,
    )


def note_raised(*, held: HeldAlert, alert: Alert, now: datetime) -> None:
    """Note that a locked alert waits no longer, since it was raised."""
    held.alert = alert
    _end(held, Status.RAISED, now)


def note_over(*, held: HeldAlert, detail: str, now: datetime) -> None:
    """Note that a locked alert ended by itself; what was held stays as a note."""
    if detail:
        held.detail = storable(detail, MAX_DETAIL)
    _end(held, Status.OVER, now)


def _end(held: HeldAlert, status: HeldAlert.Status, now: datetime) -> None:
    held.status = status
    held.ended_at = now
    held.save()

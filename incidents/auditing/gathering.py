"""From rows to the facts that the auditor judges; two statements and a plan each."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from incidents import paging
from incidents.auditing.judging import (
    LATE_AFTER,
    NOT_LEAVING_AFTER,
    RECEIPT_WITHIN,
    STUCK_AFTER,
    IncidentFacts,
    Kind,
    MessageFacts,
    judge_incident,
    judge_message,
)
from incidents.models import HeldAlert, Incident
from notifications.backoff import MAX_ASKED_S, MAX_S


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is wrong: with an incident, with a message about it, or with the
    end of deploy windows as a whole."""

    kind: Kind
    incident_id: int | None = None
    notification_id: int | None = None


# Open incidents whose last page has rows in the outbox. A page's number is the fourth
# part of the keys of its rows.
_WITH_ROWS = """
SELECT incident.id
FROM incidents_incident incident
WHERE incident.id = ANY(%(ids)s) AND EXISTS (
    SELECT FROM notifications_notification page
    WHERE page.subject_key = 'incident:' || incident.id
        AND page.purpose = 'page'
        AND split_part(page.idempotency_key, ':', 4)
            = (incident.escalation_count - 1)::text
)
"""

# Messages that may be in trouble. Of those handed on only pages of open incidents that
# nobody has: who acknowledged needs no receipt. One that was found before is known.
_MESSAGES = """
WITH calling AS (
    SELECT id, 'incident:' || id AS subject_key FROM incidents_incident
    WHERE status = 'triggered'
), suspect AS (
    SELECT id FROM notifications_notification
    WHERE status IN ('queued', 'sending') AND (
        (status = 'sending' AND (
            lease_until IS NULL OR lease_until < %(now)s - %(stuck)s
            OR lease_until > %(now)s))
        OR (status = 'queued' AND (
            next_attempt_at < %(now)s - %(not_leaving)s
            OR next_attempt_at > %(now)s AND (
                queued_at > %(now)s + %(late)s
                OR attempt_count > 0 AND next_attempt_at > %(now)s + %(late)s
                    + CASE lane WHEN 0 THEN %(page_wait)s ELSE %(wait)s END))))
    UNION ALL
    SELECT message.id FROM notifications_notification message
    JOIN calling USING (subject_key)
    WHERE message.status = 'sent' AND message.purpose = 'page'
        AND message.delivery_status = 'sent'
        AND message.ended_at < %(now)s - %(receipt)s
        AND NOT EXISTS (
            SELECT FROM incidents_auditfinding finding
            WHERE finding.notification_id = message.id AND finding.kind = 'no_receipt')
)
SELECT message.id, incident.id, message.status, message.next_attempt_at,
    message.lease_until, message.ended_at,
    incident.status IS NOT DISTINCT FROM 'triggered',
    message.delivery_status = 'sent',
    EXISTS (
        SELECT FROM notifications_notification other
        WHERE (other.channel_id = message.channel_id
                OR other.address_id = message.address_id)
            AND other.id <> message.id
            AND (other.status = 'sending' AND other.lease_until > %(now)s
                OR other.status = 'queued' AND other.attempt_count > 0
                    AND other.next_attempt_at >= %(now)s - %(not_leaving)s
                OR other.status = 'sent' AND other.ended_at > %(now)s - %(stuck)s)),
    message.next_attempt_at > %(now)s
FROM suspect
JOIN notifications_notification message USING (id)
LEFT JOIN incidents_incident incident
    ON incident.id = CASE WHEN message.subject_key ~ '^incident:[0-9]{1,18}$'
        THEN substr(message.subject_key, 10)::bigint END
ORDER BY message.id
"""


def found(*, now: datetime) -> list[Found]:
    """Return everything that is wrong at a moment, incidents first, of any age."""
    return [*_held_alerts(now), *_incidents(now), *_messages(now)]


def of_incident(*, incident: Incident, now: datetime) -> Kind | None:
    """Judge one incident whose row the caller has locked."""
    return judge_incident(facts=_facts(incident, now, _with_rows([incident])), now=now)


def is_unreadable(*, incident: Incident, now: datetime) -> bool:
    """Whether what an incident keeps of its policy or its climb is damaged."""
    try:
        _facts(incident, now, set())
    except Exception:  # noqa: BLE001 whatever it is, the engine would fail there too
        return True
    return False


def _held_alerts(now: datetime) -> Iterator[Found]:
    """Yield one for all that should have been raised when its deploy window ended."""
    past = now - LATE_AFTER
    late = HeldAlert.objects.waiting().filter(
        Q(window__ended_at__lte=past) | Q(window__ends_at__lte=past)
    )
    if late.exists():
        yield Found(Kind.STILL_HELD)


def _incidents(now: datetime) -> Iterator[Found]:
    rows = list(Incident.objects.open().select_related("service").order_by("pk"))
    with_rows = _with_rows(rows)
    for incident in rows:
        if is_unreadable(incident=incident, now=now):
            yield Found(Kind.UNREADABLE, incident_id=incident.pk)
            continue
        kind = judge_incident(facts=_facts(incident, now, with_rows), now=now)
        if kind is not None:
            yield Found(kind, incident_id=incident.pk)


def _with_rows(rows: Collection[Incident]) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(_WITH_ROWS, {"ids": [row.pk for row in rows]})
        return {pk for (pk,) in cursor.fetchall()}


def _facts(incident: Incident, now: datetime, with_rows: set[int]) -> IncidentFacts:
    next_at = incident.next_escalation_at
    # The planner's own answer, on the object alone: nothing is saved.
    paging.schedule(incident=incident, now=now)
    wanted_at, incident.next_escalation_at = incident.next_escalation_at, next_at
    return IncidentFacts(
        next_at=next_at,
        wanted_at=wanted_at,
        is_calling=incident.is_calling(now=now) and not incident.policy["is_digest"],
        is_untold=incident.is_untold,
        page_count=incident.escalation_count,
        paged_at=incident.paged_at,
        opened_at=incident.opened_at,
        has_rows=incident.pk in with_rows,
        began_at=incident.escalation_began_at,
    )


def _messages(now: datetime) -> Iterator[Found]:
    parameters: dict[str, Any] = {
        "now": now,
        "stuck": STUCK_AFTER,
        "not_leaving": NOT_LEAVING_AFTER,
        "receipt": RECEIPT_WITHIN,
        "late": LATE_AFTER,
        "page_wait": timedelta(seconds=MAX_ASKED_S),
        "wait": timedelta(seconds=MAX_S),
    }
    with connection.cursor() as cursor:
        cursor.execute(_MESSAGES, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    for pk, incident_id, *values in rows:
        kind = judge_message(facts=MessageFacts(*values), now=now)
        if kind is not None:
            yield Found(kind, incident_id=incident_id, notification_id=pk)

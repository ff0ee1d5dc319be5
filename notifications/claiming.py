"""Taking due rows out of the outbox, with a lease, in one statement.

What it promises: no row is held by two senders, one destination gets one message at a
time by each method (an SMS that is tried again holds up no call to the same phone) but
for a page, which waits for pages only, the messages of a thread go in order, no lane
takes the slots of another, and what was never tried goes before what has failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q

from notifications.models import Notification

LEASE = timedelta(seconds=90)
# No transport takes longer, with its name lookups and a look at what was taken. What has
# not begun by then could still be on its way when somebody else takes it over.
LONGEST_SEND = timedelta(seconds=65)


@dataclass(frozen=True, slots=True)
class Claim:
    """One row that is ours until the lease ends; `token` is the fence."""

    notification_id: int
    token: UUID
    lane: int
    lease_until: datetime


# `live`: what may block or be sent. What was due at once when it was written is due,
# whatever the clock of that host said. A row in back-off blocks the later messages of its
# thread, one that is merely scheduled does not. What is being sent holds up what is no
# more urgent: a page (lane 0) does not wait for a digest's slow server, nor for an answer
# of its thread that is in back-off for an hour. An edit of what was said waits for what
# is being said, and nothing waits for it but other edits.
# The last SELECT looks again, because a row may have been taken since the first.
_CLAIM = """
WITH slot (lane, free) AS (
    SELECT * FROM unnest(%(lanes)s::int[], %(free)s::int[])
),
live AS (
    SELECT id, lane, next_attempt_at, channel_id, address_id, method,
        attempt_count > 0 AS was_tried,
        status = 'sending' AND lease_until > %(now)s AS is_in_flight,
        next_attempt_at <= %(now)s
            OR (attempt_count = 0 AND next_attempt_at = queued_at) AS is_due,
        coalesce(message ->> 'edits', '') <> '' AS is_edit,
        CASE WHEN coalesce(message ->> 'edits', '') = ''
            THEN message ->> 'thread_key' ELSE '' END AS thread_key
    FROM notifications_notification
    WHERE status IN ('queued', 'sending')
        AND (status = 'sending' OR attempt_count > 0
            OR next_attempt_at <= %(now)s OR next_attempt_at = queued_at)
),
placed AS (
    SELECT *,
        coalesce(min(lane) FILTER (WHERE is_in_flight AND NOT is_edit)
            OVER destination <= lane, false)
            OR (is_edit AND bool_or(is_in_flight) OVER destination) AS is_busy,
        thread_key = '' OR id = CASE WHEN lane = 0
            THEN min(id) FILTER (WHERE lane = 0 OR is_in_flight) OVER thread
            ELSE min(id) OVER thread END AS is_next_in_thread
    FROM live
    WINDOW destination AS (PARTITION BY channel_id, address_id, method),
        thread AS (PARTITION BY channel_id, address_id, method, thread_key)
),
next_of_destination AS (
    SELECT DISTINCT ON (channel_id, address_id, method)
        id, lane, next_attempt_at, was_tried
    FROM placed
    WHERE is_due AND is_next_in_thread AND NOT is_busy
    ORDER BY channel_id, address_id, method, lane, next_attempt_at, id
),
ranked AS (
    SELECT id, lane, row_number() OVER (
        PARTITION BY lane ORDER BY was_tried, next_attempt_at, id
    ) AS place
    FROM next_of_destination
),
picked AS (
    SELECT id, status = 'sending' AS was_lost, lease_until - %(lease)s AS started_at
    FROM notifications_notification
    WHERE id IN (SELECT id FROM ranked JOIN slot USING (lane) WHERE place <= free)
        AND status IN ('queued', 'sending')
        AND (status = 'queued' OR lease_until <= %(now)s)
    ORDER BY lane, next_attempt_at, id
    LIMIT %(at_most)s
    FOR UPDATE SKIP LOCKED
),
"""
_CLAIM_ONE = """
WITH picked AS (
    SELECT id, status = 'sending' AS was_lost, lease_until - %(lease)s AS started_at
    FROM notifications_notification
    WHERE id = %(id)s
        AND (status = 'queued' OR (status = 'sending' AND lease_until <= %(now)s))
    FOR UPDATE SKIP LOCKED
),
"""
_TAKE = """
lost AS (
    INSERT INTO notifications_attempt
        (notification_id, started_at, duration_ms, outcome, detail)
    SELECT id, started_at, 0, 'lost', '' FROM picked WHERE was_lost
)
UPDATE notifications_notification AS row SET
    status = 'sending',
    lease_until = %(now)s + %(lease)s,
    lease_token = gen_random_uuid(),
    attempt_count = attempt_count + 1
FROM picked
WHERE row.id = picked.id
RETURNING row.id, row.lease_token, row.lane, row.lease_until
"""


def claim_due(
    *, now: datetime, free_slots: Mapping[int, int], at_most: int
) -> list[Claim]:
    """Take due rows, at most as many of a lane as it has free slots.

    A row whose lease has ended is taken again; that its last attempt was lost is
    recorded with it.
    """
    return _take(
        _CLAIM + _TAKE,
        now=now,
        lanes=list(free_slots),
        free=list(free_slots.values()),
        at_most=at_most,
    )


def claim_one(*, notification_id: int, now: datetime) -> Claim | None:
    """Take one row, due or not; None when it has ended or somebody is sending it."""
    claims = _take(_CLAIM_ONE + _TAKE, now=now, id=notification_id)
    return claims[0] if claims else None


def held(*, claim: Claim, is_locked: bool = False) -> Notification | None:
    """Return the claimed row while the claim holds; locked with what it carries."""
    if is_locked:
        one = Q(pk=claim.notification_id) | Q(bundled_into=claim.notification_id)
        # In the order in which everybody takes several rows.
        rows = Notification.objects.filter(one).order_by("pk")
        list(rows.select_for_update(no_key=True).values_list("pk"))
    row = Notification.objects.filter(
        pk=claim.notification_id,
        lease_token=claim.token,
        status=Notification.Status.SENDING,
    )
    if not is_locked:
        # Whoever prepares it asks for all of these, of each of a thousand rows.
        row = row.select_related("channel", "address__contact", "address__verification")
    return row.first()


def _take(statement: str, *, now: datetime, **values: Any) -> list[Claim]:
    with connection.cursor() as cursor:
        parameters: dict[str, Any] = {"now": now, "lease": LEASE, **values}
        cursor.execute(statement, parameters)
        return [Claim(*row) for row in cursor.fetchall()]

"""Ten thousand incidents with their alerts and pages, made by the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection

_INCIDENTS = """
INSERT INTO incidents_incident (service_id, grouping_key, title, priority, status,
    started_at, opened_at, first_acknowledged_at, resolved_at, resolved_by_name,
    response_due_at, is_priority_pinned, is_flapping, policy, escalation_count,
    is_untold)
SELECT (SELECT min(id) FROM incidents_service), 'made ' || n,
    'Monitor ' || n %% 40 || ' is down', 'p' || n %% 4, 'resolved', at, at,
    CASE WHEN n %% 5 > 0 THEN at + make_interval(secs => (n * 7919) %% 1800) END,
    at + make_interval(secs => 1800 + (n * 104729) %% 9000),
    CASE WHEN n %% 3 = 0 THEN 'Ana' ELSE '' END, at + interval '15 min',
    false, false, '{}', 3, false
FROM (
    SELECT n, %(now)s - n * %(length_s)s / %(count)s * interval '1 s' AS at
    FROM generate_series(1, %(count)s::bigint) n
) made
"""
_ALERTS = """
INSERT INTO incidents_alert (dedup_key, service_id, incident_id, title, detail, priority,
    status, source, started_at, triggered_at, last_triggered_at, trigger_count,
    resolved_at)
SELECT 'made:' || id, service_id, id, title, '', priority, 'resolved',
    'monitor:' || 1 + id %% 40, opened_at, opened_at, opened_at, 1, resolved_at
FROM incidents_incident WHERE grouping_key LIKE 'made %%'
"""
_PAGES = """
INSERT INTO notifications_notification (address_id, channel_id, idempotency_key,
    subject_key, purpose, lane, message, status, queued_at, next_attempt_at, give_up_at,
    ended_at, outcome, receipt, attempt_count, route_key)
SELECT CASE WHEN way > 1 THEN (SELECT min(id) FROM notifications_address) END,
    CASE WHEN way = 1 THEN (SELECT min(id) FROM notifications_channel) END,
    'made:' || id || ':' || way, 'incident:' || id, 'page', 0,
    jsonb_build_object('title', 'Monitor is down', 'text', repeat('HTTP 503. ', 90)),
    'sent',
    opened_at, opened_at, opened_at + interval '1 day', opened_at + interval '2 s', '',
    '{}', 1, CASE WHEN way > 1 THEN 'incident:' || id || ':page:0:contact:1' ELSE '' END
FROM incidents_incident, generate_series(1, 4) way
WHERE grouping_key LIKE 'made %%'
"""


def fill(*, now: datetime, count: int, days: float) -> None:
    """Make so many incidents within the last days, an alert and four pages each.

    There must be a service, an address and a channel.
    """
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"now": now, "count": count, "length_s": days * 86_400}
        cursor.execute(_INCIDENTS, values)
        cursor.execute(_ALERTS, {})
        cursor.execute(_PAGES, {})
        for table in (
            "incidents_incident",
            "incidents_alert",
            "notifications_notification",
        ):
            cursor.execute(f"ANALYZE {table}")

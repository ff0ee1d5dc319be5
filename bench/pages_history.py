"""Fills a database with a portal's life, in SQL: much of it, in about two minutes.

As the engine leaves it: results in order of time, so that those of one monitor lie
scattered over their partition, and rollups by the hour.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg

MONITOR_COUNT = 1000
SERVICE_COUNT = 20
DAY_COUNT = 90
_RESULT_DAYS = 30
# Every minute of the last two days, every five minutes of those before.
_DENSE_DAYS = 2

_SERVICES = """
INSERT INTO incidents_service ({columns})
SELECT {values} FROM generate_series(1, %(services)s) n
"""
_MONITORS = """
INSERT INTO monitors_monitor
       (name, service_id, kind, target, options, secret, interval_s, timeout_s,
        failures_to_down, successes_to_up, retry_interval_s, tags, runbook_url,
        may_use_private_targets, is_enabled, ping_key, created_at, revision)
SELECT 'Endpoint ' || lpad(n::text, 4, '0'), ids[1 + n %% cardinality(ids)], 'http',
       'https://api.example/v1/' || n, '{}', '', 60, 10, 3, 2, 20,
       CASE n %% 3 WHEN 0 THEN '{prod}' WHEN 1 THEN '{prod,web}' ELSE '{}' END::varchar[],
       '', false, true, md5(random()::text || n), now() - interval '100 days', 0
  FROM generate_series(1, %(monitors)s) n,
       (SELECT array_agg(id ORDER BY id) AS ids FROM incidents_service) services
"""
# An outage or a slow stretch every other day or so; one in forty monitors is off now.
_LEDGER = """
CREATE TEMPORARY TABLE trouble AS
SELECT monitor_id, nth,
       CASE WHEN chance < 0.6 THEN 'down' WHEN chance < 0.9 THEN 'degraded'
            ELSE 'unknown' END AS status,
       %(now)s - (nth + 0.2 + 0.6 * at) * interval '2 days' AS began,
       (1 + 40 * random() ^ 3) * interval '1 minute' AS length
  FROM (SELECT id AS monitor_id, nth, random() AS chance, random() AS at
          FROM monitors_monitor, generate_series(0, %(days)s / 2 - 1) nth) drawn;
INSERT INTO trouble
SELECT id, -1, CASE WHEN id %% 80 = 0 THEN 'down' ELSE 'degraded' END,
       %(now)s - interval '4 minutes', NULL
  FROM monitors_monitor WHERE id %% 40 = 0;
INSERT INTO monitors_statusinterval
       (monitor_id, status, started_at, ended_at, reason, message)
SELECT monitor_id, status, began, began + length,
       CASE status WHEN 'down' THEN 503 ELSE 0 END,
       CASE status WHEN 'down' THEN 'HTTP 503, expected 200–299'
            WHEN 'degraded' THEN 'Latency above 500 ms' ELSE '' END
  FROM trouble
 UNION ALL
SELECT monitor_id, 'up', coalesce(began + length, %(now)s - interval '100 days'),
       next_began, 0, ''
  FROM (SELECT monitor_id, began, length,
               lead(began) OVER (PARTITION BY monitor_id ORDER BY began) AS next_began
          FROM (SELECT monitor_id, began, length FROM trouble
                 UNION ALL
                SELECT id, %(now)s - interval '100 days', interval '0'
                  FROM monitors_monitor) points) gaps
 WHERE length IS NOT NULL AND next_began IS DISTINCT FROM began + length;
"""
_STATES = """
INSERT INTO monitors_monitorstate
       (monitor_id, status, since, reason, message, confirmed, confirmed_since,
        is_degraded, is_flapping, change_bits, failure_count, success_count,
        last_result_at, last_passed_at, last_latency_ms, last_code, last_message,
        fresh_until, configuration_error, facts, certificate_expires_at)
SELECT monitor_id, status, started_at, reason, message,
       CASE status WHEN 'degraded' THEN 'up' ELSE status END, started_at,
       status = 'degraded', monitor_id %% 97 = 0, 0, 0, 0, %(now)s, %(now)s, 142, 0, '',
       %(now)s + interval '1 day', '', '{}', %(now)s + (5 + monitor_id) * interval '1 day'
  FROM monitors_statusinterval WHERE ended_at IS NULL
"""
_RESULTS = """
INSERT INTO monitors_checkresult
       (at, monitor_id, dns_ms, connect_ms, tls_ms, first_byte_ms, transfer_ms, code)
SELECT slot + monitor_id * interval '60 milliseconds', monitor_id,
       2 + random(), 8 + 3 * random(), 20 + 5 * random(),
       60 + monitor_id %% 90 + 90 * random() ^ 6, 3 + random(),
       CASE WHEN random() < 0.002 THEN 503 ELSE 0 END
  FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz - interval '1 second',
                       %(step)s::interval) slot
 CROSS JOIN (SELECT id AS monitor_id FROM monitors_monitor ORDER BY id) monitors
"""
_ROLLUPS = """
INSERT INTO monitors_hourlyrollup
       (monitor_id, hour, passed_count, failed_count, error_count, dns_ms_sum,
        connect_ms_sum, tls_ms_sum, first_byte_ms_sum, transfer_ms_sum, buckets, counts)
SELECT monitor_id, hour, 60, CASE WHEN random() < 0.1 THEN 1 ELSE 0 END, 0,
       150, 570, 1350, 60 * (70 + monitor_id %% 90), 210,
       ARRAY[base, base + 1, base + 2, base + 3, base + 5, base + 8, base + 14]::smallint[],
       ARRAY[8, 16, 15, 10, 6, 4, 1]
  FROM (SELECT id AS monitor_id,
               ceil(ln(100 + id %% 90) / ln(1.05))::integer + (random() * 2)::integer AS base,
               hour
          FROM generate_series(date_trunc('hour', %(now)s, 'UTC') - %(days)s * interval '1 day',
                               date_trunc('hour', %(now)s, 'UTC'), interval '1 hour') hour
         CROSS JOIN (SELECT id FROM monitors_monitor ORDER BY id) monitors) drawn
"""
_DETAILS = """
INSERT INTO monitors_resultdetail
       (monitor_id, at, code, message, failed_assertion, excerpt)
SELECT id, %(now)s - nth * interval '7 hours', 503, 'HTTP 503, expected 200–299',
       'HTTP status is in the ranges 200–299, seen: 503', '{"status":"error"}'
  FROM monitors_monitor CROSS JOIN generate_series(1, 40) nth
"""
_INCIDENTS = """
INSERT INTO incidents_incident ({columns})
SELECT {values}
  FROM generate_series(0, 9999) n,
       (SELECT array_agg(id ORDER BY id) AS ids FROM incidents_service) services
"""
_ALERTS = """
INSERT INTO incidents_alert ({columns})
SELECT {values}
  FROM incidents_incident incident,
       (SELECT array_agg(id ORDER BY id) AS ids FROM monitors_monitor) monitors
"""


def fill(connection: psycopg.Connection[Any]) -> None:
    """Fill an empty, migrated database."""
    row = connection.execute("SELECT now()").fetchone()
    assert row is not None
    known = {
        "now": row[0],
        "services": SERVICE_COUNT,
        "monitors": MONITOR_COUNT,
        "days": DAY_COUNT,
    }
    _insert(
        connection,
        _SERVICES,
        "incidents_service",
        {
            "name": "'Service ' || lpad(n::text, 2, '0')",
            "slug": "'service-' || n",
            "position": "n",
            "is_public": "n %% 2 = 0",
            "time_zone": "'Europe/Paris'",
        },
        known,
    )
    connection.execute(_MONITORS, known)
    for statement in _LEDGER.split(";\n"):
        if statement.strip():
            connection.execute(statement, known)
    connection.execute(_STATES, known)
    connection.execute(_DETAILS, known)
    _fill_results(connection, known)
    connection.execute(_ROLLUPS, known)
    _fill_incidents(connection, known)
    _fill_loops(connection)
    connection.execute("VACUUM (ANALYZE)")


def _fill_results(connection: psycopg.Connection[Any], known: dict[str, Any]) -> None:
    """One day at a time, after its partition has been made."""
    from monitors.history import partitions

    today = known["now"].replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=back) for back in range(_RESULT_DAYS, -1, -1)]
    partitions.ensure_days(days=[day.date() for day in days])
    for day in days:
        is_dense = day > today - timedelta(days=_DENSE_DAYS)
        connection.execute(
            _RESULTS,
            {
                "start": day,
                "end": min(day + timedelta(days=1), known["now"]),
                "step": timedelta(minutes=1 if is_dense else 5),
            },
        )


def _fill_incidents(connection: psycopg.Connection[Any], known: dict[str, Any]) -> None:
    """10,000 of the past, a dozen open."""
    started = "%(now)s - n * interval '13 minutes'"
    _insert(
        connection,
        _INCIDENTS,
        "incidents_incident",
        {
            "service_id": "ids[1 + n %% cardinality(ids)]",
            "title": "'Endpoint ' || n || ' is down'",
            "priority": "'p' || n %% 4",
            "grouping_key": "'bench-' || n",
            "status": "CASE WHEN n < 12 THEN 'triggered' ELSE 'resolved' END",
            "started_at": started,
            "opened_at": started,
            "response_due_at": f"{started} + interval '15 minutes'",
            "resolved_at": f"CASE WHEN n >= 12 THEN {started} + interval '9 minutes' END",
        },
        known,
    )
    _insert(
        connection,
        _ALERTS,
        "incidents_alert",
        {
            "dedup_key": "'bench-' || incident.id",
            "service_id": "service_id",
            "incident_id": "incident.id",
            "title": "incident.title",
            "priority": "incident.priority",
            "status": "CASE WHEN resolved_at IS NULL THEN 'firing' ELSE 'resolved' END",
            "source": "'monitor:' || ids[1 + incident.id %% cardinality(ids)]",
            "started_at": "incident.started_at",
            "triggered_at": "incident.opened_at",
            "last_triggered_at": "incident.opened_at",
            "resolved_at": "incident.resolved_at",
        },
        known,
    )


def _fill_loops(connection: psycopg.Connection[Any]) -> None:
    """Every loop came round, and counts as on time for the day."""
    from t4g_portal.ready import EXPECTED_LOOPS

    for name, bound_s in EXPECTED_LOOPS.items():
        _insert(
            connection,
            "INSERT INTO cellar_loopcycle ({columns}) SELECT {values}",
            "cellar_loopcycle",
            {
                "name": "%(name)s",
                "completed_at": "now() + interval '1 day'",
                "bound_s": "%(bound)s",
            },
            {"name": name, "bound": bound_s},
        )


def _insert(
    connection: psycopg.Connection[Any],
    statement: str,
    table: str,
    values: dict[str, str],
    known: dict[str, Any],
) -> None:
    """Insert rows; a column that must be said and is not named gets an empty value."""
    empty = {
        "boolean": "false",
        "jsonb": "'{}'",
        "ARRAY": "'{}'",
        "integer": "0",
        "bigint": "0",
        "smallint": "0",
    }
    required = connection.execute(
        """
        SELECT column_name, data_type FROM information_schema.columns
         WHERE table_name = %s AND is_nullable = 'NO' AND column_default IS NULL
           AND is_identity = 'NO'
        """,
        [table],
    ).fetchall()
    for column, kind in required:
        values.setdefault(column, empty.get(kind, "''"))
    connection.execute(
        statement.format(columns=", ".join(values), values=", ".join(values.values())),
        known,
    )


def main() -> None:
    import django

    django.setup()
    from django.db import connection

    connection.ensure_connection()
    wrapped = connection.connection
    assert wrapped is not None
    wrapped.execute("SET statement_timeout = 0")
    fill(wrapped)


if __name__ == "__main__":
    main()

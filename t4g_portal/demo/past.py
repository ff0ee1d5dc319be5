"""90 days that never were: results, outages, incidents and who took them.

Rows, not probes, written where the engine would have written them; the rollups are
built from the results by the engine's own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.utils import translation

from incidents.models import Alert, Incident, IncidentEvent
from monitors.history import partitions, rollups
from monitors.models import (
    Monitor,
    MonitorState,
    ProbeSlot,
    ResultDetail,
    StatusInterval,
    Threshold,
)
from monitors.status import Status
from monitors.thresholds.sentences import alert_title
from t4g_portal.lib.priority import Priority

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LENGTH = 90 * DAY
# The last days are as dense as real ones; before, every fifth minute is enough.
_DENSE = 3 * DAY
_DENSE_STEP_S, _STEP_S = 60, 300
_FRESH_FOR = 2 * MINUTE
# How soon an outage is noticed.
_NOTICED = timedelta(seconds=25)

Kind = IncidentEvent.Kind


@dataclass(frozen=True, slots=True)
class Trouble:
    """A stretch in which a monitor was not plainly up, so many days and hours ago.

    `code` as in `CheckResult`; a degraded one took `factor` times as long. `taken_by`
    acknowledged after `taken_after` and wrote `note`.
    """

    monitor: str
    ago: timedelta
    length: timedelta
    status: Status = Status.DOWN
    code: int = 0
    message: str = ""
    priority: Priority = Priority.P0
    factor: float = 1.0
    taken_by: str = ""
    taken_after: timedelta = 2 * MINUTE
    note: str = ""


_503 = "HTTP 503, expected 200–299"
_SLOW = "Latency above 700 ms"
_TIMED_OUT = "No answer within 4 s: connected, no first byte"
_REFUSED = "Connection refused"

# Ten nights ago the portal itself was switched off for a while: unknown, not up.
_AWAY = (10 * DAY + 3 * HOUR, 2 * HOUR)
TROUBLES: Sequence[Trouble] = (
    Trouble("Shop front", 83 * DAY + 5 * HOUR, 11 * MINUTE, code=1, message=_TIMED_OUT,
            taken_by="jules", taken_after=3 * MINUTE, note="Restarted both web servers."),
    Trouble("Database", 76 * DAY + 2 * HOUR, 26 * MINUTE, code=3, message=_REFUSED,
            taken_by="anna", taken_after=90 * timedelta(seconds=1),
            note="Disk full. Old dumps removed, alert on disk space planned."),
    Trouble("Shop API", 76 * DAY + 2 * HOUR - MINUTE, 25 * MINUTE, code=503, message=_503,
            taken_by="anna", taken_after=2 * MINUTE, note="Follows from the database."),
    Trouble("Reports", 64 * DAY + 8 * HOUR, 6 * HOUR, Status.DEGRADED, message=_SLOW,
            priority=Priority.P2, factor=6, taken_by="sofia", taken_after=41 * MINUTE,
            note="Month's end: everybody runs the big report. Fine again tomorrow."),
    Trouble("Login", 58 * DAY + 11 * HOUR, 44 * MINUTE, code=11,
            message="The certificate has expired", taken_by="jules",
            taken_after=4 * MINUTE, note="Renewed by hand; the renewal job had no rights."),
    Trouble("Shop API", 47 * DAY + 4 * HOUR, 95 * MINUTE, Status.DEGRADED, message=_SLOW,
            priority=Priority.P1, factor=12, taken_by="anna", taken_after=6 * MINUTE,
            note="Missing index after the release. Added."),
    Trouble("Shop front", 39 * DAY + 9 * HOUR, 4 * MINUTE, code=502,
            message="HTTP 502, expected 200–299", taken_by="jules"),
    Trouble("Shop API", 31 * DAY + 6 * HOUR, 18 * MINUTE, code=503, message=_503,
            taken_by="anna", taken_after=3 * MINUTE, note="Rolled back release 2026.9."),
    Trouble("Reports", 24 * DAY + 7 * HOUR, 50 * MINUTE, code=500,
            message="HTTP 500, expected 200–299", priority=Priority.P2, taken_by="sofia",
            taken_after=12 * MINUTE, note="Out of memory; the report is paged now."),
    Trouble("Shop front", 17 * DAY + 3 * HOUR, 3 * HOUR, Status.DEGRADED, message=_SLOW,
            priority=Priority.P2, factor=5, taken_by="jules", taken_after=20 * MINUTE,
            note="Campaign mail at ten. Two more servers for the day."),
    Trouble("Login", 12 * DAY + 14 * HOUR, 7 * MINUTE, code=1, message=_TIMED_OUT,
            taken_by="anna", taken_after=MINUTE),
    Trouble("Database", 5 * DAY + 20 * HOUR, 9 * MINUTE, code=3, message=_REFUSED,
            taken_by="jules", taken_after=5 * MINUTE, note="Failover by the provider."),
    Trouble("Shop API", 2 * DAY + 7 * HOUR, 40 * MINUTE, Status.DEGRADED, message=_SLOW,
            priority=Priority.P1, factor=14, taken_by="anna", taken_after=4 * MINUTE,
            note="Search index rebuilt in the middle of the day. Not again."),
    Trouble("Shop front", DAY + 5 * HOUR, 6 * MINUTE, code=503, message=_503,
            taken_by="jules", taken_after=2 * MINUTE, note="Deployment without warm-up."),
)  # fmt: skip
# Usual latencies, in milliseconds.
_USUAL_MS = {
    "Shop front": 180.0,
    "Shop API": 95.0,
    "Login": 220.0,
    "Database": 2.5,
    "Reports": 330.0,
}

_CODES = """
CREATE TEMPORARY TABLE demo_trouble (
    monitor_id integer, started_at timestamptz, ended_at timestamptz,
    status text, code smallint, factor float8) ON COMMIT DROP
"""
# A daily rhythm, quieter weekends, a lognormal spread, and a slow answer now and then.
_RESULTS = """
INSERT INTO monitors_checkresult
       (at, monitor_id, dns_ms, connect_ms, tls_ms, first_byte_ms, transfer_ms, code)
SELECT at, monitor_id,
       CASE WHEN is_http THEN ms * 0.03 END,
       CASE WHEN is_http THEN ms * 0.10 ELSE ms END,
       CASE WHEN is_tls THEN ms * 0.22 END,
       CASE WHEN is_http AND code <> 1 THEN ms * 0.55 END,
       CASE WHEN is_http AND code <> 1 THEN ms * 0.10 END,
       code
  FROM (
    SELECT at, m.monitor_id, m.is_http, m.is_tls, coalesce(t.code, 0) AS code,
           m.usual_ms * coalesce(t.factor, 1)
           * (1 + 0.30 * sin((extract(hour FROM at) + extract(minute FROM at) / 60 - 8)
                             / 24 * 2 * pi()))
           * CASE WHEN extract(isodow FROM at) > 5 THEN 0.85 ELSE 1 END
           * exp(0.22 * (random() + random() + random() + random() - 2) * sqrt(3))
           * CASE WHEN random() < 0.0015 THEN 5 ELSE 1 END AS ms
      FROM (
        SELECT moment + random() * interval '1.5 seconds' AS at
          FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz,
                               %(step)s * interval '1 second') AS moment
      ) AS moments
     CROSS JOIN unnest(%(ids)s::integer[], %(usual)s::float8[], %(http)s::boolean[],
                       %(tls)s::boolean[]) AS m(monitor_id, usual_ms, is_http, is_tls)
      LEFT JOIN LATERAL (
        SELECT * FROM demo_trouble t
         WHERE t.monitor_id = m.monitor_id AND at >= t.started_at AND at < t.ended_at
         LIMIT 1
      ) AS t ON true
     WHERE t.status IS DISTINCT FROM 'unknown'
  ) AS measured
 ORDER BY at
"""


def write(*, now: datetime, people: dict[str, User]) -> None:
    """Write the past of every monitor of the demo, up to `now`."""
    monitors = {
        monitor.name: monitor
        for monitor in Monitor.objects.select_related("service").defer("secret")
    }
    Monitor.objects.update(created_at=now - LENGTH)
    troubles = [*TROUBLES, *_shared(monitors, now)]
    _write_results(monitors, troubles, now)
    for name, monitor in monitors.items():
        _write_ledger(monitor, [one for one in troubles if one.monitor == name], now)
    ProbeSlot.objects.bulk_create(
        ProbeSlot(monitor=monitor, next_slot_at=now)
        for monitor in monitors.values()
        if not monitor.is_heartbeat
    )
    for trouble in TROUBLES:
        _write_incident(trouble, monitors[trouble.monitor], people, now)
    rollups.roll_up(now=now)
    partitions.drop_old(now=now, keep_days=settings.RESULT_RETENTION_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(
            "ANALYZE monitors_checkresult, monitors_hourlyrollup,"
            " monitors_statusinterval, incidents_incident, incidents_incidentevent"
        )


def _shared(monitors: dict[str, Monitor], now: datetime) -> list[Trouble]:
    """Return what happened to all of them, and every week to the database."""
    found = [
        Trouble(name, _AWAY[0], _AWAY[1], Status.UNKNOWN)
        for name, monitor in monitors.items()
        if not monitor.is_heartbeat
    ]
    today = now.astimezone(UTC).replace(hour=1, minute=0, second=0, microsecond=0)
    sunday = today - timedelta(days=(today.isoweekday() % 7) or 7)
    while now - sunday < LENGTH:
        found.append(
            Trouble(
                "Database",
                now - sunday,
                HOUR,
                Status.MAINTENANCE,
                message="Sunday upgrade",
            )
        )
        sunday -= 7 * DAY
    return found


def _write_results(
    monitors: dict[str, Monitor], troubles: Sequence[Trouble], now: datetime
) -> None:
    start = now - LENGTH
    days = {(start + n * DAY).astimezone(UTC).date() for n in range(LENGTH.days + 2)}
    partitions.ensure_days(days=days, tables=["monitors_checkresult"])
    partitions.ensure(now=now)
    probed = [monitors[name] for name in _USUAL_MS]
    with connection.cursor() as cursor:
        cursor.execute(_CODES)
        with cursor.copy("COPY demo_trouble FROM STDIN") as copy:
            for trouble in troubles:
                began = now - trouble.ago
                copy.write_row(
                    (
                        monitors[trouble.monitor].pk,
                        began,
                        began + trouble.length,
                        str(trouble.status),
                        trouble.code,
                        trouble.factor,
                    )
                )
        # The same past for everybody, as far as the clock lets it be.
        cursor.execute("SELECT setseed(0.4)")
        for since, until, step_s in (
            (start, now - _DENSE, _STEP_S),
            (now - _DENSE, now - _FRESH_FOR / 6, _DENSE_STEP_S),
        ):
            cursor.execute(
                _RESULTS,
                {
                    "start": since,
                    "end": until,
                    "step": step_s,
                    "ids": [monitor.pk for monitor in probed],
                    "usual": [_USUAL_MS[monitor.name] for monitor in probed],
                    "http": [monitor.kind == "http" for monitor in probed],
                    "tls": [monitor.target.startswith("https") for monitor in probed],
                },
            )


def _write_ledger(monitor: Monitor, troubles: Sequence[Trouble], now: datetime) -> None:
    rows: list[StatusInterval] = []

    def add(
        status: str, start: datetime, end: datetime | None, of: Trouble | None
    ) -> None:
        rows.append(
            StatusInterval(
                monitor=monitor,
                status=status,
                started_at=start,
                ended_at=end,
                reason=of.code if of is not None else 0,
                message=of.message if of is not None else "",
            )
        )

    at = now - LENGTH
    for trouble in sorted(troubles, key=lambda one: -one.ago):
        began = now - trouble.ago
        if began > at:
            add(str(Status.UP), at, began, None)
        add(str(trouble.status), max(began, at), began + trouble.length, trouble)
        at = began + trouble.length
    add(str(Status.UP), at, None, None)
    StatusInterval.objects.bulk_create(rows)
    MonitorState.objects.create(
        monitor=monitor,
        status=Status.UP,
        since=at,
        confirmed=Status.UP,
        confirmed_since=at,
        last_result_at=now - _FRESH_FOR / 6,
        last_passed_at=now - _FRESH_FOR / 6,
        last_latency_ms=_USUAL_MS.get(monitor.name),
        last_ping_at=now if monitor.is_heartbeat else None,
        fresh_until=now + _FRESH_FOR,
    )
    ResultDetail.objects.bulk_create(
        ResultDetail(
            monitor=monitor,
            at=now - trouble.ago,
            code=trouble.code,
            message=trouble.message,
        )
        for trouble in troubles
        if trouble.status == Status.DOWN
    )


def _write_incident(
    trouble: Trouble, monitor: Monitor, people: dict[str, User], now: datetime
) -> None:
    started_at = now - trouble.ago
    opened_at = started_at + _NOTICED
    resolved_at = started_at + trouble.length
    taken_at = opened_at + trouble.taken_after
    person = people[trouble.taken_by]
    is_down = trouble.status == Status.DOWN
    measure = Threshold.Measure.DOWN if is_down else Threshold.Measure.LATENCY
    with translation.override(settings.PORTAL_LANGUAGE):
        title = alert_title(Threshold(measure=measure), monitor.name)
    incident = Incident.objects.create(
        service=monitor.service,
        title=title,
        priority=trouble.priority,
        status=Incident.Status.RESOLVED,
        started_at=started_at,
        opened_at=opened_at,
        acknowledged_at=taken_at,
        acknowledged_by=person,
        first_acknowledged_at=taken_at,
        resolved_at=resolved_at,
        response_due_at=opened_at + 5 * MINUTE,
        is_public=is_down and monitor.service.is_public,
        paged_at=opened_at,
        escalation_count=1,
    )
    alert = Alert.objects.create(
        dedup_key=f"demo:{incident.pk}",
        service=monitor.service,
        incident=incident,
        title=title,
        detail=trouble.message,
        priority=trouble.priority,
        status=Alert.Status.RESOLVED,
        source=f"monitor:{monitor.pk}",
        started_at=started_at,
        triggered_at=opened_at,
        last_triggered_at=opened_at,
        resolved_at=resolved_at,
    )
    words = f"{title}\n{trouble.message}".strip()
    lines = [
        (opened_at, Kind.OPENED, None, words, {"priority": trouble.priority}),
        (taken_at, Kind.ACKNOWLEDGED, person, "", {}),
        (resolved_at, Kind.ALERT_RESOLVED, None, title, {"alert_id": alert.pk}),
        (resolved_at, Kind.RESOLVED, None, "", {}),
    ]
    if trouble.note:
        noted_at = max(taken_at, resolved_at - 2 * MINUTE)
        lines.append((noted_at, Kind.NOTE, person, trouble.note, {}))
    IncidentEvent.objects.bulk_create(
        IncidentEvent(
            incident=incident,
            at=at,
            kind=kind,
            actor=actor,
            via=IncidentEvent.Via.WEB if actor else IncidentEvent.Via.ENGINE,
            text=text,
            data=data,
        )
        for at, kind, actor, text, data in sorted(lines, key=lambda line: line[0])
    )

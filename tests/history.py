"""A portal that has run for 90 days: services, monitors, ledger, rollups, incidents.

Made of rows, not of probes, so that a page can be looked at as it will be.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from incidents.models import Alert, Incident, Service
from monitors.history import partitions
from monitors.history.histogram import bucket_of, merge
from monitors.models import (
    Assertion,
    HourlyRollup,
    MaintenanceWindow,
    Monitor,
    MonitorState,
    ResultDetail,
    StatusInterval,
    Threshold,
    ThresholdState,
)
from monitors.status import Status
from t4g_portal.lib.models import LoopCycle
from t4g_portal.ready import EXPECTED_LOOPS
from tests.factories import make_monitor, make_service, make_user

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A stretch of the past in which a monitor was not plainly up.

    `began`: how long before now; `length` None: it still lasts.
    """

    status: str
    began: timedelta
    length: timedelta | None
    message: str = ""
    reason: int = 0


@dataclass(slots=True)
class History:
    """What was made."""

    services: dict[str, Service] = field(default_factory=dict)
    monitors: dict[str, Monitor] = field(default_factory=dict)
    people: dict[str, User] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)


def make_ledger(
    *,
    monitor: Monitor,
    now: datetime,
    troubles: Iterable[Trouble] = (),
    age: timedelta = 100 * DAY,
    fresh_for: timedelta = 2 * MINUTE,
    **state: Any,
) -> MonitorState:
    """Write the ledger of a monitor, up between its troubles, and its present state.

    `troubles` must not overlap. `fresh_for`: how long from now its last result counts.
    """
    rows: list[StatusInterval] = []
    at = now - age
    for trouble in sorted(troubles, key=lambda trouble: -trouble.began):
        began = now - trouble.began
        if began > at:
            rows.append(_interval(monitor, str(Status.UP), at, began))
        ended = began + trouble.length if trouble.length else None
        rows.append(
            _interval(
                monitor, trouble.status, began, ended, trouble.reason, trouble.message
            )
        )
        at = ended or now
    if not rows or rows[-1].ended_at is not None:
        rows.append(_interval(monitor, str(Status.UP), at, None))
    StatusInterval.objects.bulk_create(rows)
    last = rows[-1]
    is_probed = last.status in (Status.UP, Status.DEGRADED, Status.DOWN)
    values = {
        "status": last.status,
        "since": last.started_at,
        "reason": last.reason,
        "message": last.message,
        "confirmed": last.status if last.status != Status.DEGRADED else Status.UP,
        "confirmed_since": last.started_at,
        "is_degraded": last.status == Status.DEGRADED,
        "last_result_at": now - timedelta(seconds=20),
        "last_latency_ms": 142.0,
        "fresh_until": now + fresh_for if is_probed else None,
        **state,
    }
    return MonitorState.objects.create(monitor=monitor, **values)


def _interval(
    monitor: Monitor,
    status: str,
    started_at: datetime,
    ended_at: datetime | None,
    reason: int = 0,
    message: str = "",
) -> StatusInterval:
    return StatusInterval(
        monitor=monitor,
        status=status,
        started_at=started_at,
        ended_at=ended_at,
        reason=reason,
        message=message,
    )


def make_rollups(
    *, monitor: Monitor, now: datetime, base_ms: float, days: int = 90, seed: int = 1
) -> None:
    """Write hourly rollups of an HTTP monitor whose latency swells by day."""
    chance = random.Random(seed)
    top = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    rows = []
    for back in range(days * 24):
        hour = top - back * HOUR
        swell = 1 + 0.35 * math.sin((hour.hour - 8) / 24 * 2 * math.pi)
        if chance.random() < 0.01:
            swell *= 3
        values = [base_ms * swell * chance.lognormvariate(0, 0.25) for _ in range(30)]
        buckets, counts = merge([([bucket_of(value)], [1]) for value in values])
        total = sum(values)
        rows.append(
            HourlyRollup(
                monitor=monitor,
                hour=hour,
                passed_count=30,
                failed_count=0,
                error_count=0,
                dns_ms_sum=total * 0.04,
                connect_ms_sum=total * 0.12,
                tls_ms_sum=total * 0.2,
                first_byte_ms_sum=total * 0.56,
                transfer_ms_sum=total * 0.08,
                buckets=buckets,
                counts=counts,
            )
        )
    HourlyRollup.objects.bulk_create(rows)


def make_results(
    *,
    monitor: Monitor,
    now: datetime,
    base_ms: float,
    reach: timedelta = DAY,
    every: timedelta = MINUTE,
    failing: Sequence[tuple[timedelta, timedelta, int]] = (),
    seed: int = 1,
) -> None:
    """Write raw results; `failing` holds (from, to, code), counted back from now."""
    chance = random.Random(seed)
    days = {
        (now - reach + n * DAY).astimezone(UTC).date() for n in range(reach.days + 2)
    }
    partitions.ensure_days(days=days)
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY monitors_checkresult (at, monitor_id, dns_ms, connect_ms, tls_ms,"
            " first_byte_ms, transfer_ms, code) FROM STDIN"
        ) as copy,
    ):
        for step in itertools.count(1):
            back = step * every
            if back > reach:
                break
            at = now - back
            swell = 1 + 0.3 * math.sin(
                (at.hour + at.minute / 60 - 8) / 24 * 2 * math.pi
            )
            total = base_ms * swell * chance.lognormvariate(0, 0.3)
            code = next(
                (code for start, end, code in failing if end <= back <= start), 0
            )
            copy.write_row(
                (
                    at,
                    monitor.pk,
                    total * 0.04,
                    total * 0.12,
                    total * 0.2,
                    total * 0.56,
                    total * 0.08,
                    code,
                )
            )


def make_loops(*, now: datetime) -> None:
    """Every loop of the portal came round a second ago."""
    LoopCycle.objects.bulk_create(
        LoopCycle(name=name, completed_at=now - timedelta(seconds=1), bound_s=bound_s)
        for name, bound_s in EXPECTED_LOOPS.items()
    )


def make_incident(**values: Any) -> Incident:
    """An open incident of P0 that nobody has acknowledged."""
    started_at = values["started_at"]
    values.setdefault("opened_at", started_at + MINUTE)
    values.setdefault("priority", "p0")
    values.setdefault("response_due_at", values["opened_at"] + 5 * MINUTE)
    monitor = values.pop("monitor", None)
    incident = Incident.objects.create(**values)
    if monitor is not None:
        is_over = incident.resolved_at is not None
        kind = "down" if incident.priority == "p0" else "slow"
        Alert.objects.create(
            dedup_key=f"monitor:{monitor.pk}:{incident.pk}:{kind}",
            service=incident.service,
            incident=incident,
            title=incident.title,
            priority=incident.priority,
            status=Alert.Status.RESOLVED if is_over else Alert.Status.FIRING,
            source=f"monitor:{monitor.pk}",
            started_at=started_at,
            triggered_at=incident.opened_at,
            last_triggered_at=incident.opened_at,
            resolved_at=incident.resolved_at,
        )
    return incident


def make_history(*, now: datetime, rollup_days: int = 2) -> History:
    """Five services, twelve monitors and 90 days in which this and that happened.

    Latencies of all 90 days take seconds to make; most tests do with two.
    """
    made = History()
    for position, (name, slug) in enumerate(
        (
            ("Frontend", "frontend"),
            ("Backend", "backend"),
            ("API", "api"),
            ("Database", "database"),
            ("Login", "login"),
        )
    ):
        made.services[slug] = make_service(name=name, slug=slug, position=position)
    made.people["anna"] = make_user(
        username="anna", first_name="Anna", last_name="Keller"
    )
    _make_monitors(made, now, rollup_days)
    _make_incidents(made, now)
    make_loops(now=now)
    return made


_HTTP_503 = "HTTP 503, expected 200–299"
_TIMED_OUT = "No answer within 10 s: connected, no first byte"


def _make_monitors(made: History, now: datetime, rollup_days: int) -> None:
    down, degraded = str(Status.DOWN), str(Status.DEGRADED)
    unknown, maintenance = str(Status.UNKNOWN), str(Status.MAINTENANCE)
    # Ten nights ago the portal itself was off, which every monitor shows.
    off = Trouble(unknown, 10 * DAY, 5 * HOUR)
    lines: list[tuple[str, str, str, str, list[str], list[Trouble], dict[str, Any]]] = [
        ("Website", "frontend", "http", "https://token4good.example/", ["prod", "web"],
         [off, Trouble(down, 41 * DAY, 12 * MINUTE, _TIMED_OUT, 1)], {}),
        ("Website certificate", "frontend", "tls", "token4good.example:443", ["prod"],
         [off], {"certificate_expires_at": now + 9 * DAY, "certificate": {
             "subject": "token4good.example", "issuer": "R11, Let's Encrypt",
             "names": ["token4good.example", "www.token4good.example"],
             "not_before": (now - 81 * DAY).isoformat(),
             "not_after": (now + 9 * DAY).isoformat(),
             "fingerprint_sha256": "5f" * 32}}),
        ("Sign-up page", "frontend", "http", "https://token4good.example/join", ["web"],
         [off], {}),
        ("Backend health", "backend", "http", "https://api.token4good.example/health",
         ["prod"], [off, Trouble(down, 62 * DAY, 3 * HOUR, _HTTP_503, 503),
          Trouble(degraded, 30 * DAY, 5 * HOUR, "Latency above 2 s"),
          Trouble(down, 21 * DAY, 25 * MINUTE, _TIMED_OUT, 1),
          Trouble(maintenance, 14 * DAY, 2 * HOUR, "Sunday upgrade"),
          Trouble(down, 14 * HOUR, 3 * MINUTE, _TIMED_OUT, 1),
          Trouble(down, 4 * MINUTE, None, _HTTP_503, 503)], {}),
        ("Backend jobs", "backend", "heartbeat", "", ["prod", "jobs"],
         [Trouble(unknown, 10 * DAY, 5 * HOUR),
          Trouble(down, 3 * DAY, 40 * MINUTE, "No ping for 15 min", 50)], {}),
        ("Backend port", "backend", "tcp", "api.token4good.example:443", [], [off], {}),
        ("API version", "api", "http", "https://api.token4good.example/v1/version",
         ["prod"], [off, Trouble(degraded, 26 * MINUTE, None,
          "Latency above 500 ms: 95th percentile 812 ms over 5 min")],
         {"is_flapping": True}),
        ("API search", "api", "http", "https://api.token4good.example/v1/search",
         ["prod"], [off, Trouble(degraded, 52 * DAY, 9 * HOUR, "Latency above 2 s")], {}),
        ("PostgreSQL", "database", "postgres", "db.token4good.example:5432", ["prod"],
         [off, Trouble(maintenance, 40 * MINUTE, None, "Minor version upgrade")], {}),
        ("Redis", "database", "redis", "cache.token4good.example:6379", ["prod"],
         [off], {}),
        ("Nightly backup", "database", "heartbeat", "", ["jobs"],
         [Trouble(unknown, 10 * DAY, 5 * HOUR)], {}),
        ("Login form", "login", "http", "https://id.token4good.example/login", ["prod"],
         [off, Trouble(down, 75 * DAY, 7 * MINUTE, "Certificate expired", 11)], {}),
    ]  # fmt: skip
    for number, (name, service, kind, target, tags, troubles, state) in enumerate(
        lines
    ):
        monitor = make_monitor(
            name=name,
            service=made.services[service],
            kind=kind,
            target=target,
            tags=tags,
        )
        made.monitors[name] = monitor
        make_ledger(monitor=monitor, now=now, troubles=troubles, **state)
        if kind in ("http", "tcp", "postgres", "redis"):
            base_ms = 40.0 + 35 * number
            make_rollups(
                monitor=monitor,
                now=now,
                base_ms=base_ms,
                days=rollup_days,
                seed=number,
            )
    backend = made.monitors["Backend health"]
    make_results(
        monitor=backend,
        now=now,
        base_ms=145,
        failing=[
            (14 * HOUR, 14 * HOUR - 3 * MINUTE, 1),
            (4 * MINUTE, timedelta(), 503),
        ],
    )
    _make_rules(backend)
    ResultDetail.objects.create(
        monitor=backend,
        at=now - 4 * MINUTE,
        code=503,
        message=_HTTP_503,
        failed_assertion="HTTP status is in the ranges 200–299, seen: 503",
        excerpt='{"status":"error","services":{"db":"unreachable","cache":"ok"}}',
    )


def _make_rules(backend: Monitor) -> None:
    Threshold.objects.create(name="Down", measure="down", critical_priority="p0")
    Threshold.objects.create(
        name="Slow",
        measure="latency",
        critical_bound=2000,
        warning_bound=500,
        for_count=3,
    )
    slow = Threshold.objects.create(
        name="Backend slow",
        measure="latency",
        monitor=backend,
        aggregate="p95",
        window_s=300,
        critical_bound=1000,
        warning_bound=400,
        clear_bound=350,
    )
    ThresholdState.objects.create(
        threshold=slow, monitor=backend, level="ok", since=backend.created_at
    )
    window = MaintenanceWindow.objects.create(
        name="Sunday upgrade",
        starts_at=datetime(2026, 1, 4, 1, 0, tzinfo=UTC),
        duration_s=7200,
        recurrence="FREQ=WEEKLY;BYDAY=SU",
    )
    window.services.add(backend.service)
    Assertion.objects.create(
        monitor=backend,
        subject="json",
        argument="services.db",
        operator="equals",
        expected="ok",
    )


def _make_incidents(made: History, now: datetime) -> None:
    backend = made.monitors["Backend health"]
    made.incidents["open"] = make_incident(
        service=backend.service,
        monitor=backend,
        title="Backend health is down: HTTP 503, expected 200–299",
        started_at=now - 4 * MINUTE,
        status=Incident.Status.ACKNOWLEDGED,
        acknowledged_at=now - 2 * MINUTE,
        first_acknowledged_at=now - 2 * MINUTE,
        acknowledged_by=made.people["anna"],
    )
    api = made.monitors["API version"]
    made.incidents["slow"] = make_incident(
        service=api.service,
        monitor=api,
        title="API version: latency above 500 ms",
        priority="p2",
        started_at=now - 26 * MINUTE,
        response_due_at=now + 34 * MINUTE,
    )
    for back, length, monitor in (
        (21 * DAY, 25 * MINUTE, backend),
        (62 * DAY, 3 * HOUR, backend),
        (14 * HOUR, 3 * MINUTE, backend),
        (3 * DAY, 40 * MINUTE, made.monitors["Backend jobs"]),
    ):
        make_incident(
            service=monitor.service,
            monitor=monitor,
            title=f"{monitor.name} is down",
            started_at=now - back,
            status=Incident.Status.RESOLVED,
            resolved_at=now - back + length,
            first_acknowledged_at=now - back + 2 * MINUTE,
            acknowledged_at=now - back + 2 * MINUTE,
            acknowledged_by=made.people["anna"],
        )

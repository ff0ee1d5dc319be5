"""Rows for the tests of thresholds: monitors in a state, results, what fires."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

from incidents import services
from incidents.models import Alert, Incident
from monitors.models import Monitor, MonitorState, Series, StatusInterval, Threshold
from monitors.status import Status
from tests.factories import make_monitor, make_user

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def make_watched(now, *, status=Status.UP, since=None, **values) -> Monitor:
    """A monitor with a state, looked at just now."""
    state = {
        name: values.pop(name)
        for name in list(values)
        if name in {field.name for field in MonitorState._meta.fields}
    }
    monitor = make_monitor(**values)
    state.setdefault("confirmed", Status.UP if status == Status.DEGRADED else status)
    state.setdefault("last_result_at", now)
    state.setdefault("fresh_until", now + 10 * MINUTE)
    since = since or now - timedelta(days=1)
    MonitorState.objects.create(
        monitor=monitor, status=status, since=since, confirmed_since=since, **state
    )
    StatusInterval.objects.create(monitor=monitor, status=status, started_at=since)
    return monitor


def make_result(monitor, at, *, ms=None, code=0):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitors_checkresult"
            " (at, monitor_id, connect_ms, first_byte_ms, code)"
            " VALUES (%s, %s, %s, %s, %s)",
            [
                at,
                monitor.pk,
                None if ms is None else 10,
                None if ms is None else ms - 10,
                code,
            ],
        )
    MonitorState.objects.filter(monitor=monitor).update(last_result_at=at)


def make_threshold(measure, **values):
    values.setdefault("name", f"{measure} {Threshold.objects.count()}")
    if measure != "down" and "warning_bound" not in values:
        values.setdefault("critical_bound", 2000)
    return Threshold.objects.create(measure=measure, **values)


def make_slow(now, **values) -> Monitor:
    """A monitor whose newest result took three seconds."""
    monitor = make_watched(now, **values)
    make_result(monitor, now - SECOND, ms=3000)
    return monitor


def firing():
    return set(
        Alert.objects.filter(status="firing").values_list("dedup_key", flat=True)
    )


def key(threshold, subject):
    kind = "series" if isinstance(subject, Series) else "monitor"
    return f"threshold:{threshold.pk}:{kind}:{subject.pk}"


def resolve_by_person(*, now):
    incident = Incident.objects.get()
    services.resolve_incident(
        incident_id=incident.pk,
        user=make_user(),
        via="web",
        now=now,
        even_if_firing=True,
    )

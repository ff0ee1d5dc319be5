"""Rows and readings that the tests of this room share."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

from django.db import connection

from incidents import intake
from incidents.models import Alert, HeldAlert, Incident, IncidentEvent
from notifications.models import Notification
from tests.factories import make_service

_keys = itertools.count(1)


def make_alert(*, now: datetime, **values: Any) -> Alert:
    """Raise an alert through the one door: P0, since now, of a service of its own."""
    alert = trigger(now=now, **values)
    assert isinstance(alert, Alert), "a deploy window holds it back"
    return alert


def make_held(*, now: datetime, **values: Any) -> HeldAlert:
    """Let a P1 fire that a deploy window holds back."""
    values.setdefault("priority", "p1")
    held = trigger(now=now, **values)
    assert isinstance(held, HeldAlert), "no deploy window holds it back"
    return held


def trigger(*, now: datetime, **values: Any) -> Alert | HeldAlert:
    """Say through the one door that a condition fires."""
    if "service" not in values:
        values["service"] = make_service()
    values.setdefault("dedup_key", f"monitor:{next(_keys)}")
    values.setdefault("title", "API health is down")
    values.setdefault("detail", "HTTP 503, expected 200–299")
    values.setdefault("priority", "p0")
    values.setdefault("started_at", now)
    return intake.trigger(now=now, **values)


def make_incident(*, now: datetime, **values: Any) -> Incident:
    """An open incident with one firing alert."""
    return reread(make_alert(now=now, **values).incident)


def reread(incident: Incident) -> Incident:
    return Incident.objects.get(pk=incident.pk)


def deliver(*, now: datetime) -> int:
    """Let everything that may leave at `now` arrive, as delivery records it."""
    return Notification.objects.filter(
        status=Notification.Status.QUEUED, next_attempt_at__lte=now
    ).update(status=Notification.Status.SENT, ended_at=now)


def refuse(*, now: datetime) -> int:
    """Let every channel refuse for good what is queued."""
    return Notification.objects.filter(status=Notification.Status.QUEUED).update(
        status=Notification.Status.DEAD, ended_at=now, outcome="no such channel"
    )


def outbox(purpose: str = "", status: str = "") -> list[Notification]:
    rows = Notification.objects.select_related("channel").order_by("pk")
    if purpose:
        rows = rows.filter(purpose=purpose)
    if status:
        rows = rows.filter(status=status)
    return list(rows)


def pages_of(incident: Incident, status: str = "") -> list[Notification]:
    """The pages about one incident, without those of the portal's own alerts."""
    about = f"incident:{incident.pk}"
    return [row for row in outbox("page", status) if row.subject_key == about]


def kinds(incident: Incident) -> list[str]:
    """The kinds of the timeline's lines, oldest first."""
    events = IncidentEvent.objects.filter(incident=incident).order_by("pk")
    return list(events.values_list("kind", flat=True))


def names(rows: list[Notification]) -> list[str]:
    """The names of the channels that rows go to."""
    return sorted(row.channel.name for row in rows if row.channel)


def break_outbox() -> None:
    """Make the database refuse every new page, until the test's transaction ends."""
    with connection.cursor() as cursor:
        # A table with checks still pending can't be altered.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "ALTER TABLE notifications_notification ADD CONSTRAINT broken"
            " CHECK (purpose <> 'page') NOT VALID"
        )

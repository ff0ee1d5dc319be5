"""The timeline is append-only and speaks the reader's language."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from incidents import intake, services, timeline
from incidents.advancing import advance_due
from incidents.models import Incident, IncidentEvent
from tests.factories import make_channel, make_priority_rules, make_user, only_step
from tests.incidents.making import deliver, make_alert, make_incident

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def sentences(incident: Incident) -> list[str]:
    events = IncidentEvent.objects.filter(incident=incident).order_by("pk")
    return [timeline.sentence(event=event) for event in events]


def test_database_refuses_to_change_a_line(now):
    event = make_incident(now=now, priority="p3").events.get()

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        IncidentEvent.objects.filter(pk=event.pk).update(text="never happened")

    event.refresh_from_db()
    assert event.text.startswith("API health is down")


def test_database_refuses_to_delete_a_line(now):
    event = make_incident(now=now, priority="p3").events.get()

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        event.delete()

    assert IncidentEvent.objects.filter(pk=event.pk).exists()


def test_database_refuses_plain_sql_too(now):
    incident = make_incident(now=now, priority="p3")

    for statement in (
        "UPDATE incidents_incidentevent SET at = at - interval '1 hour'",
        "DELETE FROM incidents_incidentevent",
    ):
        with (
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)

    assert incident.events.count() == 1


def test_story_of_an_incident_reads_as_sentences(now):
    make_priority_rules(make_channel(name="Ops"))
    user = make_user()
    incident = make_incident(now=now, dedup_key="k")
    acting: dict[str, Any] = {"incident_id": incident.pk, "user": user, "via": "web"}
    deliver(now=now)
    advance_due(now=now + 5 * MINUTE)
    services.acknowledge(**acting, now=now + 6 * MINUTE)
    services.snooze(**acting, now=now + 7 * MINUTE, until=now + 60 * MINUTE)
    advance_due(now=now + 60 * MINUTE)
    deliver(now=now + 60 * MINUTE)
    services.change_priority(**acting, now=now + 61 * MINUTE, priority="p1")
    services.resolve_incident(**acting, now=now + 62 * MINUTE, even_if_firing=True)

    assert sentences(incident) == [
        "Opened as P0",
        "Told Ops",
        "Nobody had acknowledged by 10:05",
        "Paged again: Ops",
        "Acknowledged",
        "Snoozed until 11:00",
        "Snooze ended: somebody must acknowledge again",
        "Told Ops that the snooze has ended",
        "Lowered from P0 to P1",
        "Resolved while 1 alert was still firing",
        "Told Ops that it is resolved",
    ]


def test_flapping_reads_as_sentences(now):
    make_priority_rules(make_channel(name="Ops"))
    incident = make_incident(now=now, dedup_key="k")
    deliver(now=now)
    intake.resolve(dedup_key="k", now=now + MINUTE)
    deliver(now=now + MINUTE)
    make_alert(now=now + 2 * MINUTE, dedup_key="k", service=incident.service)
    intake.resolve(dedup_key="k", now=now + 3 * MINUTE)

    assert sentences(incident)[3:] == [
        "Resolved",
        "Told Ops that it is over",
        "Alert fired, P0",
        "It fires again: flapping",
        "Told Ops that it fails again",
        "Alert resolved",
        "Resolved",
        "Told Ops that it is over, unless it comes back within 10 min",
    ]


def test_fallback_and_silence_are_said(now):
    channel = make_channel(name="Ops")
    rules = make_priority_rules(channel)
    only_step(rules["p1"]).channels.clear()
    fallback = make_incident(now=now, priority="p1")
    channel.is_enabled = False
    channel.save()
    silent = make_incident(now=now, priority="p1")

    assert (
        sentences(fallback)[-1]
        == "Told Ops (no channel of its own priority can be used)"
    )
    assert (
        sentences(silent)[-1]
        == "Nobody could be told: no channel is enabled and configured"
    )

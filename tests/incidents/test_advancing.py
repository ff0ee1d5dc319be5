"""The engine's tick."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents import holding, services
from incidents.advancing import advance_due
from incidents.escalation import Policy, Step, planning
from incidents.models import EscalationPolicy, EscalationStep, Incident, PriorityRule
from incidents.reach import Worlds
from notifications.models import Notification
from tests.factories import (
    make_channel,
    make_contact,
    make_priority_rules,
    make_service,
    make_user,
    only_step,
)
from tests.incidents.making import (
    break_outbox,
    deliver,
    kinds,
    make_incident,
    names,
    outbox,
    pages_of,
    refuse,
    reread,
)

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def test_unacknowledged_incident_is_paged_again_when_its_time_comes(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    deliver(now=now)

    assert advance_due(now=now + 4 * MINUTE) == 0
    assert advance_due(now=now + 5 * MINUTE) == 1
    assert advance_due(now=now + 5 * MINUTE) == 0

    again = reread(incident)
    assert again.escalation_count == 2
    assert again.next_escalation_at == now + 10 * MINUTE
    assert [row.idempotency_key.split(":")[3] for row in outbox("page")] == ["0", "1"]
    assert kinds(incident)[-1] == "escalated"


def test_page_waits_for_no_record_of_a_missed_deadline(now, monkeypatch, caplog):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    deliver(now=now)
    with monkeypatch.context() as broken:
        broken.setattr(holding, "miss", lambda **_values: 1 / 0)

        assert advance_due(now=now + 10 * MINUTE) == 1

    assert len(outbox("page")) == 2
    assert "missed deadlines could not be recorded" in caplog.text
    assert reread(incident).response_missed_at is None
    advance_due(now=now + 11 * MINUTE)
    assert reread(incident).response_missed_at == incident.response_due_at


def test_engine_that_was_away_pages_once_not_for_each_time_missed(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)
    deliver(now=now)

    advance_due(now=now + 61 * MINUTE)

    assert len(outbox("page", "queued")) == 1
    assert reread(incident).next_escalation_at == now + 65 * MINUTE


def test_priority_without_repeat_is_told_once(now):
    make_priority_rules(make_channel())
    make_incident(now=now, priority="p1")
    deliver(now=now)

    assert advance_due(now=now + timedelta(days=3)) == 0


def test_no_more_than_the_limit_advances_at_once(now):
    make_priority_rules(make_channel())
    for _ in range(3):
        make_incident(now=now)
    deliver(now=now)

    assert advance_due(now=now + 5 * MINUTE, limit=2) == 2
    assert advance_due(now=now + 5 * MINUTE, limit=2) == 1


def test_nobody_reachable_is_tried_again_until_a_channel_works(now):
    channel = make_channel(is_enabled=False)
    make_priority_rules(channel)
    incident = make_incident(now=now, priority="p1")
    advance_due(now=now + 5 * MINUTE)
    assert reread(incident).is_untold
    assert kinds(incident) == ["opened", "untold"]

    channel.is_enabled = True
    channel.save()
    advance_due(now=now + 10 * MINUTE)

    assert not reread(incident).is_untold
    assert reread(incident).next_escalation_at is None
    assert names(pages_of(incident, "queued")) == [channel.name]
    assert kinds(incident)[-1] == "notified"


def test_channels_that_refuse_fall_through_to_those_that_may_deliver(now):
    dead, alive = make_channel(name="Dead"), make_channel(name="Alive")
    rules = make_priority_rules(dead)
    only_step(rules["p2"]).channels.set([alive])
    incident = make_incident(now=now, priority="p1")
    refuse(now=now)

    advance_due(now=now + MINUTE)

    assert names(pages_of(incident, "queued")) == ["Alive"]
    assert not reread(incident).is_untold


def test_nobody_left_to_fall_through_to_is_said_and_tried_ever_more_rarely(now):
    make_priority_rules(make_channel(name="Dead"))
    incident = make_incident(now=now, priority="p1")
    refuse(now=now)

    advance_due(now=now + MINUTE)
    assert reread(incident).is_untold
    assert kinds(incident)[-1] == "untold"
    first_try = reread(incident).next_escalation_at
    assert first_try == now + MINUTE + 2 * planning.UNTOLD_RETRY

    advance_due(now=first_try)
    assert names(pages_of(incident, "queued")) == ["Dead"]


def test_one_channel_that_delivers_is_enough(now):
    dead, alive = make_channel(name="Dead"), make_channel(name="Alive")
    make_priority_rules(dead, alive)
    make_incident(now=now, priority="p1")
    Notification.objects.filter(channel=dead).update(status="dead", ended_at=now)
    deliver(now=now)

    assert advance_due(now=now + MINUTE) == 0


def test_open_incident_whose_pages_are_missing_is_repaired(now):
    make_priority_rules(make_channel())
    make_incident(now=now, priority="p1")
    Notification.objects.all().delete()

    advance_due(now=now + timedelta(days=90))

    assert len(outbox("page", "queued")) == 1


@pytest.mark.parametrize("state", ["acknowledged", "snoozed", "resolved", "digest"])
def test_incident_that_should_be_quiet_is_not_repaired(now, state):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, priority="p3" if state == "digest" else "p1")
    acting = {"incident_id": incident.pk, "user": make_user(), "via": "web", "now": now}
    if state == "acknowledged":
        services.acknowledge(**acting)
    if state == "snoozed":
        services.snooze(**acting, until=now + 60 * MINUTE)
    if state == "resolved":
        services.resolve_incident(**acting, even_if_firing=True)

    assert advance_due(now=now + MINUTE) == 0
    assert outbox("page", "queued") == []


def test_incident_that_fails_to_advance_holds_up_nobody_and_is_tried_again(now, caplog):
    make_priority_rules(make_channel())
    poison = make_incident(now=now)
    quiet = make_incident(now=now, priority="p3")
    deliver(now=now)
    break_outbox()
    Incident.objects.filter(pk=quiet.pk).update(next_escalation_at=now + 6 * MINUTE)

    assert advance_due(now=now + 6 * MINUTE) == 1

    assert f"incident {poison.pk} could not advance" in caplog.text
    assert reread(poison).next_escalation_at == now + 7 * MINUTE
    assert reread(poison).escalation_count == 1
    assert kinds(poison) == ["opened", "notified", "response_missed"]


def test_page_that_dies_after_an_expired_acknowledgement_goes_elsewhere(now):
    """What arrived before the acknowledgement vouches for nothing after it."""
    make_priority_rules(make_channel(name="Ops"))
    EscalationStep.objects.update(repeat_s=0)
    EscalationPolicy.objects.update(ack_expires_s=600)
    other = EscalationPolicy.objects.create(name="Another")
    step = EscalationStep.objects.create(policy=other)
    step.channels.set([make_channel(name="Elsewhere")])
    PriorityRule.objects.filter(priority="p2").update(policy=other)
    incident = make_incident(now=now)
    deliver(now=now)
    services.acknowledge(incident_id=incident.pk, user=make_user(), via="web", now=now)
    later = now + timedelta(minutes=11)
    advance_due(now=later)
    refuse(now=later)

    advance_due(now=later + timedelta(seconds=5))

    queued = [row for row in pages_of(incident) if row.status == "queued"]
    assert names(queued) == ["Elsewhere"]


def test_page_that_the_provider_lost_goes_elsewhere(now):
    make_priority_rules(make_channel(name="Ops"))
    EscalationStep.objects.update(repeat_s=0)
    other = EscalationPolicy.objects.create(name="Another")
    step = EscalationStep.objects.create(policy=other)
    step.channels.set([make_channel(name="Elsewhere")])
    PriorityRule.objects.filter(priority="p2").update(policy=other)
    incident = make_incident(now=now)
    deliver(now=now)
    Notification.objects.update(delivery_status="failed")

    advance_due(now=now + timedelta(seconds=5))

    queued = [row for row in pages_of(incident) if row.status == "queued"]
    assert names(queued) == ["Elsewhere"]
    deliver(now=now + timedelta(seconds=6))
    advance_due(now=now + timedelta(seconds=10))
    assert len(pages_of(incident)) == 2


def test_tick_costs_the_same_statements_for_many_incidents(now):
    make_priority_rules(make_channel(), make_channel())
    service = make_service()

    def cost(minutes):
        with CaptureQueriesContext(connection) as queries:
            advance_due(now=now + minutes * MINUTE)
        return len(queries)

    make_incident(now=now, service=service)
    deliver(now=now)
    # The first of these ticks also records that the deadline passed.
    few = cost(5), cost(10)
    for number in range(30):
        make_incident(now=now + 10 * MINUTE, service=service, grouping_key=str(number))
    deliver(now=now + 10 * MINUTE)
    many = cost(15), cost(20)

    assert few == many
    assert many[1] <= 30
    assert Incident.objects.filter(response_missed_at=None).count() == 0
    assert {reread(row).escalation_count for row in Incident.objects.all()} == {3, 5}


def test_what_could_not_be_looked_at_is_looked_at_again(now):
    """One unreadable priority must not leave the next policy in an empty world."""
    channel = make_channel()
    step = Step(channel_ids=(channel.pk,), contact_ids=(make_contact().pk,))
    policy = Policy("p0", response_s=300, steps=(step,))
    worlds = Worlds(at=now)

    with pytest.raises(KeyError):
        worlds.look(policies=[policy, replace(policy, priority="p9")])

    assert channel.pk in worlds.of(policy).channels

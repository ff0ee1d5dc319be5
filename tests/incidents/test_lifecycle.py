"""Incidents that come back, and priorities that change under way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from incidents import intake, services
from incidents.advancing import advance_due
from incidents.escalation import FLAP_WINDOW
from incidents.models import Incident
from notifications.models import Notification
from tests.factories import make_channel, make_priority_rules, make_user, only_step
from tests.incidents.making import (
    deliver,
    kinds,
    make_alert,
    make_incident,
    names,
    outbox,
    reread,
)

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def fire_again(incident: Incident, **values):
    return make_alert(service=incident.service, dedup_key="k", **values)


def test_condition_that_comes_back_soon_continues_the_incident_without_a_page(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k")
    deliver(now=now)
    intake.resolve(dedup_key="k", now=now + MINUTE)

    alert = fire_again(incident, now=now + 3 * MINUTE)

    again = reread(incident)
    assert alert.incident == incident
    assert again.status == Incident.Status.TRIGGERED
    assert again.is_flapping
    assert again.resolved_at is None
    assert len(outbox("page")) == 1
    assert kinds(incident)[-2:] == ["alert_fired", "reopened"]


def test_condition_that_comes_back_late_opens_a_new_incident(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k")
    intake.resolve(dedup_key="k", now=now)

    alert = fire_again(incident, now=now + FLAP_WINDOW)

    assert alert.incident != incident
    assert not alert.incident.is_flapping


def test_recovery_that_was_held_back_leaves_when_it_stays_quiet(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k")
    deliver(now=now)
    intake.resolve(dedup_key="k", now=now + MINUTE)
    fire_again(incident, now=now + 2 * MINUTE)

    intake.resolve(dedup_key="k", now=now + 3 * MINUTE)

    held_back = outbox("recovery", "queued")
    assert [row.next_attempt_at for row in held_back] == [
        now + 3 * MINUTE + FLAP_WINDOW
    ]


def test_coming_back_cancels_the_recovery_that_was_held_back(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k")
    deliver(now=now)
    intake.resolve(dedup_key="k", now=now + MINUTE)
    fire_again(incident, now=now + 2 * MINUTE)
    intake.resolve(dedup_key="k", now=now + 3 * MINUTE)

    fire_again(incident, now=now + 4 * MINUTE)

    assert outbox("recovery", "queued") == []
    assert len(outbox("recovery", "cancelled")) == 2


def test_those_who_heard_that_it_was_over_hear_once_that_it_is_not(now):
    make_priority_rules(make_channel(name="Ops"))
    incident = make_incident(now=now, dedup_key="k")
    deliver(now=now)
    for minute in (1, 3, 5):
        intake.resolve(dedup_key="k", now=now + minute * MINUTE)
        deliver(now=now + minute * MINUTE)
        fire_again(incident, now=now + (minute + 1) * MINUTE)
        deliver(now=now + (minute + 1) * MINUTE)

    updates = outbox("update")
    assert names(updates) == ["Ops"]
    assert updates[0].lane == Notification.Lane.NORMAL
    assert updates[0].message["has_mention"] is False
    assert len(outbox("recovery", "sent")) == 1
    assert len(outbox("page")) == 1


def test_opening_cancelled_by_a_short_recovery_is_sent_when_it_comes_back(now):
    make_priority_rules(make_channel(name="Ops"))
    incident = make_incident(now=now, dedup_key="k", priority="p1")
    intake.resolve(dedup_key="k", now=now + MINUTE)

    fire_again(incident, now=now + 2 * MINUTE, priority="p1")

    assert names(outbox("page", "queued")) == ["Ops"]


def test_acknowledged_incident_comes_back_acknowledged_and_pages_nobody(now):
    make_priority_rules(make_channel())
    user = make_user()
    incident = make_incident(now=now, dedup_key="k")
    deliver(now=now)
    services.acknowledge(incident_id=incident.pk, user=user, via="web", now=now)
    intake.resolve(dedup_key="k", now=now + MINUTE)

    fire_again(incident, now=now + 2 * MINUTE)

    again = reread(incident)
    assert again.status == Incident.Status.ACKNOWLEDGED
    assert again.acknowledged_by == user
    assert again.next_escalation_at is None
    assert advance_due(now=now + 60 * MINUTE) == 0
    assert len(outbox("page")) == 1


def test_flapping_faster_than_the_repeat_can_not_put_the_repeat_off(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k")
    deliver(now=now)

    for minute in (1, 3, 4.5):
        intake.resolve(dedup_key="k", now=now + minute * MINUTE)
        fire_again(incident, now=now + (minute + 0.25) * MINUTE)

    assert reread(incident).next_escalation_at == now + 5 * MINUTE
    advance_due(now=now + 5 * MINUTE)
    assert len(outbox("page")) == 2


def test_snooze_outlives_a_short_recovery(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k")
    until = now + 60 * MINUTE
    services.snooze(
        incident_id=incident.pk, user=make_user(), via="web", now=now, until=until
    )
    intake.resolve(dedup_key="k", now=now + MINUTE)

    fire_again(incident, now=now + 2 * MINUTE)

    assert reread(incident).next_escalation_at == until
    assert outbox("page", "queued") == []


def test_snooze_that_ran_out_during_the_recovery_is_over(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k")
    services.snooze(
        incident_id=incident.pk,
        user=make_user(),
        via="web",
        now=now,
        until=now + 3 * MINUTE,
    )
    intake.resolve(dedup_key="k", now=now + 2 * MINUTE)

    fire_again(incident, now=now + 4 * MINUTE)

    assert reread(incident).snoozed_until is None
    assert len(outbox("page", "queued")) == 1


def test_incident_has_the_highest_priority_of_what_fires(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="low", priority="p2")

    make_alert(now=now, dedup_key="k", service=incident.service, priority="p0")
    assert reread(incident).priority == "p0"

    intake.resolve(dedup_key="k", now=now + MINUTE)
    assert reread(incident).priority == "p2"


def test_alert_that_gets_worse_raises_its_incident(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k", priority="p2")

    fire_again(incident, now=now + MINUTE, priority="p1")

    assert reread(incident).priority == "p1"
    assert reread(incident).response_due_at == now + 16 * MINUTE


def test_raise_tells_the_channels_that_do_not_know_yet(now):
    slack, mail = make_channel(name="Slack"), make_channel(name="Mail")
    rules = make_priority_rules(slack, mail)
    only_step(rules["p2"]).channels.set([mail])
    incident = make_incident(now=now, dedup_key="k", priority="p2")
    deliver(now=now)

    fire_again(incident, now=now + MINUTE, priority="p0")

    told = outbox("page", "queued")
    assert names(told) == ["Slack"]
    assert told[0].message["has_mention"] is True
    assert told[0].message["is_first_in_thread"] is True
    assert reread(incident).next_escalation_at == now + 6 * MINUTE


def test_raise_long_after_the_last_page_tells_everybody(now):
    rules = make_priority_rules(make_channel(name="Slack"))
    only_step(rules["p2"]).channels.set([make_channel(name="Mail")])
    only_step(rules["p0"]).channels.add(*only_step(rules["p2"]).channels.all())
    incident = make_incident(now=now, dedup_key="k", priority="p2")
    deliver(now=now)

    fire_again(incident, now=now + timedelta(days=3), priority="p0")

    assert names(outbox("page", "queued")) == ["Mail", "Slack"]


def test_raise_replaces_the_pages_that_have_not_left(now):
    make_priority_rules(make_channel(name="Ops"))
    incident = make_incident(now=now, dedup_key="k", priority="p2")

    fire_again(incident, now=now, priority="p0")

    assert [(row.status, row.message["priority"]) for row in outbox("page")] == [
        ("cancelled", "p2"),
        ("queued", "p0"),
    ]


def test_raise_of_an_acknowledged_incident_tells_once_and_never_again(now):
    rules = make_priority_rules(make_channel(name="Slack"))
    only_step(rules["p2"]).channels.set([make_channel(name="Mail")])
    incident = make_incident(now=now, dedup_key="k", priority="p2")
    deliver(now=now)
    services.acknowledge(incident_id=incident.pk, user=make_user(), via="web", now=now)

    fire_again(incident, now=now + MINUTE, priority="p0")

    assert names(outbox("page", "queued")) == ["Slack"]
    assert reread(incident).status == Incident.Status.ACKNOWLEDGED
    assert advance_due(now=now + timedelta(hours=5)) == 0


def test_raise_ends_the_snooze_of_what_nobody_has(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k", priority="p2")
    services.snooze(
        incident_id=incident.pk,
        user=make_user(),
        via="web",
        now=now,
        until=now + timedelta(days=1),
    )

    fire_again(incident, now=now + MINUTE, priority="p0")

    assert reread(incident).snoozed_until is None
    assert len(outbox("page", "queued")) == 1
    assert "woken" in kinds(incident)


def test_lowering_is_only_noted(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k", priority="p0")

    fire_again(incident, now=now + MINUTE, priority="p1")

    lowered = reread(incident)
    assert lowered.response_due_at == now + 15 * MINUTE
    assert lowered.next_escalation_at is None
    assert len(outbox()) == 1
    assert kinds(incident)[-1] == "priority_changed"


def test_pinned_priority_is_not_changed_by_alerts(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k", priority="p1")
    services.change_priority(
        incident_id=incident.pk, user=make_user(), via="web", now=now, priority="p2"
    )

    fire_again(incident, now=now, priority="p0")
    make_alert(now=now, dedup_key="b", service=incident.service, priority="p0")
    intake.resolve(dedup_key="k", now=now)

    assert reread(incident).priority == "p2"


def test_edit_of_the_matrix_touches_no_running_incident(now):
    channel, other = make_channel(name="Then"), make_channel(name="Now")
    rules = make_priority_rules(channel)
    incident = make_incident(now=now)
    deliver(now=now)
    only_step(rules["p0"]).channels.set([other])
    step = only_step(rules["p0"])
    step.repeat_s = 3600
    step.save()

    advance_due(now=now + 5 * MINUTE)

    assert names(outbox("page", "queued")) == ["Then"]
    assert reread(incident).next_escalation_at == now + 10 * MINUTE

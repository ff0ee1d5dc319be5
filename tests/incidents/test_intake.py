"""The one way to raise."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from incidents import escalation, intake, services
from incidents.conditions import MAX_DETAIL
from incidents.escalation import planning
from incidents.models import Alert, Incident, IncidentEvent, PriorityRule
from notifications.models import Notification
from tests.factories import (
    make_channel,
    make_priority_rules,
    make_service,
    make_user,
    only_step,
)
from tests.incidents.making import (
    break_outbox,
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


def test_first_alert_opens_an_incident_and_tells_each_usable_channel(now):
    slack, mail = make_channel(name="Slack"), make_channel(name="Mail")
    make_priority_rules(slack, mail, make_channel(name="Off", is_enabled=False))

    alert = make_alert(now=now, started_at=now - 3 * MINUTE, source="monitor:7")

    incident = reread(alert.incident)
    assert incident.status == Incident.Status.TRIGGERED
    assert incident.title == "API health is down"
    assert incident.priority == "p0"
    assert incident.started_at == now - 3 * MINUTE
    assert incident.opened_at == now
    assert incident.response_due_at == now + 5 * MINUTE
    assert incident.next_escalation_at == now + 5 * MINUTE
    assert names(outbox("page")) == ["Mail", "Slack"]
    assert {row.lane for row in outbox()} == {Notification.Lane.PAGING}
    assert kinds(incident) == ["opened", "notified"]


def test_same_key_again_updates_the_alert_and_tells_nobody(now):
    make_priority_rules(make_channel())
    alert = make_alert(now=now, dedup_key="k")

    again = make_alert(
        now=now + MINUTE,
        dedup_key="k",
        service=alert.service,
        title="API health is very down",
        detail="timeout after 10 s",
        started_at=now - MINUTE,
    )

    assert again.pk == alert.pk
    assert again.trigger_count == 2
    assert again.triggered_at == now
    assert again.last_triggered_at == now + MINUTE
    assert (again.title, again.detail) == (
        "API health is very down",
        "timeout after 10 s",
    )
    incident = reread(alert.incident)
    assert incident.title == "API health is down"
    assert incident.started_at == now - MINUTE
    assert incident.next_escalation_at == now + 5 * MINUTE
    assert len(outbox()) == 1
    assert kinds(incident) == ["opened", "notified"]


def test_empty_detail_keeps_the_evidence(now):
    alert = make_alert(now=now, dedup_key="k", detail="HTTP 503")

    again = make_alert(now=now, dedup_key="k", service=alert.service, detail="")

    assert again.detail == "HTTP 503"


def test_other_alert_of_the_group_joins_the_incident_without_a_page(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)

    other = make_alert(
        now=now + MINUTE, service=incident.service, title="Login is down"
    )

    assert other.incident == incident
    assert len(outbox()) == 1
    assert kinds(incident) == ["opened", "notified", "alert_fired"]


@pytest.mark.parametrize("difference", ["service", "grouping key"])
def test_other_group_opens_an_incident_of_its_own(now, difference):
    incident = make_incident(now=now, grouping_key="a")
    is_service = difference == "service"

    other = make_alert(
        now=now,
        service=make_service() if is_service else incident.service,
        grouping_key="a" if is_service else "b",
    )

    assert other.incident != incident


def test_key_that_moves_to_another_service_stays_in_its_incident_until_it_ends(now):
    incident = make_incident(now=now, dedup_key="k")

    moved = make_alert(now=now, dedup_key="k", service=make_service())

    assert moved.incident == incident
    assert Incident.objects.count() == 1


def test_incident_ends_with_its_last_alert(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="a")
    make_alert(now=now, dedup_key="b", service=incident.service)
    deliver(now=now)

    intake.resolve(dedup_key="a", now=now + MINUTE)
    assert reread(incident).is_open

    alert = intake.resolve(dedup_key="b", now=now + 2 * MINUTE, detail="HTTP 200")

    ended = reread(incident)
    assert alert is not None
    assert alert.status == Alert.Status.RESOLVED
    assert ended.status == Incident.Status.RESOLVED
    assert ended.resolved_at == now + 2 * MINUTE
    assert ended.resolved_by is None
    assert ended.next_escalation_at is None
    assert kinds(incident)[-4:] == [
        "alert_resolved",
        "alert_resolved",
        "resolved",
        "notified",
    ]


def test_resolving_what_does_not_fire_returns_none(now):
    assert intake.resolve(dedup_key="nobody", now=now) is None


def test_resolving_twice_returns_none_and_writes_nothing(now):
    incident = make_incident(now=now, dedup_key="k")
    intake.resolve(dedup_key="k", now=now)
    before = kinds(incident)

    assert intake.resolve(dedup_key="k", now=now) is None
    assert kinds(incident) == before


def test_recovery_goes_only_to_those_who_were_told(now):
    told, late = make_channel(name="Told"), make_channel(name="Late")
    make_priority_rules(told, late)
    make_incident(now=now, dedup_key="k")
    Notification.objects.filter(channel=told).update(status="sent", ended_at=now)

    intake.resolve(dedup_key="k", now=now + MINUTE)

    assert names(outbox("recovery", "queued")) == ["Told"]
    assert names(outbox("page", "cancelled")) == ["Late"]


def test_opening_that_never_left_is_cancelled_and_nobody_hears_of_it(now):
    make_priority_rules(make_channel())
    make_incident(now=now, dedup_key="k")

    intake.resolve(dedup_key="k", now=now)

    assert [row.status for row in outbox()] == ["cancelled"]


def test_digest_priority_tells_nobody_at_once(now):
    make_priority_rules(make_channel())

    incident = make_incident(now=now, priority="p3")

    assert outbox() == []
    assert incident.next_escalation_at is None
    assert not incident.is_untold
    assert kinds(incident) == ["opened"]


def test_missing_rule_behaves_like_the_guide_and_uses_other_rules_channels(now):
    make_priority_rules(make_channel(name="Ops"))
    PriorityRule.objects.filter(priority="p0").delete()

    incident = make_incident(now=now)

    assert (
        incident.policy["steps"][0]["repeat_s"]
        == escalation.GUIDE["p0"].steps[0].repeat_s
    )
    assert incident.response_due_at == now + 5 * MINUTE
    assert names(outbox("page")) == ["Ops"]
    assert outbox()[0].message["has_mention"] is True


def test_rule_without_a_usable_channel_falls_through_and_says_so(now):
    rules = make_priority_rules(make_channel(name="Ops"))
    only_step(rules["p1"]).channels.set([make_channel(name="Off", is_enabled=False)])

    incident = make_incident(now=now, priority="p1")

    assert names(outbox("page")) == ["Ops"]
    event = incident.events.get(kind=IncidentEvent.Kind.NOTIFIED)
    assert event.data["is_fallback"] is True


def test_nobody_reachable_is_said_and_tried_again(now):
    make_priority_rules(make_channel(is_enabled=False))

    incident = make_incident(now=now, priority="p1")

    assert incident.is_untold
    assert kinds(incident) == ["opened", "untold"]
    assert incident.next_escalation_at == now + planning.UNTOLD_RETRY


def test_long_and_unstorable_texts_fit_the_database(now):
    alert = make_alert(
        now=now, title="t" * 500, detail="a\x00b" + "d" * 9000, source="s" * 300
    )

    stored = Alert.objects.get(pk=alert.pk)
    assert len(stored.title) == 300
    assert stored.title.endswith("…")
    assert stored.detail.startswith("a\N{REPLACEMENT CHARACTER}b")
    assert len(stored.detail) == MAX_DETAIL
    assert len(stored.source) == 100


@pytest.mark.parametrize(
    "values",
    [
        {"dedup_key": ""},
        {"dedup_key": "k" * 201},
        {"grouping_key": "g" * 201},
        {"priority": "p9"},
    ],
)
def test_unusable_values_are_refused_before_anything_is_written(now, values):
    with pytest.raises(ValueError):
        make_alert(now=now, **values)

    assert not Incident.objects.exists()


def test_start_in_the_future_counts_as_now(now):
    alert = make_alert(now=now, started_at=now + MINUTE)

    assert alert.started_at == now


def test_service_with_a_misspelt_zone_still_pages(now):
    make_priority_rules(make_channel())

    make_alert(now=now, service=make_service(time_zone="Europe/Pariss"))

    assert len(outbox("page")) == 1


def test_callers_rollback_takes_incident_timeline_and_outbox_with_it(now):
    make_priority_rules(make_channel())

    with transaction.atomic():
        make_alert(now=now)
        transaction.set_rollback(True)

    assert not Incident.objects.exists()
    assert not IncidentEvent.objects.exists()
    assert outbox() == []


def test_failure_in_the_middle_leaves_nothing_behind(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="a", priority="p2")
    before = kinds(incident)
    break_outbox()

    with pytest.raises(IntegrityError):
        make_alert(now=now, dedup_key="b", service=incident.service, priority="p0")

    assert reread(incident).priority == "p2"
    assert kinds(incident) == before
    assert not Alert.objects.filter(dedup_key="b").exists()


def test_condition_after_a_persons_resolution_is_a_new_incident(now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now, dedup_key="k")
    services.resolve_incident(
        incident_id=incident.pk,
        user=make_user(),
        via="web",
        now=now + MINUTE,
        even_if_firing=True,
    )

    again = make_alert(now=now + 2 * MINUTE, dedup_key="k", service=incident.service)

    assert again.incident != incident
    assert len(outbox("page", "queued")) == 1


def test_runbook_of_whatever_raised_it_comes_with_the_alert(now):
    runbook = "https://wiki.example.org/api"

    alert = make_alert(now=now, dedup_key="k", runbook_url=runbook)
    make_alert(now=now, dedup_key="k", service=alert.service)

    assert Alert.objects.get().runbook_url == runbook


def test_runbook_too_long_to_keep_is_left_out(now):
    assert make_alert(now=now, runbook_url="https://" + "x" * 200).runbook_url == ""


def test_incident_is_public_from_its_first_alert_about_what_users_feel(now):
    service = make_service()
    quiet = make_alert(now=now, service=service, is_public=False)
    assert not reread(quiet.incident).is_public

    make_alert(now=now, service=service)

    assert reread(quiet.incident).is_public


def test_alert_that_users_begin_to_feel_makes_its_incident_public(now):
    service = make_service()
    for is_public in (False, True):
        alert = make_alert(now=now, service=service, dedup_key="k", is_public=is_public)

    assert reread(alert.incident).is_public

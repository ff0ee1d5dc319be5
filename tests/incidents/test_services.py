"""What people do to an incident."""

from __future__ import annotations

from datetime import timedelta

import pytest

from incidents import intake, queries, services
from incidents.advancing import advance_due
from incidents.models import Alert, Incident, IncidentEvent
from notifications.models import Contact
from tests.factories import make_channel, make_priority_rules, make_user
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


@pytest.fixture
def incident(now) -> Incident:
    make_priority_rules(make_channel(name="Ops"))
    return make_incident(now=now, dedup_key="k")


def acting(now, user=None, **values):
    return {"user": user or make_user(), "via": "web", "now": now, **values}


def test_acknowledgement_cancels_every_page_that_has_not_left(now, incident):
    user = make_user()

    services.acknowledge(incident_id=incident.pk, **acting(now + MINUTE, user))

    taken = reread(incident)
    assert taken.status == Incident.Status.ACKNOWLEDGED
    assert taken.acknowledged_by == user
    assert taken.acknowledged_at == taken.first_acknowledged_at == now + MINUTE
    assert taken.next_escalation_at is None
    assert [row.status for row in outbox()] == ["cancelled"]
    event = incident.events.get(kind=IncidentEvent.Kind.ACKNOWLEDGED)
    assert (event.actor, event.via, event.at) == (user, "web", now + MINUTE)


def test_no_page_follows_an_acknowledgement_even_when_one_is_due_at_that_instant(
    now, incident
):
    due = now + 5 * MINUTE
    services.acknowledge(incident_id=incident.pk, **acting(due))

    assert advance_due(now=due) == 0
    make_alert(now=due, dedup_key="k", service=incident.service)
    make_alert(now=due, dedup_key="other", service=incident.service)

    assert advance_due(now=due + timedelta(days=2)) == 0
    assert [row.status for row in outbox()] == ["cancelled"]


def test_second_acknowledgement_by_the_same_person_changes_nothing(now, incident):
    user = make_user()
    services.acknowledge(incident_id=incident.pk, **acting(now, user))

    services.acknowledge(incident_id=incident.pk, **acting(now + MINUTE, user))

    assert reread(incident).acknowledged_at == now
    assert kinds(incident).count("acknowledged") == 1


def test_acknowledgement_of_what_somebody_has_names_them(now, incident):
    first = make_user(first_name="Ada", last_name="Lovelace")
    services.acknowledge(incident_id=incident.pk, **acting(now, first))

    with pytest.raises(services.UnableToAcknowledge, match="Ada Lovelace"):
        services.acknowledge(incident_id=incident.pk, **acting(now))

    assert reread(incident).acknowledged_by == first


def test_taking_the_acknowledgement_back_pages_at_once(now, incident):
    deliver(now=now)
    user = make_user(first_name="Ada")
    services.acknowledge(incident_id=incident.pk, **acting(now, user))

    services.unacknowledge(incident_id=incident.pk, **acting(now + MINUTE, user))

    back = reread(incident)
    assert back.status == Incident.Status.TRIGGERED
    assert back.acknowledged_by is None
    assert back.first_acknowledged_at == now
    assert back.next_escalation_at == now + 6 * MINUTE
    (page,) = outbox("page", "queued")
    assert "Ada" in page.message["text"]
    assert page.message["is_first_in_thread"] is False


def test_taking_back_what_nobody_has_is_refused(now, incident):
    with pytest.raises(services.UnableToUnacknowledge):
        services.unacknowledge(incident_id=incident.pk, **acting(now))


def test_resolving_while_alerts_fire_is_refused_with_the_way_out(now, incident):
    with pytest.raises(services.UnableToResolve, match=r"1 alert is still firing"):
        services.resolve_incident(incident_id=incident.pk, **acting(now))

    assert reread(incident).is_open


def test_resolving_anyway_closes_the_alerts_and_tells_those_who_know(now, incident):
    deliver(now=now)
    user = make_user(first_name="Ada")

    services.resolve_incident(
        incident_id=incident.pk, even_if_firing=True, **acting(now + MINUTE, user)
    )

    ended = reread(incident)
    assert ended.status == Incident.Status.RESOLVED
    assert ended.resolved_by == user
    assert not incident.alerts.filter(status=Alert.Status.FIRING).exists()
    (told,) = outbox("recovery", "queued")
    assert "Ada" in told.message["text"]
    assert told.next_attempt_at == now + MINUTE
    assert intake.resolve(dedup_key="k", now=now + 2 * MINUTE) is None


@pytest.mark.parametrize(
    ("act", "error", "values"),
    [
        (services.acknowledge, services.UnableToAcknowledge, {}),
        (services.unacknowledge, services.UnableToUnacknowledge, {}),
        (services.resolve_incident, services.UnableToResolve, {}),
        (services.change_priority, services.UnableToChangePriority, {"priority": "p1"}),
    ],
)
def test_resolved_incident_refuses_what_would_change_it(
    now, incident, act, error, values
):
    intake.resolve(dedup_key="k", now=now)
    before = kinds(incident)

    with pytest.raises(error, match="already resolved"):
        act(incident_id=incident.pk, **acting(now, **values))

    assert kinds(incident) == before


def test_resolved_incident_can_not_be_snoozed(now, incident):
    intake.resolve(dedup_key="k", now=now)

    with pytest.raises(services.UnableToSnooze, match="already resolved"):
        services.snooze(incident_id=incident.pk, **acting(now, until=now + 5 * MINUTE))


def test_note_stands_in_the_timeline_with_its_author(now, incident):
    user = make_user()

    services.add_note(
        incident_id=incident.pk, **acting(now, user, text="  Restarted\x00 the API. ")
    )

    event = incident.events.get(kind=IncidentEvent.Kind.NOTE)
    assert (event.text, event.actor) == ("Restarted the API.", user)


def test_resolved_incident_still_takes_notes(now, incident):
    intake.resolve(dedup_key="k", now=now)

    services.add_note(
        incident_id=incident.pk, **acting(now, text="Cause: a full disk.")
    )

    assert kinds(incident)[-1] == "note"


@pytest.mark.parametrize("text", ["", "   \n", "\x00", "n" * 10_001])
def test_note_that_is_empty_or_too_long_is_refused(now, incident, text):
    with pytest.raises(services.UnableToAddNote):
        services.add_note(incident_id=incident.pk, **acting(now, text=text))


def test_snooze_keeps_quiet_until_its_end_and_then_pages(now, incident):
    until = now + 60 * MINUTE
    services.snooze(incident_id=incident.pk, **acting(now, until=until))
    assert [row.status for row in outbox()] == ["cancelled"]

    assert advance_due(now=until - MINUTE) == 0
    advance_due(now=until)

    woken = reread(incident)
    assert woken.snoozed_until is None
    assert woken.next_escalation_at == until + 5 * MINUTE
    assert names(outbox("page", "queued")) == ["Ops"]
    assert kinds(incident)[-2:] == ["woken", "notified"]


def test_snooze_of_an_acknowledged_incident_ends_with_nobody_having_it(now, incident):
    services.acknowledge(incident_id=incident.pk, **acting(now))
    services.snooze(incident_id=incident.pk, **acting(now, until=now + 60 * MINUTE))

    advance_due(now=now + 60 * MINUTE)

    woken = reread(incident)
    assert woken.status == Incident.Status.TRIGGERED
    assert woken.acknowledged_by is None
    assert woken.first_acknowledged_at == now
    assert len(outbox("page", "queued")) == 1


def test_acknowledgement_ends_the_snooze(now, incident):
    services.snooze(incident_id=incident.pk, **acting(now, until=now + 60 * MINUTE))

    services.acknowledge(incident_id=incident.pk, **acting(now))

    assert reread(incident).snoozed_until is None
    assert advance_due(now=now + 90 * MINUTE) == 0


@pytest.mark.parametrize(
    "length", [timedelta(0), timedelta(minutes=-5), timedelta(days=7, seconds=1)]
)
def test_snooze_into_the_past_or_for_too_long_is_refused(now, incident, length):
    with pytest.raises(services.UnableToSnooze):
        services.snooze(incident_id=incident.pk, **acting(now, until=now + length))


def test_priority_that_it_has_already_is_refused(now, incident):
    with pytest.raises(services.UnableToChangePriority, match="P0 already"):
        services.change_priority(incident_id=incident.pk, **acting(now, priority="p0"))


def test_unknown_priority_is_a_programming_error(now, incident):
    with pytest.raises(ValueError):
        services.change_priority(incident_id=incident.pk, **acting(now, priority="p7"))


def test_lowering_by_a_person_to_the_digest_stops_the_pages(now, incident):
    services.change_priority(incident_id=incident.pk, **acting(now, priority="p3"))

    assert reread(incident).next_escalation_at is None
    assert advance_due(now=now + timedelta(days=1)) == 0


@pytest.mark.parametrize(
    ("act", "values"),
    [
        (services.acknowledge, {}),
        (services.unacknowledge, {}),
        (services.resolve_incident, {}),
        (services.add_note, {"text": "x"}),
        (services.change_priority, {"priority": "p1"}),
    ],
)
def test_unknown_incident_is_said(now, act, values):
    with pytest.raises(Incident.DoesNotExist):
        act(incident_id=987_654, **acting(now, **values))


def test_what_the_public_is_told_stands_in_the_timeline(now, incident):
    user = make_user()

    services.tell_public(
        incident_id=incident.pk, **acting(now, user, message=" We are on it.\r\n\x07 ")
    )

    told = reread(incident)
    assert (told.public_message, told.public_message_at) == ("We are on it.", now)
    assert told.is_public
    event = incident.events.get(kind=IncidentEvent.Kind.PUBLISHED)
    assert (event.text, event.actor) == ("We are on it.", user)


def test_incident_taken_off_the_status_page_is_not_put_back_by_its_alerts(
    now, incident
):
    services.tell_public(
        incident_id=incident.pk, **acting(now, message="", is_public=False)
    )

    make_alert(now=now, dedup_key="k", service=incident.service)
    make_alert(now=now, service=incident.service)

    assert not reread(incident).is_public


def test_public_message_has_a_limit(now, incident):
    limit = services.MAX_PUBLIC_MESSAGE
    services.tell_public(incident_id=incident.pk, **acting(now, message="m" * limit))

    with pytest.raises(services.UnableToTellPublic, match="1001 characters"):
        services.tell_public(
            incident_id=incident.pk, **acting(now, message="m" * (limit + 1))
        )


def test_public_that_knows_already_is_not_told_again(now, incident):
    services.tell_public(incident_id=incident.pk, **acting(now, message="m"))

    with pytest.raises(services.UnableToTellPublic, match="says that already"):
        services.tell_public(incident_id=incident.pk, **acting(now, message="m"))

    assert kinds(incident).count("published") == 1


def test_contact_without_account_acknowledges_by_sms(now, incident):
    ana = Contact.objects.create(name="Ana")

    services.acknowledge(
        incident_id=incident.pk, user=None, contact=ana, via="sms", now=now
    )

    incident = reread(incident)
    assert (incident.status, incident.holder) == ("acknowledged", "Ana")
    line = queries.timeline_of(incident=incident).lines[0]
    assert (line.who, line.via) == ("Ana", "SMS")


def test_account_and_its_contact_are_one_holder(now, incident):
    user = make_user()
    ana = Contact.objects.create(name="Ana", user=user)
    services.acknowledge(incident_id=incident.pk, user=user, via="web", now=now)

    services.acknowledge(
        incident_id=incident.pk, user=user, contact=ana, via="sms", now=now
    )

    assert kinds(incident).count("acknowledged") == 1


def test_deleted_contact_leaves_its_name(now, incident):
    ana = Contact.objects.create(name="Ana")
    services.acknowledge(
        incident_id=incident.pk, user=None, contact=ana, via="link", now=now
    )
    services.resolve_incident(
        incident_id=incident.pk,
        user=None,
        contact=ana,
        via="link",
        now=now,
        even_if_firing=True,
    )

    ana.delete()

    incident = reread(incident)
    assert (incident.holder, incident.resolver) == ("Ana", "Ana")
    assert incident.is_resolved_by_person
    assert {line.who for line in queries.timeline_of(incident=incident).lines} == {
        "",
        "Ana",
    }

"""Handing an incident over: somebody asks, the other decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from incidents import services
from incidents.collaboration import handovers
from incidents.models import Handover, Incident
from incidents.people import Actor
from notifications.models import Notification
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_priority_rules,
    make_user,
)
from tests.incidents.making import kinds, make_incident, outbox, reread

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _matrix() -> None:
    make_priority_rules(make_channel(name="Ops"))


@pytest.fixture
def ada() -> Actor:
    user = make_user(first_name="Ada")
    return Actor(user, make_contact(name="Ada", user=user))


@pytest.fixture
def bo() -> Actor:
    user = make_user(first_name="Bo")
    contact = make_contact(name="Bo", user=user, language="en")
    make_address(contact=contact, kind="email", value="bo@example.org")
    return Actor(user, contact)


def by(actor: Actor, now: Any, **values: Any) -> dict[str, Any]:
    return {
        "user": actor.user,
        "contact": actor.contact,
        "via": "web",
        "now": now,
        **values,
    }


def held_by(actor: Actor, now: Any) -> Incident:
    incident = make_incident(now=now)
    services.acknowledge(incident_id=incident.pk, **by(actor, now))
    return incident


def questions() -> list[Notification]:
    return outbox(purpose="handover")


def test_accepting_moves_the_acknowledgement_to_who_was_asked(now, ada, bo):
    incident = held_by(ada, now)

    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo, comment="I sleep"))
    handovers.accept(incident_id=incident.pk, **by(bo, now + MINUTE))

    found = reread(incident)
    assert found.holder == "Bo"
    assert found.status == Incident.Status.ACKNOWLEDGED
    assert found.acknowledged_at == now + MINUTE
    # MTTA counts the first person.
    assert found.first_acknowledged_at == now
    assert kinds(incident)[-2:] == ["handover_asked", "handed_over"]


def test_asking_leaves_everything_as_it_is(now, ada, bo):
    incident = held_by(ada, now)

    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))

    assert reread(incident).holder == "Ada"


def test_who_is_asked_gets_a_message_with_a_personal_link(now, ada, bo):
    incident = held_by(ada, now)

    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo, comment="I sleep"))

    [row] = questions()
    assert row.address
    assert row.address.contact == bo.contact
    assert row.lane == Notification.Lane.PAGING
    assert row.message["title"].startswith("Ada asks you to take over: P0")
    assert row.message["text"] == "I sleep"
    assert "/a/" in row.message["ack_url"]


def test_declining_tells_the_asker_and_changes_nothing(now, ada, bo):
    make_address(contact=ada.contact, kind="email", value="ada@example.org")
    incident = held_by(ada, now)
    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))

    handovers.decline(incident_id=incident.pk, **by(bo, now))

    assert reread(incident).holder == "Ada"
    [row] = outbox(purpose="handover-answer")
    assert row.address
    assert row.address.contact == ada.contact
    assert questions()[0].status == Notification.Status.CANCELLED
    with pytest.raises(handovers.UnableToHandOver, match="Nobody asks"):
        handovers.accept(incident_id=incident.pk, **by(bo, now))


def test_acknowledging_by_any_way_is_accepting(now, ada, bo):
    incident = held_by(ada, now)
    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))

    # By SMS, known by the number alone.
    services.acknowledge(
        incident_id=incident.pk, user=None, contact=bo.contact, via="sms", now=now
    )

    assert reread(incident).holder == "Bo"
    assert Handover.objects.get().status == Handover.Status.ACCEPTED


def test_who_asked_hears_that_somebody_took_what_nobody_had(now, ada, bo):
    make_address(contact=ada.contact, kind="email", value="ada@example.org")
    incident = make_incident(now=now)
    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))

    services.acknowledge(incident_id=incident.pk, **by(bo, now + MINUTE))

    answers = Notification.objects.filter(
        address__contact=ada.contact, queued_at=now + MINUTE
    )
    assert [row.status for row in answers] == ["queued"]


def test_nobody_elses_acknowledgement_is_taken(now, ada, bo):
    incident = held_by(ada, now)
    cy = Actor(make_user(first_name="Cy"))

    with pytest.raises(handovers.UnableToHandOver, match="Ada has it"):
        handovers.ask(incident_id=incident.pk, **by(cy, now, to=bo))
    with pytest.raises(services.UnableToAcknowledge):
        services.acknowledge(incident_id=incident.pk, **by(cy, now))

    assert reread(incident).holder == "Ada"


def test_who_wants_it_asks_the_one_who_has_it(now, ada, bo):
    incident = held_by(ada, now)

    handovers.ask(incident_id=incident.pk, **by(bo, now))
    handovers.accept(incident_id=incident.pk, **by(ada, now))

    assert reread(incident).holder == "Bo"


def test_asking_for_what_nobody_has_does_not_stop_the_pages(now, ada, bo):
    incident = make_incident(now=now)
    before = reread(incident).next_escalation_at

    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))

    assert reread(incident).status == Incident.Status.TRIGGERED
    assert reread(incident).next_escalation_at == before
    services.acknowledge(incident_id=incident.pk, **by(bo, now))
    assert Handover.objects.get().status == Handover.Status.ACCEPTED


def test_what_somebody_else_took_meanwhile_cannot_be_accepted(now, ada, bo):
    incident = make_incident(now=now)
    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))
    services.acknowledge(incident_id=incident.pk, **by(Actor(make_user()), now))

    with pytest.raises(handovers.UnableToHandOver, match="Nobody asks"):
        handovers.accept(incident_id=incident.pk, **by(bo, now))


def test_an_acknowledgement_that_changed_hands_makes_a_question_stale(now, ada, bo):
    cy = Actor(make_user(first_name="Cy"))
    incident = held_by(ada, now)
    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))
    services.unacknowledge(incident_id=incident.pk, **by(ada, now))
    services.acknowledge(incident_id=incident.pk, **by(cy, now))

    with pytest.raises(handovers.UnableToHandOver):
        handovers.accept(incident_id=incident.pk, **by(bo, now))

    assert reread(incident).holder == "Cy"


def test_accepting_twice_is_the_same_as_once(now, ada, bo):
    incident = held_by(ada, now)
    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))
    handovers.accept(incident_id=incident.pk, **by(bo, now))

    handovers.accept(incident_id=incident.pk, **by(bo, now))

    assert kinds(incident).count("handed_over") == 1


def test_asking_another_withdraws_the_first_question(now, ada, bo):
    incident = held_by(ada, now)
    cy = Actor(make_user(first_name="Cy"))
    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))

    handovers.ask(incident_id=incident.pk, **by(ada, now, to=cy))

    statuses = Handover.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == ["withdrawn", "asked"]
    assert questions()[0].status == Notification.Status.CANCELLED


def test_only_who_was_asked_answers_and_only_the_asker_withdraws(now, ada, bo):
    incident = held_by(ada, now)
    cy = Actor(make_user(first_name="Cy"))
    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))

    for act, who in (
        (handovers.accept, cy),
        (handovers.decline, ada),
        (handovers.withdraw, bo),
    ):
        with pytest.raises(handovers.UnableToHandOver, match="not you"):
            act(incident_id=incident.pk, **by(who, now))
    handovers.withdraw(incident_id=incident.pk, **by(ada, now))

    assert Handover.objects.get().status == Handover.Status.WITHDRAWN


@pytest.mark.parametrize(
    ("holder", "asker", "to", "said"),
    [
        ("ada", "ada", "ada", "already"),
        ("", "ada", "ada", "acknowledge it"),
        ("", "ada", "", "Nobody has it"),
        ("ada", "ada", "", "You have it already"),
    ],
)
def test_questions_without_sense_are_refused(now, ada, holder, asker, to, said):
    incident = held_by(ada, now) if holder else make_incident(now=now)

    with pytest.raises(handovers.UnableToHandOver, match=said):
        handovers.ask(incident_id=incident.pk, **by(ada, now, to=ada if to else None))


def test_the_same_question_twice_and_a_long_comment_are_refused(now, ada, bo):
    incident = held_by(ada, now)
    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))

    with pytest.raises(handovers.UnableToHandOver, match="Bo was asked at"):
        handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))
    with pytest.raises(handovers.UnableToHandOver, match="300 fit"):
        handovers.ask(incident_id=incident.pk, **by(ada, now, comment="x" * 301))


def test_end_of_the_incident_ends_the_question(now, ada, bo):
    incident = held_by(ada, now)
    handovers.ask(incident_id=incident.pk, **by(ada, now, to=bo))

    services.resolve_incident(
        incident_id=incident.pk, even_if_firing=True, **by(ada, now)
    )

    assert Handover.objects.get().status == Handover.Status.ENDED
    assert questions()[0].status == Notification.Status.CANCELLED


def test_who_has_left_cannot_be_asked_but_history_keeps_the_name(now, ada):
    gone = make_contact(name="Gone")
    incident = make_incident(now=now)
    services.acknowledge(
        incident_id=incident.pk, user=None, contact=gone, via="link", now=now
    )
    gone.delete()

    with pytest.raises(handovers.UnableToHandOver, match="Gone is not here any more"):
        handovers.ask(incident_id=incident.pk, **by(ada, now))

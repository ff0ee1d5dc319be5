"""Commander, communications, scribe."""

from __future__ import annotations

import pytest

from incidents.collaboration import roles
from incidents.models import IncidentEvent, IncidentRole
from incidents.people import Actor
from incidents.timeline import sentence
from tests.factories import make_address, make_contact, make_user
from tests.incidents.making import make_incident, outbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return make_user(first_name="Ada")


def give(incident, user, now, role="commander", to=None):
    return roles.give_role(
        incident_id=incident.pk, user=user, via="web", now=now, role=role, to=to
    )


def test_role_goes_to_one_person_and_the_next_takes_it_over(now, ada):
    incident = make_incident(now=now)
    bo = make_contact(name="Bo")

    give(incident, ada, now, to=Actor(ada))
    give(incident, ada, now, to=Actor(contact=bo))

    assert IncidentRole.objects.get().name == "Bo"
    said = [
        sentence(event=event)
        for event in IncidentEvent.objects.filter(kind="role_changed").order_by("pk")
    ]
    assert said == ["Ada is commander", "Bo is commander"]


def test_role_can_be_taken_from_everybody(now, ada):
    incident = make_incident(now=now)
    give(incident, ada, now, role="scribe", to=Actor(ada))

    give(incident, ada, now, role="scribe", to=None)

    assert not IncidentRole.objects.exists()
    event = IncidentEvent.objects.filter(kind="role_changed").latest("pk")
    assert sentence(event=event) == "Ada is scribe no longer"


def test_whoever_gets_a_role_from_another_is_told(now, ada):
    bo = make_contact(name="Bo", language="en")
    make_address(contact=bo, kind="email", value="bo@example.org")
    incident = make_incident(now=now)

    give(incident, ada, now, role="communications", to=Actor(contact=bo))

    [row] = outbox(purpose="role")
    assert row.message["title"].startswith("You are communications: P0")


def test_nothing_new_and_unknown_roles_are_refused(now, ada):
    incident = make_incident(now=now)
    give(incident, ada, now, to=Actor(ada))

    with pytest.raises(roles.UnableToGiveRole, match="Ada is commander already"):
        give(incident, ada, now, to=Actor(ada))
    with pytest.raises(roles.UnableToGiveRole, match="Nobody is scribe"):
        give(incident, ada, now, role="scribe", to=None)
    with pytest.raises(ValueError, match="captain"):
        give(incident, ada, now, role="captain", to=Actor(ada))


def test_deleted_person_leaves_the_name(now, ada):
    bo = make_contact(name="Bo")
    incident = make_incident(now=now)
    give(incident, ada, now, to=Actor(contact=bo))

    bo.delete()

    assert IncidentRole.objects.get().name == "Bo"

"""Hand-overs, roles, merging and what follows, over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from incidents import intake, services
from incidents.models import ActionItem, Incident
from t4g_portal.roles import ON_CALL
from tests.factories import make_contact, make_user
from tests.incidents.making import make_incident, reread

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    """The API measures from the real time."""
    return timezone.now().replace(microsecond=0) - timedelta(minutes=1)


@pytest.fixture
def user():
    return make_user(first_name="Ada", role=ON_CALL)


@pytest.fixture
def api(client, user):
    client.force_login(user)
    return client


def send(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    act = getattr(client, method)
    response = act(f"/api/v1/{path}", body or {}, content_type="application/json")
    return response.status_code, response.json()


def of(incident: Incident, name: str) -> str:
    return f"incidents/{incident.pk}/{name}/"


def test_hand_over_is_asked_and_accepted(api, user, now):
    bo = make_user(first_name="Bo", role=ON_CALL)
    contact = make_contact(name="Bo", user=bo)
    incident = make_incident(now=now)
    services.acknowledge(incident_id=incident.pk, user=user, via="web", now=now)

    status, answer = send(
        api, "post", of(incident, "hand-over"), {"to": contact.pk, "comment": "sleep"}
    )
    assert (status, answer["acknowledged_by"]) == (200, "Ada")
    assert send(api, "post", of(incident, "hand-over/accept"))[0] == 409
    api.force_login(bo)
    status, answer = send(api, "post", of(incident, "hand-over/accept"))

    assert (status, answer["acknowledged_by"]) == (200, "Bo")


def test_hand_over_is_declined_and_withdrawn(api, user, now):
    bo = make_user(role=ON_CALL)
    contact = make_contact(name="Bo", user=bo)
    incident = make_incident(now=now)

    send(api, "post", of(incident, "hand-over"), {"to": contact.pk})
    assert send(api, "post", of(incident, "hand-over/withdraw"))[0] == 200
    send(api, "post", of(incident, "hand-over"), {"to": contact.pk})
    api.force_login(bo)
    assert send(api, "post", of(incident, "hand-over/decline"))[0] == 200
    assert send(api, "post", of(incident, "hand-over/decline"))[0] == 409


def test_roles_are_given_listed_and_freed(api, now):
    contact = make_contact(name="Bo")
    incident = make_incident(now=now)
    role = {"role": "commander", "to": contact.pk}

    assert send(api, "post", of(incident, "role"), role)[0] == 200
    _status, listed = send(api, "get", of(incident, "roles"))
    freed = send(api, "post", of(incident, "role"), role | {"to": None})

    assert [row["name"] for row in listed["items"]] == ["Bo"]
    assert freed[0] == 200
    assert send(api, "get", of(incident, "roles"))[1]["items"] == []


def test_merge_answers_the_incident_that_goes_on(api, now):
    source, target = make_incident(now=now), make_incident(now=now)

    status, answer = send(api, "post", of(source, "merge"), {"into": target.pk})

    assert (status, answer["id"]) == (200, target.pk)
    assert send(api, "get", f"incidents/{source.pk}/")[1]["merged_into"] == target.pk
    assert send(api, "post", of(source, "merge"), {"into": target.pk})[0] == 409
    assert send(api, "post", of(target, "merge"), {"into": 987_654})[0] == 409
    assert send(api, "post", "incidents/987654/merge/", {"into": target.pk})[0] == 404


def test_postmortem_is_written_against_its_revision(api, now):
    incident = make_incident(now=now, dedup_key="k", priority="p2")
    assert send(api, "get", of(incident, "postmortem"))[0] == 404
    parts = {"summary": "It broke.", "impact": "All.", "cause": "Disk."}

    status, answer = send(api, "patch", of(incident, "postmortem"), parts)
    stale = send(api, "patch", of(incident, "postmortem"), {"revision": 0})
    early = send(api, "post", of(incident, "postmortem/finish"))
    intake.resolve(dedup_key="k", now=now)
    finished = send(api, "post", of(incident, "postmortem/finish"))

    assert (status, answer["revision"], answer["cause"]) == (200, 1, "Disk.")
    assert (stale[0], early[0]) == (409, 409)
    assert finished[1]["status"] == "finished"
    assert send(api, "post", of(incident, "postmortem/reopen"))[0] == 200
    waived = send(api, "post", of(incident, "postmortem/waive"), {"reason": "Small"})
    assert waived[1]["waived_reason"] == "Small"


def test_postmortem_is_given_to_somebody(api, now):
    incident = make_incident(now=now)
    bo = make_contact(name="Bo")

    status, answer = send(api, "post", of(incident, "postmortem/owner"), {"to": bo.pk})

    assert (status, answer["owner_name"]) == (200, "Bo")
    again = send(api, "post", of(incident, "postmortem/owner"), {"to": bo.pk})
    nobody = send(api, "post", of(incident, "postmortem/owner"), {"to": None})
    assert (again[0], nobody[0]) == (409, 400)


def test_public_is_told_and_told_no_more(api, now):
    incident = make_incident(now=now)
    url = of(incident, "public")

    status, answer = send(api, "post", url, {"message": "We are on it."})
    assert (status, answer["public_message"]) == (200, "We are on it.")
    assert answer["is_on_status_page"]
    assert reread(incident).events.get(kind="published").via == "api"
    assert send(api, "post", url, {"message": "We are on it."})[0] == 409
    assert send(api, "post", url, {"message": "m" * 1001})[0] == 400

    status, answer = send(api, "post", url, {"is_public": False})
    assert (status, answer["public_message"]) == (200, "")
    assert not answer["is_on_status_page"]


def test_action_items_are_added_changed_and_found(api, user, now):
    contact = make_contact(name="Bo")
    incident = make_incident(now=now)
    item = {"text": "Watch the disk", "due_on": "2026-03-31", "owner": contact.pk}

    status, added = send(api, "post", of(incident, "action-items"), item)
    path = f"action-items/{added['id']}/"
    send(api, "patch", path, {"text": "Watch all disks", "status": "done"})

    assert (status, added["owner_name"]) == (201, "Bo")
    assert ActionItem.objects.get().text == "Watch all disks"
    assert send(api, "get", path)[1]["status"] == "done"
    for query, count in (("status=open", 0), (f"owner={contact.pk}", 1)):
        assert len(send(api, "get", f"action-items/?{query}")[1]["items"]) == count
    assert send(api, "patch", path, {"due_on": "9999-12-31"})[0] == 400
    assert send(api, "patch", path, {"due_on": "soon"})[0] == 400
    assert reread(incident).is_open

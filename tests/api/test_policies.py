"""Policies, teams and the policies of services over the API."""

from __future__ import annotations

from typing import Any

import pytest

from incidents.models import EscalationPolicy, ServicePolicy
from tests.factories import (
    make_channel,
    make_contact,
    make_policy,
    make_priority_rules,
    make_service,
)
from tests.incidents.making import make_incident, reread
from tests.incidents.oncall.making import make_schedule

pytestmark = pytest.mark.django_db
POLICIES, TEAMS = "/api/v1/escalation-policies/", "/api/v1/teams/"


def send(client: Any, method: str, path: str, body: Any = None) -> Any:
    return getattr(client, method)(path, body, content_type="application/json")


def test_policy_is_added_with_its_steps_and_read_back(admin_client):
    channel, schedule = make_channel(), make_schedule()
    team = send(
        admin_client,
        "post",
        TEAMS,
        {"name": "Backend", "members": [make_contact().pk]},
    ).json()

    answer = send(
        admin_client,
        "post",
        POLICIES,
        {
            "name": "Urgent",
            "ack_expires_s": 1800,
            "steps": [
                {"channels": [channel.pk], "repeat_s": 300, "has_mention": True},
                {
                    "after_s": 600,
                    "schedules": [schedule.pk],
                    "teams": [team["id"]],
                    "only_weekdays": ["mon", "fri"],
                    "only_from": "09:00",
                    "only_until": "18:30",
                },
            ],
        },
    )

    assert answer.status_code == 201, answer.content
    body = admin_client.get(f"{POLICIES}{answer.json()['id']}/").json()
    assert body["ack_expires_s"] == 1800
    first, second = body["steps"]
    assert (first["channels"], first["repeat_s"]) == ([channel.pk], 300)
    assert second["schedules"] == [schedule.pk]
    assert second["teams"] == [team["id"]]
    assert (second["only_from"], second["only_until"]) == ("09:00", "18:30")


def test_steps_are_replaced_as_a_whole_and_kept_when_not_named(admin_client):
    policy = make_policy({"channels": [make_channel()]}, {"after_s": 60})
    path = f"{POLICIES}{policy.pk}/"

    send(admin_client, "patch", path, {"description": "D"})
    assert policy.steps.count() == 2
    answer = send(admin_client, "patch", path, {"steps": [{"after_s": 120}]})

    assert answer.status_code == 200, answer.content
    assert [step.after_s for step in policy.steps.all()] == [120]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"ack_expires_s": 60}, "at least 300 seconds"),
        ({"steps": [{"repeat_s": 30}]}, "at least 60 seconds"),
        ({"steps": [{"only_from": "09:00"}]}, "both ends"),
        ({"steps": [{"only_from": "25:00"}]}, "time on the clock"),
        ({"steps": [{"time_zone": "Mars"}]}, "time zone"),
        ({"steps": [{"channels": [999_999]}]}, "none with the number"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do(admin_client, body, words):
    answer = send(admin_client, "post", POLICIES, {"name": "Urgent", **body})

    assert answer.status_code in {400, 422}, answer.content
    assert words in answer.content.decode()
    assert not EscalationPolicy.objects.exists()


def test_policy_that_something_follows_is_not_deleted(admin_client):
    policy = make_priority_rules()["p0"].policy
    assert policy is not None

    answer = admin_client.delete(f"{POLICIES}{policy.pk}/")

    assert answer.status_code == 409
    assert EscalationPolicy.objects.filter(pk=policy.pk).exists()


def test_service_follows_a_policy_of_its_own_once_a_priority(admin_client):
    body = {
        "service": make_service().pk,
        "priority": "p1",
        "policy": make_policy().pk,
    }
    path = "/api/v1/service-policies/"

    assert send(admin_client, "post", path, body).status_code == 201
    again = send(admin_client, "post", path, body)

    assert again.status_code in {400, 422}
    assert "Delete it first" in again.content.decode()
    line = ServicePolicy.objects.get()
    assert admin_client.delete(f"{path}{line.pk}/").status_code == 204


def test_next_step_is_asked_for(admin_client, now):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)

    answer = send(admin_client, "post", f"/api/v1/incidents/{incident.pk}/escalate/")

    assert answer.status_code == 200, answer.content
    assert reread(incident).escalation_count == 2
    assert incident.events.filter(kind="escalated_now").exists()

"""The admin of this room."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from incidents.models import (
    EscalationPolicy,
    Incident,
    IncidentEvent,
    PriorityRule,
    Service,
    Team,
)
from tests.factories import (
    make_channel,
    make_contact,
    make_policy,
    make_priority_rules,
    make_service,
    make_user,
)
from tests.incidents.making import make_incident, reread

pytestmark = pytest.mark.django_db

MODELS = [
    "service",
    "team",
    "escalationpolicy",
    "priorityrule",
    "incident",
    "alert",
    "incidentevent",
]


@pytest.fixture
def admin(client):
    client.force_login(make_user(is_superuser=True))
    return client


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:incidents_{name}", args=args)


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def row_of(model: str, incident: Incident) -> Any:
    return {
        "service": incident.service,
        "team": Team.objects.get_or_create(name="Team")[0],
        "escalationpolicy": EscalationPolicy.objects.first(),
        "priorityrule": PriorityRule.objects.first(),
        "incident": incident,
        "alert": incident.alerts.get(),
        "incidentevent": incident.events.first(),
    }[model]


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_rows_open_and_can_be_searched(admin, now, model):
    make_priority_rules(make_channel())
    incident = make_incident(now=now)

    text_of(admin.get(page(f"{model}_changelist")))
    text_of(admin.get(page(f"{model}_changelist"), {"q": "API"}))
    text_of(admin.get(page(f"{model}_change", row_of(model, incident).pk)))


@pytest.mark.parametrize("model", ["incident", "alert", "incidentevent"])
def test_what_the_engine_owns_can_not_be_edited(admin, now, model):
    row = row_of(model, make_incident(now=now))

    assert admin.get(page(f"{model}_add")).status_code == 403
    assert (
        admin.post(page(f"{model}_change", row.pk), {"title": "x"}).status_code == 403
    )
    assert admin.post(page(f"{model}_delete", row.pk)).status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_lists_cost_the_same_for_many_rows(
    admin, now, model, django_assert_max_num_queries
):
    make_priority_rules(make_channel(), make_channel())
    for _ in range(8):
        make_incident(now=now)

    with django_assert_max_num_queries(12):
        admin.get(page(f"{model}_changelist"))


STEPS = {
    "steps-TOTAL_FORMS": "1",
    "steps-INITIAL_FORMS": "0",
    "steps-0-after_s": "0",
    "steps-0-repeat_s": "300",
    "steps-0-repeat_limit": "0",
    "steps-0-time_zone": "Europe/Paris",
}


def test_policy_shows_which_channels_would_not_be_told_and_what_it_does(admin):
    rules = make_priority_rules(
        make_channel(name="Ops"),
        make_channel(name="Off", is_enabled=False),
        make_channel(name="Bare", kind="slack", address=""),
    )

    form = text_of(admin.get(page("escalationpolicy_change", rules["p0"].policy_id)))

    for words in (
        "Off (disabled)",
        "Bare (not configured)",
        "At once: Ops, Off (can’t be used now), Bare (can’t be used now), mentioning "
        "everyone; every 5\u00a0min again until somebody acknowledges.",
    ):
        assert words in form


def test_policy_is_made_with_its_steps(admin):
    channel, contact = make_channel(), make_contact()

    response = admin.post(
        page("escalationpolicy_add"),
        {
            "name": "Urgent",
            "ack_expires_s": "1800",
            **STEPS,
            "steps-0-channels": [channel.pk],
            "steps-0-contacts": [contact.pk],
            "steps-0-only_weekdays": ["mon", "fri"],
            "steps-0-only_from": "09:00",
            "steps-0-only_until": "18:00",
        },
    )

    assert response.status_code == 302, response.content
    step = EscalationPolicy.objects.get(name="Urgent").steps.get()
    assert list(step.channels.all()) == [channel]
    assert list(step.contacts.all()) == [contact]
    assert step.only_weekdays == ["mon", "fri"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"steps-0-repeat_s": "30"}, "at least 60 seconds"),
        ({"steps-0-only_from": "09:00"}, "both ends of the hours"),
        ({"steps-0-repeat_s": "0", "steps-0-repeat_limit": "2"}, "it is told again"),
        ({"steps-0-after_s": "999999"}, "A week"),
        ({"steps-0-time_zone": "Mars"}, "time zone"),
        ({"steps-0-channels": []}, "It tells nobody"),
        ({"ack_expires_s": "60"}, "at least 300 seconds"),
    ],
)
def test_policy_that_makes_no_sense_is_refused_with_what_to_do(admin, fault, words):
    channel = make_channel()

    response = admin.post(
        page("escalationpolicy_add"),
        {
            "name": "Urgent",
            "ack_expires_s": "0",
            **STEPS,
            "steps-0-channels": [channel.pk],
            **fault,
        },
    )

    assert words in text_of(response)
    assert not EscalationPolicy.objects.exists()


def test_matrix_can_be_edited(admin):
    rule = make_priority_rules()["p1"]
    other = make_policy(name="Other")

    response = admin.post(
        page("priorityrule_change", rule.pk),
        {"priority": "p1", "policy": other.pk, "response_s": "600"},
    )

    assert response.status_code == 302, response.content
    rule.refresh_from_db()
    assert (rule.response_s, rule.policy) == (600, other)


def test_service_with_an_unknown_zone_is_refused_at_its_field(admin):
    form = {
        "name": "API",
        "slug": "api",
        "time_zone": "Europe/Pariss",
        "position": "1",
        "policies-TOTAL_FORMS": "0",
        "policies-INITIAL_FORMS": "0",
    }

    response = admin.post(page("service_add"), form)

    assert "Enter a time zone&#x27;s name" in text_of(response)
    assert not Service.objects.exists()

    form["time_zone"] = "Europe/Paris"
    assert admin.post(page("service_add"), form).status_code == 302
    assert Service.objects.get().name == "API"


def test_service_with_incidents_can_not_be_deleted(admin, now):
    service = make_incident(now=now).service

    admin.post(page("service_delete", service.pk), {"post": "yes"})

    assert Service.objects.filter(pk=service.pk).exists()


def test_chosen_incidents_are_acknowledged_one_by_one(admin, now):
    free, ended = make_incident(now=now), make_incident(now=now)
    Incident.objects.filter(pk=ended.pk).update(status="resolved", resolved_at=now)

    response = admin.post(
        page("incident_changelist"),
        {"action": "acknowledge", "_selected_action": [free.pk, ended.pk]},
        follow=True,
    )

    text = text_of(response)
    assert "1 incident acknowledged." in text
    assert f"#{ended.pk}: It is already resolved." in text
    assert reread(free).status == Incident.Status.ACKNOWLEDGED
    event = free.events.get(kind=IncidentEvent.Kind.ACKNOWLEDGED)
    assert event.via == "admin"


def test_resolving_what_still_fires_is_refused_there_too(admin, now):
    incident = make_incident(now=now)

    response = admin.post(
        page("incident_changelist"),
        {"action": "resolve", "_selected_action": [incident.pk]},
        follow=True,
    )

    assert "still firing" in text_of(response)
    assert reread(incident).is_open


def test_reader_of_the_admin_can_not_act(client, now):
    incident = make_incident(now=now)
    user = make_user()
    user.user_permissions.set(Permission.objects.filter(codename="view_incident"))
    client.force_login(user)

    text = text_of(client.get(page("incident_changelist")))
    client.post(
        page("incident_changelist"),
        {"action": "acknowledge", "_selected_action": [incident.pk]},
    )

    assert 'value="acknowledge"' not in text
    assert reread(incident).status == Incident.Status.TRIGGERED


def test_open_incidents_are_counted_beside_their_service(admin, now):
    service = make_service(name="Backend")
    make_incident(now=now, service=service)
    make_incident(now=now, service=service, grouping_key="other")

    text = text_of(admin.get(page("service_changelist")))

    assert "open incidents" in text.lower()

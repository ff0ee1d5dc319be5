"""The API answers what the simulator's page shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from incidents import simulator
from incidents.models import Incident, Schedule, Service
from notifications.models import Notification
from tests.api.asking import Api
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_policy,
    make_priority_rules,
    make_service,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def service() -> Service:
    make_priority_rules(make_channel(name="Ops by mail"))
    return make_service(name="Backend")


def ask(api: Api, **values: Any) -> Any:
    return api.get(f"simulator/?{urlencode(values)}")


def test_it_answers_who_by_what_when_and_why(service):
    ana = make_contact(name="Ana")
    make_address(contact=ana, kind="email", value="ana@example.org")
    empty = Schedule.objects.create(name="Second line", slug="second")
    policy = make_policy(
        {"contacts": [ana], "schedules": [empty]},
        {"after_s": 600, "schedules": [empty]},
        name="Everybody",
    )

    answer = ask(
        Api(),
        service=service.pk,
        priority="p0",
        at="2026-11-27T02:00:00Z",
        policy=policy.pk,
    )

    assert answer.status_code == 200
    said = answer.json()
    first, second = said["moments"]
    assert said["policy_name"] == "Everybody"
    assert said["response_due_at"] == "2026-11-27T02:05:00Z"
    assert (said["is_digest"], said["is_cut"]) == (False, False)
    assert (first["at"], first["steps"]) == ("2026-11-27T02:00:00Z", [1])
    assert first["deliveries"] == [
        {
            "name": "Ana",
            "method": "email",
            "channel": None,
            "contact": ana.pk,
            "not_before": "2026-11-27T02:00:00Z",
            "why": {"target": "contact", "name": "Ana", "detail": ""},
        }
    ]
    assert first["misses"] == [
        {
            "target": "schedule",
            "name": "Second line",
            "trouble": "nobody_on_call",
            "via": "",
        }
    ]
    assert second["resort"] == "policy"


def test_an_hour_that_comes_twice_is_told_apart_by_its_offset(service):
    api = Api()

    for offset, expected in (("+02:00", 0), ("+01:00", 1)):
        answer = ask(
            api, service=service.pk, priority="p0", at=f"2026-10-25T02:30:00{offset}"
        ).json()

        assert answer["at"] == f"2026-10-25T0{expected}:30:00Z"
        run = simulator.run(
            service=service,
            priority="p0",
            at=datetime(2026, 10, 25, expected, 30, tzinfo=UTC),
        )
        assert [datetime.fromisoformat(one["at"]) for one in answer["moments"]] == [
            moment.at for moment in run.moments
        ]


def test_a_longer_horizon_shows_more_and_says_when_it_is_cut(service):
    api = Api()

    short = ask(api, service=service.pk, priority="p0", horizon_s=600).json()
    whole = ask(api, service=service.pk, priority="p0", horizon_s=259200).json()

    assert len(short["moments"]) == 3
    assert (short["is_cut"], whole["is_cut"]) == (False, True)


def test_a_digest_tells_nobody_at_once(service):
    answer = ask(Api(), service=service.pk, priority="p3").json()

    assert (answer["is_digest"], answer["moments"]) == (True, [])


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"service": "999999"}, "service"),
        ({"service": "backend"}, "service"),
        ({"priority": "p9"}, "priority"),
        ({"at": "2026-10-25T02:30"}, "at"),
        ({"policy": "999999"}, "policy"),
        ({"horizon_s": "0"}, "horizon_s"),
        ({"horizon_s": "259201"}, "horizon_s"),
        ({"horizon_s": "1e3"}, "horizon_s"),
        ({"minutes": "60"}, "minutes"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused_by_name(service, wrong, name):
    answer = ask(Api(), **{"service": service.pk, "priority": "p0", **wrong})

    assert answer.status_code == 400
    assert [error["parameter"] for error in answer.json()["errors"]] == [name]


def test_service_and_priority_are_needed(db):
    answer = Api().get("simulator/")

    assert answer.status_code == 400
    assert {error["parameter"] for error in answer.json()["errors"]} == {
        "service",
        "priority",
    }


def test_it_asks_for_its_scope_and_permission(service):
    asked = {"service": service.pk, "priority": "p0"}

    assert ask(Api(scopes=["monitors:read"]), **asked).status_code == 403
    assert ask(Api(owner=make_user()), **asked).status_code == 403


def test_it_writes_nothing(service):
    ask(Api(), service=service.pk, priority="p0")

    assert not Incident.objects.exists()
    assert not Notification.objects.exists()

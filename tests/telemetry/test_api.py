"""/api/v1/deployments/: told by pipelines, filtered, refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from incidents.models import Service
from telemetry.models import Deployment
from tests.api.asking import Api, allow, make_key
from tests.factories import make_service, make_user
from tests.telemetry.making import SHA, make_deployment

pytestmark = pytest.mark.django_db


def word(**values):
    return {
        "service": "shop",
        "environment": "production",
        "git_sha": SHA,
        "state": "started",
        "source": "github",
        "external_id": "118-1",
    } | values


@pytest.fixture
def api():
    make_service(slug="shop", name="Shop")
    return Api(make_key()[1].text)


def test_first_word_is_201_and_a_later_one_200(api):
    first = api.post("deployments/", word(actor="Ana", version="1.4"))
    later = api.post("deployments/", word(state="succeeded"))

    assert (first.status_code, later.status_code) == (201, 200)
    row = Deployment.objects.get()
    assert first["Location"] == f"/api/v1/deployments/{row.pk}/"
    said = later.json()
    assert said == api.get(f"deployments/{row.pk}/").json()
    assert (said["service"], said["state"], said["actor"]) == (
        "shop",
        "succeeded",
        "Ana",
    )
    assert said["finished_at"] is not None


def test_same_request_again_gets_the_same_answer(api):
    asked = [
        api.post("deployments/", word(), Idempotency_Key="start-118") for _ in range(2)
    ]

    assert [one.status_code for one in asked] == [201, 201]
    assert asked[1]["Idempotency-Replayed"] == "true"
    assert Deployment.objects.count() == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"service": "nobody"}, "service"),
        ({"git_sha": "HEAD"}, "git_sha"),
        ({"state": "exploded"}, "state"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"environment": "pro duction"}, "environment"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_field_that_makes_no_sense_is_named(api, values, field):
    answer = api.post("deployments/", word(**values))

    assert answer.status_code in (400, 422)
    assert field in answer.content.decode()
    assert not Deployment.objects.exists()


def test_what_contradicts_itself_is_409(api):
    api.post("deployments/", word(state="failed"))

    answer = api.post("deployments/", word(state="succeeded"))

    assert answer.status_code == 409
    assert "ended already" in answer.json()["detail"]


def test_list_is_filtered_newest_first(api):
    now = timezone.now()
    shop = Service.objects.get(slug="shop")
    old = make_deployment(now=now - timedelta(days=2), service=shop, source="railway")
    new = make_deployment(now=now, service=shop, state="failed")
    make_deployment(now=now, environment="staging", git_sha="f" * 40)

    def ids(query):
        return [one["id"] for one in api.get(f"deployments/?{query}").json()["items"]]

    yesterday = (now - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert ids("service=shop") == [new.pk, old.pk]
    assert ids("service=shop&state=failed") == [new.pk]
    assert ids("source=railway") == [old.pk]
    assert ids(f"git_sha={SHA}&environment=production") == [new.pk, old.pk]
    assert ids(f"service=shop&started_before={yesterday}") == [old.pk]
    assert ids(f"service=shop&started_after={yesterday}") == [new.pk]
    assert ids("service=nobody") == []


def test_scope_and_permission_are_both_needed():
    make_service(slug="shop")
    reader = allow(make_user(), "telemetry.view_deployment")
    writer = allow(make_user(), "telemetry.add_deployment")

    def told(owner, *scopes):
        key = make_key(owner=owner, scopes=list(scopes))[1].text
        return Api(key).post("deployments/", word()).status_code

    assert told(reader, "deployments:write") == 403
    assert told(writer, "deployments:read") == 403
    assert not Deployment.objects.exists()
    assert told(writer, "deployments:write") == 201

"""Keys: how they are written, who they let in, and what they may."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.request import Request

from t4g_portal.lib.api.authentication import KeyAuthentication
from t4g_portal.lib.api.keys import new_key, read_key
from t4g_portal.lib.models import ApiKey, ApiKeyUse
from tests.api.asking import Api, allow, make_key
from tests.factories import make_service, make_user


def test_key_is_read_back_whole():
    parts = new_key()

    assert read_key(parts.text) == parts


def test_key_hides_its_secret_in_logs():
    parts = new_key()

    assert parts.secret not in repr(parts)


def test_one_wrong_character_is_told_without_the_database():
    text = new_key().text
    for place in range(len("t4g_"), len(text)):
        other = "a" if text[place] != "a" else "b"
        changed = text[:place] + other + text[place + 1 :]

        assert read_key(changed) is None, changed


@given(st.text(max_size=120))
def test_whatever_somebody_sends_is_no_key(text: str):
    assert read_key(text) is None


@pytest.mark.django_db
def test_key_lets_its_owner_in():
    make_service(name="Backend")

    answer = Api().get("services/")

    assert [one["name"] for one in answer.json()["items"]] == ["Backend"]


@pytest.mark.django_db
def test_without_a_key_401_says_how_to_send_one():
    answer = Client().get("/api/v1/services/")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Content-Type"] == "application/problem+json"
    assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Basic YTpi", "Authorization: Bearer"),
        ("Bearer", "no key of ours"),
        ("Bearer t4g_abc", "no key of ours"),
        ("Bearer é", "no key of ours"),
        ("Bearer " + "x" * 10_000, "no key of ours"),
        (f"Bearer {new_key().text}", "Nobody has this key"),
    ],
    # The last one is another in each process.
    ids=["kind", "empty", "short", "not ascii", "long", "unknown"],
)
def test_bad_header_is_401(header: str, said: str):
    answer = Client().get("/api/v1/services/", headers={"Authorization": header})

    assert (answer.status_code, said in answer.json()["detail"]) == (401, True)


@pytest.mark.django_db
def test_key_with_another_secret_is_refused():
    key, _parts = make_key()
    other = new_key()
    key.key_id = other.key_id
    key.save()

    answer = Api(other.text).get("services/")

    assert answer.status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"revoked_at": timezone.now()}, "revoked"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expired"),
    ],
)
def test_key_that_is_over_says_so(values: dict[str, Any], said: str):
    answer = Api(**values).get("services/")

    assert (answer.status_code, said in answer.json()["detail"]) == (401, True)


@pytest.mark.django_db
def test_key_of_somebody_who_left_is_refused():
    api = Api(owner=make_user(is_superuser=True, is_active=False))

    assert api.get("services/").status_code == 401


@pytest.mark.django_db
def test_key_without_the_scope_is_refused_by_its_name():
    answer = Api(scopes=["monitors:read"]).get("services/")

    assert answer.status_code == 403
    assert answer.json()["scope"] == "services:read"


@pytest.mark.django_db
def test_writing_does_not_include_reading():
    api = Api(scopes=["services:write"])

    assert api.get("services/").status_code == 403
    assert api.post("services/", {"name": "A", "slug": "a"}).status_code == 201


@pytest.mark.django_db
def test_key_may_no_more_than_its_owner():
    owner = allow(make_user(), "incidents.view_service")
    api = Api(owner=owner)

    answer = api.post("services/", {"name": "A", "slug": "a"})

    assert api.get("services/").status_code == 200
    assert answer.status_code == 403
    assert answer.json()["permission"] == "incidents.add_service"


@pytest.mark.django_db
def test_key_has_the_permissions_that_django_gives_its_owner():
    owner = allow(make_user(), "incidents.view_service", "monitors.probe_now")
    group = Group.objects.create(name="Ops")
    group.permissions.set(Permission.objects.filter(codename__startswith="change_"))
    owner.groups.add(group)
    key, parts = make_key(owner=owner)
    request = RequestFactory().get(
        "/", headers={"Authorization": f"Bearer {parts.text}"}
    )

    found = KeyAuthentication().authenticate(Request(request))

    assert found is not None
    expected = User.objects.get(pk=owner.pk).get_all_permissions()
    assert found[0].get_all_permissions() == expected
    assert found == (owner, key)


@pytest.mark.django_db
def test_last_use_is_written_once_a_minute(
    django_assert_num_queries: Any,
):
    key, parts = make_key()
    api = Api(parts.text)
    api.get("services/")
    first = ApiKeyUse.objects.get(key=key).last_used_at

    # The key with its owner and use, then the services.
    with django_assert_num_queries(2):
        api.get("services/")
    assert ApiKeyUse.objects.get(key=key).last_used_at == first
    ApiKeyUse.objects.update(last_used_at=first - timedelta(minutes=2))
    api.get("services/")
    assert ApiKeyUse.objects.get(key=key).last_used_at > first


@pytest.mark.django_db
def test_secret_is_neither_stored_nor_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    key, parts = make_key()
    Api(parts.text).get("nothing/")
    Api(parts.text[:-1] + "0").get("services/")

    assert parts.secret not in str(ApiKey.objects.filter(pk=key.pk).values())
    assert parts.secret[:-1] not in caplog.text


@pytest.mark.django_db
@override_settings(API_REQUESTS_PER_MINUTE=3)
def test_too_many_requests_of_a_key_are_429_with_when_to_go_on():
    api = Api()
    answers = [api.get("services/") for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3]["Retry-After"]) <= 60
    assert answers[0]["RateLimit"].startswith('"key";r=2;t=')
    assert answers[3]["RateLimit"].startswith('"key";r=0;t=')
    assert Api().get("services/").status_code == 200, "another key has its own"


@pytest.mark.django_db
@override_settings(API_REFUSALS_PER_MINUTE=2)
def test_refusals_of_an_address_are_limited_and_good_keys_are_not():
    client = Client(REMOTE_ADDR="127.9.9.9")
    answers = [client.get("/api/v1/services/").status_code for _ in range(3)]
    api = Api()
    api.client = client

    assert answers == [401, 401, 429]
    assert api.get("services/").status_code == 200


@pytest.mark.django_db
def test_browser_that_is_signed_in_reads_and_needs_a_token_to_write():
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(is_superuser=True))

    assert client.get("/api/v1/services/").status_code == 200
    answer = client.post("/api/v1/services/", {}, content_type="application/json")
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"

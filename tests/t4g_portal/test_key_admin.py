"""Keys in the admin: made for oneself, shown once, revoked."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from t4g_portal.lib.api.keys import read_key
from t4g_portal.lib.models import ApiKey
from tests.api.asking import Api, allow, make_key
from tests.factories import make_user

pytestmark = pytest.mark.django_db

LIST = "/admin/cellar/apikey/"


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _add(client: Client, **values: Any) -> Any:
    sent = {"name": "CI", "scopes": ["services:read"], "valid_days": "30", **values}
    return client.post(LIST + "add/", sent)


def _member() -> User:
    return allow(
        make_user(),
        "cellar.add_apikey",
        "cellar.view_apikey",
        "cellar.change_apikey",
        "incidents.view_service",
    )


def test_new_key_is_shown_once_and_works():
    user = _member()
    client = _client(user)

    page = _add(client)

    found = re.search(r"t4g_[0-9a-z]{10}_[0-9A-Za-z]{49}", page.content.decode())
    assert found is not None
    key = ApiKey.objects.get()
    assert (key.owner, key.scopes) == (user, ["services:read"])
    assert "no-store" in page["Cache-Control"]
    assert key.expires_at is not None
    assert timedelta(days=29) < key.expires_at - timezone.now() < timedelta(days=31)
    assert Api(found.group()).get("services/").status_code == 200
    parts = read_key(found.group())
    assert parts is not None
    for address in (LIST, f"{LIST}{key.pk}/change/", f"{LIST}{key.pk}/history/"):
        assert parts.secret not in client.get(address).content.decode()


def test_key_without_a_scope_is_not_made():
    page = _add(_client(_member()), scopes=[])

    assert "Choose at least one scope." in page.content.decode()
    assert not ApiKey.objects.exists()


def test_second_key_of_a_name_is_not_made():
    client = _client(_member())
    _add(client)

    page = _add(client)

    assert "There is a key of this name" in page.content.decode()
    assert ApiKey.objects.count() == 1


def test_nobody_makes_a_key_in_another_name():
    user, other = _member(), make_user(is_superuser=True)

    _add(_client(user), owner=other.pk)

    assert ApiKey.objects.get().owner == user


def test_superuser_makes_a_key_for_a_program():
    program = make_user(username="ci")

    _add(_client(make_user(is_superuser=True)), owner=program.pk)

    assert ApiKey.objects.get().owner == program


def test_everybody_sees_their_own_keys_only():
    key, _parts = make_key(name="of somebody else")
    client = _client(_member())

    assert "of somebody else" not in client.get(LIST).content.decode()
    assert client.get(f"{LIST}{key.pk}/change/").status_code == 404


def test_auditor_looks_at_all_keys():
    make_key(name="of somebody else")
    client = _client(allow(make_user(), "cellar.view_apikey"))

    assert "of somebody else" in client.get(LIST).content.decode()


def test_revoked_key_lets_nobody_in():
    key, parts = make_key(owner=make_user(is_superuser=True))

    _client(key.owner).post(LIST, {"action": "revoke", "_selected_action": [key.pk]})

    assert Api(parts.text).get("services/").status_code == 401


def test_list_leads_from_the_navigation():
    client = _client(make_user(is_superuser=True))

    page = client.get(reverse("home"))

    assert LIST in page.content.decode()

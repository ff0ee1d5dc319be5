"""Error pages: what happened, what to do, and that they need little."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.urls import reverse

from t4g_portal import errors
from t4g_portal.roles import MANAGER, ON_CALL, OPS, seed_roles
from tests.factories import make_user
from tests.incidents.making import make_incident

pytestmark = pytest.mark.django_db


def text_of(answer) -> str:
    return str(answer.content.decode())


@pytest.fixture
def reader(client: Client) -> Client:
    client.force_login(make_user(role=MANAGER))
    return client


@pytest.fixture
def lenient() -> Client:
    """A client that gets the page of a fault instead of the fault."""
    return Client(raise_request_exception=False)


def break_view():
    return patch("t4g_portal.public.views.status_page", side_effect=ValueError("x"))


def test_unknown_address_is_a_small_page_for_strangers(client):
    answer = client.get("/nowhere/")

    page = text_of(answer)
    assert answer.status_code == 404
    assert "Nothing is here" in page
    assert "<nav" in page
    assert "<script" not in page
    assert "Sign in" in page


def test_unknown_address_stays_in_the_shell_for_who_is_signed_in(reader):
    answer = reader.get("/nowhere/")

    assert answer.status_code == 404
    assert "Nothing is here" in text_of(answer)
    assert reverse("incidents:list") in text_of(answer)


def test_missing_permission_is_named_with_who_has_it_and_whom_to_ask(reader, now):
    seed_roles(now=now)
    make_user(first_name="Grace", last_name="Hopper", is_superuser=True)
    make_user(first_name="Gone", is_superuser=True, is_active=False)
    incident = make_incident(now=now)

    answer = reader.post(reverse("incidents:acknowledge", args=[incident.pk]))

    page = text_of(answer)
    assert answer.status_code == 403
    assert "It takes the permission to change incidents." in page
    assert f"Roles that have it: {ON_CALL.name}, {OPS.name}." in page
    assert "Who can give it: Grace Hopper." in page
    assert "Gone" not in page


@pytest.mark.parametrize(
    ("permission", "words"),
    [
        ("monitors.view_monitor", "look at monitors"),
        ("monitors.use_private_targets", "“Can watch private networks”"),
        ("incidents.delete_alert", "delete alerts"),
        ("nowhere.view_nothing", "nowhere.view_nothing"),
        ("nonsense", "nonsense"),
    ],
)
def test_permission_is_said_so_that_it_can_be_asked_for(permission, words):
    assert errors.permission_words(permission) == words


def test_form_that_is_too_old_says_what_to_do():
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user(role=ON_CALL))

    answer = strict.post("/incidents/1/note/", {"text": "x"})

    assert answer.status_code == 403
    assert "This form is too old" in text_of(answer)
    assert "copy what you typed" in text_of(answer)


def test_broken_request_is_400_in_words(client, settings):
    settings.ALLOWED_HOSTS = ["portal.example.org"]

    answer = client.get("/status/", headers={"host": "evil.example"})

    assert answer.status_code == 400
    assert "This request can&#x27;t be read" in text_of(answer)


def test_fault_of_ours_asks_no_database(lenient, django_assert_num_queries):
    lenient.force_login(make_user())

    with break_view(), django_assert_num_queries(0):
        answer = lenient.get("/status/")

    assert answer.status_code == 500
    assert "The portal has a fault" in text_of(answer)


def test_database_that_is_gone_still_gets_a_page(lenient):
    lenient.force_login(make_user(role=MANAGER))

    def refuse(*_args: object) -> None:
        raise OperationalError("gone")

    with connection.execute_wrapper(refuse):
        for address in ("/", "/incidents/", "/status/"):
            answer = lenient.get(address)
            assert answer.status_code == 500
            assert "The portal has a fault" in text_of(answer)
        lost = lenient.get("/nowhere/")

    assert lost.status_code == 404
    assert "Nothing is here" in text_of(lost)
    assert "Sign in" not in text_of(lost)


def test_page_of_an_error_that_fails_itself_is_one_line(lenient):
    broken = patch("t4g_portal.errors.render_to_string", side_effect=OSError)

    with break_view(), broken:
        answer = lenient.get("/status/")

    assert answer.status_code == 500
    assert answer["Content-Type"] == "text/plain"


@pytest.mark.parametrize(
    ("answer_to", "status"),
    [
        (errors.bad_request, 400),
        (errors.forbidden, 403),
        (errors.csrf_failed, 403),
        (errors.not_found, 404),
        (errors.server_error, 500),
    ],
)
def test_programs_get_a_problem(answer_to, status):
    answer = answer_to(RequestFactory().get("/api/v1/monitors/"))

    assert answer["Content-Type"] == "application/problem+json"
    assert answer.status_code == status


def test_page_speaks_the_readers_language(client):
    page = text_of(client.get("/nowhere/", headers={"Accept-Language": "fr"}))

    assert '<html lang="fr">' in page


@pytest.mark.parametrize(
    "path",
    ["/%00", "/incidents/%00/", "/incidents/-1/", "/incidents/1e9/", "/%FF%FE/"],
)
def test_strange_addresses_are_not_found(reader, path):
    assert reader.get(path).status_code == 404

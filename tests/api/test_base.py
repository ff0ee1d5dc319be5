"""What all resources have in common: errors, bodies, pages, versions, sending twice."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from incidents.api.services import ServiceResource
from incidents.models import Service
from t4g_portal.lib.models import IdempotentAnswer
from tests.api.asking import Api
from tests.factories import make_monitor, make_service

PROBLEM = "application/problem+json"

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["v1/nothing/", "v2/", "", "v1/services/0/", "v1/x"])
def test_unknown_address_is_a_problem_too(path: str):
    answer = Client().get(f"/api/{path}")

    assert (answer.status_code, answer["Content-Type"]) == (404, PROBLEM)


def test_writing_to_an_unknown_address_is_a_problem_too():
    answer = Client(enforce_csrf_checks=True).post("/api/v1/nothing/")

    assert (answer.status_code, answer["Content-Type"]) == (404, PROBLEM)


def test_address_without_its_slash_says_so():
    assert "slash" in Client().get("/api/v1/services").json()["detail"]


def test_unknown_row_is_404():
    answer = Api().get("services/12345/")

    assert (answer.status_code, answer["Content-Type"]) == (404, PROBLEM)


def test_wrong_method_is_405_with_the_right_ones():
    answer = Api().ask("PUT", "services/")

    assert (answer.status_code, answer["Content-Type"]) == (405, PROBLEM)
    assert answer["Allow"] == "GET, HEAD, POST"


def test_answer_in_another_form_is_406():
    answer = Api().get("services/", Accept="text/html")

    assert (answer.status_code, answer["Content-Type"]) == (406, PROBLEM)


def test_body_in_another_form_is_415():
    answer = Api().ask(
        "POST",
        "services/",
        raw=b"name=A",
        Content_Type="application/x-www-form-urlencoded",
    )

    assert (answer.status_code, answer["Content-Type"]) == (415, PROBLEM)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"name": NaN}', "NaN"),
        (b'{"name": -Infinity}', "Infinity"),
        (b'{"position": 1e999}', "too large"),
        (b"[" * 100_000, "deeper than"),
        (b'{"a":' * 30 + b"1" + b"}" * 30, "deeper than"),
        (b'{"name": "\\u0000"}', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'{"name": "\\ud800"}', "surrogate"),
        (b'{"position": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"name": "A", "name": "B"}', "twice"),
    ],
)
def test_body_that_can_not_be_read_is_400(raw: bytes, said: str):
    answer = Api().ask("POST", "services/", raw=raw)

    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)
    assert said in answer.json()["detail"]


def test_body_too_long_is_413():
    answer = Api().ask("POST", "services/", raw=b" " * (1024 * 1024 + 1))

    assert (answer.status_code, answer["Content-Type"]) == (413, PROBLEM)


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"name": 5}, "#/name"),
        ({"name": "   ", "slug": ""}, "#/slug"),
        ({"name": "x" * 121}, "#/name"),
        ({"position": "5"}, "#/position"),
        ({"position": True}, "#/position"),
        ({"position": 10**30}, "#/position"),
        ({"position": 1.5}, "#/position"),
        ({"is_public": 1}, "#/is_public"),
        ({"is_public": None}, "#/is_public"),
        ({"runbook_url": "javascript:alert(1)"}, "#/runbook_url"),
        ({"time_zone": "Mars/Base"}, "#/time_zone"),
        ({"id": 5}, "#/id"),
        ({"colour": "red"}, "#/colour"),
        ({"a/b~c": 1}, "#/a~1b~0c"),
    ],
)
def test_wrong_value_is_400_with_a_pointer(values: dict[str, Any], pointer: str):
    answer = Api().post("services/", {"name": "A", "slug": "a", **values})

    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert not Service.objects.exists()


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=٣", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("ordering=secret", "ordering"),
        ("cursor=x", "cursor"),
        ("cursor=WyJuYW1lIiwxXQ", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=eyJhIjoxfQ", "cursor"),
        ("is_public=yes", "is_public"),
        ("slug=%00", "slug"),
        ("colour=red", "colour"),
    ],
)
def test_wrong_parameter_is_400_with_its_name(query: str, parameter: str):
    answer = Api().get(f"services/?{query}")

    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)
    assert answer.json()["errors"][0]["parameter"] == parameter


def test_error_of_ours_is_500_without_its_words(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(ServiceResource, "get_queryset", fail)

    answer = Api().get("services/")

    assert (answer.status_code, answer["Content-Type"]) == (500, PROBLEM)
    assert "hunter2" not in answer.content.decode()


def test_database_that_is_away_is_503(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(ServiceResource, "get_queryset", fail)

    answer = Api().get("services/")

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_what_something_needs_is_not_deleted():
    service = make_monitor().service

    answer = Api().delete(f"services/{service.pk}/")

    assert (answer.status_code, "monitors" in answer.json()["detail"]) == (409, True)


# --- Pages -----------------------------------------------------------------------


def _names(api: Api, query: str) -> list[str]:
    names, cursor = [], ""
    while True:
        page = api.get(f"services/?{query}{cursor}").json()
        names += [one["name"] for one in page["items"]]
        if page["next_cursor"] is None:
            return names
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.parametrize("ordering", ["name", "-name", "position", "-position", "id"])
def test_pages_hold_each_row_once_in_order(ordering: str):
    for number in range(7):
        make_service(name=f"Service {number}", position=number % 2)

    names = _names(Api(), f"limit=3&ordering={ordering}")

    column = ordering.removeprefix("-")
    rows = sorted(
        Service.objects.all(),
        key=lambda row: (row.pk if column == "id" else getattr(row, column), row.pk),
        reverse=ordering.startswith("-"),
    )
    assert names == [row.name for row in rows]


def test_rows_added_while_one_reads_move_nothing():
    for name in "BDF":
        make_service(name=name)
    api = Api()
    first = api.get("services/?limit=2").json()
    make_service(name="A")
    make_service(name="E")

    second = api.get(f"services/?limit=2&cursor={first['next_cursor']}").json()

    assert [one["name"] for one in first["items"]] == ["B", "D"]
    assert [one["name"] for one in second["items"]] == ["E", "F"]


def test_next_page_stands_in_link_with_the_filters():
    for number in range(3):
        make_service(name=f"Service {number}", is_public=number != 1)
    api = Api()
    first = api.get("services/?is_public=true&limit=1")

    target = first["Link"].partition("<")[2].partition(">")[0]
    second = api.get(target.removeprefix("/api/v1/"))

    assert [one["name"] for one in second.json()["items"]] == ["Service 2"]
    assert "Link" not in second


# --- Versions --------------------------------------------------------------------


def test_change_of_the_version_read_goes_through():
    service = make_service()
    api = Api()
    tag = api.get(f"services/{service.pk}/")["ETag"]

    answer = api.patch(f"services/{service.pk}/", {"position": 1}, If_Match=tag)

    assert (answer.status_code, answer.json()["position"]) == (200, 1)
    assert answer["ETag"] != tag


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_change_of_an_older_version_is_412(method: str):
    service = make_service(position=3)
    api = Api()
    tag = api.get(f"services/{service.pk}/")["ETag"]
    Service.objects.update(position=4)

    answer = api.ask(method, f"services/{service.pk}/", {"position": 5}, If_Match=tag)

    assert (answer.status_code, answer["Content-Type"]) == (412, PROBLEM)
    assert Service.objects.get().position == 4


def test_tag_that_is_none_of_ours_is_400():
    service = make_service()

    answer = Api().patch(f"services/{service.pk}/", {}, If_Match="yesterday")

    assert answer.json()["errors"][0]["header"] == "If-Match"


def test_who_has_the_answer_gets_304():
    service = make_service()
    api = Api()
    tag = api.get(f"services/{service.pk}/")["ETag"]

    again = api.get(f"services/{service.pk}/", If_None_Match=tag)
    Service.objects.update(position=4)
    changed = api.get(f"services/{service.pk}/", If_None_Match=tag)

    assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    assert changed.status_code == 200


# --- Sending twice ---------------------------------------------------------------


def test_same_key_makes_one_row_and_the_same_answer():
    api = Api()
    sent = {"name": "A", "slug": "a"}

    first = api.post("services/", sent, Idempotency_Key="one")
    second = api.post("services/", sent, Idempotency_Key="one")

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert second["Location"] == first["Location"]
    assert second["Idempotency-Replayed"] == "true"
    assert Service.objects.count() == 1


def test_same_key_for_something_else_is_422():
    api = Api()
    api.post("services/", {"name": "A", "slug": "a"}, Idempotency_Key="one")

    answer = api.post("services/", {"name": "B", "slug": "b"}, Idempotency_Key="one")

    assert (answer.status_code, answer["Content-Type"]) == (422, PROBLEM)


def test_refused_request_keeps_no_answer():
    api = Api()
    bad = api.post("services/", {"name": "A"}, Idempotency_Key="one")
    good = api.post("services/", {"name": "A", "slug": "a"}, Idempotency_Key="one")

    assert (bad.status_code, good.status_code) == (400, 201)
    assert IdempotentAnswer.objects.count() == 1


def test_key_of_somebody_else_is_another_key():
    sent = {"name": "A", "slug": "a"}
    Api().post("services/", sent, Idempotency_Key="one")

    answer = Api().post("services/", sent, Idempotency_Key="one")

    assert answer.status_code == 400, "the name is taken: it was not replayed"


@pytest.mark.parametrize("key", ["", "two words", "é", "x" * 201])
def test_unusable_key_is_400(key: str):
    answer = Api().post("services/", {"name": "A", "slug": "a"}, Idempotency_Key=key)

    assert answer.json()["errors"][0]["header"] == "Idempotency-Key"

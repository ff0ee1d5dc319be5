"""Deploy windows on the pages and over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from incidents.deploy_windows import advance_windows, open_window
from incidents.models import DeployWindow, Incident
from incidents.people import Actor
from t4g_portal.lib.api.issuing import issue
from t4g_portal.roles import MANAGER, ON_CALL
from tests.factories import make_service, make_user
from tests.incidents.making import make_held, make_incident

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def now():
    """Pages and API measure from the real time."""
    return timezone.now().replace(microsecond=0) - MINUTE


@pytest.fixture
def user():
    return make_user(first_name="Ada", last_name="Lovelace", role=ON_CALL)


@pytest.fixture
def reader(client, user):
    client.force_login(user)
    return client


def make_window(*, now, **values: Any) -> DeployWindow:
    if "service" not in values:
        values["service"] = make_service(name="Backend")
    values.setdefault("minutes", 30)
    values.setdefault("reason", "Release 1.4")
    return open_window(now=now, **values)


def page_of(window: DeployWindow) -> str:
    return reverse("incidents:window", args=[window.pk])


def text_of(client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return str(response.content.decode())


def test_page_says_what_waits_and_until_when(reader, user, now):
    window = make_window(now=now, actor=Actor(user))
    make_held(now=now, service=window.service, title="API is slow")

    text = text_of(reader, page_of(window))

    assert "Alerts of Backend wait" in text
    assert "Opened by Ada Lovelace" in text
    assert "API is slow" in text
    assert "End it now" in text


def test_live_part_is_that_alone(reader, now):
    text = text_of(reader, page_of(make_window(now=now)) + "?live")

    assert "Nothing is held back" in text
    assert "<html" not in text


def test_page_of_a_past_window_leads_to_what_was_raised(reader, now):
    window = make_window(now=now - 40 * MINUTE)
    make_held(now=now - 39 * MINUTE, service=window.service)
    advance_windows(now=now)

    text = text_of(reader, page_of(window))

    assert "ended" in text
    assert "its time was over" in text
    assert f"#{Incident.objects.get().pk}" in text
    assert "End it now" not in text


def test_button_closes_the_window(reader, user, now):
    window = make_window(now=now)

    response = reader.post(reverse("incidents:close-window", args=[window.pk]))

    assert response.url == page_of(window)
    window.refresh_from_db()
    assert (window.end_cause, window.ended_by) == ("closed", user)
    again = reader.post(
        reverse("incidents:close-window", args=[window.pk]), follow=True
    )
    assert "over already" in again.content.decode()


def test_manager_looks_and_has_no_button(client, now):
    client.force_login(make_user(role=MANAGER))
    window = make_window(now=now)

    assert "End it now" not in text_of(client, page_of(window))
    assert client.post(
        reverse("incidents:close-window", args=[window.pk])
    ).status_code in {302, 403}
    window.refresh_from_db()
    assert window.ended_at is None


def test_unknown_window_is_not_found(reader):
    assert reader.get("/incidents/deploy-windows/4711/").status_code == 404
    assert reader.post("/incidents/deploy-windows/4711/close/").status_code == 404


def test_list_of_incidents_shows_open_windows_and_how_many_wait(reader, now):
    window = make_window(now=now)
    make_held(now=now, service=window.service)

    text = text_of(reader, reverse("incidents:list"))

    assert "Backend: Release 1.4" in text
    assert "1 held back" in text


def test_incident_page_shows_the_window_around_it_and_that_its_alert_waited(
    reader, now
):
    window = make_window(now=now - 31 * MINUTE)
    make_held(now=now - 30 * MINUTE, service=window.service)
    advance_windows(now=now)

    text = text_of(
        reader, reverse("incidents:detail", args=[Incident.objects.get().pk])
    )

    assert "Release 1.4" in text
    assert "1 alert was held back" in text
    assert "Held back since" in text


def test_reason_and_title_are_shown_as_text(reader, now):
    window = make_window(now=now, reason=HOSTILE)
    make_held(now=now, service=window.service, title=HOSTILE)

    for url in (page_of(window), reverse("incidents:list")):
        assert HOSTILE not in text_of(reader, url)


# The API


def send(client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    response = getattr(client, method)(
        f"/api/v1/{path}", body or {}, content_type="application/json"
    )
    return response.status_code, response.json()


def test_pipeline_opens_and_closes_a_window_in_the_name_of_its_key(client, user):
    service = make_service()
    _key, text = issue(
        owner=user,
        name="CI",
        scopes=["incidents:write", "incidents:read"],
        expires_at=None,
    )
    headers = {"Authorization": f"Bearer {text}"}

    opened = client.post(
        "/api/v1/deploy-windows/",
        {"service": service.pk, "minutes": 20, "reason": "Release 1.4"},
        content_type="application/json",
        headers=headers,
    )

    assert opened.status_code == 201, opened.content
    body = opened.json()
    assert (body["opened_by"], body["end_cause"]) == ("CI", "")
    closed = client.post(
        f"/api/v1/deploy-windows/{body['id']}/close/", headers=headers
    ).json()
    assert (closed["end_cause"], closed["ended_by"]) == ("closed", "CI")


def test_second_window_is_a_conflict_that_says_what_to_do(reader, now):
    window = make_window(now=now)

    status, body = send(
        reader,
        "post",
        "deploy-windows/",
        {"service": window.service_id, "minutes": 5, "reason": "Again"},
    )

    assert status == 409
    assert "open until" in body["detail"]


@pytest.mark.parametrize(
    "wrong", [{"minutes": 61}, {"minutes": 0}, {"reason": ""}, {"service": 4711}]
)
def test_bad_values_are_refused(reader, wrong):
    values = {"service": make_service().pk, "minutes": 5, "reason": "x", **wrong}

    status, _body = send(reader, "post", "deploy-windows/", values)

    assert status == 400
    assert not DeployWindow.objects.exists()


def test_windows_and_what_they_hold_back_are_listed(reader, now):
    window = make_window(now=now)
    held = make_held(now=now, service=window.service)
    past = make_window(now=now - 120 * MINUTE, service=make_service())

    _status, body = send(reader, "get", "deploy-windows/?is_open=true")
    assert [row["id"] for row in body["items"]] == [window.pk]
    _status, body = send(reader, "get", "deploy-windows/?is_open=false")
    assert [row["id"] for row in body["items"]] == [past.pk]
    _status, body = send(reader, "get", f"deploy-windows/{window.pk}/held-alerts/")
    assert [(row["id"], row["status"]) for row in body["items"]] == [(held.pk, "held")]
    status, _body = send(reader, "get", "deploy-windows/4711/held-alerts/")
    assert status == 404


def test_incident_of_before_has_no_window_around_it(reader, now):
    incident = make_incident(now=now)
    make_window(now=now)

    text = text_of(reader, reverse("incidents:detail", args=[incident.pk]))

    assert "Release 1.4" not in text

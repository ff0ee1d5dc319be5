"""Providers over the API: secrets go in, what is missing is said, nothing comes out."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from notifications.models import Attempt, Provider
from tests.notifications.making import make_notification, make_twilio

pytestmark = pytest.mark.django_db
PROVIDERS = "/api/v1/providers/"
OVH = {
    "name": "OVHcloud",
    "kind": "ovh",
    "position": 20,
    "is_enabled": True,
    "account": "sms-ab12345-1",
    "key_id": "the-key",
    "secret": "canary-secret",
    "second_secret": "canary-consumer",
}


def send(admin: Any, method: str, path: str, body: Any = None, **headers: Any) -> Any:
    return getattr(admin, method)(
        path, body, content_type="application/json", **headers
    )


def test_an_account_is_added_and_its_secrets_stay_inside(admin_client):
    answer = send(admin_client, "post", PROVIDERS, OVH)

    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["has_secret"], body["has_second_secret"]) == (True, True)
    assert body["rate_per_s"] == 50
    stored = Provider.objects.get()
    assert (stored.secret, stored.second_secret) == ("canary-secret", "canary-consumer")
    pages = (PROVIDERS, f"{PROVIDERS}{stored.pk}/")
    said = b"".join(admin_client.get(page).content for page in pages)
    # Nor where OVHcloud calls back, which nobody signs.
    for hidden in ("canary", stored.url_token):
        assert hidden.encode() not in answer.content + said


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"account": "AC12", "sender": ""}, None),
        ({"kind": "twilio"}, "account"),
        ({"secret": ""}, "secret"),
        ({"key_id": ""}, "key_id"),
        ({"sender": "much too long a name"}, "sender"),
        ({"voice_sender": "+33757000000"}, "voice_sender"),
        ({"rate_per_s": 0}, "rate_per_s"),
        ({"url_token": "mine"}, "url_token"),
        ({"secret": "a\x00b"}, "NUL"),
    ],
)
def test_the_rules_are_those_of_the_form(admin_client, changed, field):
    answer = send(admin_client, "post", PROVIDERS, {**OVH, **changed})

    assert answer.status_code == (400 if field else 201)
    if field:
        assert field in answer.content.decode()
        assert not Provider.objects.exists()


def test_a_secret_that_is_not_named_stays_even_unreadable(admin_client):
    provider = make_twilio()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE notifications_provider SET secret = 'v1:gone:AAAA'")

    answer = send(admin_client, "patch", f"{PROVIDERS}{provider.pk}/", {"position": 30})

    assert answer.status_code == 200, answer.content
    assert answer.json()["has_secret"] is True
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, position FROM notifications_provider")
        assert cursor.fetchall() == [("v1:gone:AAAA", 30)]


def test_what_an_enabled_account_needs_cannot_be_cleared(admin_client):
    provider = make_twilio()
    path = f"{PROVIDERS}{provider.pk}/"

    refused = send(admin_client, "patch", path, {"secret": ""})
    cleared = send(admin_client, "patch", path, {"secret": "", "is_enabled": False})

    assert refused.status_code == 400
    assert cleared.json()["has_secret"] is False


def test_two_editors_do_not_overwrite_each_other(admin_client):
    path = f"{PROVIDERS}{make_twilio().pk}/"
    tag = admin_client.get(path)["ETag"]
    send(admin_client, "patch", path, {"position": 2}, headers={"If-Match": tag})

    second = send(
        admin_client, "patch", path, {"position": 3}, headers={"If-Match": tag}
    )

    assert second.status_code == 412
    assert Provider.objects.get().position == 2


def test_a_deleted_account_leaves_its_attempts(admin_client, now):
    provider = make_twilio()
    row = make_notification(now=now)
    Attempt.objects.create(
        notification=row,
        started_at=now,
        outcome="sent",
        provider=provider,
        via="Twilio",
    )

    answer = admin_client.delete(f"{PROVIDERS}{provider.pk}/")

    assert answer.status_code == 204
    attempt = Attempt.objects.get()
    assert (attempt.provider_id, attempt.via) == (None, "Twilio")

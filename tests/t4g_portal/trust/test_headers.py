"""Headers of every answer; what is somebody's own stays out of caches."""

from __future__ import annotations

import pytest

from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "address", ["/health", "/status/", "/admin/login/", "/nowhere"]
)
def test_every_answer_says_what_browsers_must_not_do(client, address):
    response = client.get(address)

    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "geolocation=()" in response["Permissions-Policy"]


def test_what_somebody_reads_is_stored_nowhere(client):
    client.force_login(make_user(is_superuser=True))

    for address in ("/", "/?live", "/monitors/", "/admin/", "/admin/auth/user/"):
        response = client.get(address)
        assert response.status_code == 200
        assert "no-store" in response["Cache-Control"], address
        assert "private" in response["Cache-Control"], address


def test_live_part_is_still_answered_with_304(client):
    client.force_login(make_user(is_superuser=True))
    tag = client.get("/?live")["ETag"]

    again = client.get("/?live", headers={"If-None-Match": tag})

    assert again.status_code == 304
    assert "no-store" in again["Cache-Control"]


def test_public_page_may_be_cached(client):
    client.force_login(make_user(is_superuser=True))

    response = client.get("/status/")

    assert response["Cache-Control"].startswith("public")

"""The browser decides a page's language, and the switch in the shell decides for good."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.urls import reverse

pytestmark = pytest.mark.django_db

FRENCH = {"HTTP_ACCEPT_LANGUAGE": "fr-CA,fr;q=0.9,en;q=0.5"}


def test_the_browsers_language_decides_the_page(admin_client):
    french = admin_client.get("/", **FRENCH).content.decode()
    german = admin_client.get("/", HTTP_ACCEPT_LANGUAGE="de").content.decode()

    assert '<html lang="fr"' in french
    assert "Vue d’ensemble" in french
    assert '<html lang="en"' in german


def test_the_switch_is_remembered_by_the_browser_and_leads_back(admin_client):
    answer = admin_client.post(
        reverse("set_language"),
        {"language": "en", "next": "/monitors/?state=down"},
        **FRENCH,
    )
    page = admin_client.get("/", **FRENCH).content.decode()

    assert answer["Location"] == "/monitors/?state=down"
    assert int(answer.cookies[settings.LANGUAGE_COOKIE_NAME]["max-age"]) > 300 * 86400
    assert '<html lang="en"' in page


def test_the_switch_names_each_language_in_itself(admin_client):
    page = admin_client.get("/", **FRENCH).content.decode()

    assert 'value="en" lang="en"' in page
    assert 'value="fr" lang="fr" aria-current="true"' in page
    assert "Français</button>" in page


def test_the_switch_leads_nowhere_else(admin_client):
    answer = admin_client.post(
        reverse("set_language"), {"language": "fr", "next": "https://elsewhere.test/"}
    )

    assert "elsewhere" not in answer["Location"]


@pytest.mark.parametrize("path", ["/api/v1/monitors/", "/api/nothing", "/health"])
def test_programs_are_answered_in_english(client, path):
    answer = client.get(path, **FRENCH)

    assert answer.headers.get("Content-Language", "en") == "en"
    assert not any(word in answer.content.decode() for word in ("clé", "adresse"))

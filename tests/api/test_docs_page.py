"""/api/docs/: offline, in the strict policy, for whoever is signed in."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_stranger_is_sent_to_sign_in():
    answer = Client().get("/api/docs/")

    assert (answer.status_code, "login" in answer["Location"]) == (302, True)


def test_page_loads_nothing_from_elsewhere_and_runs_nothing_inline():
    client = Client()
    client.force_login(make_user())

    page = client.get("/api/docs/")

    text = page.content.decode()
    assert page.status_code == 200
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)
    assert not re.findall(r"<script>|<style|style=|onclick", text)
    assert "script-src 'self'" in page["Content-Security-Policy"]
    assert "unsafe" not in page["Content-Security-Policy"]


def test_signed_in_person_reads_the_schema():
    client = Client()
    client.force_login(make_user())

    schema = client.get("/api/v1/schema/")

    assert schema.status_code == 200
    assert b"openapi: 3.1" in schema.content

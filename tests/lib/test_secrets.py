from __future__ import annotations

import base64
import os

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from notifications.models import Channel
from t4g_portal.lib.secrets import UnableToDecrypt, decrypt, encrypt
from tests.factories import make_channel


def make_key(name: str) -> str:
    return f"{name}:{base64.urlsafe_b64encode(os.urandom(32)).decode()}"


def test_a_secret_comes_back_as_it_was():
    stored = encrypt("hunter2 é", context="table:column")

    assert "hunter2" not in stored
    assert decrypt(stored, context="table:column") == "hunter2 é"


def test_the_same_secret_never_looks_the_same_twice():
    assert encrypt("x", context="c") != encrypt("x", context="c")


def test_a_secret_does_not_open_in_another_column():
    stored = encrypt("x", context="table:column")

    with pytest.raises(UnableToDecrypt, match="damaged"):
        decrypt(stored, context="table:other")


@pytest.mark.parametrize("stored", ["plain", "v2:a:b", "v1:main", "v1:gone:AAAA"])
def test_what_is_not_a_secret_of_ours_raises(stored):
    with pytest.raises(UnableToDecrypt):
        decrypt(stored, context="c")


def test_an_old_key_still_reads_and_the_first_one_writes(settings):
    old, new = make_key("old"), make_key("new")
    settings.PORTAL_DATA_KEYS = old
    stored = encrypt("x", context="c")

    settings.PORTAL_DATA_KEYS = f"{new},{old}"

    assert decrypt(stored, context="c") == "x"
    assert encrypt("x", context="c").startswith("v1:new:")


@pytest.mark.parametrize("keys", ["a:short", "a:" + "é" * 43])
def test_a_bad_key_is_named(settings, keys):
    settings.PORTAL_DATA_KEYS = keys

    with pytest.raises(ImproperlyConfigured, match="'a'"):
        encrypt("x", context="c")


@pytest.mark.django_db
def test_the_database_holds_only_ciphertext():
    channel = make_channel(kind="slack", secret="https://hooks.example/T0/B0/canary")

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM notifications_channel")
        (stored,) = cursor.fetchone()

    assert "canary" not in stored
    assert Channel.objects.get(pk=channel.pk).secret.endswith("canary")


@pytest.mark.django_db
def test_an_empty_secret_stays_empty():
    channel = make_channel(secret="")

    assert Channel.objects.get(pk=channel.pk).secret == ""

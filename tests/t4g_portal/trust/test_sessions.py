"""How long somebody stays signed in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from tests.factories import make_user

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"


@pytest.fixture
def user():
    return make_user(is_superuser=True, password=PASSWORD)


def is_signed_in(client) -> bool:
    return bool(client.get("/").status_code == 200)


def travel(time_machine, **length: int) -> None:
    time_machine.move_to(timezone.now() + timedelta(**length), tick=False)


def test_session_gets_another_key_at_sign_in(client, user):
    client.get("/admin/login/")
    session = client.session
    session["planted"] = 1
    session.save()
    before = session.session_key
    client.cookies["sessionid"] = before

    client.post("/admin/login/", {"username": user.username, "password": PASSWORD})

    assert is_signed_in(client)
    assert client.session.session_key != before
    assert not Session.objects.filter(pk=before).exists()


def test_session_ends_after_a_week_of_silence(client, user, time_machine):
    client.force_login(user)
    assert is_signed_in(client)

    travel(time_machine, days=6)
    assert is_signed_in(client)
    travel(time_machine, days=6)
    assert is_signed_in(client)
    travel(time_machine, days=7, minutes=1)
    assert not is_signed_in(client)


def test_session_ends_after_a_month_whatever_happens(client, user, time_machine):
    client.force_login(user)

    for _ in range(5):
        travel(time_machine, days=5, hours=20)
        assert is_signed_in(client)
    travel(time_machine, days=1)
    assert not is_signed_in(client)
    assert Session.objects.count() == 0


def test_looking_is_no_write(client, user, django_assert_num_queries):
    client.force_login(user)
    client.get("/health")
    is_signed_in(client)
    before = Session.objects.get().session_data

    is_signed_in(client)

    assert Session.objects.get().session_data == before


def test_another_password_signs_out_everywhere_else(client, user):
    from django.test import Client

    elsewhere = Client()
    for one in (client, elsewhere):
        one.force_login(user)
    user.set_password("another long password")
    user.save()

    assert not is_signed_in(client)
    assert not is_signed_in(elsewhere)

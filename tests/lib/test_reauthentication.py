"""A password given a moment ago in this session counts; nothing else does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import timezone

from t4g_portal.lib.models import AttemptCounter
from t4g_portal.lib.reauthentication import (
    ACCOUNT,
    ADDRESS,
    Proof,
    UnableToConfirm,
    confirm,
    note_sign_in,
    proof_of,
)
from tests.factories import make_user

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"
Reason = UnableToConfirm.Reason


@pytest.fixture
def user():
    return make_user(username="zoe", password=PASSWORD)


def make_request(user: Any, *, address: str = "192.0.2.7") -> HttpRequest:
    request = RequestFactory().post("/", REMOTE_ADDR=address)
    request.user = user
    request.session = SessionStore()
    return request


def refusal_of(request: HttpRequest, password: str, now: Any) -> UnableToConfirm:
    with pytest.raises(UnableToConfirm) as refusal:
        confirm(request, password, now)
    return refusal.value


class TestConfirming:
    def test_right_password_is_a_proof_for_five_minutes(self, user, now):
        request = make_request(user)

        proof = confirm(request, PASSWORD, now)

        assert proof == Proof(at=now, method="password")
        assert proof_of(request, now) == proof
        assert proof_of(request, now + timedelta(minutes=5)) == proof
        assert proof_of(request, now + timedelta(minutes=5, seconds=1)) is None

    def test_wrong_password_is_none_and_says_so(self, user, now):
        request = make_request(user)

        refusal = refusal_of(request, "wrong", now)

        assert refusal.reason is Reason.WRONG
        assert "isn't your password" in refusal.message
        assert proof_of(request, now) is None

    @pytest.mark.parametrize("password", ["", "\0", "x" * 100_000])
    def test_garbage_is_a_wrong_password(self, user, now, password):
        assert refusal_of(make_request(user), password, now).reason is Reason.WRONG

    def test_wrong_one_does_not_take_an_earlier_proof(self, user, now):
        request = make_request(user)
        proof = confirm(request, PASSWORD, now)

        refusal_of(request, "wrong", now)

        assert proof_of(request, now) == proof

    def test_old_hash_is_not_renewed_which_would_end_the_session(
        self, user, now, settings
    ):
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.Argon2PasswordHasher",
            "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        ]
        user.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
        user.save()
        stored = user.password

        confirm(make_request(user), PASSWORD, now)

        user.refresh_from_db()
        assert user.password == stored

    def test_account_without_password_confirms_nothing(self, user, now):
        user.set_unusable_password()

        assert refusal_of(make_request(user), "", now).reason is Reason.WRONG


class TestProof:
    def test_clock_set_back_leaves_none(self, user, now):
        request = make_request(user)
        confirm(request, PASSWORD, now)

        assert proof_of(request, now - timedelta(seconds=1)) is None

    def test_new_password_ends_it(self, user, now):
        request = make_request(user)
        confirm(request, PASSWORD, now)
        user.set_password("another long password")

        assert proof_of(request, now) is None

    def test_it_is_of_one_person_and_one_session(self, user, now):
        request = make_request(user)
        confirm(request, PASSWORD, now)
        other = make_request(make_user(username="max", password=PASSWORD))
        other.session = request.session

        assert proof_of(other, now) is None
        assert proof_of(make_request(user), now) is None

    @pytest.mark.parametrize(
        "noted", [1, "x", {}, {"at": 3}, {"at": "x", "of": "y", "method": "z"}]
    )
    def test_garbage_in_a_session_is_none(self, user, now, noted):
        request = make_request(user)
        request.session["_reauthenticated"] = noted

        assert proof_of(request, now) is None


class TestPace:
    def test_guessing_is_slowed_down_from_wherever_it_comes(self, user, now):
        reasons = [
            refusal_of(
                make_request(user, address=f"192.0.2.{number}"), "wrong", now
            ).reason
            for number in range(ACCOUNT.free_count + 2)
        ]
        held_up = refusal_of(make_request(user), PASSWORD, now)

        assert reasons == [Reason.WRONG] * ACCOUNT.free_count + [Reason.TOO_EARLY] * 2
        assert held_up.wait_s == ACCOUNT.first_wait_s
        assert "Try again in 30\u00a0s, or log out and in again." in held_up.message

    def test_right_password_begins_anew(self, user, now):
        for _ in range(3):
            for _ in range(ACCOUNT.free_count - 1):
                refusal_of(make_request(user), "wrong", now)
            confirm(make_request(user), PASSWORD, now)

    def test_many_right_ones_from_one_address_are_no_guesses(self, user, now):
        for _ in range(ADDRESS.free_count + 5):
            confirm(make_request(user), PASSWORD, now)

    def test_one_address_may_not_guess_at_every_account(self, now):
        reasons = [
            refusal_of(
                make_request(make_user(username=f"u{number}", password="x")), "y", now
            ).reason
            for number in range(ADDRESS.free_count + 1)
        ]

        assert reasons == [Reason.WRONG] * ADDRESS.free_count + [Reason.TOO_EARLY]

    def test_signing_in_again_frees_its_owner(self, user, now):
        for _ in range(ACCOUNT.free_count):
            refusal_of(make_request(user), "wrong", now)
        request = make_request(user)

        note_sign_in(request, now)

        assert proof_of(request, now) is not None
        assert confirm(request, PASSWORD, now).at == now

    def test_counters_tell_no_name_and_no_address(self, user, now):
        refusal_of(make_request(user), "wrong", now)

        keys = list(AttemptCounter.objects.values_list("key", flat=True))
        assert {key.partition(":")[0] for key in keys} == {"confirm", "confirm-address"}
        assert "192.0.2.7" not in str(keys)


class TestSession:
    def test_signing_in_is_a_proof(self, user):
        client = Client()
        user.is_staff = True
        user.save()
        client.post("/admin/login/", {"username": "zoe", "password": PASSWORD})
        request = make_request(user)
        request.session = client.session

        assert proof_of(request, timezone.now()) is not None

    def test_session_opened_otherwise_has_none(self, user):
        client = Client()
        client.force_login(user)
        request = make_request(user)
        request.session = client.session

        assert proof_of(request, timezone.now()) is None

    def test_log_tells_who_but_no_password(self, user, now, caplog):
        caplog.set_level("INFO")
        refusal_of(make_request(user), "canary-password", now)
        confirm(make_request(user), PASSWORD, now)

        assert "confirmation failed" in caplog.text
        assert f"'user_id': {user.pk}" in caplog.text
        assert "canary" not in caplog.text
        assert PASSWORD not in caplog.text

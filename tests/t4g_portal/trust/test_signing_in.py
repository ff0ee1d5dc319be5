"""Guessing is slowed down, its victim isn't; nothing tells which names exist."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection
from django.test import Client, RequestFactory
from django.utils import timezone

from t4g_portal.lib.client_address import client_address, client_network
from t4g_portal.lib.guessing import UnableToTry
from t4g_portal.lib.models import AttemptCounter
from t4g_portal.trust import throttle
from t4g_portal.trust.throttle import ACCOUNT, ADDRESS, DEVICE
from tests.factories import make_user

PASSWORD = "a long enough password"
LOGIN = "/admin/login/"


@pytest.fixture
def user(db):
    return make_user(username="zoe", is_superuser=True, password=PASSWORD)


def attempt(client: Client, name: str, password: str, **options: Any) -> Any:
    return client.post(LOGIN, {"username": name, "password": password}, **options)


def guess(count: int, name: str = "zoe", *, client: Client | None = None) -> list[int]:
    client = client or Client()
    return [
        attempt(client, name, f"wrong {number}").status_code for number in range(count)
    ]


def sign_out(client: Client) -> None:
    """Let go of the session; the test client's own way would lose every cookie."""
    client.cookies.pop("sessionid")


@pytest.mark.django_db
class TestAccount:
    def test_guessing_is_answered_with_a_wait_and_a_sentence(self, user):
        statuses = guess(7)
        refused = attempt(Client(), "zoe", PASSWORD)

        assert statuses == [200] * ACCOUNT.free_count + [429] * 2
        assert refused.status_code == 429
        assert 25 <= int(refused["Retry-After"]) <= 30
        body = refused.content.decode()
        assert "There were too many attempts. Try again in" in body
        assert 'value="zoe"' in body
        assert PASSWORD not in body
        assert not Client().get("/").wsgi_request.user.is_authenticated

    @pytest.mark.parametrize("count", [1, 147, 150, 400])
    def test_space_around_a_name_is_no_way_around(self, user, count):
        guess(ACCOUNT.free_count)

        assert guess(1, " " * count + "zoe") == [429]

    def test_wait_doubles_up_to_its_longest(self, now):
        waits = []
        for _ in range(12):
            try:
                throttle.begin(account="a", devices={}, network="", now=now)
            except UnableToTry as refusal:
                waits.append(refusal.wait_s)
                now += timedelta(seconds=refusal.wait_s)
                throttle.begin(account="a", devices={}, network="", now=now)

        assert waits == [30, 60, 120, 240, 480, 900, 900]

    def test_owner_signs_in_on_a_device_that_did_before(self, user):
        own = Client()
        assert attempt(own, "zoe", PASSWORD).status_code == 302
        sign_out(own)
        assert guess(9)[-1] == 429

        assert attempt(own, "zoe", PASSWORD).status_code == 302

    def test_own_device_has_its_own_pace(self, user):
        own = Client()
        attempt(own, "zoe", PASSWORD)
        sign_out(own)

        statuses = guess(DEVICE.free_count + 2, client=own)

        assert statuses == [200] * DEVICE.free_count + [429] * 2
        # And it holds nobody else up.
        assert attempt(Client(), "zoe", PASSWORD).status_code == 302

    def test_device_of_one_account_opens_no_other(self, user):
        make_user(username="max", password=PASSWORD)
        own = Client()
        attempt(own, "max", PASSWORD)
        sign_out(own)
        guess(8, "zoe")

        assert attempt(own, "zoe", PASSWORD).status_code == 429

    @pytest.mark.parametrize("cookie", ["", "forged", "e30:1abc:forged"])
    def test_forged_device_counts_for_nothing(self, user, cookie):
        guess(8)
        forger = Client()
        forger.cookies["device"] = cookie

        assert attempt(forger, "zoe", PASSWORD).status_code == 429

    def test_success_begins_anew(self, user):
        guess(4)
        attempt(Client(), "zoe", PASSWORD)

        assert guess(5) == [200] * 5

    def test_spelling_is_no_way_around(self, user):
        guess(3, "zoe")

        assert guess(3, " ZOE")[-1] == 429

    def test_a_day_later_it_is_forgotten(self, now):
        for _ in range(5):
            throttle.begin(account="a", devices={}, network="", now=now)
        later = now + timedelta(hours=25)

        for _ in range(5):
            throttle.begin(account="a", devices={}, network="", now=later)

    def test_name_that_nobody_has_is_treated_alike(self, user):
        known = attempt(Client(), "zoe", "wrong")
        unknown = attempt(Client(), "nobody", "wrong")

        def words(response: Any) -> str:
            return str(response.content.decode().split('id="login-form"')[0][-1500:])

        assert known.status_code == unknown.status_code == 200
        assert "don&#x27;t belong together" in known.content.decode()
        assert words(known).count("belong") == words(unknown).count("belong")
        assert guess(7, "nobody") == [200] * 4 + [429] * 3


@pytest.mark.django_db
def test_one_address_may_not_try_every_account(settings):
    settings.TRUSTED_PROXY_COUNT = 1
    seen = [
        attempt(
            Client(), f"name{n}", "wrong", headers={"X-Forwarded-For": "192.0.2.7"}
        ).status_code
        for n in range(ADDRESS.free_count + 1)
    ]
    elsewhere = attempt(
        Client(), "name1", "wrong", headers={"X-Forwarded-For": "192.0.2.8"}
    )

    assert seen == [200] * ADDRESS.free_count + [429]
    assert elsewhere.status_code == 200


@pytest.mark.django_db
def test_refused_attempt_is_counted_nowhere(now):
    for _ in range(5):
        throttle.begin(account="a", devices={}, network="n", now=now)
    for _ in range(50):
        with pytest.raises(UnableToTry):
            throttle.begin(account="a", devices={}, network="n", now=now)

    counts = AttemptCounter.objects.values_list("count", flat=True)
    assert list(counts) == [5, 5]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_no_way_around(now: datetime):
    allowed: list[bool] = []

    def try_once() -> None:
        try:
            throttle.begin(account="a", devices={}, network="", now=now)
            allowed.append(True)
        except UnableToTry:
            allowed.append(False)
        finally:
            connection.close()

    threads = [threading.Thread(target=try_once) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(allowed) == ACCOUNT.free_count


@pytest.mark.django_db
class TestLog:
    def test_attempts_are_told_without_passwords_and_names(self, user, caplog):
        caplog.set_level("INFO")
        attempt(Client(), "zoe", "canary-password")
        attempt(Client(), "canary-in-the-wrong-field", "x")
        attempt(Client(), "zoe", PASSWORD)

        said = [line for line in caplog.messages if "'event': 'sign" in line]
        assert "sign-in failed" in said[0]
        assert "127.0.0.1" in said[0]
        assert "signed in" in said[2]
        assert f"'user_id': {user.pk}" in said[2]
        assert "canary" not in caplog.text
        assert PASSWORD not in caplog.text

    def test_counters_tell_no_name(self, user):
        guess(1)

        keys = AttemptCounter.objects.values_list("key", flat=True)
        assert "zoe" not in str(list(keys))
        assert "127.0.0.1" not in str(list(keys))


@pytest.mark.django_db
class TestPage:
    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"username": ""},
            {"username": "\0"},
            {"username": "x" * 5000, "password": "y" * 5000},
            {"username": "\ud83d".encode("utf-16", "surrogatepass"), "password": "x"},
        ],
    )
    def test_garbage_is_no_error(self, data):
        assert Client().post(LOGIN, data).status_code in {200, 429}

    def test_sign_in_leads_where_one_wanted_to_go(self, user):
        form = {"username": "zoe", "password": PASSWORD, "next": "/monitors/"}

        assert Client().post(LOGIN, form)["Location"] == "/monitors/"

    def test_foreign_address_is_not_followed(self, user):
        form = {"username": "zoe", "password": PASSWORD, "next": "//evil.example.org"}

        assert "evil" not in Client().post(LOGIN, form)["Location"]

    def test_form_needs_its_token(self, user):
        client = Client(enforce_csrf_checks=True)

        assert attempt(client, "zoe", PASSWORD).status_code == 403


class TestAddress:
    @pytest.mark.parametrize(
        ("proxies", "forwarded", "expected"),
        [
            (0, "192.0.2.1", "10.0.0.1"),
            (1, "192.0.2.1", "192.0.2.1"),
            (1, "6.6.6.6, 192.0.2.1", "192.0.2.1"),
            (2, "6.6.6.6, 192.0.2.1, 10.0.0.9", "192.0.2.1"),
            (2, "192.0.2.1", "10.0.0.1"),
            (1, "garbage", ""),
            (1, "", ""),
        ],
    )
    def test_only_our_proxies_are_believed(
        self, settings, proxies, forwarded, expected
    ):
        settings.TRUSTED_PROXY_COUNT = proxies
        request = RequestFactory().get(
            "/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": forwarded}
        )

        assert client_address(request) == expected

    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("", ""),
        ],
    )
    def test_one_customer_has_a_whole_network_of_ipv6(self, address, network):
        request = RequestFactory().get("/", REMOTE_ADDR=address)

        assert client_network(request) == network


class TestPasswords:
    def hashers(self, settings) -> None:
        from t4g_portal import settings as real

        settings.PASSWORD_HASHERS = real.PASSWORD_HASHERS

    def test_new_ones_are_hashed_with_argon2id_in_little_memory(self, settings):
        self.hashers(settings)

        encoded = make_password(PASSWORD)

        assert encoded.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
        assert check_password(PASSWORD, encoded)

    @pytest.mark.django_db
    def test_old_ones_are_hashed_again_at_the_next_sign_in(self, settings, user):
        self.hashers(settings)
        user.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
        user.save()

        assert attempt(Client(), "zoe", PASSWORD).status_code == 302

        user.refresh_from_db()
        assert user.password.startswith("argon2$")
        assert timezone.now() - user.last_login < timedelta(minutes=1)

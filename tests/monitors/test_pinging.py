"""Heartbeat pings: accepted from anybody with the key, stored before the answer."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from monitors.heartbeats import pinging, views
from monitors.heartbeats.pinging import Signal, signal_of
from monitors.models import HeartbeatPing
from t4g_portal.lib.rate_limit import RateLimit
from tests.factories import make_monitor

pytestmark = pytest.mark.django_db


@pytest.fixture
def strict_client():
    """A client that insists on form tokens, as browsers meet them."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture(autouse=True)
def _fresh_limit(monkeypatch):
    fresh = RateLimit(burst=pinging.BURST, per_second=pinging.PER_SECOND)
    monkeypatch.setattr(views, "_limit", fresh)


def make_heartbeat(**values):
    return make_monitor(kind="heartbeat", target="", **values)


class TestPing:
    @pytest.mark.parametrize(
        ("end", "kind", "exit_code"),
        [
            ("", "success", None),
            ("/", "success", None),
            ("/start", "start", None),
            ("/fail", "fail", None),
            ("/0", "success", 0),
            ("/1", "fail", 1),
            ("/255", "fail", 255),
        ],
    )
    def test_the_address_says_what_it_means(self, strict_client, end, kind, exit_code):
        monitor = make_heartbeat()

        response = strict_client.get(f"/ping/{monitor.ping_key}{end}")

        ping = HeartbeatPing.objects.get()
        assert (response.status_code, response.content) == (200, b"OK")
        assert (ping.monitor, ping.kind, ping.exit_code) == (monitor, kind, exit_code)
        assert not ping.is_handled

    @pytest.mark.parametrize("method", ["get", "head", "post"])
    def test_get_head_and_post_all_count(self, strict_client, method):
        monitor = make_heartbeat()

        response = getattr(strict_client, method)(f"/ping/{monitor.ping_key}")

        assert response.status_code == 200
        assert HeartbeatPing.objects.count() == 1

    @pytest.mark.parametrize("method", ["put", "delete", "patch"])
    def test_other_methods_do_not(self, strict_client, method):
        monitor = make_heartbeat()

        response = getattr(strict_client, method)(f"/ping/{monitor.ping_key}")

        assert response.status_code == 405
        assert not HeartbeatPing.objects.exists()

    def test_may_not_be_cached(self, client):
        monitor = make_heartbeat()

        response = client.get(f"/ping/{monitor.ping_key}")

        assert response["Cache-Control"] == "no-store"

    def test_costs_one_statement(self, client, django_assert_num_queries):
        monitor = make_heartbeat()

        with django_assert_num_queries(1):
            client.get(f"/ping/{monitor.ping_key}")

    def test_a_paused_heartbeat_takes_it_too(self, client):
        monitor = make_heartbeat(is_enabled=False)

        assert client.get(f"/ping/{monitor.ping_key}").status_code == 200


class TestNotFound:
    def test_an_unknown_key_and_an_unknown_end_get_the_same_answer(self, client):
        monitor = make_heartbeat()

        unknown_key = client.get("/ping/no-such-key")
        unknown_end = client.get(f"/ping/{monitor.ping_key}/sideways")

        assert unknown_key.status_code == unknown_end.status_code == 404
        assert unknown_key.content == unknown_end.content
        # The log's name of each request is its own.
        for answer in (unknown_key, unknown_end):
            del answer.headers["X-Request-ID"]
        assert unknown_key.headers == unknown_end.headers
        assert not HeartbeatPing.objects.exists()

    def test_the_key_of_a_monitor_that_is_no_heartbeat_is_unknown(self, client):
        monitor = make_monitor()

        assert client.get(f"/ping/{monitor.ping_key}").status_code == 404

    @pytest.mark.parametrize("key", ["x" * 5000, "a%00b", "%ff", "é", "a b"])
    def test_odd_keys_are_unknown(self, client, key):
        assert client.get(f"/ping/{key}").status_code == 404

    @pytest.mark.parametrize("end", ["256", "-1", "1e2", "٣", "0001", "1/2", "START"])
    def test_odd_ends_are_unknown(self, client, end):
        monitor = make_heartbeat()

        assert client.get(f"/ping/{monitor.ping_key}/{end}").status_code == 404


class TestBody:
    def body_of(self, client, data, **extra):
        monitor = make_heartbeat()
        response = client.generic("POST", f"/ping/{monitor.ping_key}", data, **extra)
        assert response.status_code == 200
        return HeartbeatPing.objects.get().body

    def test_is_kept_as_text(self, client):
        assert self.body_of(client, "backup: 3 Dateien, été".encode()) == (
            "backup: 3 Dateien, été"
        )

    def test_is_kept_up_to_ten_thousand_bytes(self, client):
        assert self.body_of(client, b"a" * 20_000) == "a" * 10_000

    def test_binary_is_kept_as_well_as_it_can_be(self, client):
        assert self.body_of(client, b"a\x00b\xff") == "a\ufffdb\ufffd"

    def test_a_form_is_kept_as_it_came(self, client):
        body = self.body_of(
            client, b"a=1&b=2", content_type="application/x-www-form-urlencoded"
        )

        assert body == "a=1&b=2"

    def test_a_chunked_request_has_one_too(self, client):
        monitor = make_heartbeat()

        client.generic(
            "POST",
            f"/ping/{monitor.ping_key}",
            CONTENT_LENGTH="",
            HTTP_TRANSFER_ENCODING="chunked",
            **{"wsgi.input": BytesIO(b"in pieces"), "wsgi.input_terminated": True},
        )

        assert HeartbeatPing.objects.get().body == "in pieces"

    def test_a_caller_that_hangs_up_in_the_middle_was_alive(self, client):
        class HungUp(BytesIO):
            def read(self, *_):
                raise OSError("gone")

        monitor = make_heartbeat()

        response = client.generic(
            "POST",
            f"/ping/{monitor.ping_key}",
            **{"wsgi.input": HungUp(), "wsgi.input_terminated": True},
        )

        assert response.status_code == 200
        assert HeartbeatPing.objects.get().body == ""


class TestRateLimit:
    def test_a_flood_is_refused_for_known_and_unknown_keys_alike(
        self, client, monkeypatch
    ):
        monkeypatch.setattr(views, "_limit", RateLimit(burst=2, per_second=0.001))
        monitor = make_heartbeat()

        known = [client.get(f"/ping/{monitor.ping_key}").status_code for _ in range(3)]
        unknown = [client.get("/ping/unknown").status_code for _ in range(3)]

        assert known == [200, 200, 429]
        assert unknown == [404, 404, 429]
        assert HeartbeatPing.objects.count() == 2


@given(text=st.text(max_size=6))
def test_an_action_never_raises(text):
    found = signal_of(text)

    assert found is None or isinstance(found, Signal)

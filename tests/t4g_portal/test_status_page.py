"""The public status page: plain words, no internals, no script."""

from __future__ import annotations

import gzip
import re
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from incidents.models import Incident
from monitors.status import Status
from t4g_portal.status_page import status_page
from tests.factories import make_monitor, make_service
from tests.history import (
    DAY,
    HOUR,
    MINUTE,
    Trouble,
    make_history,
    make_incident,
    make_ledger,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_now(now):
    cache.clear()
    with time_machine.travel(now, tick=False):
        yield


def words_of(client: Client) -> str:
    page = client.get("/status/").content.decode()
    page = re.sub(r"<title>.*?</title>|<style.*?</style>", " ", page)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def make_service_with(status: Status | None, now, **values):
    service = make_service(**values)
    troubles = [Trouble(status, HOUR, None)] if status else []
    make_ledger(monitor=make_monitor(service=service), now=now, troubles=troubles)
    return service


def test_anybody_may_read_it_without_a_session(client: Client, now):
    make_history(now=now)

    answer = client.get("/status/")

    assert answer.status_code == 200
    assert not answer.cookies
    assert answer["Cache-Control"] == "public, max-age=10"
    assert "Cookie" not in answer.get("Vary", "")


def test_browser_may_run_and_load_nothing_foreign(client: Client, now):
    make_history(now=now)

    answer = client.get("/status/")

    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    page = answer.content.decode()
    assert "<script" not in page
    assert " style=" not in page
    assert not re.search(r'(?:src|href)="(?!/|#)', page)


def test_page_is_small(client: Client, now):
    make_history(now=now)

    body = client.get("/status/").content

    assert len(gzip.compress(body)) < 60_000


def test_page_holds_no_internals(client: Client, now):
    made = make_history(now=now)

    page = client.get("/status/").content.decode()

    for monitor in made.monitors.values():
        assert monitor.name not in page
        if monitor.target:
            assert monitor.target not in page
    for secret in ("503", "Anna", "Keller", "Let's Encrypt", "prod", "HTTP"):
        assert secret not in page


def test_page_says_what_is_affected_since_when_and_what_we_do(client: Client, now):
    make_history(now=now)

    words = words_of(client)

    assert "Backend is not available" in words
    assert "Backend Not available Since 09:56:00 . We are working on it." in words
    assert "API Limited Since 09:34:00 . We have noticed it." in words
    assert "1 Mar, 20:00 , resolved after 3 min." in words
    assert "Times are in CET." in words


@pytest.mark.parametrize(
    ("statuses", "sentence"),
    [
        ([], "No services are shown here yet"),
        ([None, None], "All systems operational"),
        ([None, Status.DEGRADED], "second is limited"),
        ([None, Status.DOWN], "second is not available"),
        ([Status.DOWN, Status.DOWN], "2 services are affected"),
        # An outage is never masked by maintenance elsewhere.
        ([Status.MAINTENANCE, Status.DOWN], "second is not available"),
        ([Status.MAINTENANCE, None], "Planned maintenance is under way"),
        ([Status.UNKNOWN], "We are checking the state of our services"),
    ],
)
def test_sentence_says_the_worst(now, statuses, sentence):
    for name, status in zip(("first", "second"), statuses, strict=False):
        make_service_with(status, now, name=name)

    assert status_page(now=now).sentence == sentence


def test_services_that_are_not_public_or_not_watched_are_left_out(client, now):
    hidden = make_service_with(Status.DOWN, now, name="Hidden", is_public=False)
    make_service(name="Unwatched")
    make_service_with(None, now, name="Shown")
    make_incident(service=hidden, title="x", started_at=now - HOUR)

    words = words_of(client)

    assert "Shown" in words
    assert "Hidden" not in words
    assert "Unwatched" not in words
    assert "All systems operational" in words


def test_monitor_that_does_not_count_is_no_concern_of_the_public(client, now):
    service = make_service(name="Database")
    make_ledger(monitor=make_monitor(service=service), now=now)
    backup = make_monitor(service=service, counts_for_service=False)
    outage = Trouble(Status.DOWN, HOUR, None)
    make_ledger(monitor=backup, now=now, troubles=[outage])
    make_incident(service=service, title="x", started_at=now - HOUR, is_public=False)

    words = words_of(client)

    assert "All systems operational" in words
    assert "Database Operational" in words
    assert "Since" not in words


def test_low_priorities_and_old_incidents_are_not_for_the_public(now):
    service = make_service_with(None, now)
    make_incident(
        service=service, title="read tomorrow", priority="p3", started_at=now - HOUR
    )
    for back in (13, 15):
        make_incident(
            service=service,
            title="over",
            priority="p1",
            started_at=now - back * DAY - HOUR,
            status=Incident.Status.RESOLVED,
            resolved_at=now - back * DAY,
        )

    page = status_page(now=now)

    assert page.current == []
    assert [incident.started_at for incident in page.past] == [now - 13 * DAY - HOUR]
    assert page.past[0].effect == "Limited"
    assert page.past[0].length == timedelta(hours=1)


def test_page_speaks_the_language_of_the_browser(client: Client, now):
    answer = client.get("/status/", headers={"Accept-Language": "fr"})

    assert '<html lang="fr">' in answer.content.decode()
    assert "Accept-Language" in answer["Vary"]


def test_page_that_did_not_change_is_not_sent_again(client: Client, now):
    make_history(now=now)
    first = client.get("/status/")

    again = client.get("/status/", headers={"If-None-Match": first["ETag"]})

    assert again.status_code == 304


def test_page_asks_the_same_number_of_queries_for_any_number_of_services(
    client: Client, now, django_assert_num_queries
):
    for count in (1, 20):
        for _ in range(count):
            make_service_with(None, now)
        client.get("/status/")

        with django_assert_num_queries(5):
            client.get("/status/")


def test_stale_monitor_is_no_data_and_not_operational(client: Client, now):
    service = make_service(name="Web")
    make_ledger(monitor=make_monitor(service=service), now=now, fresh_for=-10 * MINUTE)

    words = words_of(client)

    assert "Web No data" in words
    assert "We are checking the state of our services" in words

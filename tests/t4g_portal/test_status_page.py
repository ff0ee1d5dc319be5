"""The public status page: plain words, no internals, no script."""

from __future__ import annotations

import gzip
import re
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from incidents import services
from incidents.models import Incident
from monitors.models import MaintenanceWindow
from monitors.status import Status
from t4g_portal.public.status import status_page
from tests.factories import make_monitor, make_service, make_user
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

STATIC = Path(__file__).resolve().parent.parent.parent / "static"


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
    assert not re.search(r'(?:src|href)="(?!/|#|\?)', page)


def test_page_and_all_it_loads_are_small(client: Client, now):
    off = [Trouble(Status.DOWN, back * DAY, HOUR) for back in range(1, 90, 3)]
    for _ in range(20):
        service = make_service()
        make_ledger(monitor=make_monitor(service=service), now=now, troubles=off)

    page = client.get("/status/", headers={"Accept-Encoding": "gzip"})

    assert page["Content-Encoding"] == "gzip"
    files = ("status/status.css", "portal/icons.svg", "portal/mark.svg")
    loaded = sum(len(gzip.compress((STATIC / name).read_bytes())) for name in files)
    assert len(page.content) + loaded < 60_000


def test_page_holds_no_internals(client: Client, now):
    made = make_history(now=now)

    page = client.get("/status/").content.decode()

    for monitor in made.monitors.values():
        assert monitor.name not in page
        if monitor.target:
            assert monitor.target not in page
    for secret in (" 503", "Anna", "Keller", "Let's Encrypt", "prod", "HTTP"):
        assert secret not in page


def test_page_says_what_is_affected_since_when_and_what_we_do(client: Client, now):
    make_history(now=now)

    words = words_of(client)

    assert "Backend is not available" in words
    assert "Backend Not available Since 09:56 . We are working on it." in words
    assert "API Limited Since 09:34 . We have noticed it." in words
    assert "1 Mar, 20:00 , resolved after 3 min." in words
    assert "as of 10:00 CET" in words


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

        # Services, monitors, their last days, incidents open and over, windows.
        with django_assert_num_queries(6):
            client.get("/status/")


def test_stale_monitor_is_no_data_and_not_operational(client: Client, now):
    service = make_service(name="Web")
    make_ledger(monitor=make_monitor(service=service), now=now, fresh_for=-10 * MINUTE)

    words = words_of(client)

    assert "Web No data" in words
    assert "We are checking the state of our services" in words


def test_what_on_call_wrote_for_the_public_stands_beside_the_service(client, now):
    made = make_history(now=now)
    services.tell_public(
        incident_id=made.incidents["open"].pk,
        user=made.people["anna"],
        via="web",
        now=now - MINUTE,
        message="Orders are safe. <b>We restart</b> the servers.",
    )

    page = client.get("/status/").content.decode()

    assert "Orders are safe. &lt;b&gt;We restart&lt;/b&gt; the servers." in page


def test_incident_taken_off_the_page_is_gone(client, now):
    made = make_history(now=now)
    services.tell_public(
        incident_id=made.incidents["open"].pk,
        user=made.people["anna"],
        via="web",
        now=now,
        message="",
        is_public=False,
    )

    numbers = [found.number for found in status_page(now=now).current]
    assert numbers == [made.incidents["slow"].pk]


def test_low_priority_that_somebody_published_is_shown(now):
    service = make_service_with(None, now)
    incident = make_incident(
        service=service, title="x", priority="p3", started_at=now - HOUR
    )
    services.tell_public(
        incident_id=incident.pk, user=make_user(), via="web", now=now, message="Soon."
    )

    assert [found.message for found in status_page(now=now).current] == ["Soon."]


def test_page_is_not_green_while_something_is_open(now):
    service = make_service_with(None, now)
    make_incident(service=service, title="x", priority="p1", started_at=now - HOUR)

    page = status_page(now=now)

    assert (page.status, page.sentence) == (
        Status.DEGRADED,
        "We are working on a problem",
    )


@pytest.mark.parametrize(("measured", "effect"), [("down", "Not"), ("slow", "Limited")])
def test_effect_is_what_the_monitors_said_whatever_the_priority(now, measured, effect):
    service = make_service_with(None, now)
    incident = make_incident(
        service=service,
        monitor=service.monitors.get(),
        title="x",
        priority="p1" if measured == "down" else "p0",
        started_at=now - HOUR,
    )
    incident.alerts.update(dedup_key=f"monitor:1:{measured}")

    [found] = status_page(now=now).current

    assert found.effect.startswith(effect)


def make_window(now, **values) -> MaintenanceWindow:
    services = values.pop("services", ())
    values.setdefault("name", "Secret upgrade of db-7")
    values.setdefault("starts_at", now + DAY)
    window = MaintenanceWindow.objects.create(**values)
    window.services.set(services)
    return window


def test_planned_maintenance_is_announced_without_its_internal_name(client, now):
    service = make_service_with(None, now, name="Database")
    note = "Reading stays possible."
    make_window(now, services=[service], note="ask Anna", public_note=note)

    words = words_of(client)

    assert "Planned maintenance Database 3 Mar, 10:00 – 11:00" in words
    assert note in words
    assert "db-7" not in words
    assert "Anna" not in words


def test_maintenance_that_is_open_or_recurs_is_one_line(now):
    service = make_service_with(None, now)
    make_window(now, name="a", starts_at=now - MINUTE, services=[service])
    make_window(now, name="b", recurrence="FREQ=DAILY", services=[service])

    planned = status_page(now=now).planned

    assert [(line.started_at, line.is_open) for line in planned] == [
        (now - MINUTE, True),
        (now + DAY, False),
    ]


def test_maintenance_of_what_the_public_does_not_see_is_not_announced(now):
    hidden = make_service_with(None, now, is_public=False)
    backup = make_monitor(service=make_service_with(None, now))
    backup.counts_for_service = False
    backup.save()
    make_window(now, name="hidden", services=[hidden])
    make_window(now, name="backup").monitors.set([backup])
    shown = make_service_with(None, now)
    make_window(now, name="off", services=[shown], is_enabled=False)
    make_window(now, name="later", services=[shown], starts_at=now + 20 * DAY)

    assert status_page(now=now).planned == []


def test_history_is_turned_page_by_page(client, now, monkeypatch):
    monkeypatch.setattr("t4g_portal.public.incidents.A_PAGE", 1)
    service = make_service_with(None, now)
    for back in (50, 80):
        make_incident(
            service=service,
            title="x",
            started_at=now - back * DAY,
            status=Incident.Status.RESOLVED,
            resolved_at=now - back * DAY + HOUR,
        )

    first = client.get("/status/history/?lang=en").content.decode()
    assert "11 Jan, 10:00" in first
    assert "?page=2&amp;lang=en" in first

    second = client.get("/status/history/?page=2").content.decode()
    assert "12 Dec 2025, 10:00" in second or "12 Dec, 10:00" in second
    assert 'rel="next"' not in second


def test_reader_picks_the_language_and_nothing_is_stored(client, now):
    make_service_with(None, now)

    answer = client.get("/status/?lang=fr", headers={"Accept-Language": "en"})

    page = answer.content.decode()
    assert '<html lang="fr">' in page
    assert answer["Content-Language"] == "fr"
    assert not answer.cookies
    assert 'href="?lang=en" lang="en"' in page
    assert "/status/history/?lang=fr" in page


def test_cookie_of_somebody_signed_in_decides_nothing(client, now):
    client.cookies["django_language"] = "fr"

    assert '<html lang="en">' in client.get("/status/").content.decode()


def test_document_says_the_same_as_the_page(client, now):
    make_history(now=now)

    answer = client.get("/status.json?lang=en")

    found = answer.json()
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert (found["status"], found["sentence"]) == ("down", "Backend is not available")
    backend = found["services"][1]
    assert (backend["slug"], backend["status"]) == ("backend", "down")
    assert backend["since"] == "2026-03-02T08:56:00Z"
    assert 0.99 < backend["uptime"]["ratio"] < 1
    assert backend["uptime"]["coverage"] < 1
    assert len(backend["days"]) == 90
    assert [incident["service"] for incident in found["incidents"]] == [
        "backend",
        "api",
    ]
    assert found["past_incidents"][0]["ended_at"] == "2026-03-01T19:03:00Z"
    for secret in (" 503", "Keller", "token4good.example", "Backend health", "prod"):
        assert secret not in answer.content.decode()


PUBLIC = [
    "/status/",
    "/status/history/",
    "/status.json",
    "/status.atom",
    "/badges/api.svg",
    "/badges/api/30d.json",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_private_portal_shows_nothing(client, now, settings, address):
    make_history(now=now)
    assert client.get(address).status_code == 200

    settings.PORTAL_PUBLIC_STATUS = False

    assert client.get(address).status_code == 404


@pytest.mark.parametrize("address", PUBLIC)
def test_every_public_answer_is_the_same_for_all(client, now, address):
    make_history(now=now)

    answer = client.get(address)

    assert answer["Cache-Control"].startswith("public, max-age=")
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "ETag" in answer
    assert not answer.cookies
    again = client.get(address, headers={"If-None-Match": answer["ETag"]})
    assert again.status_code == 304
    assert client.post(address).status_code == 405


@pytest.mark.parametrize(
    "query",
    [
        "lang=%00",
        "lang=xx&lang=fr",
        "lang[]=fr",
        "page=%00",
        "page=-1",
        "page=" + "9" * 400,
        "page=1e9",
        "page=%F0%9F%92%A5&lang=%FF",
        "label=%00%0A%1B",
        "label=" + "x" * 3000,
        "live&=&&%",
    ],
)
@pytest.mark.parametrize("address", PUBLIC)
def test_strange_questions_get_an_answer(client, now, address, query):
    make_service_with(None, now, slug="api")

    assert client.get(f"{address}?{query}").status_code == 200


@pytest.mark.parametrize(
    "header", ["", "*", "fr;q=nan", "x" * 9000, "en-, ,;;q=2", "\xff\xfe", "zh-Hant-TW"]
)
def test_strange_languages_get_a_page(client, now, header):
    answer = client.get("/status/", headers={"Accept-Language": header})

    assert answer.status_code == 200


@pytest.mark.parametrize("address", ["/status/", "/status.json"])
def test_one_rendering_serves_a_crowd(
    client, now, settings, django_assert_num_queries, address
):
    settings.STATUS_PAGE_KEPT_S = 10
    make_history(now=now)
    first = client.get(f"{address}?lang=en")

    with django_assert_num_queries(0):
        again = client.get(f"{address}?lang=en")

    assert again.content == first.content
    for name in ("Content-Type", "Last-Modified", "ETag", "Cache-Control"):
        assert again[name] == first[name]
    assert client.get(f"{address}?lang=fr").content != first.content

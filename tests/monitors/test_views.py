"""The monitors list and the monitor page, as a browser gets them."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from monitors.models import HeartbeatPing, Monitor, MonitorState, Threshold
from monitors.status import Status
from t4g_portal.roles import MANAGER
from tests.factories import make_monitor, make_service, make_user
from tests.history import (
    DAY,
    HOUR,
    MINUTE,
    Trouble,
    make_history,
    make_incident,
    make_ledger,
    make_results,
    make_rollups,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _at_now(now):
    cache.clear()
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture
def ops(client: Client) -> Client:
    """Somebody who may change everything."""
    client.force_login(make_user(is_superuser=True))
    return client


def text_of(page: str) -> str:
    """What a reader sees: without tags, spaces and line breaks joined."""
    body = page[page.index('id="content"') :] if 'id="content"' in page else page
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def page_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("address", ["/monitors/", "/monitors/1/", "/monitors/1/?live"])
def test_pages_ask_for_a_login(client: Client, address: str):
    answer = client.get(address)

    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_pages_can_only_be_read(ops: Client):
    monitor = make_monitor()

    assert ops.post("/monitors/").status_code == 405
    assert ops.post(f"/monitors/{monitor.pk}/").status_code == 405


# --- The list ---------------------------------------------------------------------


def test_empty_list_says_what_will_appear_and_offers_the_first_step(ops: Client):
    page = page_of(ops, "/monitors/")

    assert "appears here" in text_of(page)
    assert reverse("admin:monitors_monitor_add") in page


def test_list_begins_with_what_is_down(ops: Client, now):
    make_history(now=now)

    page = page_of(ops, "/monitors/")

    rows = re.findall(r'class="ops-row-link" href="[^"]+">([^<]+)</a>', page)
    assert rows[:3] == ["Backend health", "API version", "PostgreSQL"]
    assert len(rows) == 12
    words = text_of(page)
    assert "Down 1" in words
    assert "Up 9" in words
    assert "99.7 %" in words
    assert "certificate expires in 9 d" in words


def test_list_keeps_the_other_filters_when_one_is_chosen(ops: Client, now):
    make_history(now=now)

    page = page_of(ops, "/monitors/?service=backend&q=health&state=down&page=1")

    assert "?service=backend&amp;q=health&amp;state=down" in page
    assert (
        'data-live-url="?service=backend&amp;q=health&amp;state=down&amp;page=1&amp;live"'
        in page
    )
    assert '<option value="backend" selected>' in page
    assert 'value="health"' in page


def test_list_without_a_match_offers_to_clear_the_filters(ops: Client, now):
    make_history(now=now)

    words = text_of(page_of(ops, "/monitors/?q=nothing+like+it"))

    assert "No monitor matches. Clear the filters" in words


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "state=wrong", "tag=%00", "q=%25%27--", "kind=%F0"]
)
def test_list_takes_odd_questions(ops: Client, now, query: str):
    make_ledger(monitor=make_monitor(), now=now)

    page_of(ops, f"/monitors/?{query}")


def test_list_shows_a_monitor_that_was_never_probed(ops: Client):
    make_monitor(name="Fresh")

    words = text_of(page_of(ops, "/monitors/"))

    assert "Pending Fresh" in words


def test_list_shows_why_a_monitor_is_misconfigured(ops: Client, now):
    make_ledger(
        monitor=make_monitor(), now=now, configuration_error="target: no host name"
    )

    assert "Misconfigured: target: no host name" in text_of(page_of(ops, "/monitors/"))


def test_list_has_pages(ops: Client):
    service = make_service()
    Monitor.objects.bulk_create(
        Monitor(name=f"m{number:03}", service=service, kind="http", target="x")
        for number in range(150)
    )

    first, second = page_of(ops, "/monitors/"), page_of(ops, "/monitors/?page=2")

    assert "1–50 of 150" in text_of(first)
    assert "51–100 of 150" in text_of(second)
    assert "m099" in second


def test_list_page_asks_the_same_number_of_queries_for_any_number_of_monitors(
    ops: Client, now, django_assert_num_queries
):
    for count in (1, 30):
        for _ in range(count):
            monitor = make_monitor(tags=["prod"])
            make_ledger(monitor=monitor, now=now)
            make_rollups(monitor=monitor, now=now, base_ms=100, days=1)

        with django_assert_num_queries(9):
            page_of(ops, "/monitors/")


def test_part_that_did_not_change_is_not_sent_again(ops: Client, now):
    make_history(now=now)
    first = ops.get("/monitors/?live")

    again = ops.get("/monitors/?live", headers={"If-None-Match": first["ETag"]})
    MonitorState.objects.update(last_result_at=now - 5 * MINUTE)
    later = ops.get("/monitors/?live", headers={"If-None-Match": first["ETag"]})

    assert first.status_code == 200
    assert "<html" not in first.content.decode()
    assert again.status_code == 304
    assert later.status_code == 200


def test_check_that_changed_nothing_sends_its_time_alone(ops: Client, now):
    made = make_history(now=now)
    backend = made.monitors["Backend health"].pk
    for address in ("/?live", "/monitors/?live", f"/monitors/{backend}/?live"):
        first = ops.get(address)
        MonitorState.objects.update(last_result_at=now - 7 * MINUTE)

        later = ops.get(address, headers={"If-None-Match": first["ETag"]})
        MonitorState.objects.update(last_result_at=now)

        assert later.status_code == 304 or len(later.content) < 2048


def test_page_knows_its_parts_so_that_the_first_refresh_sends_nothing(ops: Client, now):
    made = make_history(now=now)
    backend = made.monitors["Backend health"].pk
    for address in (
        "/",
        "/monitors/",
        "/monitors/?q=a&state=up",
        f"/monitors/{backend}/",
    ):
        parts = re.findall(
            r'data-live-url="([^"]+)".*?data-live-etag="([^"]+)"', page_of(ops, address)
        )

        assert parts
        for live, etag in parts:
            refresh = address.partition("?")[0] + html.unescape(live)
            answer = ops.get(refresh, headers={"If-None-Match": f'"{etag}"'})
            assert answer.status_code == 304, refresh


# --- Several at once --------------------------------------------------------------


def test_chosen_monitors_are_paused_and_the_list_is_shown_as_it_was(ops: Client):
    chosen, other = make_monitor(), make_monitor()

    answer = ops.post(
        "/monitors/bulk/",
        {"action": "pause", "_selected_action": [chosen.pk], "back": "q=a&state=up"},
    )

    assert answer["Location"] == "/monitors/?q=a&state=up"
    enabled = Monitor.objects.filter(is_enabled=True)
    assert list(enabled) == [other]
    assert "1 monitor paused." in ops.get("/monitors/").content.decode()


def test_list_offers_the_admins_actions_to_those_who_may_change(
    ops: Client, client: Client
):
    make_monitor()

    page = page_of(ops, "/monitors/")

    form = page[page.index('id="bulk"') :].partition("</form>")[0]
    assert re.findall('name="action" value="([^"]*)"', form)[:2] == ["pause", "resume"]
    assert "delete" not in form
    reader = make_user()
    reader.user_permissions.add(Permission.objects.get(codename="view_monitor"))
    client.force_login(reader)
    assert "data-pick" not in page_of(client, "/monitors/")


def test_monitor_is_paused_and_resumed_from_its_page(ops: Client):
    monitor = make_monitor()
    asked = {"_selected_action": [monitor.pk], "back": str(monitor.pk)}

    answer = ops.post("/monitors/bulk/", {"action": "pause", **asked})
    assert answer["Location"] == f"/monitors/{monitor.pk}/"
    assert 'value="resume"' in page_of(ops, f"/monitors/{monitor.pk}/")

    ops.post("/monitors/bulk/", {"action": "resume", **asked})
    assert 'value="pause"' in page_of(ops, f"/monitors/{monitor.pk}/")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"action": "pause"}, "Choose at least one monitor."),
        ({"action": "pause", "_selected_action": ["x", "9" * 30]}, "Choose at least"),
        ({"action": "delete_selected", "_selected_action": ["1"]}, "Choose what to do"),
        ({"action": "shout", "_selected_action": ["1"]}, "Choose what to do"),
    ],
)
def test_choice_that_makes_no_sense_says_what_to_do(ops: Client, asked, said):
    make_monitor()

    answer = ops.post("/monitors/bulk/", asked, follow=True)

    assert said in answer.content.decode()
    assert not Monitor.objects.filter(is_enabled=False).exists()


def test_back_leads_nowhere_else(ops: Client):
    answer = ops.post("/monitors/bulk/", {"action": "x", "back": "//evil.example/?"})

    assert answer["Location"].startswith("/monitors/?")


# --- The page of one monitor ------------------------------------------------------


def test_page_answers_since_when_and_why_first(ops: Client, now):
    made = make_history(now=now)

    page = page_of(ops, f"/monitors/{made.monitors['Backend health'].pk}/")

    words = text_of(page)
    headline = "Down since 09:56:00: HTTP 503, expected 200–299"
    assert headline in words
    assert words.index(headline) < words.index("Uptime") < words.index("Latency")
    assert re.search(r"DNS [\d.]+ ms, connect \d+ ms", words)
    assert "4 min so far" in words
    assert "Critical (P0) when any monitor is down." in words
    assert "next 8 Mar, 02:00" in words
    assert "services.db equals &quot;ok&quot;" in page
    assert "seen: 503" in words
    assert "unreachable" in words
    assert reverse("incidents:detail", args=[made.incidents["open"].pk]) in page


@pytest.mark.parametrize("reach", ["24h", "7d", "30d", "90d", "1y"])
def test_page_shows_each_range(ops: Client, now, reach: str):
    monitor = make_monitor()
    make_ledger(monitor=monitor, now=now)
    make_results(monitor=monitor, now=now, base_ms=100)
    make_rollups(monitor=monitor, now=now, base_ms=100)

    page = page_of(ops, f"/monitors/{monitor.pk}/?range={reach}")

    assert f'<a href="?range={reach}" aria-current="true">' in page
    assert page.count("ops-chart-picture") == 1
    assert "p95" in text_of(page)


def custom(client: Client, pk: int, start: str, end: str) -> str:
    return page_of(client, f"/monitors/{pk}/?range=custom&start={start}&end={end}")


def test_custom_range_is_in_the_readers_zone(ops: Client, now):
    monitor = make_monitor()
    troubles = [Trouble(Status.DOWN, 5 * HOUR, 10 * MINUTE, "HTTP 500", 500)]
    make_ledger(monitor=monitor, now=now, troubles=troubles)
    make_results(monitor=monitor, now=now, base_ms=100)
    ops.cookies["zone"] = "Asia/Tokyo"

    # It went down at 04:00 UTC, which is 13:00 there.
    inside = custom(ops, monitor.pk, "2026-03-02T12:00", "2026-03-02T14:00")
    before = custom(ops, monitor.pk, "2026-03-02T10:00", "2026-03-02T13:00")

    assert "13:00:00 – 13:10:00" in text_of(inside)
    assert "Nothing but up in this range." in text_of(before)
    assert 'value="2026-03-02T12:00"' in inside
    assert "2 Mar, 12:00 – 12:01" in inside


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("yesterday", "2026-03-02T09:00", "Write it as 2026-03-01 14:00."),
        ("", "2026-03-02T09:00", "Say from when."),
        ("2026-03-01T09:00", "", "Say up to when."),
        ("2026-03-02T09:00", "2026-03-01T09:00", "Choose an end after the start."),
        ("2026-03-01T09:00", "2026-03-01T09:05", "Choose at least 10 minutes."),
        ("2027-03-01T09:00", "2027-03-02T09:00", "Choose a start in the past."),
        ("1999-03-01T09:00", "2026-03-02T09:00", "History goes back 400 days"),
        ("%00%FF", "2026-03-02T09:00", "Write it as 2026-03-01 14:00."),
        ("0001-01-01T00:00", "9999-12-31T23:59", "History goes back 400 days"),
    ],
)
def test_range_that_makes_no_sense_says_what_to_do(
    ops: Client, start: str, end: str, said: str
):
    monitor = make_monitor()

    page = custom(ops, monitor.pk, start, end)

    assert said in text_of(page)
    # What was typed stays, and the last day is shown.
    assert f'value="{start}"' in page or not start or "%" in start
    assert '<a href="?range=24h" aria-current="true">' in page


def test_unknown_range_is_the_last_day(ops: Client, now):
    monitor = make_monitor()

    page = page_of(ops, f"/monitors/{monitor.pk}/?range=forever")

    assert '<a href="?range=24h" aria-current="true">' in page


def test_page_of_a_monitor_that_was_never_probed_says_what_will_appear(ops: Client):
    monitor = make_monitor()

    words = text_of(page_of(ops, f"/monitors/{monitor.pk}/"))

    assert "Waiting for the first result" in words
    assert "once the first check has passed" in words
    assert "No threshold watches it, so it alarms nobody." in words


def test_page_of_nothing_is_not_found(ops: Client):
    assert ops.get("/monitors/1/").status_code == 404
    assert ops.get("/monitors/1/?live").status_code == 404
    assert ops.get("/monitors/99999999999999999999/").status_code == 404


def test_stale_monitor_is_unknown_whatever_its_row_says(ops: Client, now):
    monitor = make_monitor()
    make_ledger(monitor=monitor, now=now, fresh_for=-3 * MINUTE)

    words = text_of(page_of(ops, f"/monitors/{monitor.pk}/"))

    assert "Unknown since 09:57:00: nobody has looked since" in words


def test_top_alone_is_what_refreshes(ops: Client, now):
    monitor = make_monitor()
    make_ledger(monitor=monitor, now=now)

    part = page_of(ops, f"/monitors/{monitor.pk}/?live")

    assert "<html" not in part
    assert "Up since" in part
    assert "ops-bars" in part


def test_page_of_a_heartbeat_says_how_to_call(ops: Client, now, settings):
    settings.PORTAL_URL = "https://portal.example"
    monitor = make_monitor(kind="heartbeat", target="", ping_key="k3y")
    make_ledger(monitor=monitor, now=now, last_ping_at=now - MINUTE)
    HeartbeatPing.objects.create(
        monitor=monitor, at=now - MINUTE, kind="fail", exit_code=7, body="disk <full>"
    )

    page = page_of(ops, f"/monitors/{monitor.pk}/")

    assert "https://portal.example/ping/k3y" in page
    assert "Failure · exit code 7" in text_of(page)
    assert "disk &lt;full&gt;" in page
    assert "last ping 1 min ago" in text_of(page)


def test_address_of_a_heartbeat_is_for_those_who_may_change_it(client: Client, now):
    monitor = make_monitor(kind="heartbeat", target="", ping_key="k3y")
    reader = make_user(role=MANAGER)
    client.force_login(reader)

    assert "k3y" not in page_of(client, f"/monitors/{monitor.pk}/")

    reader.user_permissions.add(Permission.objects.get(codename="change_monitor"))
    assert "k3y" in page_of(client, f"/monitors/{monitor.pk}/")


def test_page_offers_no_edit_to_those_who_may_not(client: Client, now):
    monitor = make_monitor()
    Threshold.objects.create(name="down", measure="down")
    client.force_login(make_user(role=MANAGER))

    page = page_of(client, f"/monitors/{monitor.pk}/")

    assert "/change/" not in page
    assert "/add/" not in page


def test_words_of_a_target_are_escaped_everywhere(ops: Client, now):
    evil = "<script>alert(1)</script>"
    monitor = make_monitor(name=f"n{evil}", target=f"https://{evil}", tags=[evil])
    make_ledger(
        monitor=monitor,
        now=now,
        troubles=[
            Trouble(Status.DOWN, 2 * HOUR, HOUR, evil, 503),
            Trouble(Status.DOWN, MINUTE, None, evil, 503),
        ],
        configuration_error=evil,
        certificate={"subject": evil, "issuer": evil},
        certificate_expires_at=now + DAY,
    )
    make_results(monitor=monitor, now=now, base_ms=100, failing=[(HOUR, MINUTE, 503)])
    monitor.details.create(
        at=now - HOUR, code=503, message=evil, failed_assertion=evil, excerpt=evil
    )
    make_incident(
        service=monitor.service, monitor=monitor, title=evil, started_at=now - HOUR
    )

    for address in ("/monitors/", f"/monitors/{monitor.pk}/", "/"):
        assert evil not in page_of(ops, address)


@pytest.mark.parametrize("address", ["/", "/monitors/", "/monitors/{pk}/", "/status/"])
def test_our_parts_have_neither_inline_styles_nor_scripts(ops: Client, now, address):
    made = make_history(now=now)
    pk = made.monitors["Backend health"].pk

    page = page_of(ops, address.format(pk=pk))

    ours = page[page.index('class="ops-page"') :] if "ops-page" in page else page
    ours = ours[: ours.index("command-")] if "command-" in ours else ours
    assert " style=" not in ours
    assert not re.search(r"<script|<style| on\w+=", ours)


def test_flapping_ledger_of_a_day_is_still_one_page(ops: Client, now):
    monitor = make_monitor()
    troubles = [
        Trouble(Status.DOWN, timedelta(minutes=4 * n), 2 * MINUTE, "HTTP 500", 500)
        for n in range(1, 350)
    ]
    make_ledger(monitor=monitor, now=now, troubles=troubles)

    words = text_of(page_of(ops, f"/monitors/{monitor.pk}/"))

    assert "the last 25 of 349" in words

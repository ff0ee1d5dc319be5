"""Board, wall, page, files and notes, as a browser gets them."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from incidents.models import Incident
from kpis import queries, versions
from kpis.models import DataSource, Kpi, KpiNote, KpiPoint, KpiTarget
from kpis.validation import kpi_faults
from monitors.models import MaintenanceWindow, Series, Threshold, ThresholdState
from t4g_portal.roles import AUDITOR, MANAGER, ON_CALL
from tests.factories import make_service, make_user
from tests.kpis.history import make_board, make_many, make_state, make_values
from tests.kpis.making import make_kpi, make_point

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _at_now(now):
    cache.clear()
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture
def manager(client: Client) -> Client:
    client.force_login(make_user(role=MANAGER))
    return client


@pytest.fixture
def board(now) -> dict[str, Kpi]:
    return make_board(now=now, length=60 * DAY)


def page_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def text_of(page: str) -> str:
    body = page[page.index('id="content"') :] if 'id="content"' in page else page
    words = html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ")
    return " ".join(words.split())


def test_board_shows_what_needs_a_look_first(manager: Client, board):
    page = page_of(manager, "/kpis/?audience=both")

    text = text_of(page)
    assert "KPIs need a look" in text
    first = text[text.index("Look at these first") : text.rindex("10 KPIs")]
    assert "Completed mentoring sessions" in first
    assert "Can't be read since" in first
    assert "Customer churn" not in first


def test_failing_kpi_keeps_its_last_value_in_gray(manager: Client, board):
    page = page_of(manager, "/kpis/?audience=both")

    card = next(
        one
        for one in page.split('<li class="ops-card kpi-card')
        if 'kpi-name" href="/kpis/sessions/"' in one
    )
    assert card.startswith(" is-degraded kpi-doubted")
    assert re.search(r'kpi-number">\d', card)
    assert "The database gave no answer within 10 s." in html.unescape(card)


def test_board_is_that_of_an_audience(client: Client, board):
    client.force_login(make_user(role=MANAGER))
    seen_by_manager = text_of(page_of(client, "/kpis/"))
    client.force_login(make_user(role=ON_CALL))
    seen_on_call = text_of(page_of(client, "/kpis/"))

    assert "Monthly revenue" in seen_by_manager
    assert "Backend uptime" not in seen_by_manager
    assert "Backend uptime" in seen_on_call
    assert "Monthly revenue" not in seen_on_call


def test_board_asks_as_often_for_many_as_for_one(now, django_assert_num_queries: Any):
    make_many(now=now, count=1, length=40 * DAY)
    with django_assert_num_queries(4):
        queries.cards(now=now)

    Kpi.objects.all().delete()
    DataSource.objects.all().delete()
    make_many(now=now, count=12, length=40 * DAY)
    with django_assert_num_queries(4):
        found = queries.cards(now=now)
    assert [card.of.name for card in found[:2]] == [
        "Figure number 0",
        "Figure number 1",
    ]
    assert all(len(card.spark) == 30 for card in found)


def test_card_takes_the_newest_way_of_computing(now):
    kpi = make_kpi(sql="SELECT 1")
    old = versions.current(kpi, now=now)
    make_point(kpi, now - DAY, 10, version=old)
    kpi.sql = "SELECT 2"
    kpi.save()
    new = versions.current(kpi, now=now)
    make_point(kpi, now - DAY, 20, version=new)
    make_point(kpi, now - 2 * DAY, 7, version=old)

    (card,) = queries.cards(now=now)

    assert str(card.figure) == "20"
    assert card.change.difference is None
    assert card.change.why_not == "recomputed"


def test_values_of_another_grain_are_no_periods_of_this_one(now):
    kpi = make_kpi(grain="hour")
    for hours in range(1, 60):
        make_point(kpi, now - hours * timedelta(hours=1), hours)
    kpi.grain = "day"
    kpi.save()
    make_point(kpi, now - DAY, 500)

    (card,) = queries.cards(now=now)

    assert str(card.figure) == "500"
    assert [value for value in card.spark if value is not None] == [500.0]


def test_firing_threshold_stands_first(manager: Client, now, board):
    series = Series.objects.create(name="kpi:lightning", source="kpis", created_at=now)
    threshold = Threshold.objects.create(
        name="Few payments",
        measure="series",
        series_name="kpi:lightning",
        service=make_service(),
        comparison="below",
        critical_bound=400,
        critical_priority="p2",
    )
    ThresholdState.objects.create(
        threshold=threshold, series=series, level="critical", since=now
    )

    text = text_of(page_of(manager, "/kpis/?audience=both"))
    detail = text_of(page_of(manager, "/kpis/lightning/"))

    assert text.index("Critical") < text.index("Failing")
    assert "It fires now." in detail


def test_new_threshold_is_filled_in_also_without_a_service(client: Client, now):
    portal = make_service(name="Portal")
    kpi = make_kpi(slug="users", name="Active users", service=None)
    client.force_login(make_user(is_superuser=True))

    page = html.unescape(page_of(client, f"/kpis/{kpi.slug}/"))

    found = re.search(r'"(/admin/monitors/threshold/add/\?[^"]+)"', page)
    assert found
    form = client.get(found.group(1)).context["adminform"].form
    assert form.initial["series_name"] == "kpi:users"
    assert form.initial["service"] == str(portal.pk)


def test_managers_see_no_sql(client: Client, now):
    secret = "SELECT count(*) FROM private_table"
    kpi = make_kpi(slug="users", sql=secret, json_path="private.path")
    make_values(kpi, now=now, length=20 * DAY, curve=lambda index, _chance: index)
    make_state(kpi, now=now)

    for role in (MANAGER, AUDITOR):
        client.force_login(make_user(role=role))
        for address in (
            "/kpis/",
            "/kpis/wall/",
            "/kpis/users/",
            "/kpis/users/?live=record",
            "/kpis/users/export.csv",
            "/kpis/users/export.json",
        ):
            assert "private" not in page_of(client, address)


def test_page_answers_why_with_what_happened_then(manager: Client, now):
    service = make_service(name="Backend")
    kpi = make_kpi(slug="users", name="Active users", service=service, window=7)
    make_values(kpi, now=now, length=80 * DAY, curve=lambda index, _c: 100 + index)
    make_state(kpi, now=now)
    began = now - 3 * DAY
    Incident.objects.create(
        service=service,
        title="API answers 503",
        priority="p1",
        status="resolved",
        started_at=began,
        opened_at=began,
        response_due_at=began,
        resolved_at=began + timedelta(hours=2),
    )
    KpiNote.objects.create(
        kpi=kpi, at=now - 30 * DAY, text="Campaign", author_name="Ana", created_at=now
    )
    MaintenanceWindow.objects.create(
        name="Upgrade", starts_at=now - 20 * DAY, duration_s=7200
    ).services.add(service)

    text = text_of(page_of(manager, "/kpis/users/"))

    top = text[: text.index("History")]
    assert "more than the day before" in top
    assert "What went on: 7 days to Sun 1 Mar" in top
    assert "P1 API answers 503" in top
    assert "Campaign" not in top
    rest = text[text.index("What happened") :]
    assert "Campaign" in rest
    assert "Upgrade" in rest


def test_marks_are_for_those_who_may_see_them(client: Client, now):
    kpi = make_kpi(slug="users")
    make_values(kpi, now=now, length=40 * DAY, curve=lambda index, _c: 100 + index)
    Incident.objects.create(
        service=make_service(),
        title="Secret outage",
        priority="p0",
        started_at=now - DAY,
        opened_at=now - DAY,
        response_due_at=now,
    )
    KpiNote.objects.create(at=now - DAY, text="A quiet word", created_at=now)
    client.force_login(make_user(may=["kpis.view_kpi"]))

    page = page_of(client, "/kpis/users/")

    assert "Secret outage" not in page
    assert "A quiet word" not in page
    assert "Run log" not in page


@pytest.mark.parametrize("range_", ["30d", "1y", "2y", "nonsense", "custom"])
def test_any_range_is_answered(manager: Client, board, range_: str):
    page = page_of(manager, f"/kpis/active-users/?range={range_}")

    assert "kpi-line" in page


def test_range_that_makes_no_sense_says_what_to_choose(manager: Client, board):
    page = page_of(
        manager, "/kpis/active-users/?range=custom&start=2026-03-01&end=2026-02-01"
    )

    assert "Choose an end that is not before the start." in page
    assert "That is too long to draw" in page_of(
        manager, "/kpis/active-users/?range=custom&start=1971-01-01&end=2026-02-01"
    )


def test_no_style_and_no_handler_stands_in_the_pages(manager: Client, board):
    for address in ("/kpis/?audience=both", "/kpis/active-users/", "/kpis/wall/"):
        page = page_of(manager, address)
        content = page[page.find('id="content"') :]
        assert 'style="' not in content
        assert not re.search(r"\son[a-z]+=", content)


def test_parts_refresh_without_sending_what_is_known(manager: Client, board):
    for address in (
        "/kpis/?audience=both&live",
        "/kpis/wall/?audience=both&live",
        "/kpis/active-users/?live=top",
        "/kpis/active-users/?live=record",
    ):
        first = manager.get(address)
        again = manager.get(address, headers={"If-None-Match": first["ETag"]})
        assert first.status_code == 200
        assert "<html" not in first.content.decode()
        assert again.status_code == 304


def test_wall_has_no_chrome_and_turns_by_the_clock(manager: Client, now):
    make_many(now=now, count=14, length=40 * DAY)

    first = page_of(manager, "/kpis/wall/")
    with time_machine.travel(now + timedelta(seconds=20), tick=False):
        second = page_of(manager, "/kpis/wall/")

    assert "nav-sidebar" not in first
    seen = [set(re.findall(r"Figure number \d+", page)) for page in (first, second)]
    assert {len(one) for one in seen} == {12, 2}
    assert len(seen[0] | seen[1]) == 14


def test_empty_board_offers_a_first_step(client: Client):
    client.force_login(make_user(role=MANAGER))
    for_manager = page_of(client, "/kpis/")
    client.force_login(make_user(is_superuser=True))
    for_ops = page_of(client, "/kpis/")

    assert "Somebody who sets the portal up defines the first one." in for_manager
    assert "/admin/kpis/kpi/add/" not in text_of(for_manager)
    assert 'href="/admin/kpis/kpi/add/"' in for_ops


def test_kpi_without_values_says_why(manager: Client, board):
    off = text_of(page_of(manager, "/kpis/churn/"))
    waiting = text_of(page_of(manager, "/kpis/nps/"))

    assert "Not read: its data source is switched off" in off
    assert "Waiting for the first value" in waiting
    assert "The curve appears here with the first value" in waiting


def test_disabled_and_unknown_kpis_have_no_page(manager: Client):
    make_kpi(slug="gone", is_enabled=False)

    for address in ("/kpis/gone/", "/kpis/never/", "/kpis/gone/export.csv"):
        assert manager.get(address).status_code == 404


def test_csv_holds_every_value_and_starts_no_formula(manager: Client, now):
    kpi = make_kpi(slug="profit", name="=HYPERLINK(1)", unit="@€", decimals=2)
    make_point(kpi, now - 2 * DAY, Decimal("-12.5"))
    make_point(kpi, now - DAY, Decimal(1000))
    KpiTarget.objects.create(kpi=kpi, month=now.date().replace(day=1), value=900)

    answer = manager.get("/kpis/profit/export.csv")

    rows = list(csv.reader(io.StringIO(answer.content.decode().lstrip("\ufeff"))))
    assert rows[0][:5] == ["KPI", "From", "To", "Value", "Unit"]
    assert [row[3] for row in rows[1:]] == ["-12.5", "1000"]
    assert [row[5] for row in rows[1:]] == ["", "900"]
    assert rows[1][0] == "'=HYPERLINK(1)"
    assert rows[1][4] == "'@€"
    # On the KPI's own clock.
    assert rows[2][1] == "2026-03-01T00:00:00+01:00"
    assert 'filename="profit.csv"' in answer["Content-Disposition"]


def test_json_keeps_every_digit(manager: Client, now):
    kpi = make_kpi(slug="tiny")
    make_point(kpi, now - DAY, Decimal("0.00000001"))
    make_point(kpi, now - 2 * DAY, Decimal("12345678901234567890"))

    body = json.loads(manager.get("/kpis/tiny/export.json").content)

    assert [point["value"] for point in body["points"]] == [
        "12345678901234567890",
        "0.00000001",
    ]
    assert body["points"][0]["is_complete"] is True
    assert body["points"][0]["version"] == 1


def test_export_of_a_range_holds_that_range(manager: Client, board):
    whole = json.loads(manager.get("/kpis/active-users/export.json").content)
    month = json.loads(manager.get("/kpis/active-users/export.json?range=30d").content)

    assert len(month["points"]) == 31
    assert len(whole["points"]) > 60
    assert manager.get("/kpis/active-users/export.xls").status_code == 404


def test_note_stands_beside_the_curve(manager: Client, board, now):
    answer = manager.post(
        "/kpis/active-users/note/",
        {"text": "Campaign began", "at": "2026-02-20T10:00"},
        follow=True,
    )

    note = KpiNote.objects.get(text="Campaign began")
    assert note.kpi == board["active-users"]
    assert note.author_name
    assert f'id="note-{note.pk}"' in answer.content.decode()
    assert "Campaign began" not in page_of(manager, "/kpis/lightning/")


def test_note_for_all_stands_on_every_kpi(manager: Client, board):
    manager.post(
        "/kpis/active-users/note/",
        {"text": "Strike", "at": "2026-02-20 10:00", "is_for_all": "on"},
    )

    assert KpiNote.objects.get(text="Strike").kpi is None
    assert "Strike" in page_of(manager, "/kpis/lightning/")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"text": " ", "at": "2026-02-20T10:00"}, "Write what happened."),
        ({"text": "x", "at": "soon"}, "Write it as 2026-03-01 14:00."),
        ({"text": "x", "at": "2029-02-20T10:00"}, "Choose a moment up to a year"),
        ({"text": "x" * 301, "at": "2026-02-20T10:00"}, "Write at most 300"),
    ],
)
def test_refused_note_says_what_to_do_and_keeps_the_words(
    manager: Client, board, sent: dict[str, str], said: str
):
    page = manager.post("/kpis/active-users/note/", sent).content.decode()

    assert said in page
    assert f'value="{sent["at"]}"' in page
    assert not KpiNote.objects.filter(author__isnull=False).exists()


def test_auditor_writes_no_note(client: Client, board):
    client.force_login(make_user(role=AUDITOR))

    answer = client.post("/kpis/active-users/note/", {"text": "x", "at": "2026-02-20"})

    assert answer.status_code == 403
    assert "Write a note" not in page_of(client, "/kpis/active-users/")


def test_unknown_period_is_not_a_zero_in_the_table(manager: Client, board):
    text = text_of(page_of(manager, "/kpis/sessions/"))

    assert "unknown" in text
    assert KpiPoint.objects.filter(kpi=board["sessions"], value=0).count() == 0


def test_manager_enters_the_value_of_a_month(manager: Client, board, now):
    answer = manager.post(
        "/kpis/nps/value/", {"at": "2026-02-10", "value": "42"}, follow=True
    )

    point = KpiPoint.objects.get(kpi=board["nps"])
    assert point.value == 42
    assert point.start.isoformat() == "2026-01-31T23:00:00+00:00"
    assert "February 2026: 42" in text_of(answer.content.decode())


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"at": "2026-02-10", "value": "many"}, "Enter a number."),
        ({"at": "", "value": "1"}, "Say for which period."),
        ({"at": "2026-04-10", "value": "1"}, "That period has not begun yet."),
        ({"at": "2026-02-10", "value": "NaN"}, "Enter a number."),
    ],
)
def test_refused_value_says_what_to_do(
    manager: Client, board, sent: dict[str, str], said: str
):
    page = manager.post("/kpis/nps/value/", sent).content.decode()

    assert said in page
    assert not KpiPoint.objects.filter(kpi=board["nps"]).exists()


def test_collected_kpi_takes_no_entered_value(manager: Client, board):
    page = manager.post(
        "/kpis/lightning/value/", {"at": "2026-02-10", "value": "1"}
    ).content.decode()

    assert "Its values are collected." in html.unescape(page)
    assert "Enter a value" not in page_of(manager, "/kpis/lightning/")


def test_reading_at_once_says_what_came_of_it(client: Client, board):
    client.force_login(make_user(role=ON_CALL))

    # It says of nothing what it is to measure.
    nothing = client.post("/kpis/requests/run/", follow=True).content.decode()
    off = client.post("/kpis/churn/run/", follow=True).content.decode()

    assert "No value:" in nothing
    assert "Its data source is switched off. Enable it first." in off


def test_slug_of_a_page_is_refused():
    assert [fault.field for fault in kpi_faults({"slug": "wall"})] == ["slug"]
    assert list(kpi_faults({"slug": "walls"})) == []

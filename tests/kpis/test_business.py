"""`GET /api/metrics/business`, as the guide's backend would answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client

from kpis.business import SLUGS
from kpis.models import Kpi, KpiState
from tests.api.asking import allow, make_key
from tests.factories import make_user
from tests.kpis.making import make_kpi, make_point, make_source

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def at_nine_in_paris():
    with time_machine.travel(NOW, tick=False):
        yield


def make_four() -> dict[str, Kpi]:
    return {key: make_kpi(slug=slug) for key, slug in SLUGS.items()}


def ask(**headers: str):
    key = headers.pop("key", None) or make_key()[1].text
    return Client().get(
        "/api/metrics/business", headers={"Authorization": f"Bearer {key}", **headers}
    )


def test_the_four_values_come_under_the_guides_names():
    for value, kpi in zip((1284, 342, 87, "5120.5"), make_four().values(), strict=True):
        make_point(kpi, NOW - 2 * DAY, 1)
        make_point(kpi, NOW - DAY, value, computed_at=NOW - HOUR)
        # What is not over says too little to be compared with yesterday.
        make_point(kpi, NOW, 3, is_complete=False, computed_at=NOW)

    answer = ask()

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    assert json.loads(answer.content, parse_float=Decimal) == {
        "active_users_7d": 1284,
        "lightning_transactions_24h": 342,
        "mentoring_sessions_7d": 87,
        "tokens_distributed_24h": Decimal("5120.5"),
        "generated_at": "2026-11-27T07:00:00Z",
    }
    assert b"1284.0" not in answer.content


def test_unknown_is_null_and_zero_is_zero():
    four = make_four()
    for key in ("active_users_7d", "lightning_transactions_24h"):
        make_point(four[key], NOW - DAY, 0, computed_at=NOW - 2 * HOUR)
    four["mentoring_sessions_7d"].delete()

    answer = ask().json()

    assert answer == {
        "active_users_7d": 0,
        "lightning_transactions_24h": 0,
        "mentoring_sessions_7d": None,
        "tokens_distributed_24h": None,
        "generated_at": "2026-11-27T06:00:00Z",
    }


def test_a_last_good_value_holds_until_it_is_overdue():
    kpi = make_four()["active_users_7d"]
    make_point(kpi, NOW - DAY, 1284, computed_at=NOW - HOUR)
    KpiState.objects.create(
        kpi=kpi,
        next_run_at=NOW,
        failure_count=4,
        failing_since=NOW - HOUR,
        last_ok_at=NOW - HOUR,
        last_reason="timeout",
        last_message="No answer within 10 s.",
    )

    assert ask().json()["active_users_7d"] == 1284
    with time_machine.travel(NOW + 3 * DAY, tick=False):
        answer = ask().json()
    assert answer["active_users_7d"] is None
    assert answer["generated_at"] == "2026-11-30T08:00:00Z"


def test_what_nobody_reads_is_unknown():
    off = make_source(is_enabled=False)
    kpi = make_kpi(slug="active-users", source=off)
    make_point(kpi, NOW - DAY, 5, computed_at=NOW - HOUR)
    hidden = make_kpi(slug="mentoring-sessions", is_enabled=False)
    make_point(hidden, NOW - DAY, 5, computed_at=NOW - HOUR)

    answer = ask().json()

    assert set(answer.values()) == {None, "2026-11-27T08:00:00Z"}


def test_a_key_needs_its_scope_and_its_owner_the_permission():
    owner = allow(make_user(), "kpis.view_kpi")
    right = make_key(owner=owner, scopes=["kpis:read"])[1].text
    wrong_scope = make_key(owner=owner, scopes=["series:read"])[1].text
    no_permission = make_key(owner=make_user(), scopes=["kpis:read"])[1].text

    assert ask(key=right).status_code == 200
    assert ask(key=wrong_scope).json()["scope"] == "kpis:read"
    assert ask(key=no_permission).json()["permission"] == "kpis.view_kpi"
    assert Client().get("/api/metrics/business").status_code == 401
    assert Client().post("/api/metrics/business").status_code in {401, 405}


def test_it_takes_no_parameters():
    key = make_key()[1].text

    answer = Client().get(
        "/api/metrics/business?days=7", headers={"Authorization": f"Bearer {key}"}
    )

    assert answer.status_code == 400

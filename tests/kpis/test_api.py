"""KPIs over the API: who sees what, what is refused, what an act leaves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from kpis.models import Backfill, DataSource, Kpi, KpiPoint, KpiVersion
from t4g_portal.roles import MANAGER, OPS
from tests.api.asking import Api
from tests.factories import make_service, make_user
from tests.kpis.backends import make_sql_kpi
from tests.kpis.making import make_kpi, make_point, make_source

pytestmark = pytest.mark.django_db


def api_of(**who: Any) -> Api:
    return Api(owner=make_user(**who))


def body_of(**changes: Any) -> dict[str, Any]:
    source = make_source(kind="postgres", allowed_tables=["public.orders"])
    return {
        "slug": "orders",
        "name": "Orders",
        "source": source.pk,
        "sql": "SELECT count(*) FROM orders WHERE at >= :start AND at < :end",
    } | changes


class TestDefinition:
    def test_it_is_added_read_changed_and_deleted(self):
        api = api_of(username="ana", role=OPS)
        service = make_service()

        made = api.post(
            "kpis/",
            body_of(
                service=service.pk,
                window=7,
                targets=[{"month": "2026-02-01", "value": 0.1}],
            ),
        )

        assert made.status_code == 201, made.content
        kpi = Kpi.objects.get()
        assert made.json()["targets"] == [{"month": "2026-02-01", "value": 0.1}]
        assert KpiVersion.objects.get().created_by_name == "ana"
        path = f"kpis/{kpi.pk}/"

        changed = api.patch(path, {"targets": [], "unit": "€"}, If_Match=made["ETag"])

        assert changed.status_code == 200, changed.content
        assert (changed.json()["targets"], changed.json()["unit"]) == ([], "€")
        assert api.patch(path, {"unit": "$"}, If_Match=made["ETag"]).status_code == 412
        assert api.delete(path).status_code == 204
        assert not Kpi.objects.exists()

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"sql": "DELETE FROM orders"}, "sql"),
            ({"sql": "SELECT count(*) FROM secrets"}, "sql"),
            ({"json_path": "a"}, "json_path"),
            ({"time_zone": "Mars/Olympus"}, "time_zone"),
            ({"window": 0}, "window"),
            ({"targets": [{"month": "2026-02-02", "value": 1}]}, "targets"),
            ({"targets": [{"month": "2026-02-01", "value": 1e30}]}, "targets"),
        ],
    )
    def test_what_makes_no_sense_is_refused_at_its_field(self, changes, field):
        answer = api_of(role=OPS).post("kpis/", body_of(**changes))

        assert answer.status_code in (400, 422), answer.content
        assert field in answer.content.decode()
        assert not Kpi.objects.exists()

    def test_managers_see_values_never_sql(self):
        kpi = make_sql_kpi(sql="SELECT 1")

        [shown] = api_of(role=MANAGER).get("kpis/").json()["items"]

        assert shown["slug"] == kpi.slug
        assert shown["sql"] is None
        assert api_of(role=OPS).get("kpis/").json()["items"][0]["sql"] == "SELECT 1"

    @pytest.mark.parametrize("name", ["sql", "json_path", "source"])
    def test_who_may_not_change_sql_changes_the_rest(self, name):
        kpi = make_kpi()
        api = api_of(may=["kpis.view_kpi", "kpis.change_kpi"])
        path = f"kpis/{kpi.pk}/"
        other = make_source().pk

        answer = api.patch(path, {name: other if name == "source" else "SELECT 1"})

        assert answer.status_code == 403
        assert "kpis.change_sql" in answer.content.decode()
        # What was read can be sent back.
        assert api.patch(path, {"sql": None, "name": "Other"}).status_code == 200

    def test_a_list_asks_a_fixed_number_of_questions(self):
        api = api_of(role=OPS)
        counts = []
        for _each in range(2):
            for _one in range(5):
                make_kpi()
            with CaptureQueriesContext(connection) as asked:
                api.get("kpis/")
            counts.append(len(asked))

        assert counts[0] >= counts[1]


class TestValues:
    def test_they_are_listed_newest_first_and_a_gap_is_no_zero(self):
        kpi = make_kpi()
        now = timezone.now()
        for days in (1, 2, 4):
            make_point(kpi, now - timedelta(days=days), days)

        items = api_of(role=MANAGER).get(f"kpis/{kpi.pk}/points/").json()["items"]

        assert [one["value"] for one in items] == [1, 2, 4]
        assert items[0]["version"] == 1

    def test_a_manager_enters_one(self):
        kpi = make_kpi(grain="month")
        api = api_of(role=MANAGER)

        answer = api.post(
            f"kpis/{kpi.pk}/points/", {"start": "2026-02-14T09:00:00Z", "value": 12.5}
        )

        assert answer.status_code == 201, answer.content
        assert answer.json()["start"] == "2026-01-31T23:00:00Z"
        assert float(KpiPoint.objects.get().value) == 12.5

    @pytest.mark.parametrize(
        ("value", "start", "status"),
        [
            (1, "2999-01-01T00:00:00Z", 400),
            (1e30, "2026-01-01T00:00:00Z", 409),
            (1, "2199-01-01T00:00:00Z", 409),
            ("1", "2026-01-01T00:00:00Z", 400),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, value, start, status):
        kpi = make_kpi()

        answer = api_of(role=MANAGER).post(
            f"kpis/{kpi.pk}/points/", {"start": start, "value": value}
        )

        assert answer.status_code == status, answer.content

    def test_collected_ones_are_nobody_s_to_enter(self):
        kpi = make_sql_kpi()

        answer = api_of(role=MANAGER).post(
            f"kpis/{kpi.pk}/points/", {"start": "2026-02-14T09:00:00Z", "value": 1}
        )

        assert answer.status_code == 409


class TestActs:
    def test_run_answers_with_the_run(self, backend):
        kpi = make_sql_kpi()

        answer = api_of(role=OPS).post(f"kpis/{kpi.pk}/run/")

        assert answer.status_code == 200, answer.content
        assert answer.json()["outcome"] == "ok"
        runs = api_of(role=MANAGER).get(f"kpi-runs/?kpi={kpi.pk}").json()["items"]
        assert [run["trigger"] for run in runs] == ["hand"]

    def test_backfill_is_asked_for(self, backend):
        kpi = make_sql_kpi()

        answer = api_of(role=OPS).post(
            f"kpis/{kpi.pk}/backfill/",
            {"since": "2026-01-01T00:00:00Z", "until": "2026-01-11T00:00:00Z"},
        )

        assert answer.status_code == 202, answer.content
        assert answer.json()["total_count"] == Backfill.objects.get().total_count == 11

    def test_what_can_t_be_done_is_a_conflict(self):
        kpi = make_kpi()

        answer = api_of(role=OPS).post(f"kpis/{kpi.pk}/run/")

        assert answer.status_code == 409
        assert "by hand" in answer.content.decode()


def test_sources_show_no_secret():
    source = DataSource(name="Backend", kind="http", url="https://example.org/x")
    source.secret = "opensesame"
    source.save()

    answer = api_of(role=OPS).get("data-sources/")

    [shown] = answer.json()["items"]
    assert shown["has_secret"] is True
    assert "opensesame" not in answer.content.decode()

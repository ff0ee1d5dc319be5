"""The admin of KPIs: who sees SQL, and what the buttons do."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from kpis import backfilling, collecting, services
from kpis.models import Backfill, DataSourceState, Kpi, KpiPoint, KpiRun, KpiVersion
from kpis.picking import numbers_in
from kpis.reading import Reason
from t4g_portal.roles import AUDITOR, MANAGER, OPS
from tests.factories import make_user
from tests.kpis.backends import make_sql_kpi
from tests.kpis.making import make_kpi, make_source

pytestmark = pytest.mark.django_db

SQL = "SELECT count(*) FROM orders WHERE at >= :start AND at < :end"


def client_of(**who: Any) -> Client:
    client = Client()
    client.force_login(make_user(**who))
    return client


def url_of(kpi: Kpi, act: str = "change") -> str:
    return reverse(f"admin:kpis_kpi_{act}", args=[kpi.pk])


def orders(**values: Any) -> Kpi:
    source = make_source(kind="postgres", allowed_tables=["public.orders"])
    return make_sql_kpi(source=source, sql=SQL, **values)


def posted(kpi: Kpi, **changes: Any) -> dict[str, Any]:
    """What the form of a KPI sends."""
    names = [field.name for field in Kpi._meta.fields if field.name != "id"]
    values = {name: getattr(kpi, name) for name in names}
    values |= {"source": kpi.source_id, "service": "", "owner": ""} | changes
    values = {name: value for name, value in values.items() if value is not False}
    return values | {
        "targets-TOTAL_FORMS": 0,
        "targets-INITIAL_FORMS": 0,
        "seen": "0",
    }


class TestWhoSeesSql:
    @pytest.mark.parametrize(
        ("table", "lookup"),
        [
            ("kpi", "sql__startswith"),
            ("kpi", "json_path"),
            ("kpi", "measure_target__contains"),
            ("kpirun", "detail__startswith"),
        ],
    )
    def test_nobody_guesses_sql_by_filtering_for_it(self, table, lookup):
        orders()
        page = reverse(f"admin:kpis_{table}_changelist")

        guess = client_of(role=MANAGER).get(page, {lookup: "SELECT count"})

        assert guess.status_code == 400

    @pytest.mark.parametrize(("role", "sees"), [(AUDITOR, True), (MANAGER, False)])
    def test_managers_see_values_never_sql(self, role, sees):
        kpi = orders()

        page = client_of(role=role).get(url_of(kpi))

        assert page.status_code == 200
        assert (b"FROM orders" in page.content) == sees

    def test_its_history_would_show_it(self):
        kpi = orders()

        assert client_of(role=MANAGER).get(url_of(kpi, "history")).status_code == 403
        assert client_of(role=AUDITOR).get(url_of(kpi, "history")).status_code == 200

    def test_who_may_not_change_it_changes_the_rest(self):
        kpi = orders()
        client = client_of(may=["kpis.view_kpi", "kpis.change_kpi"])

        answer = client.post(
            url_of(kpi), posted(kpi, name="Commandes", sql="SELECT 1", source="")
        )

        kpi.refresh_from_db()
        assert answer.status_code == 302
        assert (kpi.name, kpi.sql) == ("Commandes", SQL)

    def test_what_a_source_said_is_not_for_managers(self):
        run = KpiRun.objects.create(
            kpi=orders(),
            trigger="hand",
            started_at=timezone.now(),
            finished_at=timezone.now(),
            outcome="failed",
            detail="relation orders has no column at",
        )
        url = reverse("admin:kpis_kpirun_change", args=[run.pk])

        assert b"no column" not in client_of(role=MANAGER).get(url).content
        assert b"no column" in client_of(role=AUDITOR).get(url).content


class TestSaving:
    def test_a_new_calculation_is_a_version_of_who_made_it_and_due_at_once(self):
        kpi = orders()
        collecting.prepare(now=timezone.now() + timedelta(days=1))
        client = client_of(username="ana", role=OPS)

        client.post(url_of(kpi), posted(kpi, window=7))

        version = KpiVersion.objects.get()
        assert version.created_by_name == "ana"
        assert version.calculation["window"] == 7
        assert kpi.state.next_run_at <= timezone.now()

    @pytest.mark.parametrize(
        "sql", ["DELETE FROM orders", "SELECT count(*) FROM secrets", "SELECT"]
    )
    def test_sql_that_may_not_be_asked_is_refused_at_its_field(self, sql):
        kpi = orders()

        answer = client_of(role=OPS).post(url_of(kpi), posted(kpi, sql=sql))

        assert answer.status_code == 200
        assert "sql" in answer.context["adminform"].form.errors
        kpi.refresh_from_db()
        assert kpi.sql == SQL


class TestTest:
    def ask(self, kpi: Kpi, **changes: Any) -> Any:
        return client_of(role=OPS).post(
            reverse("admin:kpis_kpi_try") + f"?of={kpi.pk}",
            posted(kpi, **changes),
            headers={"X-Requested-With": "try"},
        )

    def test_it_shows_the_value_and_stores_none(self, backend):
        kpi = orders()
        backend.otherwise = 42

        page = self.ask(kpi, window=7)

        assert b">42<" in page.content
        assert not KpiPoint.objects.exists()
        kpi.refresh_from_db()
        assert kpi.window == 1

    def test_a_failure_says_why(self, backend):
        backend.otherwise = Reason.TIMEOUT

        assert b"It said timeout" in self.ask(orders()).content

    def test_what_the_form_gets_wrong_is_said_at_its_field(self, backend):
        answer = self.ask(orders(), sql="DROP TABLE orders")

        assert "sql" in answer.json()["faults"]
        assert backend.asked == []

    def test_the_numbers_of_an_answer_can_be_picked(self, backend):
        kpi = make_kpi(source=make_source(kind="http"), json_path="a")

        page = self.ask(kpi)

        assert b'data-pick-path="a"' in page.content

    def test_those_of_the_last_one_too(self):
        kpi = make_kpi(source=make_source(kind="http"), json_path="a")
        DataSourceState.objects.create(source=kpi.source, last_sample={"users": 3})

        page = client_of(role=OPS).get(url_of(kpi))

        assert b'data-pick-path="users"' in page.content


def test_numbers_are_found_with_the_paths_that_lead_to_them():
    document = {"a": {"b c": [1, {"d": 2.5}]}, "e": True, "f": None, "g": "7"}

    assert numbers_in(document) == [('a."b c"[0]', 1), ('a."b c"[1].d', 2.5)]
    assert numbers_in(5) == [("@", 5)]
    assert len(numbers_in(list(range(1000)))) == 100


class TestRunNow:
    def test_it_says_what_came_of_it(self, backend):
        kpi = orders()
        client = client_of(role=OPS)
        backend.otherwise = Reason.CONNECTION

        page = client.post(url_of(kpi, "run_now"), follow=True)

        assert b"It said connection" in page.content
        assert KpiRun.objects.get().trigger == "hand"

    def test_looking_runs_nothing(self, backend):
        assert client_of(role=OPS).get(url_of(orders(), "run_now")).status_code == 200
        assert not KpiRun.objects.exists()


class TestReadPast:
    def test_it_is_asked_for_followed_and_cancelled(self, backend):
        kpi = orders()
        collecting.collect_here(now=timezone.now())
        client = client_of(role=OPS)
        today = timezone.localdate()

        client.post(
            url_of(kpi, "read_past"),
            {"since": today - timedelta(days=30), "until": today},
        )
        page = client.get(url_of(kpi, "read_past") + "?live")

        backfill = Backfill.objects.get()
        assert backfill.total_count in (29, 30, 31)
        assert f'max="{backfill.total_count}"'.encode() in page.content

        client.post(url_of(kpi, "read_past"), {"cancel": "1"})

        backfill.refresh_from_db()
        assert backfill.status == "cancelled"
        assert backfilling.advance_here(now=timezone.now()) == 0

    @pytest.mark.parametrize(
        ("since", "until"),
        [("", ""), ("0001-01-01", "9999-12-31"), ("2999-01-01", "2999-01-02")],
    )
    def test_days_without_sense_are_refused(self, backend, since, until):
        kpi = orders()

        answer = client_of(role=OPS).post(
            url_of(kpi, "read_past"), {"since": since, "until": until}
        )

        assert answer.status_code == 422
        assert not Backfill.objects.exists()

    def test_a_source_of_the_present_offers_no_past(self):
        kpi = make_kpi()
        page = client_of(role=OPS).get(url_of(kpi))

        assert f"/{kpi.pk}/backfill".encode() not in page.content
        assert f"/{kpi.pk}/enter".encode() in page.content


class TestEntering:
    def test_a_manager_enters_the_value_of_a_month(self):
        kpi = make_kpi(grain="month", source=make_source(kind="manual"))

        client_of(role=MANAGER).post(
            url_of(kpi, "enter"), {"at": "2026-02-14", "value": "12.5"}
        )

        point = KpiPoint.objects.get()
        assert float(point.value) == 12.5
        assert point.start.isoformat() == "2026-01-31T23:00:00+00:00"

    @pytest.mark.parametrize(
        ("day", "value"), [("2999-01-01", "1"), ("2026-02-14", "NaN"), ("", "")]
    )
    def test_what_makes_no_sense_is_refused(self, day, value):
        answer = client_of(role=MANAGER).post(
            url_of(make_kpi(), "enter"), {"at": day, "value": value}
        )

        assert answer.status_code == 422
        assert not KpiPoint.objects.exists()


class TestTargets:
    def test_a_manager_sets_them_for_any_day_of_a_month(self):
        kpi = make_kpi()

        client_of(role=MANAGER).post(
            reverse("admin:kpis_kpitarget_add"),
            {"kpi": kpi.pk, "month": "2026-02-14", "value": "100"},
        )

        target = kpi.targets.get()
        assert (target.month.isoformat(), float(target.value)) == ("2026-02-01", 100)


def test_the_list_asks_a_fixed_number_of_questions(django_assert_max_num_queries):
    client = client_of(role=OPS)
    url = reverse("admin:kpis_kpi_changelist")
    for _each in range(12):
        make_kpi()
    services.definition_saved(
        kpi=Kpi.objects.latest("pk"), user=None, now=timezone.now()
    )

    with django_assert_max_num_queries(16):
        assert client.get(url).status_code == 200


def test_a_target_is_shown_without_the_zeros_that_the_column_keeps():
    kpi = make_kpi()
    kpi.targets.create(month=date(2026, 2, 1), value="1200.5")

    page = client_of(role=OPS).get(url_of(kpi))

    assert b'value="1200.5"' in page.content

"""Sources, KPIs and digests in a file."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kpis.models import DataSource, Kpi, KpiTarget
from t4g_portal.configuration.exporting import export
from tests.t4g_portal.configuring import diff, refusals, take_in

pytestmark = pytest.mark.django_db

FILE = """\
    data_sources:
      - name: Backend
        kind: postgres
        url: postgresql://t4g_kpi@db.example.org:5432/app
        secret_env: KPI_PASSWORD
        allowed_tables: [public.orders]
    services:
      - {slug: shop, name: Shop}
    kpis:
      - slug: orders
        name: Orders
        source: Backend
        service: shop
        sql: SELECT count(*) FROM orders WHERE at >= :start AND at < :end
        targets:
          - {month: 2026-01-01, value: 1200}
          - {month: 2026-02-01, value: 0.1}
"""


def test_a_source_and_its_kpi_come_in_together_and_go_out_without_secret():
    take_in(FILE, environ={"KPI_PASSWORD": "opensesame"})

    assert DataSource.objects.get().secret == "opensesame"
    values = KpiTarget.objects.order_by("month").values_list("value", flat=True)
    assert list(values) == [1200, Decimal("0.1")]
    text = export()
    assert "opensesame" not in text
    assert "value: 1200\n" in text
    assert "value: 0.1\n" in text
    assert diff(take_in(text)) == diff(take_in(text))
    assert Kpi.objects.get().targets.count() == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("db.example.org", "db.elsewhere.test"),
        ("t4g_kpi@", "somebody@"),
        (
            "kind: postgres\n        url: postgresql://t4g_kpi@db.example.org:5432/app",
            "kind: http\n        url: https://elsewhere.test/figures",
        ),
    ],
)
def test_a_source_that_moves_does_not_take_its_secret_along(before, after):
    take_in(FILE, environ={"KPI_PASSWORD": "opensesame"})
    source_only = FILE.partition("    services:")[0]
    moved = source_only.replace(before, after)
    if "kind: http" in moved:
        moved = moved.replace("        allowed_tables: [public.orders]\n", "")

    found = refusals(moved.replace("        secret_env: KPI_PASSWORD\n", ""))

    assert [line for line, _ in found] == [4]
    assert "not sent there" in found[0][1]
    take_in(moved, environ={"KPI_PASSWORD": "another"})
    assert DataSource.objects.get().secret == "another"


def test_a_source_that_stays_keeps_its_secret():
    take_in(FILE, environ={"KPI_PASSWORD": "opensesame"})
    source_only = FILE.partition("    services:")[0]
    nearby = source_only.replace("5432/app", "5432/other")

    take_in(nearby.replace("        secret_env: KPI_PASSWORD\n", ""))

    assert DataSource.objects.get().secret == "opensesame"


def test_tables_that_the_file_allows_are_allowed():
    text = FILE.replace("FROM orders", "FROM secrets")

    [(line, message)] = refusals(text, environ={"KPI_PASSWORD": "x"})

    assert line == 14
    assert "secrets" in message


def test_a_token_comes_from_the_environment_and_is_checked():
    text = """\
        data_sources:
          - {name: API, kind: http, url: "https://api.example.org/m", secret_env: TOKEN}
        """

    [(line, _message)] = refusals(text, environ={"TOKEN": "two\nlines"})
    take_in(text, environ={"TOKEN": "t4g_token"})

    assert line == 2
    assert DataSource.objects.get().secret == "t4g_token"


def test_a_measure_of_a_service_of_the_same_file_is_fine():
    take_in(
        """\
        data_sources:
          - {name: Portal, kind: portal}
        services:
          - {slug: shop, name: Shop}
        kpis:
          - {slug: up, name: Up, source: Portal, measure: uptime_percent, measure_target: shop}
        """
    )

    assert Kpi.objects.get().measure_target == "shop"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("measure_target: nowhere, measure: uptime_percent", "short name"),
        ("measure: uptime_percent, sql: SELECT 1", "no use"),
        ("measure: uptime_percent, stale_after_s: 9, overdue_after_s: 8", "no less"),
        ("measure: uptime_percent, time_zone: Mars/Olympus", "Europe/Paris"),
        ("measure: uptime_percent, window: 401", "equal to 400"),
        ("measure: uptime_percent, targets: [{month: 2026-01-02, value: 1}]", "first"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(wrong, said):
    found = refusals(
        f"""\
        data_sources:
          - {{name: Portal, kind: portal}}
        kpis:
          - {{slug: up, name: Up, source: Portal, {wrong}}}
        """
    )

    assert len(found) == 1
    assert found[0][0] == 4
    assert said in found[0][1]

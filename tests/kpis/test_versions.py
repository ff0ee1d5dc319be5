"""Versions: each change of how a value is computed makes one, nothing else does."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.db import connections

from kpis import versions
from kpis.models import Kpi, KpiVersion
from tests.factories import make_user
from tests.kpis.making import make_kpi, make_source

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.django_db
class TestCurrent:
    def test_the_first_question_makes_the_first_version(self):
        kpi = make_kpi(sql="SELECT 1", window=7)

        found = versions.current(kpi, now=NOW)

        assert (found.number, found.created_at) == (1, NOW)
        assert found.calculation["sql"] == "SELECT 1"
        assert versions.shape_of(found).window == 7

    def test_asking_again_makes_none(self):
        kpi = make_kpi()

        first, second = versions.current(kpi, now=NOW), versions.current(kpi, now=NOW)

        assert first == second
        assert KpiVersion.objects.count() == 1

    @pytest.mark.parametrize(
        "change",
        [
            {"sql": "SELECT 2"},
            {"json_path": "a"},
            {"measure": "uptime_percent"},
            {"grain": "week"},
            {"window": 2},
            {"time_zone": "UTC"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_another_calculation_makes_the_next(self, change):
        kpi = make_kpi()
        versions.current(kpi, now=NOW)
        Kpi.objects.update(**change)

        found = versions.current(Kpi.objects.get(), now=NOW)

        assert found.number == 2

    def test_another_source_makes_the_next(self):
        kpi = make_kpi()
        versions.current(kpi, now=NOW)
        kpi.source = make_source()
        kpi.save()

        assert versions.current(kpi, now=NOW).number == 2

    def test_a_name_or_a_unit_makes_none(self):
        kpi = make_kpi()
        versions.current(kpi, now=NOW)
        kpi.name, kpi.unit, kpi.decimals = "Other", "€", 2
        kpi.save()

        assert versions.current(kpi, now=NOW).number == 1

    def test_going_back_is_a_change_too(self):
        kpi = make_kpi(sql="SELECT 1")
        numbers = []
        for sql in ("SELECT 1", "SELECT 2", "SELECT 1"):
            kpi.sql = sql
            kpi.save()
            numbers.append(versions.current(kpi, now=NOW).number)

        assert numbers == [1, 2, 3]

    def test_an_old_copy_of_the_row_makes_no_version(self):
        kpi = make_kpi(sql="SELECT 1")
        versions.current(kpi, now=NOW)
        Kpi.objects.update(sql="SELECT 2")

        versions.current(Kpi.objects.get(), now=NOW)
        found = versions.current(kpi, now=NOW)

        assert (found.number, found.calculation["sql"]) == (2, "SELECT 2")

    def test_who_changed_it_is_noted(self):
        user = make_user(first_name="Ana", last_name="Silva")

        found = versions.current(make_kpi(), now=NOW, user=user)

        assert (found.created_by, found.created_by_name) == (user, "Ana Silva")


@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one_version():
    kpi = make_kpi()
    start = threading.Barrier(5)

    def ask():
        start.wait()
        versions.current(kpi, now=NOW)
        connections.close_all()

    threads = [threading.Thread(target=ask) for _each in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert KpiVersion.objects.count() == 1

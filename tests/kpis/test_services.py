"""What people do: run now, test, enter, note."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kpis import collecting, services
from kpis.models import Kpi, KpiNote, KpiPoint, KpiRun, KpiState
from kpis.reading import Reason
from kpis.services import UnableToAct
from monitors.models import Sample
from tests.factories import make_user
from tests.kpis.backends import make_sql_kpi
from tests.kpis.making import make_kpi, make_source

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def values_of(kpi: Kpi, **changes: Any) -> dict[str, Any]:
    found = {field.name: getattr(kpi, field.name) for field in Kpi._meta.fields}
    return found | changes


class TestRunNow:
    def test_the_run_is_the_answer_also_when_it_failed(self, backend):
        kpi = make_sql_kpi()
        backend.otherwise = Reason.TIMEOUT

        run = services.run_now(kpi=kpi, user=make_user(), now=NOW)

        assert (run.trigger, run.outcome, run.message) == (
            "hand",
            "failed",
            "It said timeout",
        )

    @pytest.mark.parametrize(
        ("kind", "is_enabled", "why"),
        [("manual", True, "by hand"), ("postgres", False, "switched off")],
    )
    def test_what_can_t_be_asked_says_so(self, backend, kind, is_enabled, why):
        kpi = make_kpi(source=make_source(kind=kind, is_enabled=is_enabled))

        with pytest.raises(UnableToAct, match=why):
            services.run_now(kpi=kpi, user=make_user(), now=NOW)


class TestTest:
    def test_it_shows_the_last_complete_period_and_stores_no_point(self, backend):
        kpi = make_sql_kpi()
        backend.otherwise = 42

        found = services.test(
            kpi_values=values_of(kpi, window=7), user=make_user(), now=NOW
        )

        assert found.value == 42
        assert found.bucket.start.astimezone(PARIS).isoformat()[:10] == "2026-03-09"
        assert (
            found.bucket.looks_from.astimezone(PARIS).isoformat()[:10] == "2026-03-03"
        )
        assert not KpiPoint.objects.exists()
        assert KpiRun.objects.get().trigger == "test"
        assert not KpiState.objects.filter(last_ok_at__isnull=False).exists()

    def test_an_unsaved_one_leaves_nothing(self, backend):
        source = make_source(kind="http")

        found = services.test(
            kpi_values={
                "source": source,
                "json_path": "a",
                "grain": "day",
                "window": 1,
                "time_zone": "UTC",
            },
            user=make_user(),
            now=NOW,
        )

        assert (found.value, found.sample) == (Decimal(1), {"a": 1})
        assert not KpiRun.objects.exists()

    def test_a_failure_is_said_with_its_reason(self, backend):
        kpi = make_sql_kpi()
        backend.otherwise = Reason.REFUSED_SQL

        found = services.test(kpi_values=values_of(kpi), user=make_user(), now=NOW)

        assert (found.value, found.reason) == (None, "It said refused_sql")
        assert collecting.collect_here(now=NOW) == 1

    def test_the_source_is_free_afterwards(self, backend, monkeypatch):
        kpi = make_sql_kpi()
        services.test(kpi_values=values_of(kpi), user=make_user(), now=NOW)
        monkeypatch.setattr(collecting, "PATIENCE_S", 0.1)

        services.test(kpi_values=values_of(kpi), user=make_user(), now=NOW)


class TestEnterValue:
    def enter(self, kpi: Kpi, value: Any = 5, **changes: Any) -> KpiPoint:
        values: dict[str, Any] = {
            "start": NOW - timedelta(days=1),
            "user": make_user(),
            "now": NOW,
        } | changes
        return services.enter_value(kpi=kpi, value=Decimal(value), **values)

    def test_it_becomes_the_value_of_the_whole_period(self):
        kpi = make_kpi(grain="month")
        user = make_user()

        point = self.enter(kpi, "12.5", user=user, start=NOW - timedelta(days=20))

        assert point.start.astimezone(PARIS).isoformat() == "2026-02-01T00:00:00+01:00"
        assert point.end.astimezone(PARIS).isoformat() == "2026-03-01T00:00:00+01:00"
        assert (point.value, point.is_complete) == (Decimal("12.5"), True)
        assert point.entered_by == user
        assert KpiState.objects.get().last_ok_at == NOW
        assert Sample.objects.count() == 1

    def test_a_second_one_replaces_it_and_both_are_in_the_log(self):
        kpi = make_kpi()
        self.enter(kpi, 5)

        self.enter(kpi, 6, now=NOW + timedelta(minutes=1))

        assert KpiPoint.objects.get().value == 6
        assert Sample.objects.get().value == 6
        assert KpiRun.objects.filter(trigger="manual").count() == 2

    def test_the_present_period_is_not_over(self):
        assert not self.enter(make_kpi(), start=NOW).is_complete

    def test_its_value_counts_once_the_period_is_over(self):
        kpi = make_kpi()
        point = self.enter(kpi, 5, start=NOW)
        assert Sample.objects.count() == 0

        collecting.collect_here(now=point.end - timedelta(seconds=1))
        assert not KpiPoint.objects.get().is_complete

        for _each in range(2):
            collecting.collect_here(now=point.end)
        assert KpiPoint.objects.get().is_complete
        assert Sample.objects.get().value == 5

    def test_what_makes_no_sense_is_refused(self):
        with pytest.raises(UnableToAct, match="not begun"):
            self.enter(make_kpi(), start=NOW + timedelta(days=1))
        with pytest.raises(UnableToAct, match="collected"):
            self.enter(make_sql_kpi())
        for value in ("NaN", "Infinity", "1e25"):
            with pytest.raises(UnableToAct, match="20 digits"):
                self.enter(make_kpi(), value)


class TestNotes:
    def test_it_is_signed(self):
        user = make_user(first_name="Ana", last_name="Silva")

        note = services.add_note(
            kpi=None, at=NOW, text="  Campaign\n begins ", user=user, now=NOW
        )

        assert (note.text, note.author_name) == ("Campaign begins", "Ana Silva")
        user.delete()
        assert KpiNote.objects.get().author_name == "Ana Silva"

    @pytest.mark.parametrize("text", ["", " \n", "x" * 301])
    def test_nothing_and_too_much_are_refused(self, text):
        with pytest.raises(UnableToAct, match="1 to 300"):
            services.add_note(kpi=None, at=NOW, text=text, user=make_user(), now=NOW)


def test_years_that_no_clock_knows_are_refused(backend):
    ancient, user = datetime(1, 1, 1, tzinfo=UTC), make_user()
    monthly = make_sql_kpi(grain="month")

    with pytest.raises(UnableToAct, match="too long ago"):
        services.start_backfill(
            kpi=monthly, since=ancient, until=NOW, user=user, now=NOW
        )
    with pytest.raises(UnableToAct, match="too long ago"):
        services.enter_value(
            kpi=make_kpi(), start=ancient, value=Decimal(1), user=user, now=NOW
        )

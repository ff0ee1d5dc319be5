"""Collecting: what is read when, what a failure leaves, and who never waits for whom."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connections

from incidents.models import Alert
from kpis import collecting, leasing, versions
from kpis.models import (
    DataSource,
    DataSourceState,
    Kpi,
    KpiPoint,
    KpiRun,
    KpiState,
    KpiVersion,
)
from kpis.reading import Reason
from monitors.models import Sample, Series
from monitors.thresholds.rounds import judge_all
from tests.factories import make_priority_rules, make_service, make_user
from tests.kpis.backends import Backend, make_sql_kpi
from tests.kpis.making import make_kpi, make_source
from tests.monitors.judged import make_threshold

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


def collect(at: datetime = NOW) -> int:
    return collecting.collect_here(now=at)


def state_of(kpi: Kpi) -> KpiState:
    return KpiState.objects.get(kpi=kpi)


def days_of(kpi: Kpi) -> list[tuple[str, float, bool]]:
    return [
        (
            f"{point.start.astimezone(PARIS):%m-%d}",
            float(point.value),
            point.is_complete,
        )
        for point in KpiPoint.objects.filter(kpi=kpi).order_by("start")
    ]


pytestmark = pytest.mark.django_db


class TestReading:
    def test_a_new_kpi_is_read_at_once_with_the_periods_before(self, backend):
        kpi = make_sql_kpi(recompute_count=2)

        assert collect() == 1

        assert days_of(kpi) == [
            ("03-08", 1, True),
            ("03-09", 1, True),
            ("03-10", 1, False),
        ]

    def test_it_is_not_read_again_before_its_time(self, backend):
        kpi = make_sql_kpi(interval_s=3600)
        collect()

        assert collect(NOW + timedelta(seconds=1)) == 0
        assert NOW < state_of(kpi).next_run_at <= NOW + timedelta(hours=1)
        assert collect(state_of(kpi).next_run_at) == 1

    def test_a_period_is_read_once_its_late_data_are_in(self, backend):
        kpi = make_sql_kpi(recompute_count=1, lateness_s=3 * 86_400)
        for day in range(6):
            backend.otherwise = day + 1
            collect(NOW + timedelta(days=day))

        assert days_of(kpi) == [
            ("03-09", 4, True),
            ("03-10", 5, True),
            ("03-11", 6, True),
            ("03-12", 4, False),
            ("03-13", 5, False),
            ("03-14", 6, False),
            ("03-15", 6, False),
        ]

    def test_without_late_data_each_period_is_completed_once(self, backend):
        kpi = make_sql_kpi(recompute_count=0)
        for day in range(3):
            collect(NOW + timedelta(days=day))

        assert days_of(kpi) == [
            ("03-10", 1, True),
            ("03-11", 1, True),
            ("03-12", 1, False),
        ]

    def test_a_kpi_that_moves_to_another_source_is_left_to_that(
        self, backend, monkeypatch
    ):
        kpi, other = make_sql_kpi(), make_source(kind="postgres")
        current = versions.current

        def edited_meanwhile(row, **values):
            Kpi.objects.filter(pk=kpi.pk).update(source=other, sql="SELECT 2")
            current(Kpi.objects.get(pk=kpi.pk), now=NOW)
            return current(row, **values)

        monkeypatch.setattr(versions, "current", edited_meanwhile)
        current(kpi, now=NOW)
        collect()

        assert backend.asked == []
        assert not KpiRun.objects.exists()

    def test_late_data_changes_the_last_periods(self, backend):
        kpi = make_sql_kpi(recompute_count=2)
        collect()
        backend.otherwise = 5

        collect(NOW + timedelta(hours=1))

        assert [value for _day, value, _done in days_of(kpi)] == [5, 5, 5]

    def test_a_period_is_complete_when_its_late_data_had_time(self, backend):
        kpi = make_sql_kpi(lateness_s=12 * 3600, recompute_count=1)

        collect(datetime(2026, 3, 10, 8, tzinfo=PARIS))

        assert days_of(kpi) == [("03-09", 1, False), ("03-10", 1, False)]

    def test_what_was_missed_while_away_is_read(self, backend):
        kpi = make_sql_kpi(recompute_count=1)
        collect()

        collect(NOW + timedelta(days=5))

        assert [day for day, _value, _done in days_of(kpi)] == [
            f"03-{day:02}" for day in range(9, 16)
        ]
        assert [done for *_rest, done in days_of(kpi)] == [True] * 6 + [False]

    def test_the_present_is_compared_with_the_same_time_before(self, backend):
        kpi = make_sql_kpi(recompute_count=1)
        backend.otherwise = lambda bucket: (
            100 if bucket.end - bucket.start == timedelta(days=1) else 40
        )

        collect(datetime(2026, 3, 10, 10, tzinfo=PARIS))

        present = KpiPoint.objects.get(kpi=kpi, is_complete=False)
        assert [present.value, present.before_value] == [100, 40]
        assert len(days_of(kpi)) == 2

    def test_a_window_looks_back_over_whole_days(self, backend):
        make_sql_kpi(window=7, recompute_count=0)

        collect(datetime(2026, 3, 30, 9, tzinfo=PARIS))

        start, end = backend.asked[0]
        assert start.astimezone(PARIS).isoformat() == "2026-03-24T00:00:00+01:00"
        assert end.astimezone(PARIS).isoformat() == "2026-03-31T00:00:00+02:00"

    @pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
    def test_the_day_of_the_clock_change_is_one_period(self, backend, day, hours):
        kpi = make_sql_kpi(recompute_count=2)

        for hour in range(0, 72, 4):
            at = datetime.fromisoformat(day).replace(tzinfo=PARIS).astimezone(UTC)
            collect(at + timedelta(hours=hour, minutes=59))

        points = list(KpiPoint.objects.filter(kpi=kpi).order_by("start"))
        lengths = [(one.end - one.start) / timedelta(hours=1) for one in points]
        assert lengths == [24, 24, hours, 24, 24]
        assert all(one.end == other.start for one, other in itertools.pairwise(points))

    def test_the_run_says_what_was_asked(self, backend):
        kpi = make_sql_kpi(sql="SELECT 1", recompute_count=0)

        collect(datetime(2026, 3, 10, 0, 0, tzinfo=PARIS))

        run = KpiRun.objects.get()
        assert (run.kpi, run.trigger, run.outcome) == (kpi, "schedule", "ok")
        assert run.parameters == {
            "start": "2026-03-09T23:00:00+00:00",
            "end": "2026-03-10T23:00:00+00:00",
            "time_zone": "Europe/Paris",
        }
        assert len(run.sql_sha256) == 64
        assert KpiPoint.objects.get().run == run

    def test_a_new_calculation_leaves_the_old_values(self, backend):
        kpi = make_sql_kpi(recompute_count=0, sql="SELECT 1")
        collect()
        Kpi.objects.update(sql="SELECT 2")
        backend.otherwise = 7

        collect(NOW + timedelta(hours=1))

        found = KpiPoint.objects.order_by("version__number")
        assert [(one.version.number, float(one.value)) for one in found] == [
            (1, 1),
            (2, 7),
        ]
        latest = versions.latest(kpi)
        assert latest is not None
        assert latest.number == 2

    @pytest.mark.parametrize("switched_off", ["kpi", "source"])
    def test_what_is_switched_off_is_not_read(self, backend, switched_off):
        kpi = make_sql_kpi()
        row = kpi if switched_off == "kpi" else kpi.source
        row.is_enabled = False
        row.save()

        assert collect() == 0

    def test_entered_values_are_nobody_s_to_read(self, backend):
        make_kpi()

        assert collect() == 0


class TestSourcesOfThePresent:
    def kpi(self, **values: Any) -> Kpi:
        return make_kpi(source=make_source(kind="http"), **values)

    def test_only_the_present_is_asked_for(self, backend):
        kpi = self.kpi()

        collect()

        assert days_of(kpi) == [("03-10", 1, False)]

    def test_the_last_reading_of_a_period_stands_for_it(self, backend):
        kpi = self.kpi(interval_s=3600)
        collect(datetime(2026, 3, 10, 12, 0, tzinfo=PARIS))
        backend.otherwise = 9
        collect(datetime(2026, 3, 10, 23, 50, tzinfo=PARIS))
        backend.otherwise = 1

        collect(datetime(2026, 3, 11, 0, 55, tzinfo=PARIS))

        assert days_of(kpi) == [("03-10", 9, True), ("03-11", 1, False)]

    def test_a_reading_long_before_the_end_does_not(self, backend):
        kpi = self.kpi(interval_s=3600)
        collect(datetime(2026, 3, 10, 12, 0, tzinfo=PARIS))

        collect(datetime(2026, 3, 11, 12, 0, tzinfo=PARIS))

        assert days_of(kpi) == [("03-10", 1, False), ("03-11", 1, False)]

    def test_its_json_is_kept_for_whoever_picks_from_it(self, backend):
        self.kpi()

        collect()

        assert DataSourceState.objects.get().last_sample == {"a": 1}


class TestFailing:
    def fail(self, backend: Backend, reason: Reason, count: int = 1) -> Kpi:
        kpi = make_sql_kpi(service=make_service(), interval_s=3600)
        backend.otherwise = reason
        at = NOW
        for _each in range(count):
            collect(at)
            at = state_of(kpi).next_run_at
        return kpi

    def test_the_last_value_stays_and_the_reason_is_said(self, backend):
        kpi = make_sql_kpi(recompute_count=0)
        collect()
        backend.otherwise = Reason.CONNECTION

        collect(NOW + timedelta(hours=1))

        state = state_of(kpi)
        assert KpiPoint.objects.get().value == 1
        assert (state.failure_count, state.last_reason) == (1, "connection")
        assert state.last_message == "It said connection"
        assert state.last_ok_at is not None
        assert state.failing_since is not None
        assert state.last_ok_at < state.failing_since
        assert KpiRun.objects.latest("pk").outcome == "failed"

    def test_unknown_is_never_zero(self, backend):
        kpi = self.fail(backend, Reason.NULL)

        assert not KpiPoint.objects.exists()
        assert (state_of(kpi).failure_count, state_of(kpi).last_reason) == (0, "null")
        assert KpiRun.objects.get().outcome == "unknown"

    @pytest.mark.parametrize(
        ("reason", "outcome"),
        [
            (Reason.PATH_MISSING, "unknown"),
            (Reason.TOO_BIG, "unknown"),
            (Reason.NOT_A_NUMBER, "unknown"),
            (Reason.TIMEOUT, "failed"),
            (Reason.UNSAFE_SOURCE, "failed"),
        ],
    )
    def test_a_wrong_answer_counts_as_a_failure(self, backend, reason, outcome):
        kpi = self.fail(backend, reason)

        assert state_of(kpi).failure_count == 1
        assert KpiRun.objects.get().outcome == outcome

    def test_a_period_without_value_spoils_no_other(self, backend):
        kpi = make_sql_kpi(recompute_count=2)
        backend.otherwise = lambda bucket: Reason.NULL if bucket.end > NOW else 4

        collect()

        assert days_of(kpi) == [("03-08", 4, True), ("03-09", 4, True)]
        assert state_of(kpi).last_ok_at is not None
        assert KpiRun.objects.get().outcome == "ok"

    def test_a_source_that_fails_is_not_asked_for_more(self, backend):
        self.fail(backend, Reason.TIMEOUT)

        assert len(backend.asked) == 1

    def test_it_is_tried_again_later_and_later_and_for_ever(self, backend):
        kpi = self.fail(backend, Reason.TIMEOUT, count=9)

        runs = KpiRun.objects.order_by("started_at").values_list(
            "started_at", flat=True
        )
        waits = [
            round((later - one).total_seconds())
            for one, later in itertools.pairwise(runs)
        ]
        assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
        assert Kpi.objects.get().is_enabled
        assert state_of(kpi).failure_count == 9

    def test_the_third_failure_raises_an_alert_and_a_value_ends_it(self, backend):
        kpi = self.fail(backend, Reason.TIMEOUT, count=2)
        assert not Alert.objects.exists()

        collect(state_of(kpi).next_run_at)

        alert = Alert.objects.get()
        assert alert.dedup_key == f"kpi:{kpi.slug}:failing"
        assert (alert.priority, alert.service, alert.status) == (
            "p3",
            kpi.service,
            "firing",
        )
        assert alert.detail == "It said timeout"
        assert state_of(kpi).has_alerted

        backend.otherwise = 1
        collect(state_of(kpi).next_run_at)

        alert.refresh_from_db()
        assert alert.status == "resolved"
        assert not state_of(kpi).has_alerted

    def test_kpis_of_one_source_are_one_incident_of_the_portal(self, backend):
        source = make_source(kind="postgres")
        for _each in range(3):
            make_sql_kpi(source=source)
        backend.otherwise = Reason.CONNECTION

        for minutes in (0, 5, 10):
            collect(NOW + timedelta(minutes=minutes))

        assert Alert.objects.count() == 3
        assert Alert.objects.values("incident").distinct().count() == 1
        assert Alert.objects.latest("pk").service.slug == "portal"

    @pytest.mark.parametrize("end", ["disable", "delete", "rename", "source"])
    def test_nobody_s_alert_is_left_behind(self, backend, end):
        kpi = self.fail(backend, Reason.TIMEOUT, count=3)
        if end == "delete":
            kpi.delete()
        elif end == "disable":
            Kpi.objects.update(is_enabled=False)
        elif end == "source":
            DataSource.objects.update(is_enabled=False)
        else:
            Kpi.objects.update(slug="other")

        collect(NOW + timedelta(days=1))

        old = Alert.objects.get(dedup_key=f"kpi:{kpi.slug}:failing")
        assert old.status == "resolved"

    def test_the_source_s_own_state_follows(self, backend):
        kpi = self.fail(backend, Reason.TIMEOUT, count=2)
        state = DataSourceState.objects.get()
        assert (state.failure_count, state.last_error) == (2, "It said timeout")

        backend.otherwise = 3
        collect(state_of(kpi).next_run_at)

        state.refresh_from_db()
        assert (state.failure_count, state.last_error) == (0, "")
        assert state.last_ok_at is not None

    def test_a_mistake_of_ours_stops_no_other_kpi(self, backend, monkeypatch, caplog):
        source = make_source(kind="postgres")
        broken, whole = make_sql_kpi(source=source), make_sql_kpi(source=source)
        original = collecting._collect

        def collect_or_fail(kpi: Kpi, *rest: Any) -> Any:
            if kpi == broken:
                raise RuntimeError("a mistake of ours")
            return original(kpi, *rest)

        monkeypatch.setattr(collecting, "_collect", collect_or_fail)

        assert collect() == 2

        assert KpiRun.objects.get().kpi == whole
        assert state_of(broken).next_run_at > NOW
        assert "could not be collected" in caplog.text


class TestSeries:
    def test_complete_periods_become_samples_at_their_end(self, backend):
        kpi = make_sql_kpi(recompute_count=2, unit="users")

        collect()

        series = Series.objects.get()
        assert (series.name, series.labels, series.unit) == (
            f"kpi:{kpi.slug}",
            {},
            "users",
        )
        ends = KpiPoint.objects.filter(is_complete=True).values_list("end", flat=True)
        samples = Sample.objects.filter(series_id=series.pk)
        assert sorted(samples.values_list("at", flat=True)) == sorted(ends)

    def test_a_series_follows_what_late_data_make_of_a_period(self, backend):
        make_sql_kpi(recompute_count=1)
        collect()
        backend.otherwise = 5

        collect(NOW + timedelta(hours=1))

        assert [one.value for one in Sample.objects.all()] == [5.0]
        assert Series.objects.get().last_value == 5
        assert KpiPoint.objects.filter(value=5).count() == 2


class TestThresholds:
    def test_a_threshold_judges_a_kpi_as_any_series(self, backend):
        kpi = make_sql_kpi(slug="active-users", recompute_count=1)
        make_priority_rules()
        make_threshold(
            "series",
            series_name=kpi.series_name,
            service=make_service(),
            comparison="below",
            critical_bound=100,
            critical_priority="p2",
            window_s=0,
        )
        backend.otherwise = 120
        collect()
        judge_all(now=NOW)
        assert not Alert.objects.exists()

        # The day after, the value of the 10th is read nine hours late.
        backend.otherwise = 80
        later = NOW + timedelta(days=1)
        collect(later)
        judge_all(now=later)

        alert = Alert.objects.get()
        assert (alert.priority, alert.status) == ("p2", "firing")

        # Late data bring it back up an hour after, and it is over.
        backend.otherwise = 110
        last = later + timedelta(hours=1)
        collect(last)
        judge_all(now=last)

        alert.refresh_from_db()
        assert alert.status == "resolved"

    def test_a_period_corrected_counts_once_in_a_row(self, backend):
        kpi = make_sql_kpi(recompute_count=1)
        make_priority_rules()
        make_threshold(
            "series",
            series_name=kpi.series_name,
            service=make_service(),
            comparison="below",
            critical_bound=100,
            for_count=2,
        )
        for hours, value in ((0, 80), (1, 81), (2, 82)):
            backend.otherwise = value
            collect(NOW + timedelta(hours=hours))
            judge_all(now=NOW + timedelta(hours=hours))
        assert not Alert.objects.exists()

        later = NOW + timedelta(days=1)
        collect(later)
        judge_all(now=later)

        assert Alert.objects.get().status == "firing"


class TestLeases:
    def test_a_source_has_one_reader_at_a_time(self, backend):
        kpi = make_sql_kpi()
        collecting.prepare(now=NOW)
        lease = leasing.take(source_id=kpi.source_id, now=NOW)

        assert lease is not None
        assert collect() == 0

        lease.release()
        assert collect() == 1

    def test_a_reader_that_died_is_replaced(self, backend):
        kpi = make_sql_kpi()
        collecting.prepare(now=NOW)
        dead = leasing.take(source_id=kpi.source_id, now=NOW)
        assert dead is not None
        collecting._hold(dead, kpi, NOW)

        at = NOW + timedelta(minutes=2)

        assert collect(at) == 1
        assert not dead.prolong(until=at + timedelta(hours=1))

    def test_whoever_lost_the_source_writes_nothing(self, backend):
        kpi = make_sql_kpi()

        def steal(bucket: Any) -> int:
            DataSourceState.objects.update(
                lease_token="00000000-0000-4000-8000-000000000000"
            )
            return 1

        backend.otherwise = steal
        collect()

        assert not KpiPoint.objects.filter(kpi=kpi).exists()
        assert not KpiRun.objects.exists()


class TestRunNow:
    def test_it_reads_whatever_the_time_and_says_who_asked(self, backend):
        kpi = make_sql_kpi()
        collect()
        user = make_user(first_name="Ana", last_name="Silva")

        run = collecting.run_now(kpi_id=kpi.pk, user=user, now=NOW)

        assert (run.trigger, run.user, run.user_name) == ("hand", user, "Ana Silva")
        assert KpiVersion.objects.count() == 1

    def test_it_waits_a_little_for_the_source_then_says_so(self, backend, monkeypatch):
        kpi = make_sql_kpi()
        monkeypatch.setattr(collecting, "PATIENCE_S", 0.1)
        collecting.prepare(now=NOW)
        leasing.take(source_id=kpi.source_id, now=NOW)

        with pytest.raises(collecting.SourceBusy):
            collecting.run_now(kpi_id=kpi.pk, user=make_user(), now=NOW)


@pytest.mark.django_db(transaction=True)
class TestThreads:
    def test_a_source_that_hangs_stops_no_other(self, backend):
        hung = make_sql_kpi(json_path="hung")
        others = [make_sql_kpi() for _each in range(3)]
        gate = backend.gates["hung"] = threading.Event()

        threads = collecting.collect_due(now=NOW)
        try:
            for thread in threads:
                thread.join(2)
            assert {run.kpi for run in KpiRun.objects.all()} == set(others)
            assert collecting.collect_due(now=NOW + timedelta(seconds=5)) == []
        finally:
            gate.set()
            for thread in threads:
                thread.join(10)
        assert KpiRun.objects.filter(kpi=hung).count() == 1

    def test_two_workers_read_each_kpi_once(self, backend):
        for _each in range(6):
            make_sql_kpi(recompute_count=0)
        collecting.prepare(now=NOW)
        start = threading.Barrier(3)

        def work() -> None:
            start.wait()
            collecting.collect_here(now=NOW)
            connections.close_all()

        threads = [threading.Thread(target=work) for _each in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert KpiRun.objects.count() == 6
        assert KpiPoint.objects.count() == 6

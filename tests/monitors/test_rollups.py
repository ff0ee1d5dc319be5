"""Hourly rollups: what they sum up, and that building them again changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from monitors.history import histogram, partitions, rollups
from monitors.models import HourlyRollup
from tests.factories import make_monitor

pytestmark = pytest.mark.django_db

TEN = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _partitions(db):
    partitions.ensure_days(
        days=[(TEN + timedelta(days=n)).date() for n in range(-3, 3)]
    )


def make_result(monitor, at, *, code=0, **phases):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitors_checkresult (at, monitor_id, code, dns_ms,"
            " connect_ms, tls_ms, first_byte_ms, transfer_ms)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [at, monitor.pk, code, *_phases(**phases)],
        )


def _phases(dns=None, connect=None, tls=None, first_byte=None, transfer=None):
    return [dns, connect, tls, first_byte, transfer]


def minutes(count):
    return timedelta(minutes=count)


class TestRollUp:
    def test_counts_passed_failed_and_our_own_errors_apart(self):
        monitor = make_monitor()
        make_result(monitor, TEN, connect=5)
        make_result(monitor, TEN + minutes(1), connect=5)
        make_result(monitor, TEN + minutes(2), code=503, connect=5)
        make_result(monitor, TEN + minutes(3), code=91)

        rollups.roll_up(now=TEN + minutes(20))

        rollup = HourlyRollup.objects.get()
        assert rollup.hour == TEN
        assert rollup.passed_count == 2
        assert rollup.failed_count == 1
        assert rollup.error_count == 1

    def test_the_histogram_holds_the_sum_of_the_phases_of_what_passed(self):
        monitor = make_monitor()
        make_result(monitor, TEN, dns=1, connect=2, tls=3, first_byte=4, transfer=90)
        make_result(monitor, TEN + minutes(1), connect=200)
        make_result(monitor, TEN + minutes(2), connect=200)
        make_result(monitor, TEN + minutes(3), code=1, connect=9000)

        rollups.roll_up(now=TEN + minutes(20))

        rollup = HourlyRollup.objects.get()
        assert (rollup.buckets, rollup.counts) == (
            [histogram.bucket_of(100), histogram.bucket_of(200)],
            [1, 2],
        )

    def test_sums_of_phases_leave_out_what_failed(self):
        monitor = make_monitor()
        make_result(monitor, TEN, connect=2, first_byte=4)
        make_result(monitor, TEN + minutes(1), connect=3, first_byte=6)
        make_result(monitor, TEN + minutes(2), code=500, connect=1000, first_byte=1)

        rollups.roll_up(now=TEN + minutes(20))

        rollup = HourlyRollup.objects.get()
        assert rollup.connect_ms_sum == 5
        assert rollup.first_byte_ms_sum == 10
        assert rollup.dns_ms_sum == 0

    def test_a_result_without_phases_counts_but_has_no_latency(self):
        make_result(make_monitor(), TEN)

        rollups.roll_up(now=TEN + minutes(20))

        rollup = HourlyRollup.objects.get()
        assert rollup.passed_count == 1
        assert rollup.buckets == []

    def test_hours_begin_at_the_full_hour_in_utc(self):
        monitor = make_monitor()
        make_result(monitor, TEN - timedelta(microseconds=1), connect=1)
        make_result(monitor, TEN, connect=1)

        rollups.roll_up(now=TEN + minutes(20))

        hours = HourlyRollup.objects.order_by("hour").values_list("hour", flat=True)
        assert list(hours) == [TEN - minutes(60), TEN]

    def test_again_changes_nothing(self):
        make_result(make_monitor(), TEN, connect=5)
        rollups.roll_up(now=TEN + minutes(20))
        before = HourlyRollup.objects.values().get()

        again = rollups.roll_up(now=TEN + minutes(20))

        assert again is not None
        assert again.row_count == 0
        assert HourlyRollup.objects.values().get() == before

    def test_the_current_hour_grows_with_its_results(self):
        monitor = make_monitor()
        make_result(monitor, TEN, connect=5)
        rollups.roll_up(now=TEN + minutes(6))
        make_result(monitor, TEN + minutes(7), connect=6)

        rollups.roll_up(now=TEN + minutes(8))

        assert HourlyRollup.objects.get().passed_count == 2

    def test_a_result_that_comes_just_after_the_hour_is_not_forgotten(self):
        monitor = make_monitor()
        make_result(monitor, TEN + minutes(58), connect=5)
        make_result(monitor, TEN + minutes(61), connect=5)
        rollups.roll_up(now=TEN + minutes(61))
        make_result(monitor, TEN + minutes(59), connect=5)

        rollups.roll_up(now=TEN + minutes(62))

        assert HourlyRollup.objects.get(hour=TEN).passed_count == 2

    def test_a_result_two_hours_late_is_found_within_half_an_hour(self):
        monitor = make_monitor()
        for hour in range(3):
            make_result(monitor, TEN + minutes(60 * hour + 1), connect=5)
        now = TEN + minutes(130)
        rollups.roll_up(now=now)
        make_result(monitor, TEN + minutes(2), connect=5)

        for minute in range(30):
            rollups.roll_up(now=now + minutes(minute))

        assert HourlyRollup.objects.get(hour=TEN).passed_count == 2

    def test_catches_up_after_a_standstill_of_days(self):
        monitor = make_monitor()
        make_result(monitor, TEN - timedelta(days=3), connect=5)
        rollups.roll_up(now=TEN - timedelta(days=3) + minutes(10))
        make_result(monitor, TEN - timedelta(days=1), connect=5)
        make_result(monitor, TEN, connect=5)

        rollups.roll_up(now=TEN + minutes(10))

        assert HourlyRollup.objects.count() == 3

    def test_begins_with_the_oldest_result_when_there_is_no_rollup_yet(self):
        monitor = make_monitor()
        make_result(monitor, TEN - timedelta(days=2), connect=5)
        make_result(monitor, TEN, connect=5)

        rollups.roll_up(now=TEN + minutes(11))

        assert HourlyRollup.objects.count() == 2

    def test_does_nothing_without_any_result(self):
        assert rollups.roll_up(now=TEN) is None

    def test_leaves_out_what_a_deleted_monitor_left_behind(self):
        monitor = make_monitor()
        make_result(monitor, TEN, connect=5)
        monitor.delete()

        rollups.roll_up(now=TEN + minutes(10))

        assert not HourlyRollup.objects.exists()

    def test_a_big_hour_is_built_every_five_minutes(self):
        monitor = make_monitor()
        HourlyRollup.objects.create(
            monitor=monitor,
            hour=TEN,
            passed_count=60_000,
            failed_count=0,
            error_count=0,
        )

        built = [
            minute
            for minute in range(10, 20)
            if rollups.roll_up(now=TEN + minutes(minute)) is not None
        ]

        assert built == [10, 15]


class TestDropOld:
    def test_deletes_hours_past_their_time_in_batches(self, monkeypatch):
        monkeypatch.setattr(rollups, "_PRUNED_AT_ONCE", 2)
        monitor = make_monitor()
        for day in range(8):
            HourlyRollup.objects.create(
                monitor=monitor,
                hour=TEN - timedelta(days=day),
                passed_count=1,
                failed_count=0,
                error_count=0,
            )

        deleted = rollups.drop_old(now=TEN, keep_days=2)

        assert deleted == 5
        assert HourlyRollup.objects.count() == 3

"""Daily partitions: there before they are needed, gone when their time is over."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from monitors.history import partitions
from monitors.models import Assertion, Monitor
from tests.factories import make_monitor


def insert_result(at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitors_checkresult (at, monitor_id, code) VALUES (%s, 1, 0)",
            [at],
        )


def names_of(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid"
            " WHERE inhparent = %s::regclass ORDER BY 1",
            [table],
        )
        return [name for (name,) in cursor.fetchall()]


@pytest.fixture
def no_partitions(db):
    """Whatever partitions another test left behind are out of the way."""
    partitions.drop_old(now=datetime(2100, 1, 1, tzinfo=UTC), keep_days=0)


@pytest.mark.usefixtures("no_partitions")
class TestEnsure:
    def test_creates_yesterday_to_three_days_ahead(self, now):
        partitions.ensure(now=now)

        days = ["20260301", "20260302", "20260303", "20260304", "20260305"]
        for table in ("monitors_checkresult", "monitors_sample"):
            assert names_of(table) == [f"{table}_{day}" for day in days]

    def test_says_what_was_missing_and_then_nothing(self, now):
        first = partitions.ensure(now=now, days_ahead=0)
        second = partitions.ensure(now=now, days_ahead=0)

        assert len(first) == 4
        assert second == []

    def test_costs_one_query_when_nothing_is_missing(
        self, now, django_assert_num_queries
    ):
        partitions.ensure(now=now)

        with django_assert_num_queries(1):
            partitions.ensure(now=now)

    def test_days_begin_at_midnight_utc(self, now):
        partitions.ensure_days(days=[date(2026, 3, 2)])

        insert_result(datetime(2026, 3, 2, 0, 0, tzinfo=UTC))
        insert_result(datetime(2026, 3, 2, 23, 59, 59, 999999, tzinfo=UTC))
        with pytest.raises(IntegrityError, match="no partition"), transaction.atomic():
            insert_result(datetime(2026, 3, 3, tzinfo=UTC))

    def test_a_local_date_is_not_mistaken_for_the_utc_day(self):
        late_evening = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
        zone_ahead = late_evening.astimezone()

        created = partitions.ensure(now=zone_ahead, days_ahead=0)

        assert "monitors_checkresult_20260302" in created

    def test_a_partition_has_the_indexes_of_its_table_once(self, now):
        partitions.ensure(now=now)

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indexdef FROM pg_indexes"
                " WHERE tablename = 'monitors_checkresult_20260302' ORDER BY 1"
            )
            definitions = [definition for (definition,) in cursor.fetchall()]
        assert len(definitions) == 2
        assert "USING brin (at)" in definitions[0]
        assert "USING btree (monitor_id)" in definitions[1]


@pytest.mark.usefixtures("no_partitions")
class TestDropOld:
    def test_drops_what_ended_before_the_days_to_keep(self, now):
        partitions.ensure_days(
            days=[date(2026, 2, 20) + timedelta(d) for d in range(8)]
        )

        dropped = partitions.drop_old(now=now, keep_days=7)

        assert names_of("monitors_checkresult") == [
            "monitors_checkresult_20260223",
            "monitors_checkresult_20260224",
            "monitors_checkresult_20260225",
            "monitors_checkresult_20260226",
            "monitors_checkresult_20260227",
        ]
        assert len(dropped) == 6

    def test_drops_nothing_that_is_young_enough(self, now):
        partitions.ensure(now=now)

        assert partitions.drop_old(now=now, keep_days=30) == []


@pytest.mark.django_db(transaction=True)
def test_two_processes_creating_at_once_both_succeed(now):
    far = now + timedelta(days=4000)
    created: list[list[str]] = []

    def create() -> None:
        try:
            created.append(partitions.ensure(now=far))
        finally:
            connection.close()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    try:
        assert sorted(len(names) for names in created) == [0, 0, 0, 10]
    finally:
        partitions.drop_old(now=now + timedelta(days=9000), keep_days=0)


@pytest.mark.django_db(transaction=True)
def test_a_partition_that_is_being_read_is_left_for_the_next_round(now):
    old = now - timedelta(days=2000)
    partitions.ensure(now=old, days_ahead=0)
    is_read, may_end = threading.Event(), threading.Event()

    def read() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM monitors_checkresult")
            is_read.set()
            may_end.wait(30)
        connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert is_read.wait(30)
        partitions.ensure(now=now)
        blocked = partitions.drop_old(now=now, keep_days=30)
    finally:
        may_end.set()
        reader.join()

    dropped = partitions.drop_old(now=now, keep_days=30)
    assert [name for name in blocked if "checkresult" in name] == []
    assert len([name for name in dropped if "checkresult" in name]) == 2


@pytest.mark.django_db
class TestRevision:
    def revision(self, monitor: Monitor) -> int:
        return Monitor.objects.values_list("revision", flat=True).get(pk=monitor.pk)

    def test_rises_when_a_column_changes(self):
        monitor = make_monitor()

        Monitor.objects.filter(pk=monitor.pk).update(target="http://127.0.0.1:1/")

        assert self.revision(monitor) == 1

    def test_stays_when_a_form_saves_the_same_values(self):
        monitor = make_monitor()

        monitor.save()

        assert self.revision(monitor) == 0

    def test_never_goes_back_with_a_form_that_was_loaded_earlier(self):
        monitor = make_monitor()
        loaded_before = Monitor.objects.get(pk=monitor.pk)
        Monitor.objects.filter(pk=monitor.pk).update(interval_s=90)

        loaded_before.interval_s = 120
        loaded_before.save()

        assert self.revision(monitor) == 2

    def test_rises_with_each_change_of_an_assertion(self):
        monitor = make_monitor()

        assertion = Assertion.objects.create(
            monitor=monitor, subject="status", operator="equals", expected="200"
        )
        assert self.revision(monitor) == 1
        assertion.expected = "204"
        assertion.save()
        assert self.revision(monitor) == 2
        assertion.save()
        assert self.revision(monitor) == 2
        assertion.delete()
        assert self.revision(monitor) == 3

    def test_rises_for_both_monitors_when_an_assertion_moves(self):
        first, second = make_monitor(), make_monitor()
        assertion = Assertion.objects.create(
            monitor=first, subject="status", operator="equals", expected="200"
        )

        Assertion.objects.filter(pk=assertion.pk).update(monitor=second)

        assert (self.revision(first), self.revision(second)) == (2, 1)

    def test_a_monitor_with_assertions_can_be_deleted(self):
        monitor = make_monitor()
        Assertion.objects.create(monitor=monitor, subject="status", operator="equals")

        monitor.delete()

        assert not Monitor.objects.filter(pk=monitor.pk).exists()


@pytest.mark.django_db
def test_a_result_takes_less_than_seventy_five_bytes(now):
    partitions.ensure(now=now)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO monitors_checkresult
                   (at, monitor_id, connect_ms, first_byte_ms, transfer_ms, code)
            SELECT %s::date + n * interval '100 ms', n %% 500 + 1, random(), 20, 0.2, 0
              FROM generate_series(0, 99999) n
            """,
            [now],
        )
        cursor.execute(
            "SELECT pg_total_relation_size('monitors_checkresult_20260302') / 100000.0"
        )
        (size,) = cursor.fetchone()

    assert size < 75

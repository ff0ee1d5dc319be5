"""Series and samples: what is recorded, what is refused, and what a flood can't do."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from django.db import connection

from monitors import series
from monitors.models import Sample, Series
from monitors.series import NewSample, Point, record_samples, samples_between

pytestmark = pytest.mark.django_db


def make_sample(now, **values):
    values.setdefault("name", "cpu_percent")
    values.setdefault("value", 40.0)
    values.setdefault("at", now)
    values.setdefault("source", "railway")
    return NewSample(**values)


class TestRecordSamples:
    def test_the_first_sample_brings_its_series_into_being(self, now):
        recorded = record_samples(
            samples=[
                make_sample(now, labels={"service": "backend"}, unit="%", interval_s=60)
            ],
            now=now,
        )

        row = Series.objects.get()
        assert recorded == series.Recorded(stored=1, refused=[])
        assert (row.name, row.labels, row.unit) == (
            "cpu_percent",
            {"service": "backend"},
            "%",
        )
        assert (row.source, row.interval_s) == ("railway", 60)
        assert (row.last_at, row.last_value) == (now, 40.0)

    def test_the_order_of_labels_makes_no_other_series(self, now):
        record_samples(
            samples=[
                make_sample(now, labels={"a": "1", "b": "2"}),
                make_sample(now + timedelta(seconds=1), labels={"b": "2", "a": "1"}),
            ],
            now=now,
        )

        assert Series.objects.get().labels_key == 'a="1",b="2"'
        assert Sample.objects.count() == 2

    def test_labels_that_only_look_alike_stay_apart(self, now):
        record_samples(
            samples=[
                make_sample(now, labels={"a": '1",b="2'}),
                make_sample(now, labels={"a": "1", "b": "2"}),
            ],
            now=now,
        )

        assert Series.objects.count() == 2

    def test_the_last_value_only_moves_forward(self, now):
        record_samples(samples=[make_sample(now, value=1)], now=now)

        record_samples(
            samples=[make_sample(now - timedelta(hours=1), value=2)], now=now
        )

        row = Series.objects.get()
        assert (row.last_at, row.last_value) == (now, 1)
        assert Sample.objects.count() == 2

    def test_recording_the_same_again_stores_nothing(self, now):
        samples = [make_sample(now - timedelta(minutes=n), value=n) for n in range(5)]
        record_samples(samples=samples, now=now)

        again = record_samples(samples=samples, now=now)

        assert again == series.Recorded(stored=0, refused=[])
        assert Sample.objects.count() == 5

    def test_a_sample_twice_in_one_batch_is_stored_once(self, now):
        recorded = record_samples(
            samples=[make_sample(now, value=1), make_sample(now, value=2)], now=now
        )

        assert recorded.stored == 1
        assert Sample.objects.get().value == 2

    def test_days_without_a_partition_get_one(self, now):
        recorded = record_samples(
            samples=[make_sample(now - timedelta(days=20))], now=now
        )

        assert recorded.stored == 1

    def test_many_samples_cost_a_bounded_number_of_queries(
        self, now, django_assert_max_num_queries
    ):
        samples = [
            make_sample(now - timedelta(seconds=n), labels={"n": str(n % 50)})
            for n in range(1000)
        ]
        record_samples(samples=[make_sample(now)], now=now)

        with django_assert_max_num_queries(13):
            recorded = record_samples(samples=samples, now=now)

        assert recorded.stored == 1000

    def test_nothing_to_record_costs_nothing(self, now, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert record_samples(samples=[], now=now).stored == 0


class TestRefusal:
    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"value": math.nan}, "no number"),
            ({"value": math.inf}, "no number"),
            ({"name": ""}, "no name for a series"),
            ({"name": "a b"}, "no name for a series"),
            ({"name": "x" * 101}, "no name for a series"),
            ({"name": "évènement"}, "no name for a series"),
            ({"source": ""}, "source"),
            ({"unit": "x" * 21}, "unit"),
            ({"unit": "\0"}, "NUL"),
            ({"interval_s": -1}, "interval"),
            ({"interval_s": 2**31}, "interval"),
            ({"labels": {f"l{n}": "" for n in range(11)}}, "more than 10 labels"),
            ({"labels": {"a b": "1"}}, "no name for a label"),
            ({"labels": {"": "1"}}, "no name for a label"),
            ({"labels": {"a": "x" * 201}}, "no text of at most"),
            ({"labels": {"a": "\0"}}, "no text of at most"),
            ({"labels": {f"l{n}": "x" * 100 for n in range(6)}}, "longer than 500"),
        ],
    )
    def test_a_bad_sample_is_refused_and_the_good_one_beside_it_kept(
        self, now, values, reason
    ):
        recorded = record_samples(
            samples=[make_sample(now, **values), make_sample(now)], now=now
        )

        assert recorded.stored == 1
        assert len(recorded.refused) == 1
        assert reason in recorded.refused[0]

    @pytest.mark.parametrize(
        ("ago", "reason"),
        [
            (timedelta(minutes=-6), "future"),
            (timedelta(days=30), "before what is kept"),
        ],
    )
    def test_times_out_of_range_are_refused(self, now, ago, reason):
        recorded = record_samples(samples=[make_sample(now - ago)], now=now)

        assert reason in recorded.refused[0]
        assert not Series.objects.exists()

    def test_a_time_without_a_zone_is_refused(self, now):
        recorded = record_samples(
            samples=[make_sample(now.replace(tzinfo=None))], now=now
        )

        assert "no time zone" in recorded.refused[0]

    def test_a_clock_slightly_ahead_is_accepted(self, now):
        recorded = record_samples(
            samples=[make_sample(now + timedelta(minutes=4))], now=now
        )

        assert recorded.stored == 1

    def test_a_label_that_changes_with_every_request_fills_its_name_only(
        self, now, monkeypatch
    ):
        monkeypatch.setattr(series, "MAX_SERIES_PER_NAME", 5)
        flood = [
            make_sample(now + timedelta(seconds=n), labels={"request": str(n // 2)})
            for n in range(20)
        ]

        recorded = record_samples(samples=flood, now=now)
        other = record_samples(samples=[make_sample(now, name="memory")], now=now)

        assert recorded.stored == 10
        assert len(recorded.refused) == 10
        assert "has 5 series already" in recorded.refused[0]
        assert other.stored == 1

    def test_a_source_that_invents_names_fills_itself_only(self, now, monkeypatch):
        monkeypatch.setattr(series, "MAX_SERIES_PER_SOURCE", 3)

        recorded = record_samples(
            samples=[make_sample(now, name=f"name{n}") for n in range(5)], now=now
        )
        other = record_samples(samples=[make_sample(now, source="vercel")], now=now)

        assert (recorded.stored, len(recorded.refused)) == (3, 2)
        assert other.stored == 1

    def test_a_full_name_still_records_into_the_series_it_has(self, now, monkeypatch):
        record_samples(samples=[make_sample(now)], now=now)
        monkeypatch.setattr(series, "MAX_SERIES_PER_NAME", 1)

        recorded = record_samples(
            samples=[make_sample(now + timedelta(seconds=1))], now=now
        )

        assert recorded.stored == 1


class TestSamplesBetween:
    def test_returns_the_half_open_stretch_in_order_of_time(self, now):
        record_samples(
            samples=[
                make_sample(now - timedelta(minutes=n), value=n) for n in range(5)
            ],
            now=now,
        )

        points = samples_between(
            series_id=Series.objects.get().pk,
            start=now - timedelta(minutes=3),
            end=now,
        )

        assert [point.value for point in points] == [3, 2, 1]

    def test_steps_are_averaged_and_empty_ones_left_out(self, now):
        start = now - timedelta(minutes=30)
        for minute, value in ((0, 10), (4, 20), (25, 7)):
            record_samples(
                samples=[make_sample(start + timedelta(minutes=minute), value=value)],
                now=now,
            )

        points = samples_between(
            series_id=Series.objects.get().pk, start=start, end=now, step_s=600
        )

        assert points == [
            Point(at=start, value=15),
            Point(at=start + timedelta(minutes=20), value=7),
        ]


class TestDropSilent:
    def test_a_series_long_without_samples_goes(self, now):
        record_samples(samples=[make_sample(now, name="lively")], now=now)
        record_samples(
            samples=[make_sample(now - timedelta(days=20), name="silent")], now=now
        )

        assert series.drop_silent(before=now - timedelta(days=10)) == 1

        assert Series.objects.get().name == "lively"


def test_a_sample_takes_less_than_sixty_five_bytes(now):
    record_samples(samples=[make_sample(now)], now=now)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitors_sample SELECT %s::date + n * interval '100 ms',"
            " n %% 500, 1.5 FROM generate_series(0, 99999) n",
            [now],
        )
        cursor.execute(
            "SELECT pg_total_relation_size('monitors_sample_20260302') / 100000.0"
        )
        (size,) = cursor.fetchone()

    assert size < 65

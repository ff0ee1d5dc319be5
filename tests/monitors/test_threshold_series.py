"""Thresholds on series: every value counts once, and silence is a condition."""

from __future__ import annotations

from datetime import timedelta

import pytest

from incidents.models import Alert
from monitors.history import partitions
from monitors.models import (
    Series,
)
from monitors.series import NewSample, record_samples
from monitors.thresholds.rounds import LOOP, judge_all
from t4g_portal.lib.models import LoopCycle
from tests.factories import make_priority_rules, make_service
from tests.monitors.judged import (
    MINUTE,
    SECOND,
    firing,
    key,
    make_threshold,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _room(db, now):
    partitions.ensure(now=now)
    make_priority_rules()


def make_samples(now, *values, name="cpu_percent", labels=None, every=MINUTE, **more):
    record_samples(
        samples=[
            NewSample(
                name=name,
                labels=labels or {},
                value=value,
                at=now - (len(values) - 1 - number) * every,
                source="railway",
                **more,
            )
            for number, value in enumerate(values)
        ],
        now=now,
    )
    return Series.objects.get(name=name, labels=labels or {})


def make_series_threshold(measure="series", **values):
    values.setdefault("series_name", "cpu_percent")
    values.setdefault("service", make_service())
    values.setdefault("critical_bound", 80)
    return make_threshold(measure, **values)


class TestSeries:
    def test_a_value_over_the_bound_fires_for_the_service_named(self, now):
        series = make_samples(now, 90, labels={"service": "backend"}, unit="%")
        threshold = make_series_threshold(name="CPU")

        judge_all(now=now)

        alert = Alert.objects.get()
        assert alert.dedup_key == key(threshold, series)
        assert alert.service == threshold.service
        assert alert.title == "cpu_percent (service=backend) is too high"
        assert alert.detail == "90\u00a0%, above 80\u00a0% (threshold “CPU”)"
        assert alert.source == f"series:{series.pk}"

    def test_every_value_counts_also_those_that_came_late(self, now):
        series = make_samples(now - timedelta(hours=3), 10)
        threshold = make_series_threshold(for_count=3)
        judge_all(now=now - timedelta(hours=3))

        # An hourly report: three values at once, none of them new.
        make_samples(now - timedelta(minutes=50), 90, 90, 90, every=10 * MINUTE)
        judge_all(now=now)

        assert firing() == {key(threshold, series)}

    def test_a_value_is_judged_once(self, now):
        make_samples(now, 90)
        make_series_threshold(for_count=2)

        for tick in range(5):
            judge_all(now=now + tick * 10 * SECOND)

        assert firing() == set()

    def test_back_below_the_bound_ends_it(self, now):
        make_samples(now, 90)
        make_series_threshold()
        judge_all(now=now)

        make_samples(now + MINUTE, 50)
        judge_all(now=now + MINUTE)

        assert firing() == set()

    def test_a_window_is_summed_up(self, now):
        make_samples(now, 95, 70, 100)
        make_series_threshold(aggregate="avg", window_s=600)

        judge_all(now=now)

        assert len(firing()) == 1

    def test_only_series_with_all_the_labels_are_meant(self, now):
        meant = make_samples(now, 90, labels={"service": "a", "env": "prod"})
        make_samples(now, 90, labels={"service": "a"})
        make_samples(now, 90, labels={"service": "b", "env": "prod"})
        threshold = make_series_threshold(series_labels={"env": "prod", "service": "a"})

        judge_all(now=now)

        assert firing() == {key(threshold, meant)}

    def test_of_two_thresholds_the_one_with_more_labels_counts_alone(self, now):
        special = make_samples(now, 90, labels={"service": "a"})
        plain = make_samples(now, 90, labels={"service": "b"})
        wide = make_series_threshold()
        narrow = make_series_threshold(series_labels={"service": "a"})

        judge_all(now=now)

        assert firing() == {key(narrow, special), key(wide, plain)}

    def test_no_data_fires_once_the_last_value_is_too_old(self, now):
        series = make_samples(now, 50)
        threshold = make_series_threshold("no_data", critical_bound=300)

        judge_all(now=now + 5 * MINUTE)
        assert firing() == set()
        judge_all(now=now + 5 * MINUTE + SECOND)
        assert firing() == {key(threshold, series)}
        make_samples(now + 6 * MINUTE, 50)
        judge_all(now=now + 6 * MINUTE)

        assert firing() == set()

    def test_samples_that_we_were_not_there_to_take_are_not_missed(self, now):
        series = make_samples(now, 50)
        threshold = make_series_threshold("no_data", critical_bound=300)
        LoopCycle.objects.create(name=LOOP, completed_at=now, bound_s=60)
        back_at = now + 60 * MINUTE

        judge_all(now=back_at)
        LoopCycle.objects.update(completed_at=back_at, resumed_at=back_at)
        judge_all(now=back_at + 10 * SECOND)
        assert firing() == set()

        LoopCycle.objects.update(completed_at=back_at + 5 * MINUTE)
        judge_all(now=back_at + 5 * MINUTE + SECOND)
        assert firing() == {key(threshold, series)}

    def test_a_series_that_is_deleted_ends_its_alert(self, now):
        series = make_samples(now, 90)
        make_series_threshold()
        judge_all(now=now)

        series.delete()
        judge_all(now=now + MINUTE)

        assert firing() == set()

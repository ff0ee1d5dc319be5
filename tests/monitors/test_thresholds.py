"""Thresholds on monitors: what they raise and end, and what that costs."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import translation

from incidents.models import Alert, Incident
from monitors.history import partitions
from monitors.models import (
    MonitorState,
    ThresholdState,
)
from monitors.status import Status
from monitors.thresholds import standings
from monitors.thresholds.judging import Level, Standing
from monitors.thresholds.rounds import judge_all
from monitors.thresholds.standings import Place, Subject
from tests.factories import (
    make_priority_rules,
    make_service,
)
from tests.monitors.judged import (
    MINUTE,
    SECOND,
    firing,
    key,
    make_result,
    make_slow,
    make_threshold,
    make_watched,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _room(db, now):
    partitions.ensure(now=now)
    make_priority_rules()


class TestLatency:
    def test_a_slow_answer_raises_an_alert(self, now):
        monitor = make_slow(now, name="Backend health")
        threshold = make_threshold("latency", name="Slow", critical_priority="p1")

        judge_all(now=now)

        alert = Alert.objects.get()
        assert alert.dedup_key == key(threshold, monitor)
        assert alert.title == "Backend health answers slowly"
        assert alert.detail == (
            "3\u00a0s, above 2\u00a0s (threshold “Slow”)\n"
            "Slowest phase: first byte, 2.99\u00a0s."
        )
        assert (alert.priority, alert.service) == ("p1", monitor.service)
        assert alert.source == f"monitor:{monitor.pk}"
        assert alert.started_at == now - SECOND

    @pytest.mark.parametrize("counts", [True, False])
    def test_alert_brings_the_runbook_and_whether_users_feel_it(self, now, counts):
        runbook = "https://wiki.example.org/slow"
        make_slow(now, counts_for_service=counts, runbook_url=runbook)
        make_threshold("latency")

        judge_all(now=now)

        alert = Alert.objects.select_related("incident").get()
        assert alert.runbook_url == runbook
        assert alert.incident.is_public is counts

    def test_judging_again_changes_nothing(self, now):
        make_slow(now)
        make_threshold("latency")
        judge_all(now=now)
        before = list(Alert.objects.values()), list(ThresholdState.objects.values())

        judge_all(now=now + 10 * SECOND)

        after = list(Alert.objects.values()), list(ThresholdState.objects.values())
        assert after == before

    def test_it_takes_as_many_in_a_row_as_the_threshold_says(self, now):
        monitor = make_watched(now)
        threshold = make_threshold("latency", for_count=3)
        raised = []
        for minute in range(4):
            moment = now + minute * MINUTE
            make_result(monitor, moment, ms=3000)
            MonitorState.objects.update(fresh_until=moment + 10 * MINUTE)
            judge_all(now=moment + SECOND)
            raised.append(key(threshold, monitor) in firing())

        assert raised == [False, False, True, True]
        assert Alert.objects.get().started_at == now

    def test_values_between_two_ticks_all_count(self, now):
        monitor = make_watched(now)
        make_threshold("latency", for_count=3)
        for second in range(3):
            make_result(monitor, now + second * SECOND, ms=3000)

        judge_all(now=now + 5 * SECOND)

        assert len(firing()) == 1

    def test_back_to_normal_ends_the_alert_and_the_incident(self, now):
        monitor = make_slow(now)
        make_threshold("latency", clear_bound=1800)
        judge_all(now=now)

        make_result(monitor, now + 5 * SECOND, ms=1900)
        judge_all(now=now + 10 * SECOND)
        assert len(firing()) == 1
        make_result(monitor, now + 15 * SECOND, ms=1700)
        judge_all(now=now + 20 * SECOND)

        assert firing() == set()
        assert Incident.objects.get().status == Incident.Status.RESOLVED

    def test_getting_worse_and_milder_changes_the_priority(self, now):
        monitor = make_watched(now)
        make_threshold(
            "latency",
            warning_bound=500,
            critical_bound=2000,
            critical_priority="p1",
            warning_priority="p2",
        )
        priorities = []
        for number, ms in enumerate((600, 2500, 600)):
            moment = now + number * 10 * SECOND
            make_result(monitor, moment, ms=ms)
            judge_all(now=moment + SECOND)
            priorities.append(Alert.objects.get().priority)

        assert priorities == ["p2", "p1", "p2"]

    def test_a_short_breach_between_ticks_is_in_the_history(self, now):
        monitor = make_watched(now)
        make_threshold("latency")
        make_result(monitor, now - 2 * SECOND, ms=3000)
        make_result(monitor, now - SECOND, ms=100)

        judge_all(now=now)

        alert = Alert.objects.get()
        assert (alert.status, alert.resolved_at) == (Alert.Status.RESOLVED, now)

    def test_what_failed_has_no_latency(self, now):
        monitor = make_watched(now)
        make_result(monitor, now - SECOND, ms=30_000, code=1)
        make_threshold("latency")

        judge_all(now=now)

        assert firing() == set()

    @pytest.mark.parametrize(
        ("aggregate", "bound", "fires"),
        [
            ("avg", 199, True),
            ("avg", 201, False),
            ("max", 299, True),
            ("max", 301, False),
            ("min", 99, True),
            ("min", 101, False),
            ("p50", 199, True),
            ("p50", 201, False),
            ("p99", 299, True),
            ("sum", 599, True),
            ("sum", 601, False),
        ],
    )
    def test_a_window_is_summed_up(self, now, aggregate, bound, fires):
        monitor = make_watched(now)
        for minute, ms in ((4, 100), (3, 300), (2, 200), (11, 9000)):
            make_result(monitor, now - minute * MINUTE, ms=ms)
        make_threshold(
            "latency", aggregate=aggregate, window_s=600, critical_bound=bound
        )

        judge_all(now=now)

        assert bool(firing()) == fires

    def test_a_window_with_too_few_values_says_nothing(self, now):
        make_slow(now)
        make_threshold("latency", aggregate="avg", window_s=600, min_sample_count=2)

        judge_all(now=now)

        assert firing() == set()

    def test_a_long_window_is_looked_at_now_and_then(self, now):
        make_slow(now, fresh_until=now + timedelta(days=1))
        make_threshold("latency", aggregate="p95", window_s=6 * 3600)

        looked = []
        for tick in range(6, 42):
            judge_all(now=now + tick * 10 * SECOND)
            looked.append(bool(firing()))

        # 360 seconds to a look: nothing before, and nothing missed.
        assert looked.index(True) == 30

    def test_texts_are_in_the_language_of_the_portal(self, now, settings):
        settings.PORTAL_LANGUAGE = "en"
        make_slow(now)
        make_threshold("latency")

        with translation.override("fr"):
            judge_all(now=now)

        assert "answers slowly" in Alert.objects.get().title


class TestErrorRatio:
    def make_failing(self, now, failed, passed, **values):
        monitor = make_watched(now, **values)
        for number in range(failed + passed):
            make_result(
                monitor, now - number * SECOND, code=503 if number < failed else 0
            )
        return monitor

    def test_a_share_over_the_bound_fires(self, now):
        monitor = self.make_failing(now, failed=3, passed=2)
        threshold = make_threshold("error_ratio", window_s=300, critical_bound=50)

        judge_all(now=now)

        assert firing() == {key(threshold, monitor)}
        assert "60\u00a0%, above 50\u00a0%" in Alert.objects.get().detail

    def test_a_share_on_the_bound_does_not(self, now):
        self.make_failing(now, failed=2, passed=2)
        make_threshold("error_ratio", window_s=300, critical_bound=50)

        judge_all(now=now)

        assert firing() == set()

    def test_our_own_faults_count_neither_way(self, now):
        monitor = self.make_failing(now, failed=1, passed=1)
        for number in range(8):
            make_result(monitor, now - (10 + number) * SECOND, code=90 + number)
        make_threshold("error_ratio", window_s=300, critical_bound=49)

        judge_all(now=now)

        assert len(firing()) == 1

    def test_without_a_window_the_last_check_counts(self, now):
        self.make_failing(now, failed=1, passed=5)
        make_threshold("error_ratio", window_s=0, critical_bound=50)

        judge_all(now=now)

        assert len(firing()) == 1

    def test_it_fires_while_down(self, now):
        self.make_failing(now, failed=3, passed=0, status=Status.DOWN)
        make_threshold("error_ratio", window_s=300, critical_bound=50)

        judge_all(now=now)

        assert len(firing()) == 1


class TestFailuresAndCertificates:
    def test_failures_in_a_row_fire_and_end(self, now):
        monitor = make_watched(now, failure_count=4)
        make_threshold("failures", critical_bound=3)

        judge_all(now=now)
        assert len(firing()) == 1
        MonitorState.objects.update(failure_count=0, last_result_at=now + MINUTE)
        judge_all(now=now + MINUTE)

        assert firing() == set()
        assert monitor.service.alerts.count() == 1

    def test_a_certificate_about_to_expire_fires_below_its_bound(self, now):
        make_watched(now, certificate_expires_at=now + timedelta(days=13))
        make_threshold(
            "tls_days", comparison="below", warning_bound=14, critical_bound=3
        )

        judge_all(now=now)

        alert = Alert.objects.get()
        assert alert.priority == "p2"
        assert alert.detail.startswith("13 days, below 14 days")

    def test_an_expired_certificate_fires_too(self, now):
        make_watched(now, certificate_expires_at=now - timedelta(days=1))
        make_threshold("tls_days", comparison="below", critical_bound=3)

        judge_all(now=now)

        assert len(firing()) == 1

    def test_a_certificate_that_still_holds_is_no_concern_of_the_public(self, now):
        make_watched(now, certificate_expires_at=now + timedelta(days=2))
        make_threshold("tls_days", comparison="below", critical_bound=3)

        judge_all(now=now)

        assert not Incident.objects.get().is_public

    def test_a_certificate_has_an_incident_of_its_own(self, now):
        monitor = make_slow(now, certificate_expires_at=now + timedelta(days=1))
        make_threshold("tls_days", comparison="below", critical_bound=3)
        make_threshold("latency")

        judge_all(now=now)

        assert Incident.objects.filter(service=monitor.service).count() == 2

    def test_a_monitor_without_a_certificate_is_left_alone(self, now):
        make_watched(now)
        make_threshold("tls_days", comparison="below", critical_bound=3)

        judge_all(now=now)

        assert firing() == set()


class TestTwoRoundsAtOnce:
    def standing(self, now, level="ok"):
        return Standing(level=Level(level), since=now, judged_until=now)

    def test_the_one_that_judged_further_wins(self, now):
        threshold, monitor = make_threshold("latency"), make_watched(now)
        place = Place(threshold.pk, Subject("monitor", monitor.pk))

        later = standings.save(
            standings={place: self.standing(now + MINUTE, "critical")}
        )
        earlier = standings.save(standings={place: self.standing(now)})

        assert (later, earlier) == ({place}, set())
        assert ThresholdState.objects.get().level == "critical"

    def test_what_was_deleted_meanwhile_is_left_out(self, now):
        threshold, monitor = make_threshold("latency"), make_watched(now)
        gone, sound = make_threshold("latency"), Subject("monitor", monitor.pk)
        places = [Place(threshold.pk, sound), Place(gone.pk, sound)]
        gone.delete()

        written = standings.save(
            standings={place: self.standing(now) for place in places}
        )

        assert written == {places[0]}


class TestCost:
    def make_fleet(self, now, count):
        service = make_service()
        for number in range(count):
            monitor = make_watched(
                now,
                service=service,
                certificate_expires_at=now + timedelta(days=60),
            )
            make_result(monitor, now - SECOND, ms=100 + number)
        for bounds in ({"warning_bound": 500}, {"critical_bound": 2000}):
            make_threshold("latency", **bounds)
        make_threshold("latency", aggregate="p95", window_s=600)
        make_threshold("error_ratio", window_s=300, critical_bound=50)
        make_threshold("failures", critical_bound=3)
        make_threshold("tls_days", comparison="below", critical_bound=14)
        make_threshold("down")

    def test_the_number_of_queries_does_not_grow_with_the_monitors(
        self, now, django_assert_num_queries
    ):
        self.make_fleet(now, 3)
        with django_assert_num_queries(7):
            judge_all(now=now)

        self.make_fleet(now, 20)
        with django_assert_num_queries(7):
            judge_all(now=now + SECOND)

    def test_nothing_is_written_while_all_is_well(self, now):
        self.make_fleet(now, 5)

        judged = judge_all(now=now)

        assert (judged.standing_count, judged.alert_count) == (0, 0)
        assert not ThresholdState.objects.exists()

    def test_a_storm_is_written_completely(self, now):
        service = make_service()
        for _ in range(60):
            make_slow(now, service=service)
        make_threshold("latency")

        judged = judge_all(now=now)

        assert judged.failed_count == 0
        assert len(firing()) == 60
        assert Incident.objects.count() == 1


def test_one_subject_that_cannot_be_written_keeps_nobody_else_from_it(now):
    threshold = make_threshold("latency")
    poison, sound = make_slow(now), make_slow(now)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'refused'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON incidents_alert FOR EACH ROW"
            f" WHEN (NEW.dedup_key = '{key(threshold, poison)}')"
            " EXECUTE FUNCTION refuse()"
        )

    judged = judge_all(now=now)

    assert judged.failed_count == 1
    assert firing() == {key(threshold, sound)}
    assert not ThresholdState.objects.filter(monitor=poison).exists()


def test_a_threshold_that_cannot_be_judged_keeps_no_other_from_it(now):
    monitor = make_slow(now)
    # Only by hand: forms and imports refuse it.
    endless = make_threshold("tls_days", comparison="below", critical_bound=math.inf)
    make_watched(now, certificate_expires_at=now + MINUTE)
    slow = make_threshold("latency")

    judge_all(now=now)

    assert key(slow, monitor) in firing()
    assert any(name.startswith(f"threshold:{endless.pk}:") for name in firing())

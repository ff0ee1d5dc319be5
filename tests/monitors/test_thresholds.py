"""Thresholds: what they apply to, what they raise and end, and what they cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import translation

from incidents import intake, services
from incidents.models import Alert, Incident
from monitors import partitions
from monitors.down_alerts import judge_down
from monitors.models import (
    Monitor,
    MonitorState,
    Series,
    StatusInterval,
    Threshold,
    ThresholdState,
)
from monitors.series import NewSample, record_samples
from monitors.status import Status
from monitors.thresholds import judge_all
from tests.factories import (
    make_monitor,
    make_priority_rules,
    make_service,
    make_user,
)

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _room(db, now):
    partitions.ensure(now=now)
    make_priority_rules()


def make_watched(now, *, status=Status.UP, since=None, **values) -> Monitor:
    """A monitor with a state, looked at just now."""
    state = {
        name: values.pop(name)
        for name in list(values)
        if name in {field.name for field in MonitorState._meta.fields}
    }
    monitor = make_monitor(**values)
    state.setdefault("confirmed", Status.UP if status == Status.DEGRADED else status)
    state.setdefault("last_result_at", now)
    state.setdefault("fresh_until", now + 10 * MINUTE)
    since = since or now - timedelta(days=1)
    MonitorState.objects.create(
        monitor=monitor, status=status, since=since, confirmed_since=since, **state
    )
    StatusInterval.objects.create(monitor=monitor, status=status, started_at=since)
    return monitor


def make_result(monitor, at, *, ms=None, code=0):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitors_checkresult"
            " (at, monitor_id, connect_ms, first_byte_ms, code)"
            " VALUES (%s, %s, %s, %s, %s)",
            [
                at,
                monitor.pk,
                None if ms is None else 10,
                None if ms is None else ms - 10,
                code,
            ],
        )
    MonitorState.objects.filter(monitor=monitor).update(last_result_at=at)


def make_threshold(measure, **values):
    values.setdefault("name", f"{measure} {Threshold.objects.count()}")
    if measure != "down" and "warning_bound" not in values:
        values.setdefault("critical_bound", 2000)
    return Threshold.objects.create(measure=measure, **values)


def make_slow(now, **values) -> Monitor:
    """A monitor whose newest result took three seconds."""
    monitor = make_watched(now, **values)
    make_result(monitor, now - SECOND, ms=3000)
    return monitor


def firing():
    return set(
        Alert.objects.filter(status="firing").values_list("dedup_key", flat=True)
    )


def key(threshold, subject):
    kind = "series" if isinstance(subject, Series) else "monitor"
    return f"threshold:{threshold.pk}:{kind}:{subject.pk}"


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
        judge_all(now=now + 10 * SECOND)

        assert Alert.objects.get().status == Alert.Status.RESOLVED

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


class TestWhichApply:
    def test_the_narrowest_counts_alone(self, now):
        service = make_service()
        monitors = {
            "alone": make_slow(now),
            "service": make_slow(now, service=service),
            "tag": make_slow(now, service=service, tags=["api", "eu"]),
            "named": make_slow(now, service=service, tags=["api"]),
        }
        thresholds = {
            "alone": make_threshold("latency"),
            "service": make_threshold("latency", service=service),
            "tag": make_threshold("latency", tag="api"),
            "named": make_threshold("latency", monitor=monitors["named"]),
        }

        judge_all(now=now)

        assert firing() == {
            key(thresholds[name], monitors[name]) for name in thresholds
        }

    def test_equally_narrow_ones_count_together(self, now):
        monitor = make_slow(now)
        both = [make_threshold("latency"), make_threshold("latency")]

        judge_all(now=now)

        assert firing() == {key(threshold, monitor) for threshold in both}

    def test_a_narrow_one_on_another_measure_hides_nothing(self, now):
        monitor = make_slow(now)
        threshold = make_threshold("latency")
        make_threshold("failures", monitor=monitor)

        judge_all(now=now)

        assert firing() == {key(threshold, monitor)}

    def test_a_tag_of_another_service_does_not_apply(self, now):
        make_slow(now, tags=["api"])
        make_threshold("latency", tag="api", service=make_service())

        judge_all(now=now)

        assert firing() == set()

    def test_a_disabled_one_neither_fires_nor_hides(self, now):
        monitor = make_slow(now)
        wide = make_threshold("latency")
        make_threshold("latency", monitor=monitor, is_enabled=False)

        judge_all(now=now)

        assert firing() == {key(wide, monitor)}


class TestWhenNotToRaise:
    @pytest.mark.parametrize(
        "status", [Status.DOWN, Status.MAINTENANCE, Status.UNKNOWN, Status.PENDING]
    )
    def test_latency_is_judged_only_while_it_answers(self, now, status):
        make_slow(now, status=status)
        make_threshold("latency")

        judge_all(now=now)

        assert firing() == set()

    @pytest.mark.parametrize("status", [Status.MAINTENANCE, Status.UNKNOWN])
    def test_failures_raise_nothing_in_a_window_or_while_unknown(self, now, status):
        make_watched(now, status=status, failure_count=9)
        make_threshold("failures", critical_bound=3)

        judge_all(now=now)

        assert firing() == set()

    def test_a_stale_monitor_raises_nothing(self, now):
        make_slow(now, fresh_until=now - SECOND)
        make_threshold("latency")

        judge_all(now=now)

        assert firing() == set()

    def test_a_paused_monitor_raises_nothing(self, now):
        make_slow(now, is_enabled=False, status=Status.PAUSED)
        make_threshold("latency")

        judge_all(now=now)

        assert firing() == set()

    def test_what_fired_when_a_window_opens_stays_until_it_is_judged_after(self, now):
        monitor = make_slow(now)
        make_threshold("latency")
        judge_all(now=now)

        MonitorState.objects.update(status=Status.MAINTENANCE)
        make_result(monitor, now + 5 * SECOND, ms=100)
        judge_all(now=now + 10 * SECOND)
        assert len(firing()) == 1
        MonitorState.objects.update(status=Status.UP)
        judge_all(now=now + 20 * SECOND)

        assert firing() == set()

    def test_what_was_measured_in_a_window_counts_nothing_afterwards(self, now):
        monitor = make_watched(now)
        for number in range(10):
            make_result(monitor, now - number * SECOND - MINUTE, ms=9000, code=0)
            make_result(monitor, now - number * SECOND - MINUTE, code=503)
        make_result(monitor, now - SECOND, ms=100)
        StatusInterval.objects.filter(monitor=monitor).update(
            status=Status.MAINTENANCE, ended_at=now - 30 * SECOND
        )
        make_threshold("latency")
        make_threshold("latency", aggregate="max", window_s=600)
        make_threshold("error_ratio", window_s=600, critical_bound=10)

        judge_all(now=now)

        assert firing() == set()


class TestWhatIsTakenAway:
    @pytest.mark.parametrize(
        "take_away",
        [
            pytest.param(lambda t, m: t.delete(), id="threshold deleted"),
            pytest.param(
                lambda t, m: Threshold.objects.update(is_enabled=False),
                id="threshold disabled",
            ),
            pytest.param(lambda t, m: m.delete(), id="monitor deleted"),
            pytest.param(
                lambda t, m: Monitor.objects.update(is_enabled=False), id="paused"
            ),
            pytest.param(
                lambda t, m: make_threshold(
                    "latency", monitor=m, critical_bound=60_000
                ),
                id="a narrower one took over",
            ),
            pytest.param(
                lambda t, m: Threshold.objects.update(tag="other"), id="other tag"
            ),
        ],
    )
    def test_its_alert_ends(self, now, take_away):
        monitor = make_slow(now)
        threshold = make_threshold("latency")
        judge_all(now=now)
        assert len(firing()) == 1

        take_away(threshold, monitor)
        judge_all(now=now + 10 * SECOND)

        assert firing() == set()
        assert not ThresholdState.objects.exists()

    def test_a_count_from_before_does_not_count_when_it_comes_back(self, now):
        monitor = make_watched(now)
        threshold = make_threshold("latency", for_count=2)
        make_result(monitor, now - SECOND, ms=3000)
        judge_all(now=now)
        Threshold.objects.update(is_enabled=False)
        judge_all(now=now + SECOND)

        Threshold.objects.update(is_enabled=True)
        make_result(monitor, now + 10 * MINUTE, ms=3000)
        MonitorState.objects.update(fresh_until=now + timedelta(hours=1))
        judge_all(now=now + 10 * MINUTE + SECOND)

        assert key(threshold, monitor) not in firing()

    def test_an_edited_priority_reaches_the_alert(self, now):
        make_slow(now)
        make_threshold("latency", critical_priority="p1")
        judge_all(now=now)

        Threshold.objects.update(critical_priority="p0")
        judge_all(now=now + 10 * SECOND)

        assert Alert.objects.get().priority == "p0"
        assert Incident.objects.get().priority == "p0"

    def test_an_alert_that_got_lost_is_raised_again(self, now):
        monitor = make_slow(now)
        threshold = make_threshold("latency")
        judge_all(now=now)
        intake.resolve(dedup_key=key(threshold, monitor), now=now + SECOND)

        judge_all(now=now + 10 * SECOND)

        assert firing() == {key(threshold, monitor)}

    def test_what_a_person_ended_while_it_holds_comes_back_as_a_new_incident(self, now):
        monitor = make_slow(now)
        threshold = make_threshold("latency")
        judge_all(now=now)
        resolve_by_person(now=now + SECOND)

        judge_all(now=now + 10 * SECOND)

        assert firing() == {key(threshold, monitor)}
        assert Incident.objects.count() == 2


def resolve_by_person(*, now):
    incident = Incident.objects.get()
    services.resolve_incident(
        incident_id=incident.pk,
        user=make_user(),
        via="web",
        now=now,
        even_if_firing=True,
    )


class TestDegraded:
    def state(self):
        return MonitorState.objects.get()

    def test_a_slow_monitor_is_degraded_since_it_became_slow(self, now):
        make_slow(now)
        make_threshold("latency")

        judge_all(now=now)

        state = self.state()
        assert (state.status, state.is_degraded) == (Status.DEGRADED, True)
        assert state.since == now - SECOND
        assert "above 2\u00a0s" in state.message

    def test_it_is_up_again_when_the_last_complaint_ends(self, now):
        monitor = make_slow(now)
        make_threshold("latency")
        judge_all(now=now)

        make_result(monitor, now + 5 * SECOND, ms=100)
        judge_all(now=now + 10 * SECOND)

        state = self.state()
        assert (state.status, state.is_degraded) == (Status.UP, False)
        assert state.since == now + 5 * SECOND

    def test_a_certificate_degrades_nothing(self, now):
        make_watched(now, certificate_expires_at=now + timedelta(days=1))
        make_threshold("tls_days", comparison="below", critical_bound=3)

        judge_all(now=now)

        assert self.state().status == Status.UP

    def test_a_complaint_that_is_taken_away_ends_it(self, now):
        make_slow(now)
        make_threshold("latency")
        judge_all(now=now)

        Threshold.objects.all().delete()
        judge_all(now=now + 10 * SECOND)

        assert self.state().status == Status.UP


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

    def test_a_series_that_is_deleted_ends_its_alert(self, now):
        series = make_samples(now, 90)
        make_series_threshold()
        judge_all(now=now)

        series.delete()
        judge_all(now=now + MINUTE)

        assert firing() == set()


class TestDown:
    def down_key(self, monitor):
        return f"monitor:{monitor.pk}:down"

    def judge(self, monitor, now, *, is_down=True, since=None):
        judge_down(
            monitor=monitor,
            is_down=is_down,
            since=since or now - MINUTE,
            message="HTTP 503, expected 200–299" if is_down else "",
            now=now,
        )

    def test_down_raises_with_the_priority_of_the_narrowest_threshold(self, now):
        monitor = make_watched(now, name="Login", tags=["core"])
        make_threshold("down", critical_priority="p2")
        make_threshold("down", tag="core", critical_priority="p0")

        self.judge(monitor, now)

        alert = Alert.objects.get()
        assert (alert.dedup_key, alert.priority) == (self.down_key(monitor), "p0")
        assert alert.title == "Login is down"
        assert alert.detail == "HTTP 503, expected 200–299"
        assert alert.started_at == now - MINUTE

    def test_up_ends_it(self, now):
        monitor = make_watched(now)
        make_threshold("down")
        self.judge(monitor, now)

        self.judge(monitor, now + MINUTE, is_down=False)

        assert firing() == set()

    def test_without_a_threshold_nobody_is_told(self, now):
        self.judge(make_watched(now), now)

        assert not Alert.objects.exists()

    def test_a_threshold_that_waits_is_raised_by_the_tick(self, now):
        monitor = make_watched(now, status=Status.DOWN, since=now)
        make_threshold("down", for_s=120)

        self.judge(monitor, now, since=now)
        judge_all(now=now + 119 * SECOND)
        assert firing() == set()
        judge_all(now=now + 120 * SECOND)

        assert firing() == {self.down_key(monitor)}

    def test_a_threshold_that_is_added_while_it_is_down_raises_it(self, now):
        monitor = make_watched(now, status=Status.DOWN, message="no answer")
        make_threshold("down")

        judge_all(now=now)

        assert firing() == {self.down_key(monitor)}
        assert Alert.objects.get().detail == "no answer"

    def test_an_edited_priority_reaches_the_alert(self, now):
        make_watched(now, status=Status.DOWN)
        make_threshold("down", critical_priority="p1")
        judge_all(now=now)

        Threshold.objects.update(critical_priority="p0")
        judge_all(now=now + 10 * SECOND)

        assert Alert.objects.get().priority == "p0"

    @pytest.mark.parametrize(
        "status", [Status.UP, Status.DEGRADED, Status.PAUSED], ids=str
    )
    def test_an_orphan_ends(self, now, status):
        monitor = make_watched(now, status=Status.DOWN)
        make_threshold("down")
        judge_all(now=now)

        MonitorState.objects.update(status=status)
        if status == Status.PAUSED:
            Monitor.objects.filter(pk=monitor.pk).update(is_enabled=False)
        judge_all(now=now + 10 * SECOND)

        assert firing() == set()

    @pytest.mark.parametrize("how", ["threshold", "monitor"])
    def test_what_is_deleted_ends_too(self, now, how):
        monitor = make_watched(now, status=Status.DOWN)
        threshold = make_threshold("down")
        judge_all(now=now)

        (threshold if how == "threshold" else monitor).delete()
        judge_all(now=now + 10 * SECOND)

        assert firing() == set()

    @pytest.mark.parametrize("status", [Status.MAINTENANCE, Status.UNKNOWN])
    def test_a_window_and_the_unknown_leave_it_as_it_is(self, now, status):
        monitor = make_watched(now, status=Status.DOWN)
        make_threshold("down")
        judge_all(now=now)

        MonitorState.objects.update(status=status)
        judge_all(now=now + 10 * SECOND)

        assert firing() == {self.down_key(monitor)}

    def test_what_a_person_ended_while_it_is_down_comes_back(self, now):
        monitor = make_watched(now, status=Status.DOWN)
        make_threshold("down")
        judge_all(now=now)
        resolve_by_person(now=now + SECOND)

        judge_all(now=now + 10 * SECOND)

        assert firing() == {self.down_key(monitor)}


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
        with django_assert_num_queries(8):
            judge_all(now=now)

        self.make_fleet(now, 20)
        with django_assert_num_queries(8):
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

"""Thresholds: to what they apply, when they keep quiet, and what outlives them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from incidents import intake
from incidents.models import Alert, Incident
from monitors.history import partitions
from monitors.models import (
    Monitor,
    MonitorState,
    StatusInterval,
    Threshold,
    ThresholdState,
)
from monitors.status import Status
from monitors.thresholds.rounds import judge_all
from tests.factories import make_priority_rules, make_service
from tests.monitors.judged import (
    MINUTE,
    SECOND,
    firing,
    key,
    make_result,
    make_slow,
    make_threshold,
    make_watched,
    resolve_by_person,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _room(db, now):
    partitions.ensure(now=now)
    make_priority_rules()


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

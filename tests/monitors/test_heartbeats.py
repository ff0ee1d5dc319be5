"""Heartbeats: pings and missed deadlines become outcomes, our own absence none."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from monitors.heartbeats.outcomes import due_outcomes
from monitors.models import HeartbeatPing, LocationState, MonitorState
from monitors.probes.base import Reason
from monitors.status import Status
from tests.factories import make_monitor

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def make_heartbeat(now, *, options=None, **state):
    """Expected every hour with ten minutes of grace; last heard half an hour ago."""
    monitor = make_monitor(
        kind="heartbeat",
        target="",
        options=options or {"interval_s": 3600, "grace_s": 600},
        is_enabled=state.pop("is_enabled", True),
    )
    state.setdefault("confirmed", Status.UP)
    state.setdefault("last_ping_at", now - HOUR / 2)
    state.setdefault("last_result_at", state["last_ping_at"])
    MonitorState.objects.create(
        monitor=monitor,
        status=state["confirmed"],
        since=now - 24 * HOUR,
        confirmed_since=state.pop("confirmed_since", now - 24 * HOUR),
        **state,
    )
    return monitor


def make_ping(monitor, at, kind="success", **values):
    return HeartbeatPing.objects.create(monitor=monitor, at=at, kind=kind, **values)


@transaction.atomic
def due(now):
    return due_outcomes(now=now)


@pytest.mark.django_db
class TestPings:
    def test_a_success_passes_at_its_own_time(self, now):
        monitor = make_heartbeat(now)
        make_ping(monitor, now - MINUTE)

        (outcome,) = due(now)

        assert (outcome.monitor_id, outcome.at) == (monitor.pk, now - MINUTE)
        assert (outcome.outcome, outcome.reason) == ("passed", Reason.OK)
        assert outcome.deadline == now - MINUTE + HOUR + 10 * MINUTE
        assert MonitorState.objects.get().last_ping_at == now - MINUTE

    def test_a_ping_counts_once(self, now):
        make_ping(make_heartbeat(now), now)
        due(now)

        assert due(now + MINUTE) == []
        assert HeartbeatPing.objects.get().is_handled

    def test_a_ping_of_a_transaction_that_failed_counts_next_time(self, now):
        make_ping(make_heartbeat(now), now)

        with transaction.atomic():
            due_outcomes(now=now)
            transaction.set_rollback(True)

        assert len(due(now + MINUTE)) == 1

    def test_the_very_first_ping_ends_the_waiting(self, now):
        make_ping(
            make_heartbeat(
                now, confirmed=Status.PENDING, last_ping_at=None, last_result_at=None
            ),
            now,
        )

        assert [outcome.outcome for outcome in due(now)] == ["passed"]

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({}, "The job said that it failed"),
            ({"body": "disk full\nsecond line"}, "disk full second line"),
            ({"exit_code": 3}, "Exit code 3"),
            ({"exit_code": 3, "body": "disk full"}, "Exit code 3: disk full"),
        ],
    )
    def test_a_failure_says_what_the_job_said(self, now, values, message):
        make_ping(make_heartbeat(now), now, "fail", **values)

        (outcome,) = due(now)

        assert outcome.outcome == "failed"
        assert outcome.reason == Reason.HEARTBEAT_FAILED
        assert outcome.message == message

    def test_start_and_finish_give_the_duration(self, now):
        monitor = make_heartbeat(now)
        make_ping(monitor, now - 3 * MINUTE, "start")
        make_ping(monitor, now - MINUTE)

        (outcome,) = due(now)

        assert outcome.duration_ms == 120_000

    def test_a_run_may_span_ticks(self, now):
        monitor = make_heartbeat(now)
        make_ping(monitor, now, "start")
        assert due(now) == []
        make_ping(monitor, now + 2 * MINUTE)

        (outcome,) = due(now + 2 * MINUTE)

        assert outcome.duration_ms == 120_000
        assert MonitorState.objects.get().run_started_at is None

    def test_a_run_of_days_has_no_duration(self, now):
        monitor = make_heartbeat(now, run_started_at=now - timedelta(hours=73))
        make_ping(monitor, now)

        assert due(now)[0].duration_ms is None

    def test_of_two_finishes_only_the_first_has_a_duration(self, now):
        monitor = make_heartbeat(now, run_started_at=now - MINUTE)
        make_ping(monitor, now)
        make_ping(monitor, now + MINUTE)

        assert [outcome.duration_ms for outcome in due(now + MINUTE)] == [60_000, None]

    def test_outcomes_come_in_order_of_time(self, now):
        first, second = make_heartbeat(now), make_heartbeat(now)
        for minute, monitor in ((3, first), (1, second), (2, first)):
            make_ping(monitor, now - minute * MINUTE)

        times = [outcome.at for outcome in due(now)]

        assert times == sorted(times)
        assert len(times) == 3

    def test_a_paused_heartbeat_makes_nothing_of_its_pings(self, now):
        make_ping(make_heartbeat(now, is_enabled=False), now)

        assert due(now) == []
        assert HeartbeatPing.objects.get().is_handled

    def test_a_ping_before_the_monitor_has_a_state_waits_for_it(self, now):
        monitor = make_monitor(kind="heartbeat", target="")
        make_ping(monitor, now)

        assert due(now) == []

        assert not HeartbeatPing.objects.get().is_handled

    def test_a_monitor_that_is_no_heartbeat_any_more_is_left_alone(self, now):
        monitor = make_heartbeat(now)
        make_ping(monitor, now)
        monitor.kind = "http"
        monitor.save()

        assert due(now) == []
        assert HeartbeatPing.objects.get().is_handled

    def test_options_that_cannot_be_read_stop_nobody_else(self, now):
        make_ping(make_heartbeat(now, options={"interval_s": "often"}), now)
        make_ping(make_heartbeat(now), now)

        assert len(due(now)) == 1

    def test_many_pings_cost_a_bounded_number_of_queries(
        self, now, django_assert_max_num_queries
    ):
        for number in range(20):
            monitor = make_heartbeat(now)
            make_ping(monitor, now - number * MINUTE)

        with django_assert_max_num_queries(9):
            assert len(due(now)) == 20


@pytest.mark.django_db
class TestMisses:
    def test_a_deadline_is_missed_at_its_exact_time(self, now):
        last = now - 2 * HOUR
        make_heartbeat(now, last_ping_at=last)

        (outcome,) = due(now)

        assert outcome.at == last + HOUR + 10 * MINUTE
        assert (outcome.outcome, outcome.reason) == ("failed", Reason.HEARTBEAT_MISSED)
        assert outcome.message == "No ping within 1\u00a0h and 10\u00a0min of grace"

    def test_a_deadline_is_not_missed_before_it_is_over(self, now):
        make_heartbeat(now, last_ping_at=now - HOUR - 10 * MINUTE)

        assert due(now) == []

    def test_a_miss_that_was_recorded_is_not_told_again(self, now):
        monitor = make_heartbeat(now, last_ping_at=now - 2 * HOUR)
        (outcome,) = due(now)
        MonitorState.objects.filter(monitor=monitor).update(last_result_at=outcome.at)

        assert due(now + HOUR) == []

    def test_a_miss_that_was_not_recorded_is_told_again(self, now):
        make_heartbeat(now, last_ping_at=now - 2 * HOUR)
        first = due(now)

        assert due(now + MINUTE) == first

    def test_a_ping_past_the_deadline_is_a_miss_and_then_a_success(self, now):
        last = now - 2 * HOUR
        monitor = make_heartbeat(now, last_ping_at=last)
        make_ping(monitor, now - MINUTE)

        outcomes = due(now)

        assert [(outcome.at, outcome.outcome) for outcome in outcomes] == [
            (last + 70 * MINUTE, "failed"),
            (now - MINUTE, "passed"),
        ]

    def test_a_heartbeat_that_never_called_is_not_missed(self, now):
        make_heartbeat(
            now, confirmed=Status.PENDING, last_ping_at=None, last_result_at=None
        )

        assert due(now + 1000 * HOUR) == []

    def test_a_cron_expression_sets_the_deadline_in_its_zone(self, now):
        # 02:30 in Paris is 01:30 UTC in winter; last heard the day before.
        make_heartbeat(
            now,
            options={"cron": "30 2 * * *", "zone": "Europe/Paris", "grace_s": 600},
            last_ping_at=now.replace(hour=1, minute=31) - 24 * HOUR,
        )

        (outcome,) = due(now)

        assert outcome.at == now.replace(hour=1, minute=40)
        assert outcome.message == "No ping within 10\u00a0min of its time"


@pytest.mark.django_db
class TestOurOwnAbsence:
    def test_a_ping_that_may_have_been_lost_is_nobodys_miss(self, now):
        make_heartbeat(
            now,
            confirmed=Status.UNKNOWN,
            confirmed_since=now - 2 * HOUR,
            last_ping_at=now - 3 * HOUR,
        )

        assert due(now) == []
        assert due(now + 70 * MINUTE) == []

    def test_the_next_one_is_waited_for_from_our_return(self, now):
        make_heartbeat(
            now,
            confirmed=Status.UNKNOWN,
            confirmed_since=now - 2 * HOUR,
            last_ping_at=now - 3 * HOUR,
        )
        due(now)

        (outcome,) = due(now + 71 * MINUTE)

        assert outcome.at == now + 70 * MINUTE
        assert outcome.reason == Reason.HEARTBEAT_MISSED

    def test_a_second_absence_counts_like_the_first(self, now):
        make_heartbeat(
            now,
            confirmed=Status.UNKNOWN,
            confirmed_since=now - HOUR,
            away_until=now - 5 * HOUR,
            last_ping_at=now - 3 * HOUR,
        )

        assert due(now) == []

    def test_while_our_network_is_down_nothing_is_missed(self, now, settings):
        make_heartbeat(now, last_ping_at=now - 69 * MINUTE)
        LocationState.objects.create(
            name=settings.PROBE_LOCATION, is_blind=True, changed_at=now, checked_at=now
        )

        assert due(now) == []
        assert due(now + HOUR) == []

        LocationState.objects.update(is_blind=False)
        (outcome,) = due(now + 3 * HOUR)
        assert outcome.at == now + HOUR + 70 * MINUTE


@pytest.mark.django_db(transaction=True)
def test_two_ticks_at_once_take_each_ping_once(now):
    make_ping(make_heartbeat(now), now)
    has_taken, may_commit = threading.Event(), threading.Event()
    taken = []

    def first_tick():
        with transaction.atomic():
            taken.append(due_outcomes(now=now))
            has_taken.set()
            may_commit.wait(30)
        connection.close()

    tick = threading.Thread(target=first_tick)
    tick.start()
    try:
        assert has_taken.wait(30)
        second = due(now)
    finally:
        may_commit.set()
        tick.join()

    assert len(taken[0]) == 1
    assert second == []
    assert due(now) == []

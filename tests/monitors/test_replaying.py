"""Thresholds replayed: the short cuts change nothing, and displayed = real."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from incidents.models import Alert
from monitors.history import partitions, rollups
from monitors.models import MonitorState, StatusInterval
from monitors.status import Status
from monitors.thresholds.judging import (
    Level,
    Measurement,
    Standing,
    ThresholdSpec,
    judge,
)
from monitors.thresholds.replaying import (
    Attention,
    Look,
    Recorded,
    Replay,
    each_age,
    each_run_of_failures,
    each_value,
    each_window,
    next_tick,
)
from monitors.thresholds.rounds import judge_all
from monitors.thresholds.trying import try_on_history
from tests.factories import make_priority_rules
from tests.monitors.judged import make_result, make_threshold, make_watched

SECOND = timedelta(seconds=1)
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class TestShortCuts:
    """Skipping what can change nothing leads to what judging everything leads to."""

    @given(
        values=st.lists(st.sampled_from([10, 50, 60, 99, 100, 101, 150]), max_size=60),
        for_count=st.integers(1, 4),
        for_s=st.sampled_from([0, 15, 60]),
        clear=st.sampled_from([None, 40, 55]),
        warning=st.sampled_from([None, 60]),
        is_above=st.booleans(),
    )
    def test_levels_are_those_of_judging_each_value(
        self, values, for_count, for_s, clear, warning, is_above
    ):
        sign = 1 if is_above else -1
        spec = ThresholdSpec(
            is_above=is_above,
            critical_bound=sign * 100,
            warning_bound=None if warning is None else sign * warning,
            clear_bound=None if clear is None else sign * clear,
            for_count=for_count,
            for_s=for_s,
        )
        start = BEGIN.timestamp()
        replay = Replay(spec=spec)
        standing, starts, ends = Standing(), [], []
        for number, value in enumerate(values):
            at = start + 10 * number
            replay.feed(Look(tick=at, at=at, value=sign * value))
            moment = datetime.fromtimestamp(at, tz=UTC)
            before = standing.level
            standing, _changes = judge(
                spec=spec,
                standing=standing,
                measurements=[Measurement(value=sign * value, at=moment)],
            )
            if before is Level.OK and standing.level is not Level.OK:
                assert standing.since is not None
                starts.append(standing.since.timestamp())
            if before is not Level.OK and standing.level is Level.OK:
                ends.append(at)

        assert [one.started_at for one in replay.firings] == starts
        assert [one.ended_at for one in replay.firings if one.ended_at] == ends

    def test_the_worst_value_is_kept(self):
        replay = Replay(spec=ThresholdSpec(critical_bound=100, for_count=2))
        for number, value in enumerate((50, 180, 120, 150, 20)):
            replay.feed(Look(tick=number * 10.0, at=number * 10.0, value=value))

        (firing,) = replay.firings
        assert (firing.value, firing.started_at, firing.ended_at) == (180, 10, 40)


class TestLooks:
    def test_a_value_waits_for_the_next_round_that_looks(self):
        attention = Attention(stretches=[(0, 100), (200, 300)])
        recorded = Recorded(times=[95.0, 150.0, 250.0], values=[1, 2, 3])

        looks = list(each_value(recorded=recorded, attention=attention))

        assert [(look.tick, look.value) for look in looks] == [
            (200, 1),
            (200, 2),
            (250, 3),
        ]

    def test_what_was_measured_before_a_window_ended_counts_no_more(self):
        attention = Attention(stretches=[(0, 100), (200, 300)], quiet_ends=[200])
        recorded = Recorded(times=[55.0, 150.0, 250.0], values=[1, 2, 3])

        looks = list(each_value(recorded=recorded, attention=attention))

        assert [look.value for look in looks] == [1, 3]

    def test_windows_are_looked_at_when_values_come_and_go(self):
        recorded = Recorded(times=[5.0, 15.0], values=[10, 30])

        looks = list(
            each_window(
                recorded=recorded,
                aggregate="avg",
                window_s=60,
                attention=Attention(),
                until=1000,
            )
        )

        assert [(look.tick, look.value, look.sample_count) for look in looks] == [
            (10, 10, 1),
            (20, 20, 2),
            (70, 30, 1),
        ]

    def test_failures_are_counted_in_a_row_and_anew_after_a_gap(self):
        recorded = Recorded(
            times=[5.0, 15.0, 25.0, 35.0, 45.0], values=[503, 95, 1, 1, 0]
        )

        looks = list(
            each_run_of_failures(recorded=recorded, attention=Attention(), gaps=[30.0])
        )

        assert [look.value for look in looks] == [1, 1, 2, 1, 0]

    def test_ages_grow_until_a_sample_comes(self):
        looks = list(each_age(times=[0.0, 95.0], start=0, until=100, above=60))

        assert [look.value for look in looks] == [60, 70, 80, 90, 5]


# How a monitor is said to be, and for how many seconds.
_PHASES = st.lists(
    st.tuples(
        st.sampled_from(
            [Status.UP, Status.UP, Status.DOWN, Status.MAINTENANCE, Status.UNKNOWN]
        ),
        st.integers(40, 300),
    ),
    min_size=1,
    max_size=4,
)
_RESULTS = st.lists(
    st.tuples(
        # Seconds after the one before; what it took or how it failed.
        st.integers(3, 45),
        st.sampled_from([100, 100, 450, 600, 2500, "failed", "ours"]),
    ),
    min_size=5,
    max_size=30,
)
_THRESHOLDS = st.fixed_dictionaries(
    {
        "measured": st.sampled_from(
            [
                ("latency", "last", 0),
                ("latency", "avg", 60),
                ("latency", "p95", 120),
                ("latency", "max", 1500),
                ("error_ratio", "last", 0),
                ("error_ratio", "avg", 90),
                ("failures", "last", 0),
            ]
        ),
        "for_count": st.integers(1, 3),
        "for_s": st.sampled_from([0, 0, 30]),
        "min_sample_count": st.sampled_from([1, 1, 2]),
        "has_clear": st.booleans(),
        "has_warning": st.booleans(),
    }
)
_BOUNDS = {
    "latency": (400, 500, 2000),
    "error_ratio": (20, 30, 60),
    "failures": (0.5, 1, 2),
}


@pytest.mark.django_db
class TestDisplayedIsReal:
    """A replay finds what the rounds of judging raised and ended, to the second."""

    @settings(
        max_examples=25,
        # A life takes half a second: shrinking one would take minutes.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(phases=_PHASES, results=_RESULTS, chosen=_THRESHOLDS)
    def test_a_replay_equals_the_rounds(self, phases, results, chosen):
        with transaction.atomic():
            raised, replayed = live_and_replay(phases, results, chosen)
            # Each example lives in a world of its own.
            transaction.set_rollback(True)

        assert replayed == raised


def live_and_replay(phases, results, chosen):
    """Return what was raised and ended while living, and what a replay says of it."""
    partitions.ensure(now=BEGIN)
    make_priority_rules()
    monitor = make_watched(BEGIN, since=BEGIN)
    measure, aggregate, window_s = chosen["measured"]
    clear, warning, critical = _BOUNDS[measure]
    threshold = make_threshold(
        measure,
        aggregate=aggregate,
        window_s=window_s,
        critical_bound=critical,
        warning_bound=warning if chosen["has_warning"] else None,
        clear_bound=clear if chosen["has_clear"] else None,
        for_count=chosen["for_count"],
        for_s=chosen["for_s"],
        min_sample_count=chosen["min_sample_count"],
    )
    end = live(monitor, phases, results)
    rollups.roll_up(now=end)
    trial = try_on_history(threshold=threshold, now=end)
    raised = Alert.objects.order_by("-started_at", "-pk")
    return (
        [(alert.started_at, alert.resolved_at) for alert in raised],
        [(one.started_at, one.ended_at) for one in trial.firings],
    )


def live(monitor, phases, results):
    """Live through statuses and results, judging every ten seconds; return the end."""
    moments = []
    at = BEGIN + SECOND
    for pause, outcome in results:
        at += pause * SECOND
        moments.append((at, outcome))
    switches, switch_at = [], BEGIN
    for status, seconds in phases:
        switches.append((switch_at, status))
        switch_at += seconds * SECOND
    end = max(at, switch_at) + 120 * SECOND
    tick = datetime.fromtimestamp(next_tick(BEGIN.timestamp()), tz=UTC)
    count = 0
    while tick <= end:
        while switches and switches[0][0] <= tick:
            turn(monitor, *switches.pop(0))
            if MonitorState.objects.get().status == Status.UNKNOWN:
                count = 0
        while moments and moments[0][0] <= tick:
            moment, outcome = moments.pop(0)
            code = {"failed": 503, "ours": 95}.get(outcome, 0)
            make_result(monitor, moment, ms=None if code else outcome, code=code)
            if code != 95:
                count = count + 1 if code else 0
        MonitorState.objects.update(
            failure_count=count, fresh_until=tick + timedelta(hours=1)
        )
        judge_all(now=tick)
        tick += 10 * SECOND
    return tick - 10 * SECOND


def turn(monitor, at, status):
    """Let a monitor be in a status from a moment on, in state and ledger."""
    state = MonitorState.objects.get(monitor=monitor)
    if status == Status.UP and state.is_degraded:
        status = Status.DEGRADED
    StatusInterval.objects.filter(ended_at=None, started_at=at).delete()
    StatusInterval.objects.filter(ended_at=None).update(ended_at=at)
    StatusInterval.objects.create(monitor=monitor, status=status, started_at=at)
    confirmed = status if status in (Status.DOWN, Status.UNKNOWN) else Status.UP
    MonitorState.objects.update(
        status=status, since=at, confirmed=confirmed, confirmed_since=at
    )

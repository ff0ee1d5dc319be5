"""Judging: when a threshold fires, when it is over, and that it never flaps."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.thresholds.judging import (
    Change,
    Level,
    Measurement,
    Standing,
    ThresholdSpec,
    judge,
)

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TWO_BOUNDS = ThresholdSpec(warning_bound=500, critical_bound=2000)


def make_measurements(*values, every_s=60, start=START):
    return [
        Measurement(value=value, at=start + timedelta(seconds=every_s * n))
        for n, value in enumerate(values)
    ]


def changes(spec, *values, every_s=60):
    """What happened, as (position of the value, change, level)."""
    standing = Standing()
    found = []
    for position, measurement in enumerate(make_measurements(*values, every_s=every_s)):
        standing, transitions = judge(
            spec=spec, standing=standing, measurements=[measurement]
        )
        found += [(position, str(t.change), str(t.level)) for t in transitions]
    return found


@pytest.mark.parametrize(
    ("spec", "values", "expected"),
    [
        pytest.param(TWO_BOUNDS, [100, 499, 500], [], id="on the bound is still good"),
        pytest.param(TWO_BOUNDS, [501], [(0, "fired", "warning")], id="over warning"),
        pytest.param(
            TWO_BOUNDS, [2001], [(0, "fired", "critical")], id="straight to critical"
        ),
        pytest.param(
            TWO_BOUNDS,
            [600, 2500, 600, 100],
            [
                (0, "fired", "warning"),
                (1, "raised", "critical"),
                (2, "lowered", "warning"),
                (3, "cleared", "ok"),
            ],
            id="up and down the stairs",
        ),
        pytest.param(
            TWO_BOUNDS,
            [2500, 100],
            [(0, "fired", "critical"), (1, "cleared", "ok")],
            id="from critical to good at once",
        ),
        pytest.param(
            replace(TWO_BOUNDS, for_count=3),
            [600, 600, 100, 600, 600, 600],
            [(5, "fired", "warning")],
            id="a good value breaks the row",
        ),
        pytest.param(
            replace(TWO_BOUNDS, for_count=3),
            [2500, 600, 2500, 2500, 2500],
            [(2, "fired", "warning"), (4, "raised", "critical")],
            id="a mixed row reaches the milder level, each level by its own row",
        ),
        pytest.param(
            ThresholdSpec(critical_bound=2000, clear_bound=1800),
            [2001, 1900, 1800, 1799],
            [(0, "fired", "critical"), (3, "cleared", "ok")],
            id="ends past the clear bound",
        ),
        pytest.param(
            replace(TWO_BOUNDS, clear_bound=1800),
            [2001, 1900, 1799, 501, 500],
            [
                (0, "fired", "critical"),
                (2, "lowered", "warning"),
                (4, "cleared", "ok"),
            ],
            id="a clear bound between the two ends only the critical level",
        ),
        pytest.param(
            replace(TWO_BOUNDS, clear_bound=400),
            [2001, 600, 450, 399],
            [(0, "fired", "critical"), (3, "cleared", "ok")],
            id="a clear bound below both ends both",
        ),
        pytest.param(
            ThresholdSpec(critical_bound=100, clear_bound=150),
            [101, 120, 99],
            [(0, "fired", "critical"), (2, "cleared", "ok")],
            id="a clear bound on the bad side is not believed",
        ),
        pytest.param(
            ThresholdSpec(is_above=False, warning_bound=30, critical_bound=7),
            [31, 30, 29, 6, 29, 90],
            [
                (2, "fired", "warning"),
                (3, "raised", "critical"),
                (4, "lowered", "warning"),
                (5, "cleared", "ok"),
            ],
            id="below, as for days left",
        ),
        pytest.param(
            ThresholdSpec(is_above=False, critical_bound=7, clear_bound=14),
            [6, 10, 14, 15],
            [(0, "fired", "critical"), (3, "cleared", "ok")],
            id="below with a clear bound",
        ),
        pytest.param(
            ThresholdSpec(critical_bound=80, for_s=120),
            [90, 90, 90],
            [(2, "fired", "critical")],
            id="only once it has lasted",
        ),
        pytest.param(
            ThresholdSpec(critical_bound=80, for_s=120, for_count=4),
            [90, 90, 90, 90],
            [(3, "fired", "critical")],
            id="count and time together",
        ),
        pytest.param(ThresholdSpec(), [1e9, -1e9], [], id="without a bound never"),
    ],
)
def test_values_lead_to_changes(spec, values, expected):
    assert changes(spec, *values) == expected


def test_firing_is_backdated_to_the_first_value_in_the_row():
    _, transitions = judge(
        spec=replace(TWO_BOUNDS, for_count=3),
        standing=Standing(),
        measurements=make_measurements(100, 600, 700, 800),
    )

    (fired,) = transitions
    assert fired.change is Change.FIRED
    assert fired.since == START + timedelta(seconds=60)
    assert fired.value == 800


def test_clearing_counts_from_the_value_that_cleared():
    _, transitions = judge(
        spec=TWO_BOUNDS, standing=Standing(), measurements=make_measurements(600, 100)
    )

    assert transitions[-1].since == START + timedelta(seconds=60)


def test_a_measurement_is_never_judged_twice():
    measurements = make_measurements(600, 600)
    spec = replace(TWO_BOUNDS, for_count=3)
    once, _ = judge(spec=spec, standing=Standing(), measurements=measurements)

    twice, transitions = judge(spec=spec, standing=once, measurements=measurements)

    assert twice == once
    assert transitions == []


def test_a_window_with_too_few_samples_says_nothing():
    spec = ThresholdSpec(critical_bound=50, min_sample_count=10)
    few = Measurement(value=100, at=START, sample_count=9)

    standing, transitions = judge(spec=spec, standing=Standing(), measurements=[few])

    assert standing == Standing()
    assert transitions == []


def test_a_bound_that_is_taken_away_ends_its_level():
    standing, _ = judge(
        spec=TWO_BOUNDS, standing=Standing(), measurements=make_measurements(600)
    )

    later = make_measurements(600, start=START + timedelta(hours=1))
    standing, transitions = judge(
        spec=replace(TWO_BOUNDS, warning_bound=None),
        standing=standing,
        measurements=later,
    )

    assert standing.level is Level.OK
    assert [str(t.change) for t in transitions] == ["cleared"]


values = st.lists(st.floats(min_value=0, max_value=3000, allow_nan=False), max_size=60)
specs = st.builds(
    ThresholdSpec,
    warning_bound=st.none() | st.just(500.0),
    critical_bound=st.none() | st.just(2000.0),
    clear_bound=st.none() | st.sampled_from([300.0, 500.0, 1500.0, 2000.0, 2500.0]),
    for_count=st.integers(min_value=1, max_value=4),
    for_s=st.sampled_from([0, 60, 200]),
)


@given(
    spec=specs, band=st.lists(st.floats(min_value=1500, max_value=2000), max_size=60)
)
def test_values_inside_the_band_change_nothing(spec, band):
    spec = replace(spec, warning_bound=None, critical_bound=2000, clear_bound=1500)
    for before in (Standing(), Standing(level=Level.CRITICAL, since=START)):
        standing, transitions = judge(
            spec=spec, standing=before, measurements=make_measurements(*band)
        )

        assert transitions == []
        assert standing.level is before.level


def over_in_a_row(spec, level, measurements):
    """The newest measurements without a break that reach a level, newest first."""

    def reaches(measurement):
        return spec.is_over(measurement.value, spec.critical_bound) or (
            level is Level.WARNING
            and spec.is_over(measurement.value, spec.warning_bound)
        )

    return list(itertools.takewhile(reaches, reversed(measurements)))


@given(spec=specs, values=values)
def test_a_level_is_reached_exactly_when_a_whole_row_is_over_its_bound(spec, values):
    standing = Standing()
    measurements = make_measurements(*values)
    for count in range(len(measurements)):
        before = standing.level
        standing, _ = judge(
            spec=spec, standing=standing, measurements=[measurements[count]]
        )
        if standing.level.rank <= before.rank:
            continue
        row = over_in_a_row(spec, standing.level, measurements[: count + 1])
        assert len(row) >= spec.for_count
        assert (row[0].at - row[-1].at).total_seconds() >= spec.for_s
        assert standing.since == row[-1].at


@given(spec=specs, values=values)
def test_higher_values_never_judge_milder(spec, values):
    low, _ = judge(
        spec=spec, standing=Standing(), measurements=make_measurements(*values)
    )
    high, _ = judge(
        spec=spec,
        standing=Standing(),
        measurements=make_measurements(*(value + 100 for value in values)),
    )

    assert high.level.rank >= low.level.rank


@given(spec=specs, values=values)
def test_above_and_below_mirror_each_other(spec, values):
    mirrored = replace(
        spec,
        is_above=False,
        warning_bound=None if spec.warning_bound is None else -spec.warning_bound,
        critical_bound=None if spec.critical_bound is None else -spec.critical_bound,
        clear_bound=None if spec.clear_bound is None else -spec.clear_bound,
    )

    assert changes(spec, *values) == changes(mirrored, *(-value for value in values))


@given(spec=specs, values=values, cuts=st.lists(st.integers(0, 60), max_size=5))
def test_how_measurements_are_batched_makes_no_difference(spec, values, cuts):
    measurements = make_measurements(*values)
    whole, all_at_once = judge(
        spec=spec, standing=Standing(), measurements=measurements
    )

    standing, found = Standing(), []
    borders = [0, *sorted(cut for cut in cuts if cut <= len(values)), len(values)]
    for start, end in itertools.pairwise(borders):
        standing, transitions = judge(
            spec=spec, standing=standing, measurements=measurements[start:end]
        )
        found += transitions

    assert standing == whole
    assert found == all_at_once


@given(spec=specs, values=values, cut=st.integers(0, 60))
def test_what_changed_nothing_may_be_forgotten_and_judged_again(spec, values, cut):
    """Only standings that differ are written; the rest is read again next time."""
    measurements = make_measurements(*values)
    first, transitions = judge(
        spec=spec, standing=Standing(), measurements=measurements[:cut]
    )
    is_written = bool(transitions) or first.differs_from(Standing())
    remembered = first if is_written else Standing()

    again, found = judge(spec=spec, standing=remembered, measurements=measurements)

    whole, expected = judge(spec=spec, standing=Standing(), measurements=measurements)
    assert not again.differs_from(whole)
    assert transitions + found == expected if is_written else found == expected

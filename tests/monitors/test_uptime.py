from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.uptime import Interval, by_day, day_borders, floor_percent, measure

PARIS = ZoneInfo("Europe/Paris")
START = datetime(2026, 2, 16, 0, 0, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def interval(status: str, began: float, ended: float | None) -> Interval:
    return Interval(
        status=status,
        started_at=at(began),
        ended_at=None if ended is None else at(ended),
    )


def test_uptime_is_weighted_by_time():
    uptime = measure(
        intervals=[interval("up", 0, 9), interval("down", 9, 10)],
        start=at(0),
        end=at(10),
        observed_until=None,
    )

    assert uptime.ratio == pytest.approx(0.9)
    assert uptime.coverage == 1.0


def test_unknown_time_lowers_coverage_and_not_uptime():
    uptime = measure(
        intervals=[interval("up", 0, 5), interval("unknown", 5, 10)],
        start=at(0),
        end=at(10),
        observed_until=None,
    )

    assert uptime.ratio == 1.0
    assert uptime.coverage == pytest.approx(0.5)


@pytest.mark.parametrize("status", ["maintenance", "paused"])
def test_planned_quiet_counts_nowhere(status):
    uptime = measure(
        intervals=[interval("up", 0, 5), interval(status, 5, 10)],
        start=at(0),
        end=at(10),
        observed_until=None,
    )

    assert uptime.ratio == 1.0
    assert uptime.coverage == 1.0


def test_degraded_counts_as_up():
    uptime = measure(
        intervals=[interval("degraded", 0, 10)],
        start=at(0),
        end=at(10),
        observed_until=None,
    )

    assert uptime.ratio == 1.0


def test_open_interval_is_unknown_where_no_result_vouches():
    uptime = measure(
        intervals=[interval("up", 0, None)],
        start=at(0),
        end=at(10),
        observed_until=at(4),
    )

    assert uptime.up_s == 4 * 3600
    assert uptime.unknown_s == 6 * 3600


def test_time_before_the_monitor_existed_counts_nowhere():
    uptime = measure(
        intervals=[interval("up", 8, 10)],
        start=at(0),
        end=at(10),
        observed_until=None,
    )

    assert uptime.ratio == 1.0
    assert uptime.coverage == 1.0


def test_nothing_observed_has_no_ratio():
    uptime = measure(intervals=[], start=at(0), end=at(1), observed_until=None)

    assert uptime.ratio is None
    assert uptime.coverage is None
    assert uptime.worst == "unknown"


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)],
)
def test_local_days_follow_the_clock_change(day, hours):
    start, end = day_borders(day=day, zone=PARIS)

    assert end - start == timedelta(hours=hours)


def test_a_whole_down_day_of_25_hours_is_down_for_25_hours():
    start, end = day_borders(day=date(2026, 10, 25), zone=PARIS)
    outage = Interval(status="down", started_at=start, ended_at=end)

    days = by_day(
        intervals=[outage],
        first_day=date(2026, 10, 24),
        day_count=3,
        zone=PARIS,
        now=end + timedelta(days=2),
        observed_until=None,
    )

    assert [day.uptime.down_s for day in days] == [0, 25 * 3600, 0]


def test_the_present_day_ends_now():
    days = by_day(
        intervals=[Interval(status="up", started_at=at(-48), ended_at=None)],
        first_day=date(2026, 2, 15),
        day_count=2,
        zone=ZoneInfo("UTC"),
        now=at(6),
        observed_until=at(7),
    )

    assert [day.uptime.up_s for day in days] == [24 * 3600, 6 * 3600]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1.0, "100"),
        (0.99999, "99.99"),
        (0.999949, "99.99"),
        (0.9995, "99.95"),
        (0.9999, "99.99"),
        (0.5, "50.00"),
        (0.0, "0.00"),
    ],
)
def test_percentages_round_down(ratio, text):
    assert floor_percent(ratio) == text


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["up", "degraded", "down", "maintenance", "paused", "unknown"]
            ),
            st.integers(min_value=1, max_value=100_000),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_days_add_up_to_the_whole(stretches):
    intervals = []
    moment = datetime(2026, 3, 20, 7, 11, tzinfo=UTC)
    for status, seconds in stretches:
        ended = moment + timedelta(seconds=seconds)
        intervals.append(Interval(status=status, started_at=moment, ended_at=ended))
        moment = ended
    first_day = intervals[0].started_at.astimezone(PARIS).date()
    day_count = (moment.astimezone(PARIS).date() - first_day).days + 1
    start, _ = day_borders(day=first_day, zone=PARIS)

    days = by_day(
        intervals=intervals,
        first_day=first_day,
        day_count=day_count,
        zone=PARIS,
        now=moment,
        observed_until=None,
    )
    whole = measure(intervals=intervals, start=start, end=moment, observed_until=None)

    for name in ("up_s", "down_s", "degraded_s", "maintenance_s", "unknown_s"):
        total = sum(getattr(day.uptime, name) for day in days)
        assert total == pytest.approx(getattr(whole, name))

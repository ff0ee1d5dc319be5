"""When a digest is due."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpis.digest.timing import Timing, following, latest

PARIS = ZoneInfo("Europe/Paris")
DAILY = Timing("daily", time(9))
TIMINGS = st.builds(
    Timing,
    cadence=st.sampled_from(["daily", "weekly", "monthly"]),
    at=st.times(),
    weekday=st.integers(0, 6),
    day=st.integers(1, 28),
    zone=st.sampled_from(
        ["Europe/Paris", "America/New_York", "Asia/Kathmandu", "Africa/Cairo", "UTC"]
    ),
)
# From 2025 to 2028, also within the hours that a clock skips or doubles.
MOMENTS = st.integers(0, 3 * 365 * 86_400).map(
    lambda seconds: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@pytest.mark.parametrize(
    ("day", "due_at", "hours"),
    [
        # Summer time begins in the night before, ends in the night before.
        (date(2026, 3, 29), datetime(2026, 3, 29, 7, tzinfo=UTC), 23),
        (date(2026, 10, 25), datetime(2026, 10, 25, 8, tzinfo=UTC), 25),
        (date(2026, 11, 27), datetime(2026, 11, 27, 8, tzinfo=UTC), 24),
    ],
)
def test_nine_oclock_is_nine_oclock_on_the_days_of_the_clock_too(day, due_at, hours):
    occasion = latest(DAILY, due_at)

    assert (occasion.local_date, occasion.due_at) == (day, due_at)
    assert occasion.due_at - occasion.since == timedelta(hours=hours)
    assert latest(DAILY, due_at - timedelta(seconds=1)).local_date < day


@pytest.mark.parametrize(
    ("day", "due_at"),
    [
        # 02:30 doesn't exist, and exists twice.
        (date(2026, 3, 29), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        (date(2026, 10, 25), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
)
def test_an_hour_that_is_skipped_or_doubled_comes_once(day, due_at):
    timing = Timing("daily", time(2, 30))

    before = latest(timing, due_at - timedelta(seconds=1))

    assert following(timing, before.due_at).due_at == due_at
    assert latest(timing, due_at).local_date == day
    assert latest(timing, due_at + timedelta(hours=22)).local_date == day


def test_weekly_and_monthly_ones_fall_on_their_day():
    friday = datetime(2026, 11, 27, 12, tzinfo=UTC)

    monday = following(Timing("weekly", time(9), weekday=0), friday)
    month = following(Timing("monthly", time(9), day=28), friday)

    assert monday.local_date == date(2026, 11, 30)
    assert monday.since == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert month.local_date == date(2026, 11, 28)
    assert month.since == datetime(2026, 10, 28, 8, tzinfo=UTC)


@given(timing=TIMINGS, moment=MOMENTS)
def test_occasions_touch_and_each_day_has_one(timing, moment):
    last = latest(timing, moment)
    after = following(timing, moment)

    assert last.due_at <= moment < after.due_at
    assert after.since == last.due_at
    assert after.local_date > last.local_date
    assert latest(timing, after.due_at) == after
    assert last.expires_at < after.due_at


def test_what_does_not_matter_makes_no_other_timing():
    assert str(Timing("daily", time(9), weekday=3, day=9)) == str(DAILY)
    assert str(Timing("weekly", time(9), day=9)) == str(Timing("weekly", time(9)))
    assert len({str(Timing("weekly", time(9), weekday=day)) for day in range(7)}) == 7

"""Periods: DST days, weeks, months; and what holds for every zone and moment."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpis import buckets
from kpis.buckets import Bucket, Shape

PARIS = ZoneInfo("Europe/Paris")
DAY = Shape("day")
HOUR = Shape("hour")
# Clocks that move by an hour and by half of one, at midnight, twice a year or never; a
# day that Samoa left out.
ZONES = [
    "Europe/Paris",
    "UTC",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Atlantic/Azores",
    "Pacific/Apia",
]
shapes = st.builds(
    Shape,
    grain=st.sampled_from(buckets.GRAINS),
    window=st.integers(1, 40),
    zone=st.sampled_from(ZONES),
)
moments = st.datetimes(
    min_value=datetime(2005, 1, 1),  # noqa: DTZ001 hypothesis adds the zone
    max_value=datetime(2035, 1, 1),  # noqa: DTZ001 hypothesis adds the zone
    timezones=st.just(UTC),
)


def paris(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


def local(bucket: Bucket) -> tuple[str, str]:
    start, end = bucket.start.astimezone(PARIS), bucket.end.astimezone(PARIS)
    return (f"{start:%Y-%m-%d %H:%M}", f"{end:%Y-%m-%d %H:%M}")


def hours(bucket: Bucket) -> float:
    return (bucket.end - bucket.start) / timedelta(hours=1)


class TestDaysOfTheClockChange:
    def test_spring_has_a_day_of_23_hours(self):
        found = buckets.at(DAY, paris("2026-03-29T12:00"))

        assert local(found) == ("2026-03-29 00:00", "2026-03-30 00:00")
        assert hours(found) == 23
        assert found.start == datetime(2026, 3, 28, 23, tzinfo=UTC)
        assert found.end == datetime(2026, 3, 29, 22, tzinfo=UTC)

    def test_autumn_has_a_day_of_25_hours(self):
        found = buckets.at(DAY, paris("2026-10-25T12:00"))

        assert local(found) == ("2026-10-25 00:00", "2026-10-26 00:00")
        assert hours(found) == 25
        assert found.start == datetime(2026, 10, 24, 22, tzinfo=UTC)
        assert found.end == datetime(2026, 10, 25, 23, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("day", "count"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)]
    )
    def test_a_day_has_as_many_hours_as_it_has(self, day, count):
        whole = buckets.at(DAY, paris(f"{day}T12:00"))

        found = buckets.between(HOUR, whole.start, whole.end)

        assert len(found) == len({one.start for one in found}) == count
        assert {hours(one) for one in found} == {1}

    def test_the_hour_that_comes_twice_is_two_periods(self):
        whole = buckets.at(DAY, paris("2026-10-25T12:00"))

        names = [
            f"{one.start.astimezone(PARIS):%H:%M %Z}"
            for one in buckets.between(HOUR, whole.start, whole.end)
        ]

        assert names[1:5] == ["01:00 CEST", "02:00 CEST", "02:00 CET", "03:00 CET"]

    @pytest.mark.parametrize("day", ["2026-03-30", "2026-10-26"])
    def test_seven_days_are_seven_days_of_the_clock(self, day):
        found = buckets.at(Shape("day", 7), paris(f"{day}T12:00"))

        first = date.fromisoformat(day) - timedelta(days=6)
        assert found.looks_from.astimezone(PARIS).date() == first
        assert found.looks_from.astimezone(PARIS).hour == 0

    @pytest.mark.parametrize(
        ("day", "before"), [("2026-03-29", "2026-03-28"), ("2026-10-26", "2026-10-25")]
    )
    def test_the_day_before_is_the_calendar_s(self, day, before):
        found = buckets.previous(DAY, buckets.at(DAY, paris(f"{day}T00:00")))

        assert local(found)[0] == f"{before} 00:00"
        assert local(found)[1] == f"{day} 00:00"

    @pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
    def test_the_week_and_the_month_around_it_begin_at_midnight(self, day):
        week = buckets.at(Shape("week"), paris(f"{day}T23:59"))
        month = buckets.at(Shape("month"), paris(f"{day}T23:59"))

        assert week.start.astimezone(PARIS).strftime("%a %H:%M") == "Mon 00:00"
        assert month.start.astimezone(PARIS).strftime("%d %H:%M") == "01 00:00"
        assert hours(week) == (167 if day == "2026-03-29" else 169)

    def test_the_last_complete_day_waits_for_late_data(self):
        lateness = timedelta(hours=2)

        early = buckets.last_complete(DAY, paris("2026-03-30T01:59"), lateness)
        then = buckets.last_complete(DAY, paris("2026-03-30T02:00"), lateness)

        assert local(early)[0] == "2026-03-28 00:00"
        assert local(then)[0] == "2026-03-29 00:00"


class TestLikeWithLike:
    @pytest.mark.parametrize("day", ["2026-03-29", "2026-03-30", "2026-10-25"])
    def test_nine_o_clock_is_compared_with_nine_o_clock(self, day):
        now = paris(f"{day}T09:00")
        today = buckets.at(DAY, now)

        found = buckets.as_far_as(
            DAY, buckets.previous(DAY, today), other=today, moment=now
        )

        assert local(found)[1].endswith(" 09:00")
        assert found.start == buckets.previous(DAY, today).start

    def test_a_shorter_month_ends_where_it_ends(self):
        shape, now = Shape("month"), paris("2026-03-31T09:00")
        march = buckets.at(shape, now)
        february = buckets.previous(shape, march)

        found = buckets.as_far_as(shape, february, other=march, moment=now)

        assert found.end == february.end


def test_a_day_that_a_zone_left_out_is_no_period():
    shape = Shape("day", 1, "Pacific/Apia")
    zone = ZoneInfo(shape.zone)

    found = buckets.between(
        shape,
        datetime(2011, 12, 29, tzinfo=zone),
        datetime(2012, 1, 1, tzinfo=zone),
    )

    assert [one.start.astimezone(zone).day for one in found] == [29, 31]
    assert {hours(one) for one in found} == {24}


@given(shape=shapes, moment=moments)
def test_periods_touch_and_hold_the_moments_that_they_are_of(shape, moment):
    found = buckets.at(shape, moment)

    assert found.start <= moment < found.end
    assert found.looks_from <= found.start
    assert buckets.at(shape, found.start) == found
    assert buckets.at(shape, found.end - timedelta(microseconds=1)) == found
    assert buckets.following(shape, found).start == found.end
    assert buckets.previous(shape, found).end == found.start
    assert (found.end - found.start).total_seconds() <= buckets.LONGEST_S[shape.grain]


@given(
    shape=shapes,
    moment=moments,
    length=st.timedeltas(timedelta(seconds=1), timedelta(days=90)),
)
def test_a_stretch_of_time_is_cut_without_gap_or_overlap(shape, moment, length):
    found = buckets.between(shape, moment, moment + length)

    assert found[0].start <= moment
    assert found[-1].end >= moment + length
    assert all(one.end == other.start for one, other in itertools.pairwise(found))


@given(shape=shapes, moment=moments, hours_late=st.integers(0, 200))
def test_the_last_complete_period_is_the_newest_that_is_over(shape, moment, hours_late):
    lateness = timedelta(hours=hours_late)

    found = buckets.last_complete(shape, moment, lateness)

    assert buckets.is_complete(found, moment, lateness)
    after = buckets.following(shape, found)
    assert not buckets.is_complete(after, moment, lateness)


@given(shape=shapes, moment=moments)
def test_the_compared_part_lies_in_its_own_period(shape, moment):
    current = buckets.at(shape, moment)
    before = buckets.previous(shape, current)

    found = buckets.as_far_as(shape, before, other=current, moment=moment)

    assert before.start <= found.end <= before.end
    assert found.start == before.start


@pytest.mark.parametrize("wrong", [{"grain": "year"}, {"grain": "day", "window": 0}])
def test_what_cuts_no_time_is_refused(wrong):
    with pytest.raises(ValueError, match=r"unknown grain|empty"):
        Shape(**wrong)

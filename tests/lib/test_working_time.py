"""Working time: 9 to 18, Monday to Friday, without French public holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t4g_portal.lib.working_time import (
    is_in_hours,
    is_public_holiday,
    is_working_day,
    working_hours,
)

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-03-02T08:59:59.999999", False),
        ("2026-03-02T09:00:00", True),
        ("2026-03-02T17:59:59.999999", True),
        ("2026-03-02T18:00:00", False),
        ("2026-03-07T11:00:00", False),  # Saturday
        ("2026-03-08T11:00:00", False),  # Sunday
        ("2026-07-14T11:00:00", False),  # Bastille Day, a Tuesday
        ("2026-05-25T11:00:00", False),  # Whit Monday
        ("2026-12-24T11:00:00", True),
        ("2026-12-26T11:00:00", False),  # a Saturday; Alsace's own holiday, too
    ],
)
def test_people_work_from_nine_to_six_on_working_days(local, expected):
    moment = datetime.fromisoformat(local).replace(tzinfo=PARIS)

    assert is_in_hours(moment, zone=PARIS) is expected
    assert is_in_hours(moment.astimezone(UTC), zone=PARIS) is expected


def test_hours_are_the_wall_clock_of_the_zone():
    monday_half_past_eight_utc = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)

    assert is_in_hours(monday_half_past_eight_utc, zone=PARIS)
    assert not is_in_hours(monday_half_past_eight_utc, zone=ZoneInfo("Europe/London"))


def test_holidays_follow_easter():
    assert [
        day
        for day in (date(2025, 4, 21), date(2026, 4, 6), date(2026, 4, 3))
        if is_public_holiday(day)
    ] == [date(2025, 4, 21), date(2026, 4, 6)]
    assert not is_working_day(date(2026, 4, 6))


def test_summer_time_moves_the_hours_in_utc_by_one():
    friday, monday = (
        working_hours(
            start=datetime(2026, 3, day, tzinfo=UTC),
            end=datetime(2026, 3, day + 1, tzinfo=UTC),
            zone=PARIS,
        )
        for day in (27, 30)
    )

    assert [opens.astimezone(UTC).hour for opens, _closes in friday + monday] == [8, 7]


@given(
    age=st.timedeltas(timedelta(), timedelta(days=5 * 366)),
    length=st.timedeltas(timedelta(), timedelta(days=40)),
    share=st.floats(0, 1, exclude_max=True),
    zone=st.sampled_from(["Europe/Paris", "America/New_York", "Australia/Lord_Howe"]),
)
def test_the_stretches_are_where_people_work_and_nowhere_else(age, length, share, zone):
    place = ZoneInfo(zone)
    began = datetime(2023, 1, 1, tzinfo=UTC) + age
    moment = began + length * share

    stretches = working_hours(start=began, end=began + length, zone=place)

    if moment < began + length:  # a share of nearly all may round up to it
        assert is_in_hours(moment, zone=place) is any(
            opens <= moment < closes for opens, closes in stretches
        )
    edges = [edge for stretch in stretches for edge in stretch]
    assert edges == sorted(edges)
    assert all(began <= edge <= began + length for edge in edges)

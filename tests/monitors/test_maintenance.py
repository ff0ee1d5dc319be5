"""Maintenance windows: when they are open, over the change of hours too, and for whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.maintenance import (
    Occurrence,
    UnableToRepeat,
    WindowSpec,
    occurrences,
    validate_recurrence,
    windows_now,
)
from monitors.models import MaintenanceWindow
from tests.factories import make_monitor, make_service

PARIS = ZoneInfo("Europe/Paris")
HOUR = timedelta(hours=1)


def make_spec(
    year, month, day, hour, minute=0, *, recurrence="", duration_s=3600, zone=PARIS
):
    return WindowSpec(
        starts_at=datetime(year, month, day, hour, minute, tzinfo=zone),
        duration_s=duration_s,
        recurrence=recurrence,
        zone=zone,
    )


def utc(year, month, day, hour=0, minute=0):
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def starts(spec, start, end):
    return [item.started_at for item in occurrences(spec=spec, start=start, end=end)]


class TestOnce:
    def test_is_there_while_it_overlaps_the_stretch(self):
        spec = make_spec(2026, 3, 2, 10)

        found = occurrences(
            spec=spec, start=utc(2026, 3, 2, 9, 30), end=utc(2026, 3, 3)
        )

        assert found == [
            Occurrence(started_at=utc(2026, 3, 2, 9), ends_at=utc(2026, 3, 2, 10))
        ]

    def test_borders_are_half_open(self):
        spec = make_spec(2026, 3, 2, 10)

        assert not starts(spec, utc(2026, 3, 2, 10), utc(2026, 3, 2, 11))
        assert not starts(spec, utc(2026, 3, 2, 8), utc(2026, 3, 2, 9))

    def test_may_last_for_weeks(self):
        spec = make_spec(2026, 3, 2, 10, duration_s=20 * 86_400)

        assert starts(spec, utc(2026, 3, 20), utc(2026, 3, 21))


class TestRecurring:
    def test_a_sunday_morning_stays_one_when_summer_time_begins(self):
        spec = make_spec(2026, 3, 1, 4, recurrence="FREQ=WEEKLY;BYDAY=SU")

        # Summer time in Paris: 29 March to 25 October 2026.
        assert starts(spec, utc(2026, 3, 20), utc(2026, 4, 10)) == [
            utc(2026, 3, 22, 3),
            utc(2026, 3, 29, 2),
            utc(2026, 4, 5, 2),
        ]

    def test_a_daily_window_keeps_its_wall_time_when_summer_time_ends(self):
        spec = make_spec(2026, 1, 1, 4, recurrence="FREQ=DAILY")

        assert starts(spec, utc(2026, 10, 24), utc(2026, 10, 27)) == [
            utc(2026, 10, 24, 2),
            utc(2026, 10, 25, 3),
            utc(2026, 10, 26, 3),
        ]

    def test_a_wall_time_that_is_skipped_counts_an_hour_later(self):
        spec = make_spec(2026, 3, 1, 2, 30, recurrence="FREQ=DAILY")

        assert starts(spec, utc(2026, 3, 28), utc(2026, 3, 31)) == [
            utc(2026, 3, 28, 1, 30),
            # 02:30 does not exist; 03:30 of summer time.
            utc(2026, 3, 29, 1, 30),
            utc(2026, 3, 30, 0, 30),
        ]

    def test_a_wall_time_that_comes_twice_counts_the_first_time_only(self):
        spec = make_spec(2026, 10, 20, 2, 30, recurrence="FREQ=DAILY")

        assert starts(spec, utc(2026, 10, 25), utc(2026, 10, 26)) == [
            utc(2026, 10, 25, 0, 30)
        ]

    @pytest.mark.parametrize("midnight", [utc(2026, 3, 29), utc(2026, 10, 25)])
    def test_its_length_is_elapsed_time_over_the_change_of_hours(self, midnight):
        spec = make_spec(2026, 1, 1, 1, recurrence="FREQ=DAILY", duration_s=3 * 3600)

        (found,) = occurrences(
            spec=spec, start=midnight + HOUR / 2, end=midnight + HOUR
        )

        assert found.ends_at - found.started_at == 3 * HOUR

    def test_before_its_first_start_there_is_none(self):
        spec = make_spec(2026, 3, 2, 4, recurrence="FREQ=DAILY")

        assert not starts(spec, utc(2026, 2, 1), utc(2026, 3, 2, 3))

    def test_a_count_counts_from_the_first_start(self):
        spec = make_spec(2026, 3, 2, 4, recurrence="FREQ=DAILY;COUNT=3")

        assert len(starts(spec, utc(2026, 3, 1), utc(2026, 4, 1))) == 3
        assert not starts(spec, utc(2026, 3, 5), utc(2026, 4, 1))

    @pytest.mark.parametrize(
        "until", ["20260304T040000", "20260304T030000Z", "20260304"]
    )
    def test_until_is_included(self, until):
        spec = make_spec(2026, 3, 2, 4, recurrence=f"FREQ=DAILY;UNTIL={until}")

        assert starts(spec, utc(2026, 3, 1), utc(2026, 4, 1))[-1] == utc(2026, 3, 4, 3)

    def test_every_second_week_keeps_its_place_after_years(self):
        spec = make_spec(2020, 1, 6, 4, recurrence="FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR")

        found = starts(spec, utc(2026, 3, 1), utc(2026, 4, 1))

        weeks = {(day - utc(2020, 1, 6)).days // 7 % 2 for day in found}
        assert weeks == {0}
        assert [day.weekday() for day in found] == [0, 4, 0, 4, 0][: len(found)]

    def test_overlapping_occurrences_are_all_there(self):
        spec = make_spec(2026, 3, 1, 0, recurrence="FREQ=DAILY", duration_s=3 * 86_400)

        assert len(starts(spec, utc(2026, 3, 10, 12), utc(2026, 3, 10, 13))) == 3

    @given(
        frequency=st.sampled_from(["HOURLY", "DAILY", "WEEKLY"]),
        interval=st.integers(min_value=1, max_value=5),
        byday=st.sampled_from(["", ";BYDAY=TU", ";BYDAY=MO,WE,SU"]),
        days=st.integers(min_value=0, max_value=400),
    )
    def test_looking_late_finds_what_looking_from_the_start_finds(
        self, frequency, interval, byday, days
    ):
        spec = make_spec(
            2026, 1, 7, 4, recurrence=f"FREQ={frequency};INTERVAL={interval}{byday}"
        )
        begin = utc(2026, 1, 7) + timedelta(days=days)
        end = begin + timedelta(days=15)

        everything = starts(spec, utc(2026, 1, 1), end)

        assert starts(spec, begin, end) == [
            moment for moment in everything if moment + HOUR > begin
        ]


class TestValidateRecurrence:
    @pytest.mark.parametrize(
        "text",
        [
            "FREQ=WEEKLY;BYDAY=SU",
            "RRULE:FREQ=DAILY",
            "freq=monthly;byday=-1su",
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
            "FREQ=HOURLY;INTERVAL=6",
            "FREQ=DAILY;UNTIL=20200101",
            "FREQ=DAILY;COUNT=3;",
        ],
    )
    def test_accepts_a_rule(self, text):
        validate_recurrence(text)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "Write a rule"),
            ("every sunday", "Write a rule"),
            ("FREQ=SOMETIMES", "Write a rule"),
            ("FREQ=WEEKLY;BYDAY=XX", "Write a rule"),
            ("BYDAY=SU", "Write a rule"),
            ("FREQ=DAILY;INTERVAL=0", "Write a rule"),
            ("FREQ=DAILY;COUNT=0", "Write a rule"),
            ("FREQ=DAILY;UNTIL=NEVER", "Write a rule"),
            ("FREQ=DAILY\nEXRULE:FREQ=DAILY", "Write a rule"),
            ("FREQ=MINUTELY", "at most hourly"),
            ("FREQ=SECONDLY;INTERVAL=86400", "at most hourly"),
            ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never happens"),
            ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=2", "never happens"),
            ("FREQ=HOURLY;BYMINUTE=0,10,20,30,40,50", "more than 24 times a day"),
            ("FREQ=DAILY;" + "BYHOUR=1," * 40, "at most 200"),
        ],
    )
    def test_refuses_with_what_to_do(self, text, words):
        with pytest.raises(UnableToRepeat, match=words):
            validate_recurrence(text)


def make_window(now, **values):
    values.setdefault("name", "Release night")
    values.setdefault("starts_at", now - HOUR / 2)
    values.setdefault("duration_s", 3600)
    values.setdefault("time_zone", "Europe/Paris")
    return MaintenanceWindow.objects.create(**values)


@pytest.mark.django_db
class TestWindowsNow:
    def test_covers_by_monitor_service_and_tag(self, now):
        service = make_service()
        by_monitor, other = make_monitor(), make_monitor()
        by_service = make_monitor(service=service)
        by_tag = make_monitor(tags=["nightly", "eu"])
        window = make_window(now, tags=["nightly"])
        window.monitors.add(by_monitor)
        window.services.add(service)

        found = windows_now(now=now)

        assert found.keys() == {by_monitor.pk, by_service.pk, by_tag.pk}
        assert other.pk not in found
        assert found[by_tag.pk] == ("Release night", now - HOUR / 2, now + HOUR / 2)

    def test_a_recurring_window_opens_again(self, now):
        monitor = make_monitor()
        make_window(
            now, starts_at=now - timedelta(days=7), recurrence="FREQ=WEEKLY"
        ).monitors.add(monitor)

        assert windows_now(now=now)[monitor.pk][1] == now
        assert windows_now(now=now + HOUR) == {}

    def test_of_two_windows_the_one_that_ends_last_counts(self, now):
        monitor = make_monitor()
        make_window(now, name="Short", duration_s=2000).monitors.add(monitor)
        make_window(now, name="Long", duration_s=9000).monitors.add(monitor)
        make_window(now, name="Middle", duration_s=4000).monitors.add(monitor)

        assert windows_now(now=now)[monitor.pk][0] == "Long"

    @pytest.mark.parametrize(
        "values",
        [
            {"is_enabled": False},
            {"recurrence": "FREQ=NONSENSE"},
            {"time_zone": "Mars/Olympus"},
            {"time_zone": ""},
        ],
    )
    def test_a_window_that_is_off_or_unreadable_covers_nothing(self, now, values):
        monitor = make_monitor()
        make_window(now, **values).monitors.add(monitor)
        sound = make_window(now, name="Sound")
        other = make_monitor()
        sound.monitors.add(other)

        assert windows_now(now=now).keys() == {other.pk}

    def test_costs_one_query_while_nothing_is_open_and_two_otherwise(
        self, now, django_assert_num_queries
    ):
        for number in range(5):
            make_window(now, name=f"Window {number}", tags=["a"])
        make_monitor(tags=["a"])

        with django_assert_num_queries(2):
            assert windows_now(now=now)
        with django_assert_num_queries(1):
            assert not windows_now(now=now + 2 * HOUR)

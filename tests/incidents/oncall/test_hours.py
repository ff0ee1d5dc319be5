"""Hours on call: every instant counts once, as exactly one kind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.oncall import hours
from incidents.oncall.hours import Kind

PARIS = ZoneInfo("Europe/Paris")
ZONES = [
    PARIS,
    ZoneInfo("America/Havana"),
    ZoneInfo("Atlantic/Azores"),
    ZoneInfo("UTC"),
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS)


def in_hours(start: str, end: str) -> dict[str, float]:
    found = hours.split(start=at(start), end=at(end), zone=PARIS)
    return {
        str(kind): length / timedelta(hours=1)
        for kind, length in found.items()
        if length
    }


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        # Thursday to Friday.
        ("2026-11-26 09:00", "2026-11-27 09:00", {"day": 15, "night": 9}),
        # The night from Friday to Saturday changes its kind at midnight.
        ("2026-11-27 22:00", "2026-11-28 07:00", {"night": 2, "weekend_night": 7}),
        (
            "2026-11-28 00:00",
            "2026-11-29 00:00",
            {"weekend_day": 15, "weekend_night": 9},
        ),
        # Armistice Day, a Wednesday; All Saints, a Sunday.
        (
            "2026-11-11 00:00",
            "2026-11-12 00:00",
            {"holiday_day": 15, "holiday_night": 9},
        ),
        ("2026-11-01 12:00", "2026-11-01 13:00", {"holiday_day": 1}),
        # 25 hours, 23 hours.
        (
            "2026-10-25 00:00",
            "2026-10-26 00:00",
            {"weekend_day": 15, "weekend_night": 10},
        ),
        (
            "2026-03-29 00:00",
            "2026-03-30 00:00",
            {"weekend_day": 15, "weekend_night": 8},
        ),
        ("2026-11-26 09:00", "2026-11-26 09:00", {}),
    ],
)
def test_hours_fall_into_kinds(start: str, end: str, expected: dict[str, float]):
    assert in_hours(start, end) == expected


@given(
    age=st.timedeltas(min_value=timedelta(), max_value=timedelta(days=5 * 366)),
    length=st.timedeltas(min_value=timedelta(), max_value=timedelta(days=40)),
    zone=st.sampled_from(ZONES),
)
def test_kinds_add_up_to_elapsed_time(
    age: timedelta, length: timedelta, zone: ZoneInfo
):
    begin = datetime(2025, 1, 1, tzinfo=UTC) + age

    found = hours.split(start=begin, end=begin + length, zone=zone)

    assert sum(found.values(), timedelta()) == length
    assert min(found.values()) >= timedelta()


@given(
    minutes=st.lists(st.integers(0, 6000), min_size=6, max_size=6),
)
def test_written_kinds_add_up_to_the_written_total(minutes: list[int]):
    row = hours.PersonHours(
        contact_id=1,
        name="Ada",
        by_kind={
            kind: timedelta(minutes=count)
            for kind, count in zip(Kind, minutes, strict=True)
        },
        planned=timedelta(),
        stretch_count=1,
    )
    start, end = hours.month(day=date(2026, 11, 27), zone=PARIS)

    [written] = hours.csv_rows([row], start=start, end=end, zone=PARIS)
    read = dict(zip(hours.CSV_HEADER, written, strict=True))

    cents = {
        name: round(float(read[name]) * 100) for name in read if name.endswith("_h")
    }
    assert cents["total_h"] == sum(cents[f"{kind}_h"] for kind in Kind)
    assert abs(cents["total_h"] - sum(minutes) / 0.6) <= 0.5


def test_who_is_on_call_twice_at_once_is_counted_once():
    start, end = hours.month(day=date(2026, 11, 1), zone=PARIS)

    [row] = hours.person_hours(
        stretches={
            7: [
                (at("2026-11-26 09:00"), at("2026-11-26 15:00")),
                (at("2026-11-26 12:00"), at("2026-11-26 18:00")),
                # Before and after the month.
                (at("2026-10-20 00:00"), at("2026-10-21 00:00")),
                (at("2026-11-30 23:00"), at("2026-12-01 09:00")),
            ],
            8: [(at("2026-10-20 00:00"), at("2026-10-21 00:00"))],
        },
        names={7: "Ada", 8: "Grace"},
        start=start,
        end=end,
        now=at("2026-11-26 17:00"),
        zone=PARIS,
    )

    assert (row.name, row.total, row.stretch_count) == ("Ada", timedelta(hours=10), 2)
    assert row.planned == timedelta(hours=2)
    assert row.night == timedelta(hours=1)


def test_month_of_a_clock_change_has_its_own_length():
    start, end = hours.month(day=date(2026, 10, 31), zone=PARIS)

    assert (end.astimezone(UTC) - start.astimezone(UTC)) == timedelta(days=31, hours=1)


def test_hour_that_the_clocks_repeat_is_counted():
    start, end = hours.month(day=date(2026, 10, 1), zone=PARIS)

    [row] = hours.person_hours(
        stretches={7: [(at("2026-10-25 00:00"), at("2026-10-26 00:00"))]},
        names={7: "Ada"},
        start=start,
        end=end,
        now=start,
        zone=PARIS,
    )

    assert row.total == row.planned == timedelta(hours=25)

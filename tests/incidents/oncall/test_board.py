"""The layout of a month and of a week."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.oncall import board as boards
from incidents.oncall.board import Place, Turn, View

PARIS = ZoneInfo("Europe/Paris")
LANES = [(1, "On call"), (2, "Second")]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).astimezone(UTC)


NOW = at("2026-11-27 10:00")


def turn(start: str, end: str, *, schedule: int = 1, contact: int | None = 7) -> Turn:
    return Turn(schedule, dict(LANES)[schedule], at(start), at(end), contact, "Ada", "")


def board(*turns: Turn, view: View = View.MONTH, on: date = date(2026, 11, 27)):
    return boards.board(view=view, on=on, lanes=LANES, turns=turns, now=NOW, zone=PARIS)


def test_month_is_whole_weeks():
    found = board()

    assert [row.days[0].date for row in found.rows] == [
        date(2026, 10, 26),
        *(date(2026, 11, day) for day in (2, 9, 16, 23)),
        date(2026, 11, 30),
    ]
    assert (found.first, found.last) == (date(2026, 11, 1), date(2026, 11, 30))
    assert (found.before, found.after) == (date(2026, 10, 1), date(2026, 12, 1))
    assert [day.date for row in found.rows for day in row.days if day.is_today] == [
        date(2026, 11, 27)
    ]
    assert found.rows[0].days[0].is_outside
    assert [row.now for row in found.rows if row.now] == [Place(4, 10)]


def test_week_has_seven_days():
    found = board(view=View.WEEK)

    [row] = found.rows
    assert (row.days[0].date, row.days[-1].date) == (found.first, found.last)
    assert (found.before, found.after) == (date(2026, 11, 20), date(2026, 12, 4))
    assert not any(day.is_outside for day in row.days)


def test_turn_over_two_weeks_is_a_bar_in_each():
    found = board(turn("2026-11-20 09:00", "2026-11-27 09:30", schedule=2))

    bars = [(at, bar) for at, row in enumerate(found.rows) for bar in row.lanes[1].bars]
    assert [(week, bar.begins, bar.ends) for week, bar in bars] == [
        (3, Place(4, 9), Place(7, 0)),
        # The half hour is rounded up.
        (4, Place(0, 0), Place(4, 10)),
    ]
    assert [(bar.is_begun, bar.is_continued) for _, bar in bars] == [
        (False, True),
        (True, False),
    ]
    assert all(bar.is_over for _, bar in bars)
    assert not any(row.lanes[0].bars for row in found.rows)


def test_list_says_what_is_over_apart():
    over = turn("2026-11-20 09:00", "2026-11-27 09:00")
    runs = turn("2026-11-27 09:00", "2026-11-28 09:00")
    outside = turn("2026-12-20 09:00", "2026-12-28 09:00")

    found = board(outside, runs, over)

    assert (found.over, found.ahead) == ([over], [runs])


def test_night_of_the_long_hour_keeps_its_places():
    found = board(
        turn("2026-10-25 00:00", "2026-10-26 00:00"),
        view=View.WEEK,
        on=date(2026, 10, 25),
    )

    [bar] = found.rows[0].lanes[0].bars
    assert (bar.begins, bar.ends) == (Place(6, 0), Place(7, 0))
    assert bar.turn.length == timedelta(hours=25)


@pytest.mark.parametrize("view", list(View))
def test_stepping_there_and_back_shows_the_same(view: View):
    found = board(view=view, on=date(2027, 1, 31))
    after = board(view=view, on=found.after)

    assert boards.period(view=view, on=after.before, zone=PARIS) == (
        found.start,
        found.end,
    )


@given(
    day=st.dates(min_value=date(2024, 1, 1), max_value=date(2030, 1, 1)),
    start=st.integers(-2000, 2000),
    length=st.integers(1, 3000),
    view=st.sampled_from(View),
    zone=st.sampled_from([PARIS, ZoneInfo("America/Havana"), ZoneInfo("UTC")]),
)
def test_every_bar_has_a_place_with_some_width(day, start, length, view, zone):
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=start)
    one = Turn(1, "On call", begin, begin + timedelta(hours=length), 7, "Ada", "")

    found = boards.board(
        view=view, on=day, lanes=LANES, turns=[one], now=NOW, zone=zone
    )

    is_seen = one.start < found.end and one.end > found.start
    bars = [bar for row in found.rows for lane in row.lanes for bar in lane.bars]
    assert bool(bars) == is_seen
    for bar in bars:
        first = bar.begins.day * 24 + bar.begins.hour
        last = bar.ends.day * 24 + bar.ends.hour
        assert 0 <= first < last <= 7 * 24

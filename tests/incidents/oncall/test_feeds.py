"""Feeds: what calendars of Google, Apple and others read, and how shifts change in them."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar

from incidents.oncall import feeds
from incidents.oncall.feeds import Entry, Planned, Published

NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)
DAY = timedelta(days=1)
SINCE, UNTIL = feeds.window(NOW)


def planned(start: int, end: int, *, contact: int = 7, schedule: int = 1) -> Planned:
    """A shift from and until so many days from now."""
    return Planned(schedule, contact, NOW + start * DAY, NOW + end * DAY)


def publish(known: list[Published], *places: Planned, later: timedelta = timedelta()):
    return feeds.publish(known=known, planned=places, since=SINCE, now=NOW + later)


def written(
    *shifts: Published, summary: str = "On call", description: str = ""
) -> bytes:
    return feeds.as_ical(
        entries=[Entry(shift, summary, description) for shift in shifts],
        name="Ada on call",
        description="Shifts of Ada",
        host="ops.example.org",
        url="https://ops.example.org/on-call/",
    )


def test_window_is_whole_weeks():
    assert {SINCE.time(), UNTIL.time()} == {datetime.min.time()}
    assert feeds.window(NOW + DAY) == (SINCE, UNTIL)
    assert feeds.window(NOW + 3 * DAY) == (SINCE + 7 * DAY, UNTIL + 7 * DAY)


def test_unchanged_shift_stays_as_it_was():
    first = publish([], planned(1, 2), planned(3, 4))

    again = publish(first, planned(1, 2), planned(3, 4), later=DAY)

    assert again == first
    assert len({row.uid for row in first}) == 2
    assert [row.sequence for row in first] == [0, 0]


def test_moved_shift_is_the_same_event_with_a_higher_sequence():
    [first] = publish([], planned(1, 4))

    [moved] = publish([first], planned(2, 4), later=timedelta(hours=1))

    assert (moved.uid, moved.sequence) == (first.uid, 1)
    assert (moved.start, moved.end) == (NOW + 2 * DAY, NOW + 4 * DAY)
    assert moved.modified_at == NOW + timedelta(hours=1)


def test_removed_shift_is_cancelled_and_later_forgotten():
    [first] = publish([], planned(1, 2))

    [gone] = publish([first])
    [still] = publish([gone], later=29 * DAY)

    assert (gone.uid, gone.sequence, gone.cancelled_at) == (first.uid, 1, NOW)
    assert still == gone
    assert feeds.worth_keeping(gone, now=NOW + 29 * DAY)
    assert not feeds.worth_keeping(gone, now=NOW + 31 * DAY)


def test_shift_that_comes_back_is_the_same_event_again():
    [first] = publish([], planned(1, 2))
    gone = publish([first])

    [back] = publish(gone, planned(1, 2), later=timedelta(hours=1))

    assert (back.uid, back.sequence, back.cancelled_at) == (first.uid, 2, None)


def test_override_in_the_middle_cuts_a_shift_in_two():
    first = publish([], planned(1, 8))

    both = publish(first, planned(1, 3), planned(3, 4, contact=8), planned(4, 8))

    mine = [row for row in both if row.contact_id == 7]
    assert [row.sequence for row in mine] == [1, 0]
    assert len({row.uid for row in both}) == 3


def test_shift_from_before_the_window_keeps_its_start():
    [row] = publish([], planned(-90, 2))
    assert row.start < SINCE

    week_later = SINCE + 7 * DAY
    [same] = feeds.publish(
        known=[row],
        planned=[Planned(1, 7, week_later, NOW + 2 * DAY)],
        since=week_later,
        now=NOW + 7 * DAY,
    )

    assert same == row


def test_what_is_over_stays_although_the_engine_no_longer_looks_at_it():
    past = replace(
        publish([], planned(1, 2))[0], start=SINCE - 3 * DAY, end=SINCE - DAY
    )

    assert publish([past]) == [past]


@given(
    data=st.lists(
        st.lists(
            st.tuples(st.integers(0, 30), st.integers(1, 9), st.integers(1, 2)),
            max_size=8,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_subscribers_see_exactly_what_is_planned(data):
    known: list[Published] = []
    for hour, plan in enumerate(data):
        # Turns of one schedule never overlap, and turns of one person never touch.
        places, end = [], -1
        for start, length, contact in sorted(plan):
            begin = max(start, end + 1)
            end = begin + length
            places.append(planned(begin, end, contact=contact))

        before = known
        known = publish(before, *places, later=timedelta(hours=hour))

        live = {(r.contact_id, r.start, r.end) for r in known if not r.cancelled_at}
        assert live == {(p.contact_id, p.start, p.end) for p in places}
        assert len({row.uid for row in known}) == len(known)
        # Nothing is forgotten silently, and no event goes back in its sequence.
        now = {row.uid: row.sequence for row in known}
        assert all(now[row.uid] >= row.sequence for row in before)


def test_feed_is_read_by_a_strict_reader():
    shifts = publish([], planned(1, 2), planned(5, 6, schedule=2))
    cancelled = publish(shifts, planned(1, 2))

    body = written(
        *cancelled,
        summary="On call: Ünïcode, with a comma; and\nlines",
        description="Because of the layer « Semaine » " * 6,
    )
    calendar = Calendar.from_ical(body, multiple=False)

    assert calendar["VERSION"] == "2.0"
    assert calendar["X-WR-CALNAME"] == calendar["NAME"] == "Ada on call"
    assert "METHOD" not in calendar
    found: list[Any] = calendar.walk("VEVENT")
    first, second = found
    assert first["SUMMARY"] == "On call: Ünïcode, with a comma; and\nlines"
    assert first["DTSTART"].dt == NOW + DAY
    assert first["DTEND"].dt == NOW + 2 * DAY
    assert first["UID"].endswith("@ops.example.org")
    assert (first["STATUS"], second["STATUS"]) == ("CONFIRMED", "CANCELLED")
    assert (first["SEQUENCE"], second["SEQUENCE"]) == (0, 1)
    assert first["TRANSP"] == "TRANSPARENT"
    assert first["LAST-MODIFIED"].dt == NOW


def test_lines_end_as_the_standard_says_and_are_folded():
    [shift] = publish([], planned(1, 2))

    body = written(shift, summary="Astreinte très très longue " * 10)

    assert body.endswith(b"END:VCALENDAR\r\n")
    assert body.count(b"\n") == body.count(b"\r\n")
    assert max(len(line) for line in body.split(b"\r\n")) <= 75
    assert b"DTSTART:20261128T100000Z\r\n" in body
    assert b"REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n" in body
    assert b"X-PUBLISHED-TTL:PT1H\r\n" in body
    assert b"TZID" not in body


@given(summary=st.text(max_size=200), description=st.text(max_size=200))
def test_any_words_come_back_as_they_were(summary: str, description: str):
    [shift] = publish([], planned(1, 2))

    body = written(shift, summary=summary, description=description)

    # In octets, and no line begins in the middle of a character.
    assert all(len(line) <= 75 and line.decode() for line in body[:-2].split(b"\r\n"))
    [event] = Calendar.from_ical(body).walk("VEVENT")
    assert str(event["SUMMARY"]) == in_one_line(summary)
    assert str(event.get("DESCRIPTION", "")) == in_one_line(description)


def in_one_line(text: str) -> str:
    """Control characters have no place in a calendar, line ends are all the same."""
    for end in ("\x85", "\u2028", "\u2029"):
        text = text.replace(end, "\n")
    return "".join(c for c in text if c == "\n" or unicodedata.category(c) != "Cc")


def test_feed_without_shifts_is_still_a_calendar():
    calendar = Calendar.from_ical(written())

    assert calendar.walk("VEVENT") == []
    # A calendar without any component is not one (RFC 5545, 3.4).
    assert calendar.subcomponents


def test_same_shifts_make_the_same_bytes():
    shifts = publish([], planned(1, 2))

    assert written(*shifts) == written(*publish(shifts, planned(1, 2), later=DAY))

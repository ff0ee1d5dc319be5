"""Foreign calendars, good and bad."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from incidents.oncall import ical
from incidents.oncall.ical import (
    MAX_EVENTS,
    MAX_REPEATING,
    ForeignEvent,
    UnableToReadCalendar,
    read_events,
)
from tests.incidents.oncall.making import PARIS

START = datetime(2026, 3, 1, tzinfo=UTC)


def calendar(*events: str, head: str = "") -> bytes:
    body = "".join(
        f"BEGIN:VEVENT\r\n{event.strip()}\r\nEND:VEVENT\r\n" for event in events
    )
    text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\n{head}{body}END:VCALENDAR\r\n"
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode()


def read(content: bytes, days: int = 60) -> list[ForeignEvent]:
    end = START + timedelta(days=days)
    return read_events(content=content, zone=PARIS, start=START, end=end)


def test_whole_days_are_midnights_of_the_schedule_s_zone():
    [event] = read(
        calendar(
            "UID:1\nDTSTART;VALUE=DATE:20260329\nDTEND;VALUE=DATE:20260330\nSUMMARY:Ana"
        )
    )
    # The day on which the clock goes forward has 23 hours.
    assert event.start == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert event.end - event.start == timedelta(hours=23)


def test_zones_of_windows_and_times_without_a_zone_are_understood():
    windows, floating = read(
        calendar(
            "UID:1\nDTSTART;TZID=Romance Standard Time:20260310T090000\nDURATION:PT2H\nSUMMARY:A",
            "UID:2\nDTSTART:20260311T090000\nDTEND:20260311T100000\nSUMMARY:B",
        )
    )
    assert windows.start == datetime(2026, 3, 10, 8, tzinfo=UTC)
    assert windows.end == datetime(2026, 3, 10, 10, tzinfo=UTC)
    assert floating.start == datetime(2026, 3, 11, 8, tzinfo=UTC)


def test_repeated_events_keep_the_wall_clock_and_their_exceptions():
    rule = "RRULE:FREQ=WEEKLY;COUNT=4\nEXDATE;TZID=Europe/Paris:20260323T090000"
    moved = "RECURRENCE-ID;TZID=Europe/Paris:20260330T090000"
    events = read(
        calendar(
            f"UID:1\nDTSTART;TZID=Europe/Paris:20260316T090000\nDURATION:PT1H\n{rule}\nSUMMARY:A",
            f"UID:1\n{moved}\nDTSTART;TZID=Europe/Paris:20260330T120000\nDURATION:PT1H\nSUMMARY:A",
        )
    )
    assert [one.start for one in events] == [
        datetime(2026, 3, 16, 8, tzinfo=UTC),
        datetime(2026, 3, 30, 10, tzinfo=UTC),
        datetime(2026, 4, 6, 7, tzinfo=UTC),
    ]


def test_folded_lines_attendees_and_cancelled_events():
    events = read(
        calendar(
            "UID:1\nDTSTART:20260310T090000Z\nDTEND:20260310T100000Z\nSUMMARY:On ca\n ll: Ana\n"
            "ATTENDEE;CN=Ana:mailto:Ana@Example.org",
            "UID:2\nDTSTART:20260311T090000Z\nDTEND:20260311T100000Z\nSTATUS:CANCELLED\nSUMMARY:B",
        )
    )
    assert [(one.summary, one.emails) for one in events] == [
        ("On call: Ana", ("ana@example.org",))
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not a calendar"),
        (b"<!doctype html><title>Sign in</title>", "not a calendar"),
        (b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:x\r\n", "can't be read"),
        (
            calendar(
                "UID:1\nDTSTART:20260301T000000Z\nSUMMARY:A\n"
                "RRULE:FREQ=DAILY;BYHOUR=0,1,2;BYMINUTE=0,1;BYSECOND=0,1"
            ),
            "more often than daily",
        ),
        (
            calendar("UID:1\nDTSTART:20000101T000000Z\nRRULE:FREQ=SECONDLY\nSUMMARY:A"),
            "more often than daily",
        ),
        # Such a rule goes on for ever without moving.
        (
            calendar("UID:1\nDTSTART:20260301T000000Z\nRRULE:FREQ=DAILY;INTERVAL=0"),
            "more often than daily",
        ),
        (
            calendar(
                "UID:1\nDTSTART:20260301T000000Z\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY"
            ),
            "several rules",
        ),
        (
            calendar("UID:1\nDTSTART:00010101T000000Z\nRRULE:FREQ=DAILY"),
            "before 2000",
        ),
        (
            calendar(
                *(
                    f"UID:{n}\nDTSTART:20260301T000000Z\nRRULE:FREQ=DAILY"
                    for n in range(MAX_REPEATING + 1)
                )
            ),
            "200 repeating events",
        ),
        (
            calendar(
                "UID:1\nDTSTART:20260301T000000Z\nRDATE:"
                + ",".join(["20260302T000000Z"] * MAX_EVENTS)
            ),
            "5000 events",
        ),
    ],
)
def test_what_is_no_calendar_is_refused_in_words(content: bytes, sentence: str):
    with pytest.raises(UnableToReadCalendar, match=sentence):
        read(content)


def test_rules_that_fit_no_day_come_to_an_end(monkeypatch: pytest.MonkeyPatch):
    """A single one is walked through to the year 9999."""
    never = "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"
    content = calendar(*(f"UID:{n}\nDTSTART:20260301T000000Z\n{never}" for n in (1, 2)))
    assert read(content) == []

    monkeypatch.setattr(ical, "BUDGET_S", 0.0)

    with pytest.raises(UnableToReadCalendar, match="too long"):
        read(content)

"""Reads a foreign iCalendar file into plain events. Pure but for a stopwatch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events
from django.utils.translation import gettext as _
from icalendar import Calendar, Event

from incidents.oncall import wall

MAX_EVENTS = 5_000
# Each is walked through from its beginning, up to the year 9999 where it fits no day: that
# takes seconds, so there is an end to it.
MAX_REPEATING = 200
BUDGET_S = 10.0
_EARLIEST = 2000
# Nobody hands over more often than daily in a calendar; a rule by the minute is a bomb.
_TIMES_OF_DAY = ("BYHOUR", "BYMINUTE", "BYSECOND")
_FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})


class UnableToReadCalendar(Exception):
    """It is no iCalendar, or more than a schedule can be; the text says what."""


@dataclass(frozen=True, slots=True, order=True)
class ForeignEvent:
    """One occurrence of an event: when, what it is called, whom it names by e-mail."""

    start: datetime
    end: datetime
    summary: str
    emails: tuple[str, ...] = ()


def read_events(
    *, content: bytes, zone: ZoneInfo, start: datetime, end: datetime
) -> list[ForeignEvent]:
    """Return the occurrences that touch a stretch of time, sorted.

    Days without a time, and times without a zone, are those of `zone`. Cancelled events
    are left out. Raises UnableToReadCalendar.
    """
    if b"BEGIN:VCALENDAR" not in content[:4096].upper():
        raise UnableToReadCalendar(
            _(
                "The answer is not a calendar. Check the address; it must not need a login."
            )
        )
    try:
        calendar = Calendar.from_ical(content)
        _check(calendar)
        found = _occurrences(calendar, start, end)
        events = [_event(one, zone) for one in found if _holds(one)]
    except UnableToReadCalendar:
        raise
    # Whatever a hostile file makes two parsers stumble over.
    except Exception as error:
        raise UnableToReadCalendar(
            _("The calendar can't be read: %(why)s")
            % {"why": f"{type(error).__name__}: {error}"[:200]}
        ) from error
    if len(events) > MAX_EVENTS:
        raise _too_many()
    return sorted({one for one in events if one.start < one.end})


def _occurrences(calendar: Any, start: datetime, end: datetime) -> Iterator[Event]:
    until = monotonic() + BUDGET_S
    query = recurring_ical_events.of(calendar)
    for series in query.series:
        if monotonic() > until:
            raise UnableToReadCalendar(
                _(
                    "Its repeating events take too long to work out. Export only this"
                    " schedule."
                )
            )
        for occurrence in series.between(start, end):
            yield occurrence.as_component(query.keep_recurrence_attributes)


def _check(calendar: Any) -> None:
    """Refuse what would take minutes and gigabytes to expand, before it is expanded."""
    events = calendar.walk("VEVENT")
    dates = sum(len(listed.dts) for one in events for listed in _all(one, "RDATE"))
    if len(events) + dates > MAX_EVENTS:
        raise _too_many()
    repeating = [event for event in events if _all(event, "RRULE")]
    if len(repeating) > MAX_REPEATING:
        raise UnableToReadCalendar(
            _(
                "The calendar has more than %(count)d repeating events. Export only this"
                " schedule."
            )
            % {"count": MAX_REPEATING}
        )
    for event in repeating:
        if event.start.year < _EARLIEST:
            raise UnableToReadCalendar(
                _("An event repeats since before %(year)d. Begin it later.")
                % {"year": _EARLIEST}
            )
        rules = _all(event, "RRULE")
        if len(rules) > 1:
            raise UnableToReadCalendar(
                _("An event repeats by several rules. Make an event of each.")
            )
        _check_rule(rules[0])


def _check_rule(rule: Any) -> None:
    named = {str(name).upper() for name in rule.get("FREQ", [])}
    # FREQ=DAILY with all hours, minutes and seconds is 86,400 a day.
    is_often = any(len(rule.get(part, [])) > 1 for part in _TIMES_OF_DAY)
    # A rule that goes on by nothing never ends.
    steps = rule.get("INTERVAL", [])
    if is_often or not named <= _FREQUENCIES or any(int(step) < 1 for step in steps):
        raise UnableToReadCalendar(
            _("An event repeats more often than daily. Take it out.")
        )


def _all(event: Any, name: str) -> list[Any]:
    found = event.get(name, [])
    return found if isinstance(found, list) else [found]


def _holds(event: Event) -> bool:
    return str(event.get("STATUS", "")).upper() != "CANCELLED"


def _event(event: Event, zone: ZoneInfo) -> ForeignEvent:
    # Occurrences always have an end: of their own, by their length, or after a day.
    return ForeignEvent(
        start=_instant(event.start, zone, is_end=False),
        end=_instant(event.end, zone, is_end=True),
        summary=" ".join(str(event.get("SUMMARY", "")).split())[:200],
        emails=_emails(event),
    )


def _instant(value: date | datetime, zone: ZoneInfo, *, is_end: bool) -> datetime:
    if not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if value.tzinfo is not None:
        return value.astimezone(UTC)
    return wall.last(value, zone) if is_end else wall.first(value, zone)


def _emails(event: Event) -> tuple[str, ...]:
    found = {
        str(one).lower().removeprefix("mailto:").strip()
        for one in _all(event, "ATTENDEE")
    }
    return tuple(sorted(one for one in found if "@" in one))


def _too_many() -> UnableToReadCalendar:
    return UnableToReadCalendar(
        _("The calendar has more than %(count)d events. Export only this schedule.")
        % {"count": MAX_EVENTS}
    )

"""Shifts as iCalendar feeds that Google, Apple and others subscribe to (RFC 5545, 7986).

What was published is remembered, so that a moved shift stays the same event with a higher
SEQUENCE, and one that is gone is said to be cancelled for a while. Pure: no rows, no clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

# What a feed shows, beside the week that it is rounded to.
PAST = timedelta(days=60)
AHEAD = timedelta(days=120)
# How long a cancelled shift is still said to be cancelled, and a past one remembered.
REMEMBERED = timedelta(days=30)
CONTENT_TYPE = "text/calendar; charset=utf-8"
_PRODUCT = "-//Token4Good//Operations portal//EN"
_REFRESH = "PT1H"
# Octets of a line, without its end.
_LINE = 75
# What separates values (RFC 5545, 3.3.11); control characters have no place in a line.
_ESCAPES: dict[int, str | None] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0))),
    **{ord(one): f"\\{one}" for one in "\\;,"},
    **{ord(one): "\\n" for one in "\n\x85\u2028\u2029"},
}
# A calendar must hold something (RFC 5545, 3.4); a zone is seen by nobody.
_SOMETHING = (
    "BEGIN:VTIMEZONE",
    "TZID:Etc/UTC",
    "BEGIN:STANDARD",
    "DTSTART:19700101T000000",
    "TZOFFSETFROM:+0000",
    "TZOFFSETTO:+0000",
    "END:STANDARD",
    "END:VTIMEZONE",
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A stretch of one person on one schedule, as the engine has it."""

    schedule_id: int
    contact_id: int
    start: datetime
    end: datetime

    @property
    def key(self) -> tuple[int, int]:
        """Whose turn on what it is."""
        return self.schedule_id, self.contact_id


@dataclass(frozen=True, slots=True)
class Published:
    """A shift as subscribers know it."""

    uid: str
    schedule_id: int
    contact_id: int
    start: datetime
    end: datetime
    sequence: int
    modified_at: datetime
    cancelled_at: datetime | None = None

    @property
    def key(self) -> tuple[int, int]:
        """Whose turn on what it is."""
        return self.schedule_id, self.contact_id


@dataclass(frozen=True, slots=True)
class Entry:
    """A published shift with the words of one subscriber."""

    shift: Published
    summary: str
    description: str


def window(now: datetime) -> tuple[datetime, datetime]:
    """Return what feeds show: whole weeks of UTC, so that open ends move once a week."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday = day - timedelta(days=day.weekday())
    return monday - PAST, monday + AHEAD


def publish(
    *,
    known: Collection[Published],
    planned: Iterable[Planned],
    since: datetime,
    now: datetime,
) -> list[Published]:
    """Bring what subscribers know up to what the engine plans from `since` on.

    Returns everything they should see: unchanged, changed, new and cancelled shifts. A
    shift is the same one when person and schedule are and it begins at the same moment
    or overlaps most. What ended before `since` stays as it is.
    """
    places = [_utc(place) for place in planned]
    live = [row for row in known if row.cancelled_at is None and row.end > since]
    pairs = _pairs(live, places)
    paired = {row.uid for row in pairs.values()}
    cancelled = {row.uid: row for row in known if row.cancelled_at is not None}
    taken = {row.uid for row in known}

    found = [
        row
        for row in known
        if row.uid not in paired and (row.cancelled_at or row.end <= since)
    ]
    for place in places:
        row = pairs.get(place) or cancelled.get(_uid(place))
        if row is None:
            fresh = _fresh(place, taken, now)
            taken.add(fresh.uid)
            found.append(fresh)
            continue
        if row.cancelled_at is not None:
            found.remove(row)
            # Another of the same start can't take it up again.
            del cancelled[row.uid]
        found.append(_moved(row, place, since, now))
    found += [_cancelled(row, now) for row in live if row.uid not in paired]
    return sorted(found, key=lambda row: (row.start, row.schedule_id, row.uid))


def worth_keeping(row: Published, *, now: datetime) -> bool:
    """Whether subscribers should still hear of a shift."""
    if row.cancelled_at is not None:
        return row.cancelled_at > now - REMEMBERED
    return row.end > now - PAST - REMEMBERED


def as_ical(
    *, entries: Sequence[Entry], name: str, description: str, host: str, url: str
) -> bytes:
    """Write a feed. `host`: where the UIDs are at home; `url`: the page for people.

    Line by line: a general writer of iCalendar took 3 ms for each of hundreds of shifts.
    """
    lines = [
        "BEGIN:VCALENDAR",
        f"PRODID:{_PRODUCT}",
        "VERSION:2.0",
        "CALSCALE:GREGORIAN",
        *(f"{key}:{_text(name)}" for key in ("NAME", "X-WR-CALNAME")),
        *(f"{key}:{_text(description)}" for key in ("DESCRIPTION", "X-WR-CALDESC")),
        f"REFRESH-INTERVAL;VALUE=DURATION:{_REFRESH}",
        f"X-PUBLISHED-TTL:{_REFRESH}",
    ]
    for entry in entries:
        lines += _event(entry, host, url)
    if not entries:
        lines += _SOMETHING
    lines.append("END:VCALENDAR")
    return "".join(f"{_folded(line)}\r\n" for line in lines).encode()


def _pairs(
    rows: Sequence[Published], places: Sequence[Planned]
) -> dict[Planned, Published]:
    """Find for each planned shift the one that subscribers know it by."""
    pairs: dict[Planned, Published] = {}
    starts = {(row.key, row.start): row for row in rows}
    for place in places:
        row = starts.pop((place.key, place.start), None)
        if row is not None:
            pairs[place] = row
    left: dict[tuple[int, int], list[Published]] = {}
    for row in starts.values():
        left.setdefault(row.key, []).append(row)
    for place in places:
        others = left.get(place.key, [])
        if place in pairs or not others:
            continue
        best = max(others, key=lambda row: _overlap(row, place))
        if _overlap(best, place) > timedelta():
            pairs[place] = best
            others.remove(best)
    return pairs


def _overlap(row: Published, place: Planned) -> timedelta:
    return min(row.end, place.end) - max(row.start, place.start)


def _moved(row: Published, place: Planned, since: datetime, now: datetime) -> Published:
    # What began before the window still begins where it did.
    is_cut = place.start <= since and row.start <= since
    start = row.start if is_cut else place.start
    if (start, place.end, None) == (row.start, row.end, row.cancelled_at):
        return row
    return replace(
        row,
        start=start,
        end=place.end,
        sequence=row.sequence + 1,
        modified_at=now,
        cancelled_at=None,
    )


def _fresh(place: Planned, taken: Collection[str], now: datetime) -> Published:
    uid, number = _uid(place), 1
    while uid in taken:
        number += 1
        uid = f"{_uid(place)}-{number}"
    return Published(
        uid=uid,
        schedule_id=place.schedule_id,
        contact_id=place.contact_id,
        start=place.start,
        end=place.end,
        sequence=0,
        modified_at=now,
    )


def _cancelled(row: Published, now: datetime) -> Published:
    return replace(row, sequence=row.sequence + 1, modified_at=now, cancelled_at=now)


def _uid(place: Planned) -> str:
    """The same for the same shift, so that two processes never name it twice."""
    told = f"{place.schedule_id} {place.contact_id} {place.start:%Y%m%dT%H%M%SZ}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _utc(place: Planned) -> Planned:
    return replace(
        place, start=place.start.astimezone(UTC), end=place.end.astimezone(UTC)
    )


def _event(entry: Entry, host: str, url: str) -> list[str]:
    shift = entry.shift
    told = _moment(shift.modified_at)
    described = [f"DESCRIPTION:{_text(entry.description)}"] if entry.description else []
    return [
        "BEGIN:VEVENT",
        f"UID:{shift.uid}@{host}",
        f"DTSTAMP:{told}",
        f"LAST-MODIFIED:{told}",
        f"SEQUENCE:{shift.sequence}",
        f"DTSTART:{_moment(shift.start)}",
        f"DTEND:{_moment(shift.end)}",
        f"SUMMARY:{_text(entry.summary)}",
        *described,
        f"URL:{url}",
        f"STATUS:{'CANCELLED' if shift.cancelled_at else 'CONFIRMED'}",
        # Somebody on call can still be invited to meetings.
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _moment(moment: datetime) -> str:
    """Write a moment in UTC, so that no reader needs our zones (RFC 5545, 3.3.5)."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(value: str) -> str:
    return value.translate(_ESCAPES)


def _folded(line: str) -> str:
    """Break a line into such of 75 octets at most, between characters (RFC 5545, 3.1)."""
    if len(line) <= _LINE and line.isascii():
        return line
    parts, size = [""], 0
    for one in line:
        size += len(one.encode())
        if size > _LINE:
            # The blank in front counts.
            parts.append("")
            size = 1 + len(one.encode())
        parts[-1] += one
    return "\r\n ".join(parts)

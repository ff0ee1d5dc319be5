"""Planned quiet: when a maintenance window is open, and which monitors it covers.

The occurrences are pure: wall times of the window's zone, so that "Sunday 02:00" stays
that over the change of hours, each of a length in elapsed seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil import rrule
from django.db import connection
from django.utils.translation import gettext as _

from monitors.models import MaintenanceWindow

# A rule that goes on looking for a date that never comes is cut off there.
_MAX_LOOKED_AT = 20_000
_MAX_TEXT = 200
# More often than that it is no window any more.
_MAX_A_DAY = 24
_YEARS_LOOKED_AT = timedelta(days=366 * 9)
_MAX_INTERVAL = 1000
_RULE = re.compile(r"[A-Z]+=[A-Z0-9,+-]+(;[A-Z]+=[A-Z0-9,+-]+)*")
# Frequencies whose step has a fixed length in wall time.
_STEPS = {
    "WEEKLY": timedelta(weeks=1),
    "DAILY": timedelta(days=1),
    "HOURLY": timedelta(hours=1),
}


class UnableToRepeat(ValueError):
    """A recurrence makes no sense; the text says what to write instead."""


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """The plain values of a window. `starts_at` is aware; empty recurrence: once."""

    starts_at: datetime
    duration_s: int
    recurrence: str
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One stretch of quiet, half-open, in UTC."""

    started_at: datetime
    ends_at: datetime


def occurrences(
    *, spec: WindowSpec, start: datetime, end: datetime
) -> list[Occurrence]:
    """Return the occurrences that overlap [`start`, `end`), in order of time.

    A wall time that the change of hours skips counts with the offset of before (02:30
    becomes 03:30), one that comes twice counts the first time (RFC 5545, 3.3.5). Raises
    UnableToRepeat for a recurrence that `validate_recurrence` refuses.
    """
    length = timedelta(seconds=spec.duration_s)
    first = spec.starts_at.astimezone(spec.zone).replace(tzinfo=None)
    # In wall time, with a day's margin for the change of hours.
    begin = _wall(start - length, spec.zone) - timedelta(days=1)
    finish = _wall(end, spec.zone) + timedelta(days=1)
    if spec.recurrence:
        walls = _repeat(spec.recurrence, first, begin, finish, spec.zone)
    else:
        walls = [first]
    found = []
    for wall in walls:
        started_at = wall.replace(tzinfo=spec.zone).astimezone(UTC)
        if started_at < end and started_at + length > start:
            found.append(Occurrence(started_at=started_at, ends_at=started_at + length))
    return found


def validate_recurrence(text: str) -> None:
    """Raise UnableToRepeat unless `text` is an RRULE that a window can have."""
    if len(text) > _MAX_TEXT:
        raise UnableToRepeat(
            _("Write at most %(count)s characters.") % {"count": _MAX_TEXT}
        )
    # A leap day, so that a rule for 29 February finds one at once.
    start = datetime(2024, 2, 29, 2, 0)  # noqa: DTZ001 wall time
    rule = _parse(text, datetime.max, ZoneInfo("UTC"))  # noqa: DTZ901 wall time
    # When it ends says nothing about whether it makes sense.
    rule = replace(rule, until=start + _YEARS_LOOKED_AT)
    found = list(islice(rule.starting(start), _MAX_A_DAY + 1))
    if not found:
        raise UnableToRepeat(_("This recurrence never happens. Look at its days."))
    if len(found) > _MAX_A_DAY and found[-1] - found[0] <= timedelta(days=1):
        raise UnableToRepeat(
            _("This recurs more than %(count)s times a day. Make the window longer.")
            % {"count": _MAX_A_DAY}
        )


def windows_now(*, now: datetime) -> dict[int, tuple[str, datetime, datetime]]:
    """Return (window's name, its start, its end) for each monitor in maintenance now.

    Of several windows over one monitor, the one that ends last. One query while no
    window is open, two otherwise. A window whose recurrence can't be read is left out.
    """
    is_open: dict[int, tuple[str, datetime, datetime]] = {}
    enabled = MaintenanceWindow.objects.filter(is_enabled=True, starts_at__lte=now)
    for window in enabled.only(
        "name", "starts_at", "duration_s", "recurrence", "time_zone"
    ):
        current = _current(window, now)
        if current is not None:
            is_open[window.pk] = (window.name, current.started_at, current.ends_at)
    covered: dict[int, tuple[str, datetime, datetime]] = {}
    for monitor_id, window_id in covered_by(is_open):
        known = covered.get(monitor_id)
        if known is None or known[2] < is_open[window_id][2]:
            covered[monitor_id] = is_open[window_id]
    return covered


def spec_of(window: MaintenanceWindow) -> WindowSpec:
    """Return the plain values of a row. Raises UnableToRepeat for an unknown zone."""
    try:
        zone = ZoneInfo(window.time_zone)
    except (ValueError, OSError, KeyError) as error:
        raise UnableToRepeat(
            _("There is no time zone %(name)s.") % {"name": window.time_zone}
        ) from error
    return WindowSpec(
        starts_at=window.starts_at,
        duration_s=window.duration_s,
        recurrence=window.recurrence,
        zone=zone,
    )


def _current(window: MaintenanceWindow, now: datetime) -> Occurrence | None:
    """Return the occurrence that is open now and ends last."""
    try:
        found = occurrences(
            spec=spec_of(window), start=now, end=now + timedelta(microseconds=1)
        )
    except UnableToRepeat:
        return None
    return max(found, key=lambda occurrence: occurrence.ends_at, default=None)


def covered_by(window_ids: Iterable[int]) -> list[tuple[int, int]]:
    """Return (monitor, window) for all that some windows cover; at most one query."""
    ids = list(window_ids)
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT monitor_id, maintenancewindow_id
              FROM monitors_maintenancewindow_monitors
             WHERE maintenancewindow_id = ANY(%(ids)s)
             UNION
            SELECT m.id, s.maintenancewindow_id
              FROM monitors_maintenancewindow_services s
              JOIN monitors_monitor m ON m.service_id = s.service_id
             WHERE s.maintenancewindow_id = ANY(%(ids)s)
             UNION
            SELECT m.id, w.id
              FROM monitors_maintenancewindow w
              JOIN monitors_monitor m ON m.tags && w.tags
             WHERE w.id = ANY(%(ids)s)
            """,
            {"ids": ids},
        )
        pairs: list[tuple[int, int]] = cursor.fetchall()
        return pairs


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A recurrence taken apart. `until` is wall time, included; `others` as written."""

    frequency: str
    interval: int
    count: int | None
    until: datetime
    others: str

    def starting(self, first: datetime) -> Iterable[datetime]:
        """Return it as dateutil's, bounded: it never looks further than `until`."""
        text = (
            f"FREQ={self.frequency};INTERVAL={self.interval};"
            f"UNTIL={self.until:%Y%m%dT%H%M%S}{self.others}"
        )
        try:
            return rrule.rrulestr(text, dtstart=first)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnableToRepeat(_not_a_rule()) from error


def _repeat(
    text: str, first: datetime, begin: datetime, finish: datetime, zone: ZoneInfo
) -> list[datetime]:
    """Return the wall times from `begin` to `finish` at which a rule begins."""
    rule = _parse(text, finish, zone)
    step = _STEPS.get(rule.frequency)
    if step is not None and rule.count is None and begin > first:
        # A rule that has run for years starts just before `begin`: by whole strides, so
        # that an interval of several keeps its place, and one early, since the days of
        # a week may lie before the one that it starts with.
        stride = step * rule.interval
        first += max((begin - first) // stride - 1, 0) * stride
    limit = _MAX_LOOKED_AT if rule.count is None else min(rule.count, _MAX_LOOKED_AT)
    return [wall for wall in islice(rule.starting(first), limit) if wall >= begin]


def _parse(text: str, finish: datetime, zone: ZoneInfo) -> _Rule:
    text = text.strip().upper().removeprefix("RRULE:").rstrip(";")
    if not _RULE.fullmatch(text):
        raise UnableToRepeat(_not_a_rule())
    parts = dict(part.split("=") for part in text.split(";"))
    frequency = parts.pop("FREQ", "")
    if frequency in ("MINUTELY", "SECONDLY"):
        raise UnableToRepeat(_("Windows recur at most hourly: FREQ=HOURLY."))
    try:
        interval = int(parts.pop("INTERVAL", "1"))
        count = int(parts.pop("COUNT")) if "COUNT" in parts else None
        until = _until(parts.pop("UNTIL"), zone) if "UNTIL" in parts else finish
    except ValueError as error:
        raise UnableToRepeat(_not_a_rule()) from error
    if not 1 <= interval <= _MAX_INTERVAL or (count is not None and count < 1):
        raise UnableToRepeat(_not_a_rule())
    return _Rule(
        frequency=frequency,
        interval=interval,
        count=count,
        until=min(until, finish),
        others="".join(f";{name}={value}" for name, value in parts.items()),
    )


def _until(text: str, zone: ZoneInfo) -> datetime:
    """Return the last wall time; a day without a time is meant to its end."""
    if "T" not in text:
        day = datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 wall time
        return day + timedelta(days=1, seconds=-1)
    moment = datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
    if not text.endswith("Z"):
        return moment
    return _wall(moment.replace(tzinfo=UTC), zone)


def _not_a_rule() -> str:
    return _("Write a rule such as FREQ=WEEKLY;BYDAY=SU.")

"""What a value stands for, in words: "Thu 26 Nov", "7 days to Thu 26 Nov". Pure.

Said on the clock of the KPI's own zone, because that is where its days begin.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import get_language, gettext_noop, ngettext, pgettext
from django.utils.translation import gettext as _

from kpis.buckets import DAY, HOUR, MONTH, WEEK, Shape

_INSTANT = timedelta(microseconds=1)
# Beside today a date needs no year.
_NEAR = timedelta(days=300)
_SO_FAR = {
    HOUR: gettext_noop("This hour so far"),
    DAY: gettext_noop("Today so far"),
    WEEK: gettext_noop("This week so far"),
    MONTH: gettext_noop("This month so far"),
}
_BEFORE = {
    HOUR: gettext_noop("the hour before"),
    DAY: gettext_noop("the day before"),
    WEEK: gettext_noop("the week before"),
    MONTH: gettext_noop("the month before"),
}


def period(*, shape: Shape, start: datetime, end: datetime, now: datetime) -> str:
    """Name the period [start, end), with how far its value looks back."""
    zone = ZoneInfo(shape.zone)
    first, last = start.astimezone(zone), (end - _INSTANT).astimezone(zone)
    is_near = abs(now - start) < _NEAR
    if shape.window > 1:
        return _window(shape, end.astimezone(zone), last.date(), is_near=is_near)
    if shape.grain == HOUR:
        until = f"{end.astimezone(zone):%H:%M}"
        return f"{_day(first.date(), is_near=is_near)}, {first:%H:%M} – {until}"
    if shape.grain == DAY:
        return _day(first.date(), is_near=is_near)
    if shape.grain == WEEK:
        return _("week of %(day)s") % {"day": _day(first.date(), is_near=is_near)}
    return _month(first.date(), get_language())


def short(*, shape: Shape, start: datetime) -> str:
    """Name a period for the foot of a picture: "26 Nov", "14:00", "Nov 2026"."""
    local = start.astimezone(ZoneInfo(shape.zone))
    if shape.grain == MONTH:
        return date_format(local, pgettext("date", "M Y"))
    return date_format(local, pgettext("date", "j M"))


def before(shape: Shape) -> str:
    """Return what the period before is called within a sentence."""
    return _(_BEFORE[shape.grain])


def so_far(shape: Shape) -> str:
    """Name the period that is not over."""
    return _(_SO_FAR[shape.grain])


def local_day(start: datetime, zone: str) -> date:
    """Return the day on which a period begins where it is counted."""
    return start.astimezone(ZoneInfo(zone)).date()


def _window(shape: Shape, end: datetime, last: date, *, is_near: bool) -> str:
    words = {"count": shape.window, "day": _day(last, is_near=is_near)}
    if shape.grain == HOUR:
        words["day"] = f"{_day(end.date(), is_near=is_near)}, {end:%H:%M}"
        return (
            ngettext("%(count)d h to %(day)s", "%(count)d h to %(day)s", shape.window)
            % words
        )
    if shape.grain == DAY:
        return (
            ngettext(
                "%(count)d day to %(day)s", "%(count)d days to %(day)s", shape.window
            )
            % words
        )
    if shape.grain == WEEK:
        return (
            ngettext(
                "%(count)d week to %(day)s", "%(count)d weeks to %(day)s", shape.window
            )
            % words
        )
    words["day"] = _month(last, get_language())
    return (
        ngettext(
            "%(count)d month to %(day)s", "%(count)d months to %(day)s", shape.window
        )
        % words
    )


def _day(day: date, *, is_near: bool) -> str:
    return _near_day(day, get_language()) if is_near else _far_day(day, get_language())


@lru_cache(maxsize=4096)
def _near_day(day: date, language: str | None) -> str:
    return date_format(day, pgettext("date", "D j M"))


@lru_cache(maxsize=4096)
def _far_day(day: date, language: str | None) -> str:
    return date_format(day, pgettext("date", "j M Y"))


@lru_cache(maxsize=512)
def _month(day: date, language: str | None) -> str:
    return date_format(day, pgettext("date", "F Y"))

"""How times, lengths and figures are said, the same on every page and in every message.

Numbers keep to their units with a no-break space, in the reader's language and zone.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import lru_cache

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, gettext_noop, pgettext
from django.utils.translation import gettext as _

# The contexts "moment" and "date" hold formats of Django's: French writes its months short
# in another way, and a moment in a sentence with "le … à …".
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400
_LENGTHS = {
    "d": gettext_noop("%(count)d d"),
    "h": gettext_noop("%(count)d h"),
    "min": gettext_noop("%(count)d min"),
    "s": gettext_noop("%(count)d s"),
}
# What stands where there is no figure.
NOTHING = "–"


def duration(length: float | timedelta | None) -> str:
    """Say a length in seconds with at most two units: "3 min 20 s", "2 d 4 h"."""
    if length is None:
        return NOTHING
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    parts = _parts(max(int(seconds), 0))
    return "\u00a0".join(parts[:2]) if parts else _say(0, "s")


def _parts(seconds: int) -> list[str]:
    """Split into units, from the largest one; a zero right below it is left out."""
    for size, unit, smaller_size, smaller_unit in (
        (DAY_S, "d", HOUR_S, "h"),
        (HOUR_S, "h", MINUTE_S, "min"),
        (MINUTE_S, "min", 1, "s"),
    ):
        if seconds >= size:
            large, rest = divmod(seconds, size)
            small = rest // smaller_size
            parts = [_say(large, unit)]
            return [*parts, _say(small, smaller_unit)] if small else parts
    return [_say(seconds, "s")] if seconds else []


def _say(count: int, unit: str) -> str:
    return _said(count, unit, get_language())


# A long page says the same few lengths hundreds of times.
@lru_cache(maxsize=4096)
def _said(count: int, unit: str, language: str | None) -> str:
    said = _(_LENGTHS[unit]) % {"count": count}
    return said.replace(" ", "\u00a0")


def ago(moment: datetime, *, now: datetime) -> str:
    """Say how long ago, or in how long, with one unit: "4 min ago", "in 2 h"."""
    seconds = (now - moment).total_seconds()
    size = abs(seconds)
    if size < 2:
        return _("just now")
    unit_s = next((unit for unit in (DAY_S, HOUR_S, MINUTE_S) if size >= unit), 1)
    return _ago(int(size // unit_s) * unit_s, seconds < 0, get_language())


@lru_cache(maxsize=1024)
def _ago(length_s: int, is_ahead: bool, language: str | None) -> str:
    length = duration(length_s)
    if is_ahead:
        return _("in %(length)s") % {"length": length}
    return _("%(length)s ago") % {"length": length}


def clock(moment: datetime, *, now: datetime) -> str:
    """Say a moment in the reader's zone as shortly as it stays clear.

    To the second today ("14:02:10"), with the day before that ("28 Feb, 14:02").
    """
    local, today = timezone.localtime(moment), timezone.localtime(now)
    if local.date() == today.date():
        return date_format(local, "H:i:s")
    if abs(today.date() - local.date()) < timedelta(days=300):
        return date_format(local, pgettext("moment", "j M, H:i"))
    return date_format(local, pgettext("moment", "j M Y, H:i"))


def minute(moment: datetime, *, now: datetime) -> str:
    """Say a moment as `clock` does, without seconds: "14:02", "28 Feb, 14:02"."""
    local, today = timezone.localtime(moment), timezone.localtime(now)
    if local.date() == today.date():
        return date_format(local, "H:i")
    return clock(moment, now=now)


def minute_span(start: datetime, end: datetime, *, now: datetime) -> str:
    """Say a stretch of time without seconds: "14:02 – 14:05", "28 Feb, 14:02 – 14:05"."""
    first, last = timezone.localtime(start), timezone.localtime(end)
    is_one_day = first.date() == last.date()
    ended = date_format(last, "H:i") if is_one_day else minute(end, now=now)
    return f"{minute(start, now=now)} – {ended}"


def span(start: datetime, end: datetime, *, now: datetime) -> str:
    """Say a stretch of time: "14:02:10 – 14:05:00", "28 Feb, 14:02 – 14:05"."""
    first, last = timezone.localtime(start), timezone.localtime(end)
    is_one_day = first.date() == last.date()
    if is_one_day and first.date() != timezone.localtime(now).date():
        return f"{clock(start, now=now)} – {date_format(last, 'H:i')}"
    return f"{clock(start, now=now)} – {clock(end, now=now)}"


def absolute(moment: datetime) -> str:
    """Say a moment in full, with the zone: "Mon 2 Mar 2026, 10:00:14 CET"."""
    local = timezone.localtime(moment)
    return f"{_day(local.date(), get_language())}, {local:%H:%M:%S} {local.tzname()}"


@lru_cache(maxsize=1024)
def _day(day: date, language: str | None) -> str:
    return date_format(day, pgettext("date", "D j M Y"))


def milliseconds(value: float | None) -> str:
    """Say a latency with the digits that it deserves: "420 ms", "1.24 s"."""
    if value is None:
        return NOTHING
    if value < 9.95:
        return _unit(_decimal(round(value, 1), 1, get_language()), _("ms"))
    if value < 999.5:
        return _unit(str(round(value)), _("ms"))
    digits = 2 if value < 9_995 else 1
    number = _decimal(round(value / 1000, digits), digits, get_language())
    return _unit(number, _("s"))


# Formatting by locale takes ten times as long, and pages say the same numbers again.
@lru_cache(maxsize=4096)
def _decimal(value: float, digits: int, language: str | None) -> str:
    return number_format(value, decimal_pos=digits)


def percent(ratio: float | None, *, digits: int = 2) -> str:
    """Say a share, rounded down: never more than was reached (design §5.1).

    99.996 % is said as 99.99 %, and only a ratio of exactly 1 as 100 %.
    """
    if ratio is None:
        return NOTHING
    if ratio >= 1 or ratio <= 0:
        return _unit("100" if ratio >= 1 else "0", "%")
    return _share(ratio, digits, get_language())


@lru_cache(maxsize=4096)
def _share(ratio: float, digits: int, language: str | None) -> str:
    # repr() keeps 0.9999 from becoming 0.99989999… on its way to decimal.
    exact = Decimal(repr(ratio)) * 100
    floored = exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_DOWN)
    return _unit(number_format(floored, decimal_pos=digits), "%")


def _unit(number: str, unit: str) -> str:
    return f"{number}\u00a0{unit}"

"""Whose clock a page goes by, and the days that an address names."""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from t4g_portal.lib.zones import YEARS


def here() -> tzinfo:
    """Return the reader's zone."""
    return timezone.get_current_timezone()


def home() -> ZoneInfo:
    """Return the portal's zone, by which hours are counted."""
    return ZoneInfo(settings.TIME_ZONE)


def today(now: datetime, zone: tzinfo) -> date:
    """Return the day it is in a zone."""
    return now.astimezone(zone).date()


def day(text: str) -> date | None:
    """Read a day; None for what is none, or so far off that its months may not exist."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.year in YEARS else None

"""Dates in English: "27 Nov 2026, 18:10", as everywhere else in the portal.

Django's are American ("Nov. 27, 2026, 6:10 p.m."); at 03:00 nobody should add twelve.
"""

from __future__ import annotations

DATE_FORMAT = "j M Y"
SHORT_DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i"
SHORT_DATETIME_FORMAT = "j M Y, H:i"
MONTH_DAY_FORMAT = "j F"
FIRST_DAY_OF_WEEK = 1

"""The stretch of time that the figures are about, in the reader's zone. No query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

CUSTOM = "custom"
DEFAULT = "30d"
DAYS: Mapping[str, int] = {"30d": 30, "90d": 90, "1y": 365}
PERIODS = (("30d", _("30 d")), ("90d", _("90 d")), ("1y", _("1 y")))
# A longer stretch says nothing about how things are.
LONGEST_DAYS = 3 * 366
# Up to so many days are drawn day by day, more week by week.
_DAILY_UP_TO = 45
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """From the first day's midnight to the end of the last day, or to now.

    `key` is what the address says: "30d", "custom". `until` is open.
    """

    key: str
    first: date
    last: date
    since: datetime
    until: datetime

    @property
    def day_count(self) -> int:
        """How many days it touches."""
        return (self.last - self.first).days + 1

    @property
    def week_count(self) -> float:
        """How many weeks that is, for figures a week; never less than a day's share."""
        return max((self.until - self.since) / timedelta(weeks=1), 1 / 7)

    @property
    def is_daily(self) -> bool:
        """Whether pictures have a column a day; otherwise a week."""
        return self.day_count <= _DAILY_UP_TO

    @property
    def columns(self) -> tuple[tuple[date, date], ...]:
        """The first and the last day of each column; weeks begin on Monday."""
        found = []
        first = self.first
        while first <= self.last:
            length = 0 if self.is_daily else 7 - first.isoweekday()
            last = min(first + length * _DAY, self.last)
            found.append((first, last))
            first = last + _DAY
        return tuple(found)

    @property
    def borders(self) -> list[datetime]:
        """When each column begins, in the zone that the period was asked for in."""
        zone = self.since.tzinfo
        return [
            datetime.combine(first, time.min, zone) for first, _last in self.columns
        ]


class PeriodForm(forms.Form):
    """From which day to which, both counted in; `period` once it is valid."""

    start = forms.DateField(
        label=_("From"),
        error_messages={
            "invalid": _("Write it as 2026-03-01."),
            "required": _("Say from which day."),
        },
        widget=forms.DateInput(
            format="%Y-%m-%d", attrs={"type": "date", "class": "ops-field"}
        ),
    )
    end = forms.DateField(
        label=_("To"),
        error_messages={
            "invalid": _("Write it as 2026-03-01."),
            "required": _("Say up to which day."),
        },
        widget=forms.DateInput(
            format="%Y-%m-%d", attrs={"type": "date", "class": "ops-field"}
        ),
    )

    def __init__(self, *args: Any, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.now = now

    def clean(self) -> dict[str, Any]:
        """Refuse what can't be answered, and say what to choose instead."""
        start, end = self.cleaned_data.get("start"), self.cleaned_data.get("end")
        if start is None or end is None:
            return self.cleaned_data
        if start > timezone.localdate(self.now):
            self.add_error("start", _("Choose a start in the past."))
        elif end < start:
            self.add_error("end", _("Choose an end after the start."))
        elif (end - start).days >= LONGEST_DAYS:
            self.add_error(
                "end",
                ngettext(
                    "Choose at most %(count)d day.",
                    "Choose at most %(count)d days.",
                    LONGEST_DAYS,
                )
                % {"count": LONGEST_DAYS},
            )
        return self.cleaned_data

    @property
    def period(self) -> Period:
        """What was asked for, up to now at most."""
        data = self.cleaned_data
        return between(first=data["start"], last=data["end"], now=self.now, key=CUSTOM)


def between(*, first: date, last: date, now: datetime, key: str) -> Period:
    """Return the days from `first` to `last` in the present zone, up to now at most."""
    zone = timezone.get_current_timezone()
    last = min(last, timezone.localdate(now))
    return Period(
        key=key,
        first=first,
        last=last,
        since=datetime.combine(first, time.min, zone),
        until=min(datetime.combine(last + _DAY, time.min, zone), now),
    )


def last_days(*, key: str, now: datetime) -> Period:
    """Return a period of `DAYS` that ends now; today is one of its days."""
    today = timezone.localdate(now)
    first = today - (DAYS[key] - 1) * _DAY
    return between(first=first, last=today, now=now, key=key)


def asked_for(*, query: QueryDict, now: datetime) -> tuple[Period, PeriodForm]:
    """Return the period of an address, and the form that shows or asks for it.

    What isn't known is the last 30 days; what is wrong stays in the form, with the reason.
    """
    key = query.get("period", "")
    if key == CUSTOM:
        form = PeriodForm(query, now=now)
        if form.is_valid():
            return form.period, form
        return last_days(key=DEFAULT, now=now), form
    period = last_days(key=key if key in DAYS else DEFAULT, now=now)
    return period, PeriodForm(
        initial={"start": period.first, "end": period.last}, now=now
    )

"""The stretch of time that a reader asks a KPI's page for. No query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from kpis import buckets
from kpis.buckets import DAY, HOUR, MONTH, WEEK, Shape
from t4g_portal.lib.zones import YEARS

CUSTOM = "custom"
# More periods can't be told apart on a picture.
MAX_PERIODS = 1100
_DAY = timedelta(days=1)
_LABELS = {
    "48h": _("48 h"),
    "7d": _("7 d"),
    "30d": _("30 d"),
    "90d": _("90 d"),
    "1y": _("1 y"),
    "2y": _("2 y"),
    "5y": _("5 y"),
}
_LENGTHS = {
    "48h": 2 * _DAY,
    "7d": 7 * _DAY,
    "30d": 30 * _DAY,
    "90d": 90 * _DAY,
    "1y": 365 * _DAY,
    "2y": 730 * _DAY,
    "5y": 1826 * _DAY,
}
# By grain, with the one that a page opens with first.
_OFFERED: Mapping[str, tuple[str, Sequence[str]]] = {
    HOUR: ("7d", ("48h", "7d", "30d")),
    DAY: ("90d", ("30d", "90d", "1y", "2y")),
    WEEK: ("1y", ("90d", "1y", "2y")),
    MONTH: ("2y", ("1y", "2y", "5y")),
}


@dataclass(frozen=True, slots=True)
class Reach:
    """From when to when, at the borders of periods, and by which name."""

    key: str
    since: datetime
    until: datetime


def offered(grain: str) -> list[tuple[str, Any]]:
    """Return the keys and labels of what a page of this grain offers."""
    return [(key, _LABELS[key]) for key in _OFFERED[grain][1]]


class RangeForm(forms.Form):
    """From which day to which day, both included, on the KPI's own clock."""

    start = forms.DateField(label=_("From"), widget=forms.DateInput)
    end = forms.DateField(label=_("To"), widget=forms.DateInput)

    def __init__(self, *args: Any, shape: Shape, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shape = shape
        self._now = now
        for name, missing in (
            ("start", _("Say from when.")),
            ("end", _("Say up to when.")),
        ):
            field = self.fields[name]
            field.widget = forms.DateInput(
                format="%Y-%m-%d", attrs={"type": "date", "class": "ops-field"}
            )
            field.error_messages = {
                "required": missing,
                "invalid": _("Write it as 2026-03-01."),
            }

    def clean(self) -> dict[str, Any]:
        """Refuse what can't be drawn, and say what to choose instead."""
        start, end = self.cleaned_data.get("start"), self.cleaned_data.get("end")
        if start is None or end is None:
            return self.cleaned_data
        if start.year not in YEARS or self._moment(start) >= self._now:
            self.add_error("start", _("Choose a start in the past."))
        elif end < start or end.year not in YEARS:
            self.add_error("end", _("Choose an end that is not before the start."))
        elif (self._moment(end) - self._moment(start)) / MAX_PERIODS > timedelta(
            seconds=buckets.LONGEST_S[self._shape.grain]
        ):
            self.add_error(
                "start", _("That is too long to draw: choose a later start.")
            )
        return self.cleaned_data

    def reach(self) -> Reach:
        """Return what was asked for, up to now at most."""
        since = self._moment(self.cleaned_data["start"])
        until = self._moment(self.cleaned_data["end"] + _DAY)
        return _at_borders(CUSTOM, self._shape, since, min(until, self._now), self._now)

    def _moment(self, day: date) -> datetime:
        zone = ZoneInfo(self._shape.zone)
        return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def asked_for(
    *, query: QueryDict, shape: Shape, now: datetime
) -> tuple[Reach, RangeForm]:
    """Return the stretch of a page's address, and the form that shows or asks for it.

    What isn't known is what a page opens with; what is wrong stays in the form, with
    the reason.
    """
    first, keys = _OFFERED[shape.grain]
    key = query.get("range", "")
    if key == CUSTOM:
        form = RangeForm(query, shape=shape, now=now)
        if form.is_valid():
            return form.reach(), form
        return _named(first, shape, now), form
    reach = _named(key if key in keys else first, shape, now)
    zone = ZoneInfo(shape.zone)
    shown = {
        "start": reach.since.astimezone(zone).date(),
        "end": now.astimezone(zone).date(),
    }
    return reach, RangeForm(initial=shown, shape=shape, now=now)


def _named(key: str, shape: Shape, now: datetime) -> Reach:
    return _at_borders(key, shape, now - _LENGTHS[key], now, now)


def _at_borders(
    key: str, shape: Shape, since: datetime, until: datetime, now: datetime
) -> Reach:
    """Widen to whole periods, the one that runs included."""
    last = buckets.at(shape, min(until, now) - timedelta(microseconds=1))
    return Reach(key, buckets.at(shape, since).start, last.end)

"""The range that a reader asks a monitor's page for. No query."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from monitors.queries.latency import CUSTOM, LENGTHS, Reach, reach_until

REACHES = (
    ("24h", _("24 h")),
    ("7d", _("7 d")),
    ("30d", _("30 d")),
    ("90d", _("90 d")),
    ("1y", _("1 y")),
)
_SHORTEST = timedelta(minutes=10)
# As browsers write it, and as people type it where the browser has no such field.
_FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_HOW_TO_WRITE = _("Write it as 2026-03-01 14:00.")


class RangeForm(forms.Form):
    """From when to when, in the reader's zone; `reach` once it is valid."""

    start = forms.DateTimeField(
        label=_("From"),
        input_formats=_FORMATS,
        error_messages={"invalid": _HOW_TO_WRITE, "required": _("Say from when.")},
    )
    end = forms.DateTimeField(
        label=_("To"),
        input_formats=_FORMATS,
        error_messages={"invalid": _HOW_TO_WRITE, "required": _("Say up to when.")},
    )

    def __init__(self, *args: Any, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.now = now
        for name in ("start", "end"):
            self.fields[name].widget = forms.DateTimeInput(
                format="%Y-%m-%dT%H:%M",
                attrs={"type": "datetime-local", "class": "ops-field"},
            )

    def clean(self) -> dict[str, Any]:
        """Refuse what the history can't answer, and say what to choose instead."""
        start, end = self.cleaned_data.get("start"), self.cleaned_data.get("end")
        if start is None or end is None:
            return self.cleaned_data
        kept = settings.ROLLUP_RETENTION_DAYS
        if start >= self.now:
            self.add_error("start", _("Choose a start in the past."))
        elif start < self.now - timedelta(days=kept):
            self.add_error(
                "start",
                ngettext(
                    "History goes back %(count)d day: choose a later start.",
                    "History goes back %(count)d days: choose a later start.",
                    kept,
                )
                % {"count": kept},
            )
        elif end <= start:
            self.add_error("end", _("Choose an end after the start."))
        elif end - start < _SHORTEST:
            self.add_error("end", _("Choose at least 10 minutes."))
        return self.cleaned_data

    @property
    def reach(self) -> Reach:
        """What was asked for, up to now at most."""
        return Reach(
            key=CUSTOM,
            start=self.cleaned_data["start"],
            end=min(self.cleaned_data["end"], self.now),
        )


def asked_for(*, query: QueryDict, now: datetime) -> tuple[Reach, RangeForm]:
    """Return the range of a page's address, and the form that shows or asks for it.

    What isn't known is the last day; what is wrong stays in the form, with the reason.
    """
    key = query.get("range", "")
    if key == CUSTOM:
        form = RangeForm(query, now=now)
        if form.is_valid():
            return form.reach, form
        return reach_until(key="24h", now=now), form
    reach = reach_until(key=key if key in LENGTHS else "24h", now=now)
    shown = {
        "start": timezone.localtime(reach.start),
        "end": timezone.localtime(reach.end),
    }
    return reach, RangeForm(initial=shown, now=now)

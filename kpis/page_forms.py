"""What people write beside a KPI: notes, and values that nobody can read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from kpis import buckets
from kpis.buckets import HOUR, Shape
from kpis.models import Kpi, KpiNote
from kpis.models.kpi import VALUE_DIGITS
from kpis.reading import VALUE_DECIMALS
from t4g_portal.lib.zones import YEARS

# As browsers write it, and as people type it where the browser has no such field.
_FORMATS = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_MAX_TEXT = KpiNote._meta.get_field("text").max_length
# What is planned may be noted ahead.
_AHEAD = timedelta(days=366)


class NoteForm(forms.Form):
    """A note, when it is about, and whether it stands on every KPI."""

    text = forms.CharField(
        label=_("Note"),
        max_length=_MAX_TEXT,
        widget=forms.TextInput(attrs={"class": "ops-field", "autocomplete": "off"}),
        error_messages={
            "required": _("Write what happened."),
            "max_length": _("Write at most %(limit_value)d characters."),
        },
    )
    at = forms.DateTimeField(
        label=_("When"),
        input_formats=_FORMATS,
        widget=forms.DateTimeInput(
            format="%Y-%m-%dT%H:%M",
            attrs={"type": "datetime-local", "class": "ops-field"},
        ),
        error_messages={
            "required": _("Say when."),
            "invalid": _("Write it as 2026-03-01 14:00."),
        },
    )
    is_for_all = forms.BooleanField(label=_("On every KPI"), required=False)

    def __init__(self, *args: Any, now: datetime, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"at": timezone.localtime(now)})
        kwargs["auto_id"] = "note_%s"
        super().__init__(*args, **kwargs)
        self._now = now

    def clean_at(self) -> datetime:
        """Refuse a moment of another century, or one far ahead."""
        at: datetime = self.cleaned_data["at"]
        if at.year not in YEARS or at > self._now + _AHEAD:
            raise forms.ValidationError(_("Choose a moment up to a year from now."))
        return at


class ValueForm(forms.Form):
    """The value of a period, by somebody who knows it; one that is there is replaced."""

    at = forms.DateTimeField(
        label=_("Period"),
        input_formats=_FORMATS,
        help_text=_("any day of it"),
        error_messages={
            "required": _("Say for which period."),
            "invalid": _("Write it as 2026-03-01."),
        },
    )
    value = forms.DecimalField(
        label=_("Value"),
        max_digits=VALUE_DIGITS,
        decimal_places=VALUE_DECIMALS,
        localize=True,
        widget=forms.TextInput(
            attrs={"class": "ops-field", "inputmode": "decimal", "autocomplete": "off"}
        ),
        error_messages={
            "required": _("Enter the value."),
            "invalid": _("Enter a number."),
        },
    )

    def __init__(self, *args: Any, kpi: Kpi, now: datetime, **kwargs: Any) -> None:
        self._zone = ZoneInfo(kpi.time_zone)
        shape = Shape(kpi.grain, kpi.window, kpi.time_zone)
        due = buckets.last_complete(shape, now, timedelta(seconds=kpi.lateness_s))
        wall = due.start.astimezone(self._zone).replace(tzinfo=None)
        is_hourly = shape.grain == HOUR
        form = "%Y-%m-%dT%H:%M" if is_hourly else "%Y-%m-%d"
        kwargs.setdefault("initial", {"at": wall.strftime(form)})
        kwargs["auto_id"] = "value_%s"
        super().__init__(*args, **kwargs)
        self.fields["at"].widget = forms.DateTimeInput(
            format=form,
            attrs={
                "type": "datetime-local" if is_hourly else "date",
                "class": "ops-field",
            },
        )

    def clean_at(self) -> datetime:
        """Take the day on the KPI's own clock, not on the reader's."""
        at: datetime = self.cleaned_data["at"]
        if at.year not in YEARS:
            raise forms.ValidationError(_("Choose a day of this century."))
        return timezone.localtime(at).replace(tzinfo=self._zone)

"""What people write on the page of a KPI."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from kpis.models import KpiNote
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

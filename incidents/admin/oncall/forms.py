"""Forms of the admin for schedules and what changes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldBooleanSwitchWidget,
)

from incidents.admin.forewarning import ForewarnedForm
from incidents.models import Absence, Override, Rotation, Schedule
from incidents.models.schedule import weekdays
from incidents.oncall.validation import (
    rotation_faults,
    schedule_faults,
    span_faults,
)
from t4g_portal.lib.faults import Fault


class ScheduleForm(ForewarnedForm):
    """A schedule, whose calendar address is neither shown nor needed to save the rest."""

    new_ical_url = forms.CharField(
        label=_("Calendar to import"),
        required=False,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )
    clear_ical_url = forms.BooleanField(
        label=_("Import no calendar"), required=False, widget=UnfoldBooleanSwitchWidget
    )

    class Meta:
        model = Schedule
        fields = [
            "name",
            "slug",
            "description",
            "time_zone",
            "is_continuous",
            "handoff_notice_s",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        has_url = bool(getattr(self.instance, "has_ical_url", False))
        what = Schedule._meta.get_field("ical_url").help_text
        state = _("Set. Leave empty to keep it.") if has_url else _("Not set.")
        self.fields["new_ical_url"].help_text = f"{state} {what}"

    def clean(self) -> dict[str, Any]:
        """Check the schedule as it would be saved."""
        cleaned = super().clean()
        typed = str(cleaned.get("new_ical_url", "")).strip()
        if typed and cleaned.get("clear_ical_url"):
            self.add_error(
                "clear_ical_url", _("Enter a new address or import none, not both.")
            )
        for fault in schedule_faults({**cleaned, "ical_url": typed}):
            field = "new_ical_url" if fault.field == "ical_url" else fault.field
            self.add_error(field, fault.message)
        return cleaned

    def save(self, commit: bool = True) -> Schedule:
        """Save; an address that wasn't touched isn't written either."""
        if self.cleaned_data["new_ical_url"] or self.cleaned_data["clear_ical_url"]:
            self.instance.ical_url = self.cleaned_data["new_ical_url"].strip()
        saved: Schedule = super().save(commit)
        return saved


class RotationForm(ForewarnedForm):
    """A rotation; the people are the lines below it."""

    only_weekdays = forms.MultipleChoiceField(
        label=_("Only on"),
        required=False,
        choices=weekdays,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("Nothing chosen: every day."),
    )

    class Meta:
        model = Rotation
        fields = [
            "schedule",
            "name",
            "position",
            "length",
            "unit",
            "starts_on",
            "handoff_time",
            "ends_on",
            "only_weekdays",
            "only_from",
            "only_until",
        ]

    def clean(self) -> dict[str, Any]:
        """Check the rotation as it would be saved."""
        cleaned = super().clean()
        _add(self, rotation_faults(cleaned))
        return cleaned


class OverrideForm(ForewarnedForm):
    """Somebody instead of the rotations."""

    class Meta:
        model = Override
        fields = ["schedule", "contact", "starts_at", "ends_at", "reason"]

    def clean(self) -> dict[str, Any]:
        """Check the stretch of time."""
        cleaned = super().clean()
        _add(self, span_faults(cleaned))
        return cleaned


class AbsenceForm(ForewarnedForm):
    """Somebody who can't be on call."""

    class Meta:
        model = Absence
        fields = ["contact", "starts_at", "ends_at", "reason"]

    def clean(self) -> dict[str, Any]:
        """Check the stretch of time."""
        cleaned = super().clean()
        _add(self, span_faults(cleaned))
        return cleaned


def _add(form: forms.BaseForm, faults: Iterable[Fault]) -> None:
    for fault in faults:
        form.add_error(fault.field, fault.message)

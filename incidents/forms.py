"""What people may choose on the incident page, and what a service may hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from incidents.collaboration.choosing import PersonField
from incidents.models import IncidentRole, Service
from notifications.validation import validate_time_zone
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.wording import duration

SNOOZE_MINUTES = (30, 60, 120, 240, 480, 1440)


def _snooze_choices() -> list[tuple[str, str]]:
    return [
        (str(minutes), duration(timedelta(minutes=minutes)))
        for minutes in SNOOZE_MINUTES
    ]


class SnoozeForm(forms.Form):
    """For how long to keep quiet."""

    minutes = forms.TypedChoiceField(
        label=_("Snooze for"),
        choices=_snooze_choices,
        coerce=int,
        error_messages={
            "required": _("Choose for how long to snooze."),
            "invalid_choice": _("Choose one of the lengths offered."),
        },
    )


class PriorityForm(forms.Form):
    """Which priority it should have."""

    priority = forms.ChoiceField(
        label=_("Priority"),
        choices=Priority.choices,
        error_messages={
            "required": _("Choose a priority."),
            "invalid_choice": _("Choose one of the priorities P0 to P3."),
        },
    )


class ResolveForm(forms.Form):
    """Whether it is over although alerts fire."""

    even_if_firing = forms.BooleanField(
        label=_("Close the alerts that still fire"), required=False
    )


class NoteForm(forms.Form):
    """What somebody saw or did. The service checks it, and says so in words."""

    text = forms.CharField(label=_("What did you see or do?"), required=False)


class PublicForm(forms.Form):
    """What the status page says; the service checks it."""

    message = forms.CharField(
        label=_("What users should know"), required=False, strip=False
    )
    is_public = forms.BooleanField(label=_("Show on the status page"), required=False)


class AskForm(forms.Form):
    """Whom to ask to take over; nobody: the one who has it, to hand it over."""

    to = PersonField(required=False)
    comment = forms.CharField(required=False, strip=False)


class RoleForm(forms.Form):
    """Who gets which role; nobody: it is free again."""

    role = forms.ChoiceField(
        label=_("Role"),
        choices=IncidentRole.Role.choices,
        error_messages={
            "required": _("Choose a role."),
            "invalid_choice": _("Choose one of the roles offered."),
        },
    )
    to = PersonField(required=False)


class MergeForm(forms.Form):
    """Into which incident."""

    into = forms.IntegerField(
        label=_("Into"),
        min_value=1,
        max_value=2**63 - 1,
        error_messages=dict.fromkeys(
            ("required", "invalid", "min_value", "max_value"),
            _("Choose an open incident."),
        ),
    )


class PostmortemForm(forms.Form):
    """The parts as they are typed; the service checks them."""

    revision = forms.IntegerField(min_value=0, max_value=2**31 - 1)
    summary = forms.CharField(required=False, strip=False)
    impact = forms.CharField(required=False, strip=False)
    cause = forms.CharField(required=False, strip=False)
    response = forms.CharField(required=False, strip=False)
    lessons = forms.CharField(required=False, strip=False)


class OwnerForm(forms.Form):
    """Who writes it."""

    to = PersonField()


class WaiveForm(forms.Form):
    """Why none is needed; the service checks it."""

    reason = forms.CharField(required=False, strip=False)


class ActionItemForm(forms.Form):
    """What will change, who does it, by when. The service checks the text."""

    text = forms.CharField(label=_("What will change"), required=False)
    owner = PersonField(label=_("Owner"))
    due_on = forms.DateField(
        label=_("Due"),
        input_formats=["%Y-%m-%d"],
        error_messages={
            "required": _("Choose a day."),
            "invalid": _("Write the day as 2026-03-31."),
        },
    )


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """A service as the admin edits it."""

    class Meta:
        model = Service
        fields = (
            "name",
            "slug",
            "description",
            "runbook_url",
            "vendor_url",
            "time_zone",
            "is_public",
            "position",
        )

    def clean(self) -> dict[str, Any]:
        """Check that the time zone exists."""
        cleaned = super().clean() or self.cleaned_data
        zone = str(cleaned.get("time_zone", ""))
        for field, problem in validate_time_zone(time_zone=zone).items():
            self.add_error(field, problem)
        return cleaned

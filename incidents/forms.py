"""What people may choose on the incident page."""

from __future__ import annotations

from datetime import timedelta

from django import forms
from django.utils.translation import gettext_lazy as _

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

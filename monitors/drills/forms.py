"""What people choose to start a drill, to sign it, and in a plan."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from incidents.models import EscalationPolicy
from monitors.drills.plans import plan_faults
from monitors.models import DrillPlan, Monitor
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.wording import duration

LENGTH_MINUTES = (5, 15, 30, 60)


def _lengths() -> list[tuple[str, str]]:
    return [
        (str(minutes), duration(timedelta(minutes=minutes)))
        for minutes in LENGTH_MINUTES
    ]


class StartForm(forms.Form):
    """What seems to be down, how bad, and for how long at most."""

    monitor = forms.ModelChoiceField(
        label=_("Monitor"),
        queryset=Monitor.objects.none(),
        empty_label=_("Choose a monitor"),
        error_messages={
            "required": _("Choose a monitor."),
            "invalid_choice": _("Choose one of the monitors offered."),
        },
    )
    priority = forms.ChoiceField(
        label=_("Priority"),
        choices=Priority.choices,
        initial=Priority.P0,
        error_messages={"invalid_choice": _("Choose one of the priorities P0 to P3.")},
    )
    policy = forms.ModelChoiceField(
        label=_("Escalation policy"),
        queryset=EscalationPolicy.objects.none(),
        required=False,
        empty_label=_("As a real incident"),
        error_messages={"invalid_choice": _("Choose one of the policies offered.")},
    )
    minutes = forms.TypedChoiceField(
        label=_("Ends after"),
        choices=_lengths,
        coerce=int,
        initial="30",
        error_messages={"invalid_choice": _("Choose one of the lengths offered.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        monitors = Monitor.objects.defer("secret").order_by("name")
        self.fields["monitor"].queryset = monitors  # type: ignore[attr-defined]
        policies = EscalationPolicy.objects.order_by("name")
        self.fields["policy"].queryset = policies  # type: ignore[attr-defined]


class PlanForm(forms.ModelForm):  # type: ignore[type-arg]
    """A plan that can be followed."""

    class Meta:
        model = DrillPlan
        fields = [
            "name",
            "monitor",
            "priority",
            "policy",
            "schedule",
            "time_zone",
            "give_up_after_s",
            "is_enabled",
        ]

    def clean(self) -> dict[str, Any]:
        """Check that it can be followed."""
        cleaned = super().clean() or self.cleaned_data
        for fault in plan_faults(cleaned):
            if fault.field not in self.errors:
                self.add_error(fault.field, fault.message)
        return cleaned

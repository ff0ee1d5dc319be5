"""What people type in about a KPI: its definition, a value, a stretch of its past."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from kpis import validation
from kpis.models import Kpi, KpiTarget
from kpis.models.kpi import CALCULATED, VALUE_DIGITS
from kpis.reading import VALUE_DECIMALS
from t4g_portal.lib.zones import YEARS

MAX_AGE_DAYS = 366 * 20


class KpiForm(forms.ModelForm):  # type: ignore[type-arg]
    """A KPI; what contradicts itself, or what its source would refuse, is said at its field."""

    class Meta:
        model = Kpi
        fields = "__all__"  # noqa: DJ007 the admin's fieldsets name them

    def clean(self) -> dict[str, Any]:
        """Check what belongs together."""
        cleaned = super().clean() or self.cleaned_data
        # Who may not see how it is computed sends nothing of it.
        stored = {
            name: getattr(self.instance, name, None)
            for name in CALCULATED
            if name not in self.fields
        }
        if "source" not in self.fields and self.instance.source_id:
            stored["source"] = self.instance.source
        for fault in validation.kpi_faults({**stored, **cleaned}):
            if fault.field not in self.errors:
                self.add_error(
                    fault.field if fault.field in self.fields else None, fault.message
                )
        return cleaned


class TargetForm(forms.ModelForm):  # type: ignore[type-arg]
    """A target, from a month on."""

    class Meta:
        model = KpiTarget
        fields = "__all__"  # noqa: DJ007 the admin names them

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.initial.get("value") is not None:
            # Without the zeros that the column keeps.
            self.initial["value"] = f"{self.initial['value'].normalize():f}"

    def clean_month(self) -> date:
        """Take any day of the month for its first."""
        month: date = self.cleaned_data["month"]
        if month.year not in YEARS:
            raise forms.ValidationError(_("Enter a day between 1970 and 2200."))
        return month.replace(day=1)


class _OfPeriods(forms.Form):
    """A form whose days are those of a KPI's zone."""

    def __init__(self, *args: Any, kpi: Kpi, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kpi = kpi
        self.now = now
        self.zone = ZoneInfo(kpi.time_zone)

    def day(self, name: str) -> date:
        """Return a day that was typed, within the years that a zone knows."""
        day: date = self.cleaned_data[name]
        if day.year not in YEARS:
            raise forms.ValidationError(_("Enter a day between 1970 and 2200."))
        return day

    def begin(self, day: date, hour: int = 0) -> datetime:
        """Return when a day, or an hour of it, begins."""
        return datetime.combine(day, time(hour), tzinfo=self.zone).astimezone(UTC)


class BackfillForm(_OfPeriods):
    """From which day to which day the past is read, both included."""

    since = forms.DateField(
        label=_("From"), widget=forms.DateInput({"type": "date", "class": "ops-field"})
    )
    until = forms.DateField(
        label=_("To"), widget=forms.DateInput({"type": "date", "class": "ops-field"})
    )

    def clean_since(self) -> date:
        """Refuse what no business remembers."""
        since = self.day("since")
        if (timezone.localdate() - since).days > MAX_AGE_DAYS:
            raise forms.ValidationError(_("Go back 20 years at most."))
        return since

    def clean_until(self) -> date:
        """Refuse years that no clock knows."""
        return self.day("until")

    def bounds(self) -> tuple[datetime, datetime]:
        """Return the stretch as moments, half-open."""
        until = date.fromordinal(self.cleaned_data["until"].toordinal() + 1)
        return self.begin(self.cleaned_data["since"]), self.begin(until)


class EnterForm(_OfPeriods):
    """The value of a period."""

    day_of_period = forms.DateField(
        label=_("A day of the period"),
        widget=forms.DateInput({"type": "date", "class": "ops-field"}),
    )
    hour = forms.TypedChoiceField(
        label=_("Hour"),
        choices=[(str(hour), f"{hour:02}:00") for hour in range(24)],
        coerce=int,
        widget=forms.Select({"class": "ops-field"}),
    )
    value = forms.DecimalField(
        label=_("Value"),
        max_digits=VALUE_DIGITS,
        decimal_places=VALUE_DECIMALS,
        widget=forms.NumberInput({"class": "ops-field", "step": "any"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.kpi.grain != Kpi.Grain.HOUR:
            del self.fields["hour"]

    def clean_day_of_period(self) -> date:
        """Refuse years that no clock knows."""
        return self.day("day_of_period")

    def start(self) -> datetime:
        """Return a moment of the period."""
        return self.begin(
            self.cleaned_data["day_of_period"], self.cleaned_data.get("hour", 0)
        )

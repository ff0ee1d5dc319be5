"""What people type in about a KPI in the admin: its definition, a stretch of its past."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from kpis import validation
from kpis.models import Kpi, KpiTarget
from kpis.models.kpi import CALCULATED
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


class BackfillForm(forms.Form):
    """From which day to which day of a KPI's zone the past is read, both included."""

    since = forms.DateField(
        label=_("From"), widget=forms.DateInput({"type": "date", "class": "ops-field"})
    )
    until = forms.DateField(
        label=_("To"), widget=forms.DateInput({"type": "date", "class": "ops-field"})
    )

    def __init__(self, *args: Any, kpi: Kpi, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._zone = ZoneInfo(kpi.time_zone)

    def clean_since(self) -> date:
        """Refuse what no business remembers."""
        since = self._day("since")
        if (timezone.localdate() - since).days > MAX_AGE_DAYS:
            raise forms.ValidationError(_("Go back 20 years at most."))
        return since

    def clean_until(self) -> date:
        """Refuse years that no clock knows."""
        return self._day("until")

    def bounds(self) -> tuple[datetime, datetime]:
        """Return the stretch as moments, half-open."""
        until = self.cleaned_data["until"] + timedelta(days=1)
        return self._begin(self.cleaned_data["since"]), self._begin(until)

    def _day(self, name: str) -> date:
        day: date = self.cleaned_data[name]
        if day.year not in YEARS:
            raise forms.ValidationError(_("Enter a day between 1970 and 2200."))
        return day

    def _begin(self, day: date) -> datetime:
        return datetime.combine(day, time(), tzinfo=self._zone).astimezone(UTC)

"""Thresholds, with the sentence that they mean beside them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from monitors.models import Monitor, Threshold
from monitors.thresholds.sentences import threshold_sentence
from t4g_portal.lib.admin import PortalAdmin

_SERIES_MEASURES = (Threshold.Measure.SERIES, Threshold.Measure.NO_DATA)


class ThresholdForm(forms.ModelForm):  # type: ignore[type-arg]
    """A threshold; what contradicts itself is said at its field."""

    class Meta:
        model = Threshold
        fields = "__all__"  # noqa: DJ007 the admin's fieldsets name them

    def clean_for_count(self) -> int:
        """Check the count: it fires after one value at the earliest."""
        count = int(self.cleaned_data["for_count"])
        if count < 1:
            raise forms.ValidationError(_("Give at least 1."))
        return count

    def clean(self) -> dict[str, Any]:
        """Check what belongs together."""
        cleaned = super().clean() or self.cleaned_data
        measure = cleaned.get("measure", "")
        if measure in _SERIES_MEASURES:
            self._check_series(cleaned)
        elif cleaned.get("series_name"):
            self.add_error(
                "series_name", _("Leave it empty: this measure is about monitors.")
            )
        if measure and measure != Threshold.Measure.DOWN:
            self._check_bounds(cleaned)
        return cleaned

    def _check_series(self, cleaned: dict[str, Any]) -> None:
        if not cleaned.get("series_name"):
            self.add_error("series_name", _("Name the series."))
        if cleaned.get("service") is None:
            self.add_error("service", _("Say whose incident it opens."))
        for name in ("monitor", "tag"):
            if cleaned.get(name):
                self.add_error(name, _("Leave it empty: a series has no monitor."))
        labels = cleaned.get("series_labels")
        if not isinstance(labels, dict) or not all(
            isinstance(value, str) for value in labels.values()
        ):
            self.add_error(
                "series_labels", _('Write an object of texts: {"service": "backend"}')
            )

    def _check_bounds(self, cleaned: dict[str, Any]) -> None:
        critical, warning = cleaned.get("critical_bound"), cleaned.get("warning_bound")
        if critical is None and warning is None:
            if not {"critical_bound", "warning_bound"} & set(self.errors):
                self.add_error("critical_bound", _("Give at least one of the bounds."))
            return
        is_above = cleaned.get("comparison") != Threshold.Comparison.BELOW
        if critical is not None and warning is not None:
            is_milder = warning < critical if is_above else warning > critical
            if not is_milder:
                self.add_error(
                    "warning_bound", _("The warning must come before the critical.")
                )
        clear = cleaned.get("clear_bound")
        nearest = min(
            (bound for bound in (critical, warning) if bound is not None),
            key=lambda bound: bound if is_above else -bound,
        )
        if clear is not None and (clear > nearest if is_above else clear < nearest):
            self.add_error(
                "clear_bound", _("It must lie on the good side of the bounds.")
            )


@admin.register(Threshold)
class ThresholdAdmin(PortalAdmin):
    form = ThresholdForm
    list_display = ["name", "sentence", "is_enabled"]
    list_filter = ["measure", "service", "is_enabled"]
    list_select_related = ["service", "monitor"]
    search_fields = ["name", "monitor__name", "service__name", "tag", "series_name"]
    ordering = ["measure", "name"]
    readonly_fields = ["sentence"]
    autocomplete_fields = ["monitor"]
    fieldsets = [
        (None, {"fields": ["name", "sentence", "is_enabled"]}),
        (
            _("What is measured"),
            {
                "fields": [
                    "measure",
                    "aggregate",
                    ("window_s", "min_sample_count"),
                ]
            },
        ),
        (
            _("On what"),
            {
                "fields": [
                    "monitor",
                    "service",
                    "tag",
                    "series_name",
                    "series_labels",
                ]
            },
        ),
        (
            _("When it fires"),
            {
                "fields": [
                    "comparison",
                    ("critical_bound", "critical_priority"),
                    ("warning_bound", "warning_priority"),
                    ("for_count", "for_s"),
                    "clear_bound",
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Threshold]:
        queryset: QuerySet[Threshold] = super().get_queryset(request)
        return queryset.select_related("service", "monitor").defer("monitor__secret")

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "series_labels":
            field.widget.attrs["rows"] = 2
        return field

    def formfield_for_foreignkey(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "monitor":
            kwargs["queryset"] = Monitor.objects.defer("secret")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @admin.display(description=_("in words"))
    def sentence(self, threshold: Threshold) -> str:
        if not threshold.name:
            return str(_("Said here once it is saved."))
        return threshold_sentence(threshold)
